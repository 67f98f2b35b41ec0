"""Which parts does a test of live edits have? All that take edits, real ones, around a shell that the test drives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.runtime.telling import Told
from tests.runtime.test_live import Machine, Rig, Venue
from tests.telemetry.logs import pipeline
from tradebot.config.leaves import leaves
from tradebot.config.profile import Profile
from tradebot.engine.desk import SymbolState
from tradebot.runtime.chores import HealthCheck, JournalGuard
from tradebot.runtime.clock import WallClock
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.feeding import feed_for
from tradebot.runtime.places import make_feed
from tradebot.runtime.swapping import Staged, Swappable
from tradebot.runtime.swaps_bench import Parts, swappables
from tradebot.runtime.swaps_checkpoints import CheckpointSwap
from tradebot.runtime.swaps_feed import FeedSwap
from tradebot.runtime.swaps_metrics import MetricsPart
from tradebot.runtime.swaps_sessions import SessionKeeping
from tradebot.runtime.watchdog import Watchdog
from tradebot.storage.checkpoint import Checkpointer
from tradebot.storage.files import write_atomic
from tradebot.telemetry.logs import LogPipeline
from tradebot.venues.paper import PaperVenue


class Journal:
    last_seq = durable_seq = 0
    failed = None


class Engine:
    """What a checkpoint takes a picture of."""

    symbols = ("A", "B")

    def __init__(self) -> None:
        self.pictures = 0

    def core_picture(self) -> bytes:
        self.pictures += 1
        return b'{"seq":0}'

    def window_picture(self, symbol: str) -> bytes:
        return b"{}"


class Bench:
    """All parts of a run that take edits, real ones, around a shell whose machine is the test's."""

    def __init__(self, folder: Path, old: Profile, machine: Machine | None = None, venue: Venue | None = None) -> None:
        self.old = old
        self.told = Told()
        self.rig = Rig(machine or Machine(), venue or Venue(), **old.engine.model_dump(exclude={"error_backoff_s"}),
                       error_backoff_s=old.engine.error_backoff_s)  # fmt: skip
        self.log: LogPipeline = pipeline(folder / "logs", **old.logging.model_dump())
        self.engine, self.clock = Engine(), WallClock()
        self.checkpointer = Checkpointer(folder / "checkpoint.json", (), self.told)
        self.tired: list[str] = []
        failures = ComponentFailures(old.engine.max_component_failures, lambda name, *_: self.tired.append(name))
        metrics = MetricsPart(old, folder / "metrics/summary.json", write_atomic, self.clock, self.told)
        feed, instruments = feed_for(old, (), make_feed, self.clock)
        paper = PaperVenue(old.venue.paper, {}, old.market.quote, 1)
        now_ms = self.clock.now_ms()
        shell = self.rig.shell
        self.symbols: list[SymbolState] = []
        self.parts = Parts(
            shell=shell,
            pipeline=self.log,
            log=self.told,
            metrics=metrics,
            feed=FeedSwap(old, feed, instruments, make_feed, shell, paper, list, self.clock, self._failed),
            checkpoints=CheckpointSwap(
                old, self.engine, Journal(), self.checkpointer, metrics.face, self.clock, failures
            ),
            sessions=SessionKeeping(folder / "sessions" / "now", self.told),
            watchdog=Watchdog(
                old.engine.heartbeat_interval_s,
                old.engine.heartbeat_timeout_s,
                self.clock,
                self.told,
                folder / "stackdump.txt",
                self.told,
            ),
            health=HealthCheck(old.market, lambda: self.symbols, self.told, now_ms),
            guard=JournalGuard(Journal(), 10, shell.fail, old.engine.heartbeat_interval_s, now_ms),
            failures=failures,
        )
        self.all = swappables(self.parts)
        self.told.records.clear()

    def _failed(self, name: str, error: BaseException) -> None:
        raise AssertionError(f"{name}: {error}")

    def concerned(self, keys: Sequence[str]) -> list[Swappable]:
        return [part for part in self.all if part.concerned(keys)]

    async def committed(self, new: Profile) -> list[Staged]:
        """Stage and commit whatever an edit from the profile in force to `new` concerns."""
        before = {".".join(map(str, path)): value for path, value in leaves(self.old)}
        after = {".".join(map(str, path)): value for path, value in leaves(new)}
        keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        parts = self.concerned(keys)
        assert parts, f"nothing is concerned with {keys}"
        staged = [await part.stage(self.old, new) for part in parts]
        for one in staged:
            one.commit()
        return staged

    async def applied(self, new: Profile) -> None:
        for one in await self.committed(new):
            await one.retire()

    async def taken_back(self, new: Profile) -> None:
        for one in reversed(await self.committed(new)):
            one.revert()
            await one.discard()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(bounded())
