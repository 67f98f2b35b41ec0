"""What becomes of the text on the disk? Read, settled, compared, judged; asked by the reloads for every edit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from tradebot.config.covered import without_effect
from tradebot.config.diff import Change, diff
from tradebot.config.extends import Disk, walked
from tradebot.config.faults import Fault, ProfileInvalid
from tradebot.config.loader import Loaded, load_profile
from tradebot.domain.generation import Verdict
from tradebot.engine.plan import plan
from tradebot.runtime.applying import Applying, Target, in_history
from tradebot.runtime.component import in_thread
from tradebot.runtime.displacing import texts
from tradebot.runtime.generations import lasting, stored, toggles
from tradebot.runtime.outcomes import AnyOutcome, Applied, Pending, Refused, Rejected, Unchanged
from tradebot.runtime.policy import reason_to_wait
from tradebot.runtime.request import Request
from tradebot.runtime.watcher import fingerprint, fingerprint_of

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

MOST_READS = 100
"""Readings of a text that does not settle, before it is given up until it changes again."""


class GaveWay(Exception):
    """A text that does not come to rest was put off: others wait."""


class Edits:
    """Takes edits of the profile's files. `waiting` is the one that waits for its confirmation.

    Of the text on the disk, when it was last read: `disk` is its digest, "" where it was faulty, `files` are the paths
    that make it up (also of those that are missing), `mark` is their fingerprint.
    """

    def __init__(
        self, run: Run, applying: Applying, environ: Mapping[str, str], others_wait: Callable[[], bool]
    ) -> None:
        self._run = run
        self._applying = applying
        self._environ = environ
        self._others_wait = others_wait
        self.waiting: Pending | None = None
        loaded = applying.force.loaded
        self.disk = loaded.digest
        self.files, self.mark = _read_as(loaded)
        self._accepted = ""
        self._judged: tuple[tuple[str, ...], str, int] | None = None

    async def take(self, request: Request, *, confirmed: bool) -> AnyOutcome:
        """Read the text on the disk and bring it into force where it may be; `confirmed` where it was waited for.

        Raises GaveWay where the text is still being written, nobody waits for its outcome, and others wait.

        A text that was judged is not judged again for a late notice of the same write: one edit has one outcome.
        """
        switches = lasting(self._applying.force.generation.switches)
        loaded = await self._read(toggles(switches), patient=request.answer is not None)
        judged = (self.files, self.mark, self._applying.force.generation.number)
        if judged == self._judged and request.by_itself:
            return self._unchanged(request.who, "it was judged already")
        self._judged = judged
        if isinstance(loaded, ProfileInvalid):
            return await self._faulty(request, loaded)
        self.disk = loaded.digest
        if loaded.digest == self._applying.force.loaded.digest and switches == self._applying.force.generation.switches:
            return await self._back_to_force(request, confirmed=confirmed)
        history = self._run.opened.history
        verdict = await in_history(history.verdict, loaded.digest)
        known = verdict.kind if confirmed and verdict is not None and self._was_shown(verdict, request.shown) else ""
        changes = diff(self._applying.force.loaded, loaded)
        restart = tuple(change.key for change in changes if change.reload == "restart")
        if restart:
            return await self._refuse(request, loaded, changes, restart, verdict if known else None)
        condemned = verdict.reason if verdict is not None and verdict.kind == "condemned" else ""
        before = changes if switches == self._applying.force.generation.switches else await self._mended(loaded)
        waits, reason = reason_to_wait(before, self._applying.force.loaded.profile.reload.mode, condemned)
        if reason and known not in {"pending", "condemned"}:
            return await self._wait(request, loaded, changes, waits, reason, condemned=bool(condemned))
        self._forget_waiting(unless=loaded.digest)
        settle = None if verdict is None else loaded.digest
        notes = self._without_effect(loaded)
        target = Target(loaded, "confirm" if known else "edit", request.who, switches, settle, notes=notes)
        outcome = await self._applying.apply(target, request.begun)
        if isinstance(outcome, Applied):
            self.waiting = None
        return outcome

    def _without_effect(self, loaded: Loaded) -> tuple[str, ...]:
        return without_effect(self._applying.force.loaded.covered, loaded.covered)

    async def _mended(self, loaded: Loaded) -> tuple[Change, ...]:
        """Return what `loaded` changes but the toggle that goes with the faulty text it was set for."""
        force = self._applying.force
        switches, files = toggles(lasting(force.generation.switches)), stored(force.generation)
        path, environ = force.loaded.path, self._environ

        def load() -> Loaded:
            return load_profile(path, environ, switches=switches, stored=files)

        return diff(await in_thread("tradebot-profile-load", load), loaded)

    def _was_shown(self, verdict: Verdict, shown: str) -> bool:
        """Whether what was told of a text is what would become of it: it was judged against what is in force.

        `shown` is the beginning of the digest of the text that was seen, "" where that is not said.
        """
        waiting = self.waiting
        if not verdict.digest.startswith(shown):
            return False
        if waiting is None:
            return verdict.kind in {"refused", "condemned"}
        return waiting.digest == verdict.digest and waiting.generation == self._applying.force.generation.number

    async def _read(self, switches: dict[str, bool], *, patient: bool) -> Loaded | ProfileInvalid:
        """Return the profile on the disk, or its faults; what looks half-written is believed once it stays the same."""
        path = self._applying.force.loaded.path
        for turn in range(MOST_READS):
            before = (self.files, self.mark)
            found, self.files, self.mark = await self._load(switches)
            if isinstance(found, Loaded) and not self._looks_cut(found):
                return found
            if turn and before == (self.files, self.mark):
                return found if isinstance(found, ProfileInvalid) else self._emptied(found) or found
            await asyncio.sleep(self._applying.force.loaded.profile.reload.settle_ms / 1000)
            if not patient and self._others_wait():
                raise GaveWay
        message = f"does not come to rest: it was read {MOST_READS} times while it was being written"
        return ProfileInvalid([Fault(path, 0, 0, "", message)])

    async def _load(self, switches: dict[str, bool]) -> tuple[Loaded | ProfileInvalid, tuple[str, ...], str]:
        """Return what the files hold, which they are, and their fingerprint."""
        path, known = self._applying.force.loaded.path, self.files
        return await in_thread("tradebot-profile-load", lambda: _on_disk(path, known, self._environ, switches))

    async def restored(self) -> None:
        """Note that the files of the generation in force were just written to the disk."""
        loaded = self._applying.force.loaded
        self.disk, self.files, self.mark = loaded.digest, *_read_as(loaded)
        self._forget_waiting()

    def _looks_cut(self, loaded: Loaded) -> bool:
        """Whether a text may be one half-written: it ends within a line, or lacks keys that the text in force has."""
        known = {one.path: one.source for one in self._applying.force.loaded.files}
        for one in loaded.files:
            if one.source != known.get(one.path) and not one.source.endswith(b"\n"):
                return True
        written = {key for key, origin in self._applying.force.loaded.origins.items() if origin.file}
        return any(key not in loaded.origins or not loaded.origins[key].file for key in written)

    def _emptied(self, loaded: Loaded) -> ProfileInvalid | None:
        """Return the fault of a file that lost all it held: cut off by its writer, it would say only defaults."""
        known = {one.path: one.source for one in self._applying.force.loaded.files}
        empty = [one.path for one in loaded.files if not one.source.strip() and known.get(one.path, b"").strip()]
        message = "is empty: cut off while it was written, or emptied; a comment says that it is meant"
        return ProfileInvalid([Fault(path, 1, 1, "", message) for path in empty]) if empty else None

    async def _faulty(self, request: Request, invalid: ProfileInvalid) -> Rejected:
        self.disk = ""
        self._forget_waiting()
        return Rejected(
            generation=self._applying.force.generation.number,
            path=self._applying.force.loaded.path,
            who=request.who,
            faults=invalid.faults,
        )

    async def _back_to_force(self, request: Request, *, confirmed: bool) -> Unchanged:
        if self.waiting is None:
            return self._unchanged(request.who, "nothing waits for a confirmation" if confirmed else "")
        self._forget_waiting()
        return self._unchanged(request.who, "the edit that waited was taken back")

    def _forget_waiting(self, unless: str = "") -> None:
        """A newer text replaces the one that waited; the text `unless` itself goes on waiting until it is in force.

        What was found about it stays: should it stand on the disk again, no start runs it unasked.
        """
        if self.waiting is not None and self.waiting.digest != unless:
            self.waiting = None

    async def _refuse(
        self,
        request: Request,
        loaded: Loaded,
        changes: Sequence[Change],
        keys: tuple[str, ...],
        confirmed: Verdict | None,
    ) -> Refused:
        """Refuse an edit that needs a restart; one that is `confirmed`, or was before, is run by the next start."""
        self._forget_waiting()
        history = self._run.opened.history
        if confirmed is not None and confirmed.kind in {"refused", "condemned"}:
            await in_history(history.accept, loaded.digest, self._run.clock.now_ms(), request.who)
            self._accepted = loaded.digest
        elif self._accepted != loaded.digest:
            reason = f"needs a restart: {', '.join(keys)}"
            await in_history(history.judge, self._verdict(request, loaded, "refused", keys, reason))
        accepted = self._accepted == loaded.digest
        return Refused(
            generation=self._applying.force.generation.number,
            path=loaded.path,
            who=request.who,
            keys=keys,
            changes=tuple(changes),
            accepted=accepted,
            notes=self._without_effect(loaded),
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
        self._forget_waiting(unless=loaded.digest)
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
            notes=self._without_effect(loaded),
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


def _on_disk(
    path: str, known: tuple[str, ...], environ: Mapping[str, str], switches: dict[str, bool]
) -> tuple[Loaded | ProfileInvalid, tuple[str, ...], str]:
    """Read the profile at `path`; of one that is faulty, the files looked for count together with those `known`."""
    try:
        return _loaded(path, environ, switches)
    except ProfileInvalid:
        files = tuple(sorted({*known, *_looked_for(path)}))
    mark = fingerprint(files)
    try:
        return _loaded(path, environ, switches)
    except ProfileInvalid as invalid:
        return invalid.with_traceback(None), files, mark  # which would hold all that was read as long as itself


def _loaded(path: str, environ: Mapping[str, str], switches: dict[str, bool]) -> tuple[Loaded, tuple[str, ...], str]:
    loaded = load_profile(path, environ, switches=switches)
    if loaded.path != path:  # a name may mean several files: where ours is missing, another one is not meant
        raise ProfileInvalid([Fault(path, 0, 0, "", "the file is not there any more")])
    return loaded, *_read_as(loaded)


def _read_as(loaded: Loaded) -> tuple[tuple[str, ...], str]:
    """Return the files of a profile that was read, and their fingerprint."""
    return tuple(one.path for one in loaded.files), fingerprint_of((one.path, one.source) for one in loaded.files)


class _Noting(Disk):
    """The disk, with a note of every file that is asked for, whether it is there or not."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def content(self, path: str) -> bytes | str:
        self.asked.append(path)
        return super().content(path)


def _looked_for(path: str) -> list[str]:
    """Return the paths of the profile and of all it extends, as far as that can be read."""
    noting = _Noting()
    with suppress(ProfileInvalid):
        walked(path, noting)
    return noting.asked
