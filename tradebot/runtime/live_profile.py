"""How is the profile in force kept, watched and shown while the bot runs? Asked by the bot and by its operator.

Every outcome comes through here: told to the logs, counted, and followed by what follows: the probation, the files
that are watched, the end of the run where nothing else is sound.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from tradebot.config.catalogue import settings_of
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import load_profile
from tradebot.config.sections.features import Features
from tradebot.domain.errors import StorageFailed
from tradebot.domain.views import OutcomeView, PendingView, ProbationView, ProfileView, SwitchView
from tradebot.engine.plan_words import span
from tradebot.runtime.applying import Force
from tradebot.runtime.failures import TOGGLES
from tradebot.runtime.generations import Choice, falls_back_to
from tradebot.runtime.outcomes import (
    AnyOutcome,
    Applied,
    Fatal,
    Pending,
    Refused,
    Rejected,
    RolledBack,
    Unchanged,
    change_views,
)
from tradebot.runtime.probation import NotWatched, Probation, Readings, Watch
from tradebot.runtime.reload import Reloads
from tradebot.runtime.request import GUARD, START
from tradebot.runtime.returning import condemn
from tradebot.runtime.swapping import Swappable

if TYPE_CHECKING:
    from tradebot.domain.events import Event
    from tradebot.runtime.wiring import Run


TOLD = 6
"""Lines of an outcome that its record's message holds; all of them stand in its field `lines`."""


class LiveProfile:
    """The generation in force and everything about it. It is a chore of the loop: the probation's looks."""

    name = "probation"

    def __init__(
        self,
        run: Run,
        choice: Choice,
        force: Force,
        bench: Sequence[Swappable],
        readings: Readings,
        follow: Callable[[Sequence[str], str], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._run = run
        self._choice = choice
        self._readings = readings
        self._follow = follow
        self._environ = environ
        self._watch: Watch | Probation = NotWatched()
        self._last: OutcomeView | None = None
        self._last_ms = 0
        self.note = choice.note
        """Why the text on the disk is not what was started with, until an edit is applied."""
        self.reloads = Reloads(run, bench, force, self._told, environ)
        self._followed = self.reloads.watched()
        self._plain: tuple[int, dict[str, bool]] = (0, {})  # by generation: what the profile says of the toggles
        self._good: tuple[bool, int] = (True, run.clock.now_ms())  # the last reload, and when one last succeeded
        run.telling.metrics.on_turn(self._gauge)
        self._gauge()

    # -- the probation, as a chore ---------------------------------------------------------------

    @property
    def next_due_ms(self) -> int:
        """When the guards are looked at next."""
        return self._watch.next_due_ms

    def run(self, now_ms: int) -> Event | None:
        """Look at the guards."""
        return self._watch.run(now_ms)

    def begin(self) -> None:
        """Begin, once the reloads serve: watch what is not known to be good, and read what the start passed over."""
        generation, history = self.reloads.force.generation, self._run.opened.history
        if self._choice.note:
            self.reloads.hint(START)
        if generation.state != "good":
            self.put_on_probation(falls_back_to(history, generation))

    def tired(self, name: str, count: int, last: str) -> None:
        """Switch a component off that failed again and again; one without a toggle goes on, and is told of."""
        toggle = TOGGLES.get(name, "")
        text = f"{name} failed {count} times in a row: {last}"
        if not toggle:
            self._run.telling.log.emit("events", "ERROR", "COMPONENT_FAILS", text, component=name, in_a_row=count)
            return
        text += f"; it is switched off, `tradebot feature on {toggle}` switches it on again"
        self._run.telling.log.emit("events", "ERROR", "COMPONENT_SWITCHED_OFF", text, component=name, in_a_row=count)
        self.reloads.switch_off(toggle, f"{name} failed {count} times in a row: {last}")

    def put_on_probation(self, falls_back_to: int) -> str:
        """Watch the generation in force from here on; without a probation in the profile it is good at once.

        Returns what is said of it, "" where nothing is watched.
        """
        run, generation = self._run, self.reloads.force.generation
        profile = run.loaded.profile
        lasts_s = profile.reload.probation_s
        if not profile.features.probation or not lasts_s or not falls_back_to:
            self._end_probation()
            return ""
        self._watch = watch = Probation(
            generation.number,
            falls_back_to,
            profile.reload.guards,
            self._readings,
            run.clock.now_ms(),
            lasts_s,
            partial(self.reloads.breach, generation.number),
            lambda: self._passed(generation.number),
        )
        words = f"on probation for {span(round(lasts_s * 1000))}: {', '.join(watch.limits()) or 'no guard is on'}"
        text = f"generation {generation.number} is {words}; it falls back to generation {falls_back_to}"
        run.telling.log.emit("events", "INFO", "PROFILE_PROBATION_STARTED", text, number=generation.number)
        run.shell.wake()
        return words

    def _end_probation(self) -> None:
        """Watch nothing from here on: what is in force stays so."""
        self._watch = NotWatched()
        self.reloads.passed(self.reloads.force.generation.number)

    def _passed(self, number: int) -> None:
        text = f"generation {number} is past its probation"
        self._run.telling.log.emit("events", "INFO", "PROFILE_PROBATION_PASSED", text, number=number)
        self._watch = NotWatched()
        self.reloads.passed(number)

    def condemn_harmful(self, error: str) -> None:
        """Remember what did harm at the end: a guard breached just before it, or the crash (`error`) on probation.

        The next start then runs the last good generation; this one, which ends by itself, counts as no killed one.
        Waits for a disk.
        """
        run, history, now_ms = self._run, self._run.opened.history, self._run.clock.now_ms()
        try:
            for breach in self.reloads.breaches:
                condemn(history, breach.number or 0, now_ms, breach.why)
            history.end_trial()
            if error and isinstance(self._watch, Probation):
                condemn(history, self.reloads.force.generation.number, now_ms, f"crashed on probation: {error}")
        except StorageFailed as failed:
            run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(failed))

    # -- what became of an edit ------------------------------------------------------------------

    def _told(self, outcome: AnyOutcome) -> AnyOutcome:
        """Take note of an outcome and tell it; return it with what followed."""
        run, now_ms = self._run, self._run.clock.now_ms()
        match outcome:
            case Applied():
                self._good = (True, now_ms)
                outcome = self._applied(outcome)
            case Rejected() | Refused():
                self._good = (False, self._good[1])
                if outcome.who == GUARD and isinstance(self._watch, Probation):
                    self._watch.look_again(now_ms)
            case RolledBack():
                self._good = (False, self._good[1])
                if outcome.restored:
                    self._end_probation()
            case Fatal():
                self._good = (False, self._good[1])
                run.coordinator.fatal_reload(outcome.reason)
            case Unchanged() if not self.reloads.pinned and not self._good[0]:
                self._good = (True, now_ms)
        if not isinstance(outcome, Unchanged) or self._replaces_last(outcome):
            self._last, self._last_ms = outcome.view(), now_ms
        if not self.reloads.pinned:
            self.note = ""
        self._tell(outcome)
        run.telling.metrics.count("config_reloads", outcome=outcome.kind)
        self._follow_files()
        self._gauge()
        return outcome

    def _replaces_last(self, outcome: Unchanged) -> bool:
        """Whether what was told of the last edit is over: the files say again what is in force."""
        last = self._last
        settled = last is None or last.outcome in {"applied", "unchanged"}
        return not settled and not self.reloads.pinned and outcome.who != GUARD

    def _applied(self, outcome: Applied) -> Applied:
        self.note = ""
        self._rested(outcome)
        if outcome.cause in {"edit", "confirm", "rollback"} and not outcome.proven:
            words = self.put_on_probation(self._fall_back(outcome.previous))
            if words:
                text = f"{words} · `tradebot rollback` undoes it"
                outcome = structs.replace(outcome, notes=(*outcome.notes, text))
        elif (
            outcome.cause == "rollback"
            or not isinstance(self._watch, Probation)
            or not self._run.loaded.profile.features.probation
        ):
            self._end_probation()
        return outcome

    def _rested(self, outcome: Applied) -> None:
        """Begin the count of failures anew for what was switched on again."""
        for change in outcome.changes:
            for part, toggle in TOGGLES.items():
                if change.key == f"features.{toggle}" and change.new is True:
                    self._run.telling.failures.well(part)

    def _follow_files(self) -> None:
        """Let the watcher follow the files that the text on the disk is made of now."""
        watched = self.reloads.watched()
        if watched != self._followed:
            self._followed = watched
            self._follow(*watched)

    def _fall_back(self, previous: int) -> int:
        """Return the generation that a breach goes back to: past another's probation, to the one before it."""
        return self._watch.falls_back_to if isinstance(self._watch, Probation) else previous

    def _tell(self, outcome: AnyOutcome) -> None:
        view = outcome.view()
        head, *rest = outcome.lines()
        shown = [" ".join(line.split()) for line in rest[:TOLD]]
        more = len(rest) - len(shown)
        text = " · ".join([head, *shown, *([f"and {more} more lines"] if more else [])])
        self._run.telling.log.emit(
            "events",
            outcome.level,
            outcome.event_type,
            text,
            outcome=outcome.kind,
            in_force=outcome.generation,
            who=outcome.who,
            keys=list(view.keys),
            lines=list(view.lines),
        )

    def _gauge(self) -> None:
        """Set what monitoring looks at."""
        metrics, reloads = self._run.telling.metrics, self.reloads
        successful, since_ms = self._good
        metrics.gauge("config_generation", reloads.force.generation.number)
        metrics.gauge("config_pending", 0 if reloads.waiting is None else 1)
        metrics.gauge("config_overrides", len(reloads.force.generation.switches))
        metrics.gauge("config_last_reload_successful", 1 if successful else 0)
        metrics.gauge("config_last_reload_success_timestamp_s", since_ms / 1000)

    # -- what is shown ---------------------------------------------------------------------------

    def view(self) -> ProfileView:
        """Return which version is in force, and what is about it."""
        force = self.reloads.force
        generation = force.generation
        return ProfileView(
            path=force.loaded.path,
            generation=generation.number,
            since_ms=generation.at_ms,
            cause=generation.cause,
            who=generation.who,
            digest=generation.digest,
            pinned=self.reloads.pinned and self.reloads.waiting is None,
            by_rollback=generation.pinned,
            last_reload=self._last,
            last_reload_ms=self._last_ms,
            pending=_pending(self.reloads.waiting),
            probation=self._probation(),
            overrides=tuple(one for one in self.features() if one.override),
            note=self.note,
        )

    def features(self) -> tuple[SwitchView, ...]:
        """Return every toggle: what is in force, what the profile says, and who set it otherwise."""
        force = self.reloads.force
        switches = {one.feature: one for one in force.generation.switches}
        said = self._said() if switches else {}
        found = []
        for name, declared in settings_of(Features).items():
            on = getattr(force.loaded.profile.features, name)
            switch = switches.get(name)
            if switch is None:
                found.append(SwitchView(feature=name, on=on, profile=on, sentence=declared.sentence))
            else:
                found.append(
                    SwitchView(
                        feature=name,
                        on=on,
                        profile=said.get(name, not on),
                        override=switch.who,
                        why=switch.why,
                        since_ms=switch.at_ms,
                        sentence=declared.sentence,
                    )
                )
        return tuple(found)

    def _said(self) -> dict[str, bool]:
        """Return what the profile itself says of the toggles."""
        force = self.reloads.force
        if self._plain[0] != force.generation.number:
            try:
                plain = load_profile(force.loaded.path, self._environ, stored=force.loaded.files)
                said = plain.profile.features.model_dump()
            except ProfileInvalid:  # a rule that only the toggle keeps
                said = {}
            self._plain = (force.generation.number, said)
        return self._plain[1]

    def _probation(self) -> ProbationView | None:
        watch = self._watch
        if not isinstance(watch, Probation):
            return None
        return ProbationView(until_ms=watch.until_ms, falls_back_to=watch.falls_back_to, guards=watch.words())


def _pending(waiting: Pending | None) -> PendingView | None:
    if waiting is None:
        return None
    return PendingView(
        digest=waiting.digest,
        since_ms=waiting.since_ms,
        who=waiting.who,
        reason=waiting.reason,
        changes=change_views(waiting.changes, {}),
        plan=waiting.plan,
    )
