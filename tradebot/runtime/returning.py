"""How does an earlier generation come back, and a toggle go over the profile? Asked by the reloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tradebot.config.catalogue import settings_of
from tradebot.config.diff import diff
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.sections.features import Features
from tradebot.domain.generation import Generation, Switch
from tradebot.ports import NotNow
from tradebot.runtime.applying import Applying, Target, in_history
from tradebot.runtime.component import in_thread
from tradebot.runtime.generations import stored, toggles
from tradebot.runtime.outcomes import AnyOutcome, Applied, Fatal, Refused, RolledBack, Unchanged
from tradebot.runtime.request import Request

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run


class Returns:
    """Takes rollbacks, toggles and the breaches of guards. None of them reads the text on the disk."""

    def __init__(self, run: Run, applying: Applying, environ: Mapping[str, str] = os.environ) -> None:
        self._run = run
        self._applying = applying
        self._environ = environ

    async def rollback(self, request: Request) -> AnyOutcome:
        """Bring an earlier generation back, its files too. Raises NotNow where there is none, ProfileInvalid."""
        force = self._applying.force
        target = await self._wanted(request.number)
        switches = target.switches if target.digest == force.generation.digest else force.generation.switches
        loaded = await self._load(target, switches)
        restart = self._restart_keys(loaded)
        if restart:
            return Refused(
                generation=force.generation.number,
                path=loaded.path,
                who=request.who,
                keys=restart,
                changes=tuple(diff(force.loaded, loaded)),
            )
        reason = f"to generation {target.number}"
        wanted = Target(loaded, "rollback", request.who, switches, loaded.digest, restore=True, reason=reason)
        return await self._applying.apply(wanted, request.begun)

    async def switch(self, request: Request) -> AnyOutcome:
        """Set or clear a toggle's override; the text stays the one in force. Raises NotNow for an unknown toggle."""
        force, feature = self._applying.force, request.feature
        known = settings_of(Features)
        if feature not in known:
            raise NotNow(f"there is no toggle {feature!r}; there are {', '.join(known)}")
        others = tuple(one for one in force.generation.switches if one.feature != feature)
        plain = await self._load(force.generation, others)
        said = getattr(plain.profile.features, feature)
        switches = others
        if request.on is not None and request.on != said:
            now_ms = self._run.clock.now_ms()
            switches = (*others, Switch(feature, request.on, request.who, now_ms, request.why))
        loaded = await self._load(force.generation, switches)
        in_force = getattr(force.loaded.profile.features, feature)
        if getattr(loaded.profile.features, feature) == in_force and len(switches) == len(force.generation.switches):
            word = "on" if in_force else "off"
            return Unchanged(
                generation=force.generation.number,
                path=force.loaded.path,
                who=request.who,
                note=f"{feature} is {word}" + ("" if switches == others else ", set by hand"),
            )
        wanted = Target(loaded, "feature", request.who, switches, reason=request.why)
        return await self._applying.apply(wanted, request.begun)

    async def breached(self, request: Request) -> AnyOutcome:
        """Bring the last good generation back, without writing a file; the text that did harm is remembered."""
        run, force = self._run, self._applying.force
        history, bad = run.opened.history, force.generation
        await in_history(history.condemn, bad.number, run.clock.now_ms(), request.why, request.who)
        good = await in_history(history.last_good, bad.digest)
        if good is None:
            return self._fatal(request, f"{request.why}, and there is no good generation to go back to")
        loaded = await self._load(good, bad.switches)
        restart = self._restart_keys(loaded)
        if restart:
            return self._fatal(request, f"{request.why}, and generation {good.number} needs a restart")
        wanted = Target(loaded, "automatic", request.who, bad.switches, reason=request.why)
        outcome = await self._applying.apply(wanted, request.begun)
        if not isinstance(outcome, Applied):
            return self._fatal(request, f"{request.why}, and the way back failed: {outcome.lines()[0]}")
        return RolledBack(
            generation=outcome.generation,
            path=outcome.path,
            who=request.who,
            condemned=bad.number,
            reason=f"{request.why}; as generation {good.number}, no file was written",
            changes=outcome.changes,
            plan=outcome.plan,
        )

    async def _wanted(self, number: int | None) -> Generation:
        force, history = self._applying.force.generation, self._run.opened.history
        wanted = force.previous if number is None else number
        found = await in_history(history.generation, wanted) if wanted else None
        if found is None:
            there = "there is no generation before the one in force"
            raise NotNow(there if number is None else f"there is no generation {number}; `tradebot profile history`")
        if found.number == force.number:
            raise NotNow(f"generation {found.number} is in force")
        if found.state in {"preparing", "failed"}:
            raise NotNow(f"generation {found.number} never came into force")
        return found

    async def _load(self, generation: Generation, switches: tuple[Switch, ...]) -> Loaded:
        """Return a generation's text with `switches`. Raises ProfileInvalid where it is no valid profile any more."""
        return await in_thread(
            "tradebot-profile-load",
            lambda: load_profile(generation.path, self._environ, switches=toggles(switches), stored=stored(generation)),
        )

    def _restart_keys(self, loaded: Loaded) -> tuple[str, ...]:
        changes = diff(self._applying.force.loaded, loaded)
        return tuple(change.key for change in changes if change.reload == "restart")

    def _fatal(self, request: Request, reason: str) -> Fatal:
        force = self._applying.force
        return Fatal(generation=force.generation.number, path=force.loaded.path, who=request.who, reason=reason)
