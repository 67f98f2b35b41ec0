"""Do the metrics take an edit while everybody counts, and is nothing that was counted lost by it?"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.profiles import applied, profile, taken_back
from tests.runtime.telling import Told
from tradebot.config.profile import Profile
from tradebot.domain.errors import StorageFailed
from tradebot.runtime.clock import WallClock
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.swapping import CannotBuild
from tradebot.runtime.swaps_metrics import MetricsPart
from tradebot.storage.files import write_atomic

OFF = profile(features__metrics=False)
SELDOM = 3600.0


class Disk:
    """Writes files for real; tells when one was written."""

    def __init__(self) -> None:
        self.wrote = threading.Event()

    def write(self, path: Path, data: bytes) -> None:
        write_atomic(path, data, durable=False)
        self.wrote.set()


def part(folder: Path, settings: Profile, told: Told, disk: Disk | None = None) -> MetricsPart:
    return MetricsPart(settings, folder / "metrics" / "summary.json", (disk or Disk()).write, WallClock(), told)


def summary(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "metrics" / "summary.json").read_text())
    return document


def test_a_shorter_interval_ends_the_wait_under_way(tmp_path: Path) -> None:
    async def main() -> None:
        disk = Disk()
        old, new = profile(metrics__export_interval_s=SELDOM), profile(metrics__export_interval_s=0.1)
        metrics = part(tmp_path, old, Told(), disk)
        await metrics.start()
        metrics.face.count("fills")
        await applied(metrics, old, new)
        assert await asyncio.to_thread(disk.wrote.wait, 20)
        await metrics.stop()
        assert summary(tmp_path)["counters"]["fills"] == 1

    asyncio.run(main())


def test_the_interval_comes_back_with_the_old_profile(tmp_path: Path) -> None:
    async def main() -> None:
        disk = Disk()
        old, new = profile(metrics__export_interval_s=0.1), profile(metrics__export_interval_s=SELDOM)
        metrics = part(tmp_path, old, Told(), disk)
        await metrics.start()
        await taken_back(metrics, old, new)
        assert await asyncio.to_thread(disk.wrote.wait, 20)
        await metrics.stop()

    asyncio.run(main())


def test_switched_off_a_last_summary_is_written_and_nothing_is_counted_any_more(tmp_path: Path) -> None:
    async def main() -> None:
        metrics = part(tmp_path, profile(), Told())
        await metrics.start()
        metrics.face.count("fills", 3)
        staged = await applied(metrics, profile(), OFF)
        assert "switched off" in staged.effect
        metrics.face.count("fills")
        metrics.face.observe("cycle_ms", 1.0)
        assert metrics.face.snapshot() == {"counters": {}, "gauges": {}, "histograms": {}}
        assert metrics.export() == "metrics off"
        assert "tradebot-metrics" not in {thread.name for thread in threading.enumerate()}
        await metrics.stop()

    asyncio.run(main())
    assert summary(tmp_path)["counters"]["fills"] == 3


def test_switched_on_counting_begins_at_zero_with_what_was_declared_and_with_gauges_told_anew(tmp_path: Path) -> None:
    async def main() -> None:
        told = Told()
        metrics = part(tmp_path, OFF, told)
        face = metrics.face
        face.declare("fills")
        face.on_turn(lambda: face.gauge("pending_intents", 2))
        await metrics.start()
        face.count("fills", 5)
        staged = await applied(metrics, OFF, profile(metrics__export_interval_s=SELDOM))
        assert staged.effect == "switched on, counting begins at zero"
        assert face.snapshot()["counters"] == {"fills": 0}
        assert face.snapshot()["gauges"] == {"pending_intents": 2}
        face.count("fills")
        assert metrics.export() == "0 orders sent, 1 fills"
        assert told.kinds() == ["METRICS_INITIALIZED"]
        await metrics.stop()

    asyncio.run(main())
    assert summary(tmp_path)["counters"]["fills"] == 1


def test_what_was_counted_is_there_again_when_switching_is_taken_back(tmp_path: Path) -> None:
    async def main() -> None:
        metrics = part(tmp_path, profile(), Told())
        await metrics.start()
        metrics.face.count("fills", 3)
        await taken_back(metrics, profile(), OFF)
        metrics.face.count("fills")
        assert metrics.face.value("fills") == 4
        assert "tradebot-metrics" in {thread.name for thread in threading.enumerate()}
        await metrics.stop()
        off = part(tmp_path, OFF, Told())
        await taken_back(off, OFF, profile())
        off.face.count("fills")
        assert off.face.value("fills") == 0

    asyncio.run(main())
    assert "tradebot-metrics" not in {thread.name for thread in threading.enumerate()}


def test_other_observations_kept_leave_the_counts_and_take_the_percentiles_from_the_latest(tmp_path: Path) -> None:
    async def main() -> None:
        old, new = profile(metrics__observations_kept=100), profile(metrics__observations_kept=16)
        metrics = part(tmp_path, old, Told())
        face = metrics.face
        face.count("fills", 3)
        for value in range(1, 101):
            face.observe("cycle_ms", value)
        staged = await metrics.stage(old, new)
        staged.commit()
        shown = face.snapshot()
        assert shown["counters"] == {"fills": 3}
        assert (shown["histograms"]["cycle_ms"]["count"], shown["histograms"]["cycle_ms"]["p50"]) == (100, 92)
        face.observe("cycle_ms", 1000)
        face.observe("order_ack_latency_ms", 5)
        staged.revert()
        await staged.discard()
        shown = face.snapshot()["histograms"]
        assert (shown["cycle_ms"]["count"], shown["cycle_ms"]["p50"], shown["cycle_ms"]["max"]) == (101, 51, 1000)
        for value in range(200):
            face.observe("order_ack_latency_ms", value)
        assert face.snapshot()["histograms"]["order_ack_latency_ms"]["p50"] == 149

    asyncio.run(main())


def test_a_summary_that_could_not_be_written_is_not_switched_on(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("a file where the folder should be")

    async def main() -> None:
        metrics = part(tmp_path, OFF, Told())
        with pytest.raises(CannotBuild, match="the metrics cannot be written"):
            await metrics.stage(OFF, profile())
        metrics.face.count("fills")
        assert metrics.face.value("fills") == 0

    asyncio.run(main())


def test_a_proof_leaves_the_last_summary_and_no_file_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        metrics = part(tmp_path, profile(), Told())
        metrics.face.count("fills")
        metrics.export()
        off = part(tmp_path, OFF, Told())
        staged = await off.stage(OFF, profile())
        await staged.discard()

    asyncio.run(main())
    assert os.listdir(tmp_path / "metrics") == ["summary.json"]
    assert summary(tmp_path)["counters"]["fills"] == 1


def test_exports_that_fail_count_as_failures_of_the_component_until_one_succeeds(tmp_path: Path) -> None:
    tired: list[tuple[str, int]] = []
    told_off, wrote = threading.Event(), threading.Event()

    def on_tired(name: str, count: int, _last: str) -> None:
        tired.append((name, count))
        told_off.set()

    failing = [True]

    def write(path: Path, data: bytes) -> None:
        if failing[0]:
            raise StorageFailed("no space")
        write_atomic(path, data, durable=False)
        wrote.set()

    async def main() -> None:
        book = ComponentFailures(3, on_tired)
        settings = profile(metrics__export_interval_s=0.1)
        path = tmp_path / "metrics" / "summary.json"
        metrics = MetricsPart(settings, path, write, WallClock(), Told(), book)
        await metrics.start()
        assert await asyncio.to_thread(told_off.wait, 20)
        failing[0] = False
        assert await asyncio.to_thread(wrote.wait, 20)
        await metrics.stop()
        assert tired == [("metrics", 3)]
        assert (book.of("metrics").in_a_row, book.total >= 3) == (0, True)

    asyncio.run(main())
