"""How are the metrics kept, written, and switched on and off while the bot runs? Asked by the bot and the reload.

Concerned: `features.metrics`, `metrics.observations_kept`, `metrics.export_interval_s`, and how long the end of the
writer is awaited, `shutdown.callback_timeout_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from tradebot.config.profile import Profile
from tradebot.domain.errors import StorageFailed
from tradebot.ports import Clock, Log
from tradebot.runtime.component import NullPart, ThreadPart, in_thread, stop_within
from tradebot.runtime.failures import NO_FAILURES, Failures
from tradebot.runtime.swapping import CannotBuild, Staged
from tradebot.telemetry.metrics import Before, Metrics, NoMetrics, SwitchedMetrics
from tradebot.telemetry.summary import MetricsSummary, Write

_SWITCH = "features.metrics"
_KEPT = "metrics.observations_kept"
_INTERVAL = "metrics.export_interval_s"
_END = "shutdown.callback_timeout_s"


class Exporting:
    """Metrics switched on: counted, and written every interval by a thread of their own."""

    def __init__(self, metrics: Metrics, summary: MetricsSummary, thread: ThreadPart) -> None:
        self.metrics = metrics
        self.summary = summary
        self.thread = thread


class NotExporting:
    """Metrics switched off: nothing is counted and nothing is written; the last summary stays as it was."""

    def __init__(self) -> None:
        self.metrics = NoMetrics()
        self.thread = NullPart("metrics")


class MetricsPart:
    """The metrics of a run: the one object that everybody counts with, and the writer of the summary.

    A `ports.Component` (the writer's thread) and a `Swappable`. `face` is what everybody counts with.
    """

    name = "metrics"

    def __init__(
        self, profile: Profile, path: Path, write: Write, clock: Clock, log: Log, failures: Failures = NO_FAILURES
    ) -> None:
        self._path = path
        self._write = write
        self._clock = clock
        self._log = log
        self._failures = failures
        self.inside: Exporting | NotExporting = self.make(profile)
        self.face = SwitchedMetrics(self.inside.metrics)
        if isinstance(self.inside, Exporting):
            self.inside.summary.announce(profile.metrics.export_interval_s)

    def make(self, profile: Profile) -> Exporting | NotExporting:
        """Return the metrics a profile asks for, at zero, nothing started."""
        if not profile.features.metrics:
            return NotExporting()
        metrics = Metrics(profile.metrics.observations_kept)
        summary = MetricsSummary(metrics, self._path, self._write, self._log)
        thread = ThreadPart(
            self.name,
            lambda: summary.export(self._clock.now_ms()),
            profile.metrics.export_interval_s,
            profile.shutdown.callback_timeout_s,
            self._log,
            "METRICS_EXPORT_FAILED",
            self._failures,
        )
        return Exporting(metrics, summary, thread)

    # -- the component, and what the watchdog and the clean-up ask --------------------------------------

    async def start(self) -> None:
        """Begin to write."""
        await self.inside.thread.start()

    async def stop(self) -> None:
        """End writing. Raises TimeoutError."""
        await self.inside.thread.stop()

    @property
    def turns(self) -> int:
        """A number that changes with every export."""
        return self.inside.thread.turns if isinstance(self.inside, Exporting) else 0

    @property
    def working(self) -> bool:
        """Whether an export is under way."""
        return isinstance(self.inside, Exporting) and self.inside.thread.working

    def export(self) -> str:
        """Write the summary now; return in a few words what it holds. Raises StorageFailed."""
        if isinstance(self.inside, NotExporting):
            return "metrics off"
        if not self.inside.summary.export(self._clock.now_ms()):
            raise StorageFailed(f"{self._path.parent.name}/{self._path.name} is not written")
        return f"{self.face.value('orders_sent'):g} orders sent, {self.face.value('fills'):g} fills"

    # -- the swap ------------------------------------------------------------------------------------------

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key in {_SWITCH, _KEPT, _INTERVAL, _END} for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Prepare what `new` asks for. Raises CannotBuild where the summary could not be written."""
        inside = self.inside
        if isinstance(inside, Exporting) and new.features.metrics:
            return _Retuned(inside, old, new)
        if isinstance(inside, NotExporting) and not new.features.metrics:
            return _Retuned(None, old, new)
        made = self.make(new)
        if isinstance(made, Exporting):
            try:
                await in_thread("tradebot-metrics-proof", made.summary.prove)
            except (StorageFailed, OSError) as error:
                raise CannotBuild(f"the metrics cannot be written: {error}") from error
            await made.thread.start()
        return _Switched(self, made, new, self._last_words)

    def _last_words(self, inside: Exporting) -> None:
        if not inside.summary.export(self._clock.now_ms()):
            raise StorageFailed(f"the last {self._path.name} is not written")


class _Retuned:
    """Other numbers for metrics that stay on: counters go on. `inside` None says they stay off."""

    name = "metrics"
    effect = "at once"

    def __init__(self, inside: Exporting | None, old: Profile, new: Profile) -> None:
        self._inside = inside
        self._old = old
        self._new = new
        self._before: Before | None = None

    def commit(self) -> None:
        """Keep and write by the new numbers."""
        if self._inside is None:
            return
        if self._new.metrics.observations_kept != self._old.metrics.observations_kept:
            self._before = self._inside.metrics.keep(self._new.metrics.observations_kept)
        self._inside.thread.retune(self._new.metrics.export_interval_s, self._new.shutdown.callback_timeout_s)

    def revert(self) -> None:
        """Keep and write by the old numbers again, with the observations that were let go of."""
        if self._inside is None:
            return
        if self._before is not None:
            self._inside.metrics.restore(self._old.metrics.observations_kept, self._before)
        self._inside.thread.retune(self._old.metrics.export_interval_s, self._old.shutdown.callback_timeout_s)

    async def retire(self) -> None:
        """Let go of the observations that are not kept any more."""
        self._before = None

    async def discard(self) -> None:
        """End nothing."""


class _Switched:
    """Metrics switched on or off."""

    name = "metrics"

    def __init__(
        self,
        part: MetricsPart,
        made: Exporting | NotExporting,
        new: Profile,
        last_words: Callable[[Exporting], None],
    ) -> None:
        self._part = part
        self._before = part.inside
        self._made = made
        self._new = new
        self._last_words = last_words
        on = isinstance(made, Exporting)
        self.effect = "switched on, counting begins at zero" if on else "switched off, a last summary is written"

    def commit(self) -> None:
        """Count in the new one."""
        self._turn(self._made)

    def revert(self) -> None:
        """Count in the old one again."""
        self._turn(self._before)

    async def retire(self) -> None:
        """End the old writer and let it write once more; or tell that counting has begun. Raises StorageFailed."""
        before, made = self._before, self._made
        if isinstance(made, Exporting):
            made.summary.announce(self._new.metrics.export_interval_s)
        if isinstance(before, Exporting):
            await stop_within(before.thread, self._new.reload.drain_timeout_s)
            await in_thread("tradebot-metrics-last", lambda: self._last_words(before))

    async def discard(self) -> None:
        """End the new writer. Raises TimeoutError."""
        await self._made.thread.stop()

    def _turn(self, to: Exporting | NotExporting) -> None:
        if self._part.inside is not to:
            self._part.inside = to
            self._part.face.turn_to(to.metrics)
