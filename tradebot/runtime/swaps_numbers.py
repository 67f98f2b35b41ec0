"""Which parts take new numbers as they run, and who is told which? Asked by the reload, for its bench of parts.

A part that only takes numbers is one line here; one that is built anew has a file of its own (`swaps_*`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tradebot.config.profile import Profile
from tradebot.ports import Log
from tradebot.runtime.checkpoints import Checkpoints, NoCheckpoints, Pictured, Submit, Written
from tradebot.runtime.chores import HealthCheck, JournalGuard
from tradebot.runtime.cycle_log import NO_CYCLE_TIMES, CycleLog, CycleTimes
from tradebot.runtime.failures import ComponentFailures
from tradebot.runtime.live import LiveShell
from tradebot.runtime.meter import Meter
from tradebot.runtime.swapping import Staged, Swappable, Tuned
from tradebot.runtime.swaps_feed import FeedSwap
from tradebot.runtime.watchdog import Watchdog
from tradebot.telemetry.logs import LogPipeline

PERSISTENCE = ("state.persist_interval_s", "state.slice_ms", "features.state_persistence")
"""What the periodic checkpoints are made by."""


def cycle_log(profile: Profile, log: Log) -> CycleLog:
    """Return what tells every cycle's time, or its null part."""
    return CycleTimes(log) if profile.features.cycle_time_logging else NO_CYCLE_TIMES


class CheckpointSwap:
    """The periodic checkpoints: other numbers for them, or their null part in their place, and back.

    `chore` is the one in force, to be added to the shell at the start.
    """

    name = "checkpoint"

    def __init__(
        self, profile: Profile, engine: Pictured, journal: Written, submit: Submit, meter: Meter, now: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._submit = submit
        self._meter = meter
        self._now = now
        self.chore = self.make(profile)
        self._shell: LiveShell | None = None

    def make(self, profile: Profile) -> Checkpoints | NoCheckpoints:
        """Return the chore a profile asks for; its first picture is due one interval from now."""
        if not profile.features.state_persistence:
            return NoCheckpoints()
        state = profile.state
        return Checkpoints(
            self._engine,
            self._journal,
            self._submit,
            state.persist_interval_s,
            state.slice_ms,
            self._now(),
            self._meter,
        )

    def attach(self, shell: LiveShell) -> None:
        """Let `shell` do the chore in force."""
        self._shell = shell
        shell.add_chore(self.chore)

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key in PERSISTENCE for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Make the chore that `new` asks for, if it is another."""
        return _Checkpointing(self, old, new)

    def turn(self, to: Checkpoints | NoCheckpoints) -> None:
        """Do `to` instead of the chore in force; a picture half taken is dropped."""
        if to is not self.chore and self._shell is not None:
            self._shell.replace_chore(self.chore, to)
        self.chore = to


class _Checkpointing:
    """The share of the periodic checkpoints."""

    name = "checkpoint"

    def __init__(self, swap: CheckpointSwap, old: Profile, new: Profile) -> None:
        self._swap = swap
        self._old = old
        self._new = new
        self._before = swap.chore
        stays = isinstance(swap.chore, Checkpoints) is new.features.state_persistence
        self._made = swap.chore if stays else swap.make(new)
        on = f"switched on, every {new.state.persist_interval_s:g} s"
        off = "switched off: the journal keeps every fact, a last checkpoint is written at the end"
        self.effect = "at once" if stays else on if new.features.state_persistence else off

    def commit(self) -> None:
        """Take pictures by the new profile."""
        self._turn(self._made, self._new)

    def revert(self) -> None:
        """Take pictures by the old profile again."""
        self._turn(self._before, self._old)

    async def retire(self) -> None:
        """End nothing: a chore lives as long as the shell does it."""

    async def discard(self) -> None:
        """End nothing."""

    def _turn(self, chore: Checkpoints | NoCheckpoints, profile: Profile) -> None:
        self._swap.turn(chore)
        if isinstance(chore, Checkpoints):
            chore.retune(profile.state.persist_interval_s, profile.state.slice_ms)


def tuned_parts(
    shell: LiveShell,
    watchdog: Watchdog,
    health: HealthCheck,
    guard: JournalGuard,
    failures: ComponentFailures,
    feed: FeedSwap,
    pipeline: LogPipeline,
    log: Log,
) -> list[Swappable]:
    """Return the parts of a run that only take numbers, each with the keys it is concerned with."""
    beats = ("engine.heartbeat_interval_s",)

    def tell_watchdog(profile: Profile) -> None:
        watchdog.retune(profile.engine.heartbeat_interval_s, profile.engine.heartbeat_timeout_s)

    def tell_loop(profile: Profile) -> None:
        shell.retune(profile.engine)

    return [
        Tuned(
            "loop",
            (
                "engine.loop_sleep_s",
                "engine.error_backoff_s",
                "engine.max_consecutive_errors",
                "engine.slow_cycle_s",
            ),
            tell_loop,
        ),
        Tuned(
            "cycle_log", ("features.cycle_time_logging",), lambda profile: shell.log_cycles(cycle_log(profile, log))
        ),
        Tuned("watchdog", (*beats, "engine.heartbeat_timeout_s"), tell_watchdog),
        Tuned("journal_guard", beats, lambda profile: guard.retune(profile.engine.heartbeat_interval_s)),
        Tuned(
            "health_check",
            ("market.stale_after_s", "market.health_check_interval_s"),
            lambda profile: health.retune(profile.market),
        ),
        Tuned("failures", ("engine.max_component_failures",), lambda profile: failures.retune(
            profile.engine.max_component_failures
        )),
        Tuned("feed_backoff", ("engine.error_backoff_s",), lambda profile: feed.retune(profile.engine.error_backoff_s)),
        Tuned("log_level", ("logging.level",), lambda profile: pipeline.set_level(profile.logging.level)),
    ]  # fmt: skip
