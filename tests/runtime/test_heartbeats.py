"""Does every part show a sign of life, and is one that works only at times left alone while it has nothing to do?"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from tests.runtime.live_bot import in_loop
from tests.runtime.telling import Told
from tradebot.config.sections.market import Market
from tradebot.domain.events import HealthChecked
from tradebot.engine.desk import SymbolState
from tradebot.runtime.chores import HealthCheck
from tradebot.runtime.component import ThreadPart
from tradebot.runtime.watchdog import Watchdog
from tradebot.storage.checkpoint import Checkpointer


class Stopped:
    """A clock that stands still until it is set."""

    at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


class Stuck(Told):
    """A log that holds whoever speaks until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.release = threading.Event(), threading.Event()

    def emit(self, *record: Any, **fields: Any) -> None:
        self.entered.set()
        self.release.wait()


def silent(told: Told) -> list[str]:
    """Return the parts reported as silent."""
    return [text.split()[0] for kind, text in told.records if kind == "COMPONENT_SILENT"]


def test_a_part_without_work_may_be_silent_and_one_with_work_may_not(tmp_path: Path) -> None:
    told, busy = Told(), [False]
    watchdog = Watchdog(1.0, 3.0, Stopped(), told, tmp_path / "stackdump.txt", told)
    watchdog.watch("journal", lambda: 7, lambda: busy[0])
    for now in (1_000, 60_000, 120_000):
        watchdog.look(now)
    busy[0] = True
    watchdog.look(123_000)
    assert silent(told) == []
    watchdog.look(123_001)
    assert silent(told) == ["journal"]
    busy[0] = False
    watchdog.look(124_000)
    assert told.records[-1][0] == "COMPONENT_BACK"


def test_a_writer_of_checkpoints_that_hangs_is_reported(tmp_path: Path) -> None:
    told, stuck = Told(), Stuck()
    checkpointer = Checkpointer(tmp_path / "checkpoint.json", (), stuck)
    watchdog = Watchdog(1.0, 3.0, Stopped(), told, tmp_path / "stackdump.txt", told)
    watchdog.watch("checkpointer", lambda: checkpointer.settled, lambda: checkpointer.busy)
    checkpointer.start()
    watchdog.look(9_000)
    checkpointer.submit(b'{"seq": 1}', ())
    assert stuck.entered.wait(20)
    watchdog.look(12_001)
    assert silent(told) == ["checkpointer"]
    stuck.release.set()
    assert checkpointer.flush(20)
    assert not checkpointer.busy
    watchdog.look(12_002)
    assert told.records[-1][0] == "COMPONENT_BACK"
    assert checkpointer.close(20)


def test_a_thread_that_hangs_in_its_work_is_reported(tmp_path: Path) -> None:
    told, begun, release = Told(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait()

    async def main() -> None:
        part = ThreadPart("metrics", work, 0.001, 20.0, told, "X")
        watchdog = Watchdog(1.0, 3.0, Stopped(), told, tmp_path / "stackdump.txt", told)
        watchdog.watch("metrics", lambda: part.turns, lambda: part.working)
        watchdog.look(60_000)
        await part.start()
        assert await asyncio.to_thread(begun.wait, 20)
        watchdog.look(63_001)
        release.set()
        await part.stop()
        assert part.turns >= 1
        watchdog.look(63_002)

    asyncio.run(main())
    assert silent(told) == ["metrics"]
    assert told.records[-1][0] == "COMPONENT_BACK"


def test_stale_symbols_are_a_gauge_of_every_health_check() -> None:
    seen: dict[str, float] = {}

    class Gauges(Told):
        def gauge(self, name: str, value: float, /) -> None:
            seen[name] = value

    symbols = [SymbolState.__new__(SymbolState) for _ in range(3)]
    for symbol, at_ms in zip(symbols, (-1, 96_999, 97_000), strict=True):
        symbol.seen_ms = at_ms
    check = HealthCheck(Market(stale_after_s=3, health_check_interval_s=60), lambda: symbols, Gauges(), 40_000)
    assert check.next_due_ms == 100_000
    assert check.run(100_000) == HealthChecked(100_000)
    assert (check.next_due_ms, seen) == (160_000, {"stale_symbols": 2})


@in_loop
async def test_the_loop_goes_on_while_a_watchdog_that_hangs_is_ended(tmp_path: Path) -> None:
    clock, stuck = Stopped(), Stuck()
    watchdog = Watchdog(0.001, 2.0, clock, stuck, tmp_path / "stackdump.txt", Told())
    watchdog.watch("engine", lambda: 7)
    clock.at_ms = 9_000
    await watchdog.start()
    assert await asyncio.to_thread(stuck.entered.wait, 20)
    ending = asyncio.create_task(watchdog.stop())
    done, _ = await asyncio.wait({ending}, timeout=0.01)
    assert not done, "others had their turn meanwhile"
    stuck.release.set()
    await ending
