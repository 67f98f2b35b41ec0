"""Is every setting outside the engine read by exactly the parts that the bench says, and does an edit change them?"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.runtime.bench import Bench, run
from tests.runtime.profiles import profile
from tests.runtime.test_live import Machine, Rig, Venue, quote
from tests.telemetry.logs import WAIT_S
from tradebot.config.catalogue import walk
from tradebot.domain.commands import Command
from tradebot.domain.events import Event, HealthChecked
from tradebot.domain.facts import Fact
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.live import TooManyErrors

FEED = frozenset({"market_data"})
LOGS = frozenset({"logs"})

READ_BY: dict[str, frozenset[str]] = {
    "market.symbols": FEED,
    "market.stale_after_s": frozenset({"health_check"}),  # and the engine's gates
    "market.health_check_interval_s": frozenset({"health_check"}),
    "engine.loop_sleep_s": frozenset({"loop"}),
    "engine.error_backoff_s": frozenset({"loop", "feed_backoff"}),
    "engine.max_consecutive_errors": frozenset({"loop"}),
    "engine.slow_cycle_s": frozenset({"loop"}),
    "engine.heartbeat_interval_s": frozenset({"watchdog", "journal_guard"}),
    "engine.heartbeat_timeout_s": frozenset({"watchdog"}),
    "engine.max_component_failures": frozenset({"failures"}),
    "state.persist_interval_s": frozenset({"checkpoint"}),
    "state.slice_ms": frozenset({"checkpoint"}),
    "features.state_persistence": frozenset({"checkpoint"}),
    "features.metrics": frozenset({"metrics"}),
    "features.split_logging": LOGS,
    "features.cycle_time_logging": frozenset({"cycle_log"}),
    "metrics.export_interval_s": frozenset({"metrics"}),
    "metrics.observations_kept": frozenset({"metrics"}),
    "logging.level": frozenset({"log_level"}),
    "logging.max_file_mb": LOGS,
    "logging.max_disk_mb": LOGS,
    "logging.queue_limit": LOGS,
    "logging.retry_s": LOGS,
    "sessions.keep": frozenset({"session_keeping"}),
    "sessions.max_disk_mb": frozenset({"session_keeping"}),
    "shutdown.callback_timeout_s": frozenset({"metrics"}),  # and the end of the run
}
"""By setting, the parts of the bench that read it; all of `feed.synthetic` is read by the feed alone."""

READ_ELSEWHERE: tuple[str, ...] = (
    "drop.",  # the engine's own: they reach it by the event ProfileApplied
    "budget.",
    "exits.",
    "fences.",
    "execution.",
    "intents.",
    "features.buying",
    "features.exits",
    "features.stale_warnings",
    "shutdown.",  # read at the end, of the profile in force
    "state.persist_on_shutdown",
    "reload.",  # the reload's own, and the watcher's
    "start.",  # read at the next start, of the last good generation
    "control.",  # the control door's
    "features.control_door",
    "features.watcher",
    "features.probation",
)
"""Beginnings of the settings that other parts read; a setting that is neither here nor above fails."""

IDLE_S = 60.0


def settings() -> Iterator[tuple[str, str]]:
    """Yield (dotted key, reload class) of every setting of the model, the strictest class of the tables around it."""
    strictness = ("live", "rebuild", "restart")
    classes: dict[tuple[str, ...], str] = {}
    for path, setting in walk():
        around = classes.get(path[:-1], "live")
        classes[path] = max(around, setting.reload, key=strictness.index)
        if setting.leaf:
            yield ".".join(path), classes[path]


# -- who reads what -------------------------------------------------------------------------------------


def test_every_setting_that_can_be_edited_live_is_read_by_the_parts_that_are_said_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, profile())
    wrong = {}
    for key, kind in settings():
        names = frozenset(part.name for part in bench.concerned([key]))
        if kind == "restart":
            expected = frozenset[str]()
        elif key.startswith("feed.synthetic."):
            expected = FEED
        elif key in READ_BY:
            expected = READ_BY[key]
        else:
            assert key.startswith(READ_ELSEWHERE), f"{key}: say here who reads it"
            expected = frozenset()
        if names != expected:
            wrong[key] = (sorted(names), sorted(expected))
    assert wrong == {}


def test_no_setting_is_said_to_be_read_that_is_not_there() -> None:
    keys = {key for key, kind in settings() if kind != "restart"}
    assert set(READ_BY) <= keys
    assert [begin for begin in READ_ELSEWHERE if not any(key.startswith(begin) for key in keys)] == []


# -- the loop -------------------------------------------------------------------------------------------


def test_a_shorter_idle_wait_ends_the_wait_under_way_and_is_taken_back() -> None:
    async def main() -> None:
        bench = Bench(Path(), profile(engine__loop_sleep_s=IDLE_S))
        shell = bench.rig.shell
        task = asyncio.create_task(shell.run())
        await shell.until(lambda: shell.cycles >= 1)
        await asyncio.sleep(0)
        new = profile(engine__loop_sleep_s=0.001)
        await bench.applied(new)
        await shell.until(lambda: shell.cycles >= 5)
        bench.old = new
        await bench.applied(profile(engine__loop_sleep_s=IDLE_S))
        cycles = shell.cycles
        assert await asyncio.wait({task}, timeout=0.05) == (set(), {task})
        assert shell.cycles <= cycles + 2
        shell.stop()
        await task

    run(main)


def test_a_shorter_back_off_ends_the_one_under_way() -> None:
    async def main() -> None:
        bench = Bench(Path(), profile(engine__error_backoff_s=IDLE_S), venue=Venue("A", fails=[True]))
        shell, machine = bench.rig.shell, bench.rig.machine
        task = asyncio.create_task(shell.run())
        await asyncio.sleep(0)
        shell.publish(quote("A", 1))
        await shell.until(lambda: "ENGINE_LOOP_ERROR" in bench.rig.told.kinds())
        shell.publish(quote("A", 2))
        await asyncio.sleep(0)
        assert quote("A", 2) not in machine.told, "it backs off"
        await bench.applied(profile(engine__error_backoff_s=0.0))
        await shell.until(lambda: quote("A", 2) in machine.told)
        shell.stop()
        await task

    run(main)


def test_fewer_errors_in_a_row_are_a_crash_from_the_next_one_on(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile(engine__max_consecutive_errors=10))
        shell = bench.rig.shell
        for _ in range(3):
            shell.fault("venue: market", OSError("cut"))
        await bench.taken_back(profile(engine__max_consecutive_errors=2))
        shell.fault("venue: market", OSError("cut"))
        assert shell.fatal is None
        await bench.applied(profile(engine__max_consecutive_errors=5))
        assert shell.fatal is None
        shell.fault("venue: market", OSError("cut"))
        assert isinstance(shell.fatal, TooManyErrors)

    run(main)


def test_slow_cycles_and_every_cycle_are_told_by_the_profile_in_force(tmp_path: Path) -> None:
    def slowly(_event: Event, _now: int) -> tuple[list[Fact], list[Command]]:
        time.sleep(0.002)
        return [], []

    async def main() -> None:
        bench = Bench(tmp_path, profile(), Machine(slowly))
        shell, kinds = bench.rig.shell, bench.rig.told.kinds

        def turn(bid: float) -> tuple[list[str], list[str]]:
            shell.publish(quote("A", bid))
            shell.turn()
            return kinds(), bench.told.kinds()

        assert turn(1) == ([], [])
        loud = profile(engine__slow_cycle_s=0.001, features__cycle_time_logging=True)
        await bench.taken_back(loud)
        assert turn(2) == ([], [])
        await bench.applied(loud)
        assert turn(3) == (["ENGINE_SLOW_CYCLE"], ["ENGINE_CYCLE"])
        bench.old = loud
        await bench.applied(profile())
        assert turn(4) == (["ENGINE_SLOW_CYCLE"], ["ENGINE_CYCLE"])

    run(main)


# -- what looks after it ----------------------------------------------------------------------------------


def test_a_shorter_heartbeat_ends_the_wait_under_way(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile(engine__heartbeat_interval_s=3600.0, engine__heartbeat_timeout_s=7200.0))
        looked = threading.Event()
        watchdog = bench.parts.watchdog

        def look() -> int:
            looked.set()
            return 0

        watchdog.watch("looked", look, lambda: False)
        looked.clear()
        await watchdog.start()
        await bench.taken_back(profile(engine__heartbeat_interval_s=1800.0, engine__heartbeat_timeout_s=7200.0))
        assert not looked.is_set()
        await bench.applied(profile(engine__heartbeat_interval_s=0.1, engine__heartbeat_timeout_s=7200.0))
        assert await asyncio.to_thread(looked.wait, WAIT_S)
        await watchdog.stop()

    run(main)


def test_a_shorter_silence_is_reported(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile(engine__heartbeat_timeout_s=90.0))
        watchdog = bench.parts.watchdog
        watchdog.watch("part", lambda: 7)
        begun = bench.clock.now_ms()
        watchdog.look(begun + 20_000)
        assert bench.told.kinds() == []
        await bench.applied(profile(engine__heartbeat_timeout_s=10.0))
        watchdog.look(begun + 20_000)
        assert bench.told.kinds() == ["COMPONENT_SILENT"]
        watchdog.look(begun + 90_000)
        assert bench.told.kinds() == ["COMPONENT_SILENT"]

    run(main)


def test_the_health_check_and_the_journal_guard_come_at_the_new_intervals(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile())
        health, guard = bench.parts.health, bench.parts.guard
        begun = health.next_due_ms - 60_000
        guard.run(begun)
        sooner = profile(market__health_check_interval_s=5.0, engine__heartbeat_interval_s=4.0)
        await bench.taken_back(sooner)
        assert (health.next_due_ms - begun, guard.next_due_ms - begun) == (60_000, 30_000)
        await bench.applied(sooner)
        assert (health.next_due_ms - begun, guard.next_due_ms - begun) == (5_000, 4_000)
        assert health.run(begun + 5_000) == HealthChecked(begun + 5_000)
        assert health.next_due_ms - begun == 10_000

    run(main)


def test_staleness_is_counted_by_the_age_in_force(tmp_path: Path) -> None:
    class Seen:
        seen_ms = 1_000

    async def main() -> None:
        bench = Bench(tmp_path, profile())
        bench.symbols = [Seen()]  # type: ignore[list-item] # all that is read of a symbol is when it was seen
        bench.parts.health.run(2_000)
        assert bench.told.counts["stale_symbols"] == 0
        await bench.applied(profile(market__stale_after_s=0.5))
        bench.parts.health.run(2_000)
        assert bench.told.counts["stale_symbols"] == 1

    run(main)


def test_a_component_is_tired_by_the_limit_in_force(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile(engine__max_component_failures=5))
        bench.parts.failures.failed("metrics", "it failed")
        await bench.taken_back(profile(engine__max_component_failures=1))
        bench.parts.failures.failed("metrics", "it failed")
        assert bench.tired == []
        await bench.applied(profile(engine__max_component_failures=3))
        bench.parts.failures.failed("metrics", "it failed")
        assert bench.tired == ["metrics"]

    run(main)


def test_the_faults_of_chores_and_venue_are_counted_by_component() -> None:
    rig = Rig(Machine(), Venue())
    book = ComponentFailures(2, lambda *_: None)
    rig.shell._failures = book
    rig.shell.fault("checkpoint", OSError("no space"))
    rig.shell.fault("venue: market", OSError("cut"))
    rig.shell.well("checkpoint")
    assert (book.of("checkpoint").in_a_row, book.of("checkpoint").in_all, book.of("venue").in_a_row) == (0, 1, 1)


# -- logs -----------------------------------------------------------------------------------


def test_the_level_is_changed_from_the_next_record_on(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile())
        bench.log.start()
        bench.log.emit("events", "DEBUG", "QUIET")
        quieter = profile(logging__level="WARNING")
        await bench.taken_back(quieter)
        bench.log.emit("events", "INFO", "HEARD")
        await bench.applied(quieter)
        bench.log.emit("events", "INFO", "QUIET")
        assert bench.log.stop(WAIT_S)

    run(main)
    (path,) = (tmp_path / "logs").glob("events_*.jsonl")
    assert [json.loads(line)["event_type"] for line in path.read_text().splitlines()] == ["HEARD"]


def test_one_file_instead_of_many_and_back_while_records_are_told(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, profile())
        bench.log.start()
        one = profile(features__split_logging=False)
        await bench.taken_back(one)
        bench.log.emit("orders", "INFO", "ORDER_SENT", number=1)
        await bench.applied(one)
        bench.log.emit("orders", "INFO", "ORDER_SENT", number=2)
        bench.old = one
        await bench.applied(profile(logging__max_file_mb=1))
        bench.log.emit("orders", "INFO", "ORDER_SENT", number=3)
        assert bench.log.stop(WAIT_S)

    run(main)
    orders = [json.loads(line)["number"] for line in (tmp_path / "logs/orders.jsonl").read_text().splitlines()]
    assert orders == [1, 3]
