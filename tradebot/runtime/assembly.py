"""Which parts with a life of their own does a run have, and which settings concern them? Asked by the bot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from tradebot.config.profile import Profile
from tradebot.control.server import Door
from tradebot.domain.numbers import ZERO, exact
from tradebot.domain.views import ComponentView
from tradebot.ports import Component
from tradebot.runtime.applying import Force
from tradebot.runtime.chores import AccountCheck, HealthCheck, JournalGuard, NoAccountCheck
from tradebot.runtime.component import Failed, NullPart, TaskPart
from tradebot.runtime.live_profile import LiveProfile
from tradebot.runtime.operator import RunOperator
from tradebot.runtime.probation import Readings
from tradebot.runtime.swapping import Swappable, Tuned
from tradebot.runtime.swaps_bench import Parts, swappables
from tradebot.runtime.swaps_component import ComponentSwap
from tradebot.runtime.swaps_feed import FeedSwap
from tradebot.runtime.swaps_metrics import MetricsPart
from tradebot.runtime.swaps_sessions import SessionKeeping
from tradebot.runtime.watchdog import Watchdog
from tradebot.runtime.watcher import NoWatcher, Watcher

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run


class Assembly:
    """The parts of a run: each is a component, or concerned with settings, or both."""

    def __init__(self, run: Run, failed: Failed, environ: Mapping[str, str] = os.environ) -> None:
        self._run = run
        profile, telling, clock = run.loaded.profile, run.telling, run.clock
        log = telling.log
        now_ms = clock.now_ms()
        self.engine = TaskPart("engine", run.shell.run, failed)
        make = run.make_feed()
        self.feed = FeedSwap(
            profile,
            run.feed,
            run.instruments,
            make,
            run.shell,
            run.venue,
            run.held,
            clock,
            failed,
        )
        self.watchdog = Watchdog(
            profile.engine.heartbeat_interval_s,
            profile.engine.heartbeat_timeout_s,
            clock,
            log,
            telling.session.folder / "stackdump.txt",
            telling.metrics,
        )
        self.sessions = SessionKeeping(telling.session.folder, log)
        self.health = HealthCheck(profile.market, run.engine.symbols.values, telling.metrics, now_ms)
        self.guard = JournalGuard(
            run.opened.journal,
            profile.engine.queue_limit,
            run.shell.fail,
            profile.engine.heartbeat_interval_s,
            now_ms,
        )
        self.account = self._account_check(profile, now_ms)
        self.watcher = ComponentSwap("watcher", ("features.watcher",), self._make_watcher, NullPart("watcher"))
        self.door = ComponentSwap("control_door", ("features.control_door",), self._make_door, NullPart("control_door"))
        self.live = LiveProfile(
            run, run.choice, Force(run.generation, run.loaded), self._bench(), self._readings(), self._follow, environ
        )
        self.watcher.current = self._make_watcher(profile)
        self.door.current = self._make_door(profile)
        self._components: Sequence[Component] = ()

    def _account_check(self, profile: Profile, now_ms: int) -> AccountCheck | NoAccountCheck:
        run = self._run
        if profile.venue.kind == "paper":
            return NoAccountCheck()
        interval_s = float(profile.fences.compare_interval_s)
        return AccountCheck(interval_s, lambda: run.engine.state.drifts, run.lease, run.telling.metrics, now_ms)

    def _retune_account(self, profile: Profile) -> None:
        self.account.retune(float(profile.fences.compare_interval_s))

    def _bench(self) -> list[Swappable]:
        """Return every part that settings concern, in the order they are staged."""
        run, telling = self._run, self._run.telling
        parts = Parts(
            run.shell,
            telling.pipeline,
            telling.log,
            telling.metrics_part,
            self.feed,
            run.checkpoints,
            self.sessions,
            self.watchdog,
            self.health,
            self.guard,
            telling.failures,
        )
        return [
            *swappables(parts),
            self.watcher,
            self.door,
            Tuned("account_check", ("fences.compare_interval_s",), self._retune_account),
            Tuned("watcher_sweep", ("reload.sweep_s",), self._retune_watcher),
            Tuned("door_limits", ("control.",), self._retune_door),
        ]

    # -- parts that are made anew -----------------------------------------------------------------

    def _make_watcher(self, profile: Profile) -> Component:
        run, live = self._run, self.live
        if not profile.features.watcher:
            return NoWatcher()
        files, known = live.reloads.watched()
        watcher = Watcher(files, live.reloads.hint, profile.reload, run.telling.log, self._ended)
        watcher.follow(files, known)
        return watcher

    def _make_door(self, profile: Profile) -> Component:
        run = self._run
        if not profile.features.control_door:
            return NullPart("control_door")
        operator = RunOperator(run, self.live, self.components)
        return Door(run.opened.home.folder, operator, profile.control, run.telling.log)

    def _ended(self, name: str, error: BaseException) -> None:
        """Switch a component off that failed for good."""
        self._run.telling.failures.failed(name, error)
        self.live.tired(name, self._run.telling.failures.of(name).in_a_row, str(error))

    def _follow(self, files: Sequence[str], known: str) -> None:
        watcher = self.watcher.current
        if isinstance(watcher, Watcher | NoWatcher):
            watcher.follow(files, known)

    def watcher_looks(self) -> int:
        """Return how often the watcher has read the files."""
        watcher = self.watcher.current
        return watcher.looks if isinstance(watcher, Watcher) else 0

    def watcher_watches(self) -> bool:
        """Whether a watcher is on, and reads more often than signs of life are asked for."""
        profile = self._run.loaded.profile
        patience_s = profile.engine.heartbeat_timeout_s
        return isinstance(self.watcher.current, Watcher) and profile.reload.sweep_s < patience_s

    def _retune_watcher(self, profile: Profile) -> None:
        watcher = self.watcher.current
        if isinstance(watcher, Watcher | NoWatcher):
            watcher.retune(profile.reload)

    def _retune_door(self, profile: Profile) -> None:
        door = self.door.current
        if isinstance(door, Door):
            door.tune(profile.control)

    # -- what is read and shown -------------------------------------------------------------------

    def _readings(self) -> Readings:
        run = self._run
        errors, failures, book = run.telling.errors, run.telling.failures, run.book
        return Readings(
            errors=lambda: errors.count("ERROR"),
            slow_cycles=lambda: errors.count("WARNING", "ENGINE_SLOW_CYCLE"),
            component_failures=lambda: failures.total,
            orders_sent=lambda: book.sent,
            orders_rejected=lambda: book.rejected,
            equity=self._equity,
        )

    def _equity(self) -> Decimal:
        """Return cash and positions at their last bids, in quote; one without a price yet at its cost."""
        engine = self._run.engine
        ledger = engine.state.ledger
        worth = ZERO
        for name, position in ledger.positions.items():
            bid = engine.symbols[name].bid
            worth += position.amount * exact(bid) if bid else position.cost
        return ledger.cash + worth

    def present(self, components: Sequence[Component]) -> None:
        """Note which components the run has, for the views."""
        self._components = components

    def components(self) -> Sequence[ComponentView]:
        """Return every component as it is shown."""
        return [self._shown(part) for part in self._components]

    def _shown(self, part: Component) -> ComponentView:
        inside = part.current if isinstance(part, ComponentSwap) else part
        if isinstance(inside, MetricsPart):
            inside = inside.inside.thread
        failing = self._run.telling.failures.of(part.name)
        if isinstance(inside, NullPart):
            return ComponentView(name=part.name, state="off", failures=failing.in_all, detail=inside.why)
        if part.name in self.watchdog.silent:
            return ComponentView(name=part.name, state="silent", failures=failing.in_all, detail=failing.last)
        return ComponentView(
            name=part.name,
            state="failed" if failing.in_a_row else "running",
            failures=failing.in_all,
            detail=failing.last,
        )
