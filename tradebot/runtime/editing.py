"""What becomes of the text on the disk? Read, settled, compared, judged; asked by the reloads for every edit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from tradebot.config.diff import Change, diff
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded, load_profile
from tradebot.domain.generation import Verdict
from tradebot.engine.plan import plan
from tradebot.runtime.applying import Applying, Target, in_history, texts
from tradebot.runtime.component import in_thread
from tradebot.runtime.generations import EXITS_ONLY, toggles
from tradebot.runtime.outcomes import AnyOutcome, Applied, Pending, Refused, Rejected, Unchanged
from tradebot.runtime.policy import reason_to_wait
from tradebot.runtime.request import Request
from tradebot.runtime.watcher import fingerprint

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

MOST_READS = 100
"""Readings of a text that does not settle, before it is taken as it is."""


class Edits:
    """Takes edits of the profile's files. `waiting` is the one that waits for its confirmation, `disk` the digest of
    the text on the disk when it was last read, "" where it was faulty.
    """

    def __init__(self, run: Run, applying: Applying, environ: Mapping[str, str], disk: str) -> None:
        self._run = run
        self._applying = applying
        self._environ = environ
        self.waiting: Pending | None = None
        self.disk = disk

    async def take(self, request: Request, *, confirmed: bool) -> AnyOutcome:
        """Read the text on the disk and bring it into force where it may be; `confirmed` where it was waited for."""
        switches = tuple(one for one in self._applying.force.generation.switches if one.who != EXITS_ONLY)
        loaded = await self._read(toggles(switches))
        if isinstance(loaded, ProfileInvalid):
            return await self._faulty(request, loaded)
        self.disk = loaded.digest
        if loaded.digest == self._applying.force.loaded.digest and switches == self._applying.force.generation.switches:
            return await self._back_to_force(request)
        history = self._run.opened.history
        verdict = await in_history(history.verdict, loaded.digest)
        known = verdict.kind if confirmed and verdict is not None else ""
        changes = diff(self._applying.force.loaded, loaded)
        restart = tuple(change.key for change in changes if change.reload == "restart")
        if restart:
            return await self._refuse(request, loaded, changes, restart, accepted=known == "refused")
        condemned = verdict.reason if verdict is not None and verdict.kind == "condemned" else ""
        waits, reason = reason_to_wait(changes, self._applying.force.loaded.profile.reload.mode, condemned)
        if reason and known not in {"pending", "condemned"}:
            return await self._wait(request, loaded, changes, waits, reason, condemned=bool(condemned))
        await self._forget_waiting(unless=loaded.digest)
        settle = None if verdict is None else loaded.digest
        target = Target(loaded, "confirm" if known else "edit", request.who, switches, settle)
        outcome = await self._applying.apply(target, request.begun)
        if isinstance(outcome, Applied):
            self.waiting = None
        return outcome

    async def _read(self, switches: dict[str, bool]) -> Loaded | ProfileInvalid:
        """Return the profile on the disk, or its faults; what looks half-written is believed once it stays the same."""
        found, mark = await self._load(switches)
        for _ in range(MOST_READS):
            if isinstance(found, Loaded) and not self._looks_cut(found):
                break
            await asyncio.sleep(self._applying.force.loaded.profile.reload.settle_ms / 1000)
            before = mark
            found, mark = await self._load(switches)
            if mark == before:
                break
        return found

    async def _load(self, switches: dict[str, bool]) -> tuple[Loaded | ProfileInvalid, str]:
        """Return what the files hold, and the fingerprint they had just before."""
        path, files = self._applying.force.loaded.path, self.watched()

        def load() -> tuple[Loaded | ProfileInvalid, str]:
            mark = fingerprint(files)
            try:
                return load_profile(path, self._environ, switches=switches), mark
            except ProfileInvalid as invalid:
                return invalid, mark

        return await in_thread("tradebot-profile-load", load)

    def watched(self) -> tuple[str, ...]:
        """Return the files that make up the profile in force."""
        loaded = self._applying.force.loaded
        return tuple(dict.fromkeys((loaded.path, *(one.path for one in loaded.files))))

    def _looks_cut(self, loaded: Loaded) -> bool:
        """Whether a text may be one half-written: it ends within a line, or lacks keys that the text in force has."""
        known = {one.path: one.source for one in self._applying.force.loaded.files}
        for one in loaded.files:
            if one.source != known.get(one.path) and not one.source.endswith(b"\n"):
                return True
        written = {key for key, origin in self._applying.force.loaded.origins.items() if origin.file}
        return any(not loaded.origins[key].file for key in written if key in loaded.origins)

    async def _faulty(self, request: Request, invalid: ProfileInvalid) -> Rejected:
        self.disk = ""
        await self._forget_waiting()
        return Rejected(
            generation=self._applying.force.generation.number,
            path=self._applying.force.loaded.path,
            who=request.who,
            faults=invalid.faults,
        )

    async def _back_to_force(self, request: Request) -> Unchanged:
        if self.waiting is None:
            return self._unchanged(request.who, "")
        await self._forget_waiting()
        return self._unchanged(request.who, "the edit that waited was taken back")

    async def _forget_waiting(self, unless: str = "") -> None:
        """A newer text replaces the one that waited; the text `unless` itself goes on waiting until it is in force."""
        waiting = self.waiting
        if waiting is None or waiting.digest == unless:
            return
        self.waiting = None
        if not waiting.condemned:
            await in_history(self._run.opened.history.forgive, waiting.digest)

    async def _refuse(
        self, request: Request, loaded: Loaded, changes: Sequence[Change], keys: tuple[str, ...], *, accepted: bool
    ) -> Refused:
        await self._forget_waiting()
        history = self._run.opened.history
        if accepted:
            await in_history(history.accept, loaded.digest, self._run.clock.now_ms(), request.who)
        else:
            reason = f"needs a restart: {', '.join(keys)}"
            await in_history(history.judge, self._verdict(request, loaded, "refused", keys, reason))
        return Refused(
            generation=self._applying.force.generation.number,
            path=loaded.path,
            who=request.who,
            keys=keys,
            changes=tuple(changes),
            accepted=accepted,
        )

    async def _wait(
        self,
        request: Request,
        loaded: Loaded,
        changes: Sequence[Change],
        waits: tuple[str, ...],
        reason: str,
        *,
        condemned: bool,
    ) -> Pending:
        history = self._run.opened.history
        await self._forget_waiting(unless=loaded.digest)
        if not condemned:
            await in_history(history.judge, self._verdict(request, loaded, "pending", waits, reason))
        self.waiting = Pending(
            generation=self._applying.force.generation.number,
            path=loaded.path,
            who=request.who,
            reason=reason,
            waits=waits,
            changes=tuple(changes),
            plan=tuple(plan(self._run.engine.desk, loaded.profile).lines()),
            digest=loaded.digest,
            condemned=condemned,
            since_ms=self._run.clock.now_ms(),
        )
        return self.waiting

    def _verdict(
        self,
        request: Request,
        loaded: Loaded,
        kind: Literal["pending", "refused"],
        keys: tuple[str, ...],
        reason: str,
    ) -> Verdict:
        now_ms = self._run.clock.now_ms()
        return Verdict(loaded.digest, kind, now_ms, request.who, texts(loaded), keys, reason)

    def _unchanged(self, who: str, note: str) -> Unchanged:
        return Unchanged(
            generation=self._applying.force.generation.number, path=self._applying.force.loaded.path, who=who, note=note
        )
