"""How does an earlier generation come back, and a toggle go over the profile? Asked by the reloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tradebot.config.catalogue import settings_of
from tradebot.config.diff import diff
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.sections.features import Features
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import PauseAsked
from tradebot.domain.generation import Generation, Switch
from tradebot.ports import NotNow
from tradebot.runtime.applying import Applying, Target, in_history
from tradebot.runtime.component import in_thread
from tradebot.runtime.displacing import files_back, restored_words
from tradebot.runtime.generations import lasting, same_profile, stored, toggles
from tradebot.runtime.outcomes import AnyOutcome, Applied, Fatal, Refused, Rejected, RolledBack, Unchanged
from tradebot.runtime.request import GUARD, Request
from tradebot.storage.history import History
from tradebot.storage.restore import writable

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run


class Returns:
    """Takes rollbacks, toggles and the breaches of guards. None of them reads the text on the disk."""

    def __init__(self, run: Run, applying: Applying, environ: Mapping[str, str] = os.environ) -> None:
        self._run = run
        self._applying = applying
        self._environ = environ

    async def rollback(self, request: Request) -> AnyOutcome:
        """Bring an earlier generation back, its files too. Raises NotNow where there is none, ProfileInvalid.

        Where the files say something else than what is in force (an edit that waits, was refused, has faults), the last
        change is that one: without a number they go back to what is in force, and nothing else changes.
        """
        force = self._applying.force
        if request.astray and request.number in {None, force.generation.number}:
            return await self._files_back(request)
        history, path = self._run.opened.history, force.loaded.path
        target = await in_history(wanted_generation, history, force.generation, path, request.number)
        same = target.digest == force.generation.digest
        switches = lasting(target.switches if same else force.generation.switches)
        loaded = await self._load(target, switches)
        restart = self._restart_keys(loaded)
        if restart:
            return Refused(
                generation=force.generation.number,
                path=loaded.path,
                who=request.who,
                keys=restart,
                changes=tuple(diff(force.loaded, loaded)),
                then="no file was touched: it comes back by a start on its text",
            )
        kept = await in_history(writable, target.files)
        wanted = Target(
            loaded,
            "rollback",
            request.who,
            switches,
            loaded.digest,
            restore=True,
            pinned=bool(kept),
            reason=f"to generation {target.number}",
        )
        return await self._applying.apply(wanted, request.begun)

    async def _files_back(self, request: Request) -> Unchanged:
        """Write the files of the generation in force; what stood there is kept in the history. Raises NotNow."""
        force = self._applying.force
        generation = force.generation
        if why := await in_history(files_back, self._run.opened.history, generation):
            raise NotNow(f"the files cannot be written: {why}")
        note = f"the last edit was not in force: {restored_words(generation.files)}"
        return Unchanged(
            generation=generation.number, path=force.loaded.path, who=request.who, note=note, restored=True
        )

    async def switch(self, request: Request) -> AnyOutcome:
        """Set or clear a toggle's override; the text stays the one in force. Raises NotNow for an unknown toggle."""
        force, feature = self._applying.force, request.feature
        switches = switched(force.generation, request, self._run.clock.now_ms())
        if toggles(switches) == toggles(force.generation.switches):
            word = "on" if getattr(force.loaded.profile.features, feature) else "off"
            note = f"{feature} is {word}" + (", as the profile says" if request.on is None else ", set by hand")
            return Unchanged(generation=force.generation.number, path=force.loaded.path, who=request.who, note=note)
        loaded = await self._load(force.generation, switches)
        pinned = force.generation.pinned
        wanted = Target(loaded, "feature", request.who, switches, pinned=pinned, reason=request.why)
        return await self._applying.apply(wanted, request.begun)

    async def breached(self, request: Request) -> AnyOutcome:
        """Bring the last good generation back, without writing a file; the text that did harm is remembered.

        Where that loosens a limit, buying is paused first, durably: nothing is bought by limits nobody has confirmed.
        """
        force, history = self._applying.force, self._run.opened.history
        bad, now_ms = force.generation, self._run.clock.now_ms()
        watched = await in_history(history.generation, request.number or 0)
        if watched is not None and watched.digest != bad.digest:
            await in_history(condemn, history, watched.number, now_ms, request.why)
            note = f"generation {watched.number}, in force until just now, is condemned: {request.why}"
            return Unchanged(generation=bad.number, path=force.loaded.path, who=request.who, note=note)
        good = await in_history(history.last_good, bad.digest, bad.path)
        try:
            loaded = None if good is None else await self._load(good, bad.switches)
        except ProfileInvalid:
            await self._condemn(request, bad.number)
            raise
        if loaded is not None:
            await self._pause_if_looser(loaded)
        await self._condemn(request, bad.number)
        if good is None or loaded is None:
            return self._fatal(request, f"{request.why}, and there is no good generation to go back to", 0)
        restart = self._restart_keys(loaded)
        if restart:
            why = f"{request.why}, and generation {good.number} needs a restart: {', '.join(restart)}"
            return self._fatal(request, why, good.number)
        return await self._way_back(request, bad, good, loaded)

    async def _condemn(self, request: Request, number: int) -> None:
        history, now_ms = self._run.opened.history, self._run.clock.now_ms()
        for one in (request.number or 0, number):
            await in_history(condemn, history, one, now_ms, request.why)

    async def _pause_if_looser(self, loaded: Loaded) -> None:
        """Buy nothing where a way back to `loaded` loosens a limit: nobody has confirmed that.

        Raises StorageFailed where that is not durable in time.
        """
        run, force = self._run, self._applying.force.loaded
        looser = [change.key for change in diff(force, loaded) if change.looser]
        if not looser:
            return
        if not run.engine.state.paused:
            run.shell.inject(PauseAsked(GUARD, run.clock.now_ms()))
            text = f"buying is paused: the way back loosens {', '.join(looser)}; `tradebot resume` lets it go on"
            run.telling.log.emit("events", "WARNING", "BUYING_PAUSED_BY_GUARD", text, keys=looser)
        journal, limit_s = run.opened.journal, force.profile.reload.build_timeout_s
        if not await in_thread("tradebot-journal-flush", lambda: journal.flush(limit_s)):
            cause = journal.failed or f"not within {limit_s:g} s"
            raise StorageFailed(f"that buying is paused before the way back cannot be written down: {cause}")

    async def _way_back(self, request: Request, bad: Generation, good: Generation, loaded: Loaded) -> AnyOutcome:
        """Bring `good` into force in the place of `bad`; where that fails, the run ends."""
        run = self._run
        wanted = Target(loaded, "automatic", request.who, bad.switches, pinned=True, reason=request.why)
        outcome = await self._applying.apply(wanted, request.begun)
        if isinstance(outcome, Rejected) and run.coordinator.asked:
            return outcome
        if not isinstance(outcome, Applied):
            why = f"{request.why}, and the way back failed: {outcome.lines()[0]}"
            return self._fatal(request, why, good.number)
        return RolledBack(
            generation=outcome.generation,
            path=outcome.path,
            who=request.who,
            condemned=bad.number,
            restored=good.number,
            reason=request.why,
            changes=outcome.changes,
            plan=outcome.plan,
        )

    async def passed(self, request: Request) -> None:
        """Note that a generation is past its probation, and with it the toggles that went over its text since."""
        try:
            await in_history(
                _passed, self._run.opened.history, request.number or 0, self._applying.force.generation.number,
                self._run.clock.now_ms(),
            )  # fmt: skip
        except StorageFailed as error:
            self._run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))

    async def _load(self, generation: Generation, switches: tuple[Switch, ...]) -> Loaded:
        """Return a generation's text with `switches`. Raises ProfileInvalid where it is no valid profile any more."""
        return await in_thread(
            "tradebot-profile-load",
            lambda: load_profile(generation.path, self._environ, switches=toggles(switches), stored=stored(generation)),
        )

    def _restart_keys(self, loaded: Loaded) -> tuple[str, ...]:
        changes = diff(self._applying.force.loaded, loaded)
        return tuple(change.key for change in changes if change.reload == "restart")

    def _fatal(self, request: Request, reason: str, next_start: int) -> Fatal:
        force = self._applying.force
        return Fatal(
            generation=force.generation.number,
            path=force.loaded.path,
            who=request.who,
            reason=reason,
            next_start=next_start,
        )


def switched(force: Generation, request: Request, now_ms: int) -> tuple[Switch, ...]:
    """Return the overrides with what is asked for: set, whatever the profile says, until it is cleared.

    Raises NotNow for an unknown toggle.
    """
    known = settings_of(Features)
    if request.feature not in known:
        raise NotNow(f"there is no toggle {request.feature!r}; there are {', '.join(known)}")
    others = tuple(one for one in force.switches if one.feature != request.feature)
    if request.on is None:
        return others
    return (*others, Switch(request.feature, request.on, request.who, now_ms, request.why))


def wanted_generation(history: History, force: Generation, path: str, number: int | None) -> Generation:
    """Return the generation that a rollback of the profile at `path` means, None for the one before `force`.

    Raises NotNow where it cannot come back, StorageFailed.
    """
    found = _before(history, force) if number is None else history.generation(number)
    if found is None:
        there = "there is no generation before the one in force"
        raise NotNow(there if number is None else f"there is no generation {number}; `tradebot profile history`")
    if found.number == force.number:
        raise NotNow(f"generation {found.number} is in force")
    if found.state in {"preparing", "failed"}:
        raise NotNow(f"generation {found.number} never came into force")
    if not found.files:
        raise NotNow(f"the files of generation {found.number} are not kept any more (reload.keep_generations)")
    if not same_profile(found, path):
        raise NotNow(f"generation {found.number} is of another profile, {found.path}: start the bot on that one")
    return found


def condemn(history: History, number: int, at_ms: int, why: str) -> Generation | None:
    """Condemn generation `number` and, where only toggles went over its text since, the ones that brought it.

    Returns it as it was, None where there is none. One that has passed its probation is left alone.
    """
    first = one = history.generation(number)
    while one is not None and one.state in {"applied", "condemned"}:
        if one.state == "applied":
            history.condemn(one.number, at_ms, why, GUARD)
        before = history.generation(one.previous)
        one = before if before is not None and before.digest == one.digest else None
    return first


def _passed(history: History, number: int, in_force: int, at_ms: int) -> None:
    first = history.generation(number)
    for one in (first, None if in_force == number else history.generation(in_force)):
        if first is not None and one is not None and one.digest == first.digest and one.state == "applied":
            history.passed(one.number, at_ms)


def _before(history: History, force: Generation) -> Generation | None:
    """Return the generation before `force`; one that was rolled back or never came into force is passed over."""
    found = history.generation(force.previous)
    while found is not None and found.state in {"condemned", "failed", "preparing"}:
        found = history.generation(found.previous)
    return found
