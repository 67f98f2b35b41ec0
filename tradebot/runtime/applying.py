"""How does one generation come into force? Asked by the reloads, once an edit, a toggle or a rollback may be applied.

Written down before it is swapped in, in force in the history after; whatever ends the process in between, the
history and the files on the disk say one valid generation, the old or the new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from msgspec import Struct

from tradebot.config.diff import Change, diff
from tradebot.config.loader import Loaded
from tradebot.config.profile import Profile
from tradebot.config.show import effective
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import ProfileApplied
from tradebot.domain.generation import Cause, Generation, Switch, Verdict
from tradebot.domain.market import Instrument
from tradebot.engine.plan import Plan, plan
from tradebot.runtime.component import in_thread
from tradebot.runtime.displacing import EDITED, keep_displaced, on_disk, put_back, restored_words, shelve, texts
from tradebot.runtime.generations import lasting
from tradebot.runtime.outcomes import AnyOutcome, Applied, Fatal, Rejected, RolledBack, change_lines
from tradebot.runtime.swapping import CannotBuild, Swappable
from tradebot.runtime.transaction import FlipFailed, SwapFailed, Transaction
from tradebot.storage.history import History

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

PRUNE_EVERY = 100
"""Generations between two times that the history lets go of what it need not keep."""

MOST_BUILDS = 5
"""How often the parts of one edit are built, where trading overtakes them."""

P = ParamSpec("P")
T = TypeVar("T")


class Force(Struct, frozen=True):
    """What is in force: the generation, and the profile as it was loaded."""

    generation: Generation
    loaded: Loaded


class Target(Struct, frozen=True):
    """What is to come into force, and why. `settle` is the text whose verdict ends with it.

    With `restore`, its files are written back to the disk; `pinned` says that the disk says something else all the
    same. `reason` says why it was taken back to, `notes` what else is to be told of it.
    """

    loaded: Loaded
    cause: Cause
    who: str
    switches: tuple[Switch, ...]
    settle: str | None = None
    restore: bool = False
    pinned: bool = False
    reason: str = ""
    notes: tuple[str, ...] = ()


class SuspectEngine(Exception):
    """The engine failed while it took the new generation: the run ends and recovers."""


class Applying:
    """Brings generations into force, one at a time. `force` is what is in force.

    `torn` says that another one is swapped in already, but not written down yet.
    """

    def __init__(self, run: Run, bench: Sequence[Swappable], force: Force) -> None:
        self._run = run
        self._bench = bench
        self.force = force
        self.torn = False
        self._replaced: Transaction | None = None

    async def retire(self) -> None:
        """End what the last generation replaced; after its outcome is told, since who is told may be part of it."""
        replaced, self._replaced = self._replaced, None
        if replaced is None:
            return
        limits = self.force.loaded.profile.reload
        await replaced.retire(limits.drain_timeout_s)
        if not self.force.generation.number % PRUNE_EVERY:
            await in_history(self._run.opened.history.prune, limits.keep_generations)

    async def apply(self, target: Target, begun: float) -> AnyOutcome:
        """Bring `target` into force; `begun` (monotonic seconds) is when it was asked for."""
        force, run = self.force, self._run
        changes = diff(force.loaded, target.loaded)
        old, new = force.loaded.profile, target.loaded.profile
        transaction = Transaction(self._bench, [one.key for one in changes], old, new, run.telling.log)
        try:
            await transaction.stage(old.reload.build_timeout_s)
        except CannotBuild as error:
            return self._rejected(target, f"cannot be built: {error}")
        try:
            generation, proven = await self._begin(target, changes)
        except StorageFailed as error:
            await transaction.discard(old.reload.drain_timeout_s)
            return self._rejected(target, str(error))
        if run.coordinator.asked:
            return await self._too_late(target, generation, transaction)
        try:
            planned, before = await self._swap(transaction, generation.number, old, new)
        except (SwapFailed, FlipFailed) as error:
            return await self._taken_back(target, generation, transaction, error)
        except BaseException:
            if not self.torn:
                await transaction.discard(old.reload.drain_timeout_s)
            raise
        at_once = {one.key: "from the next decision" for one in changes if one.reload == "live"}
        effects = at_once | transaction.effects()
        took_ms = (time.monotonic() - begun) * 1000
        run.loaded = target.loaded
        try:
            await in_history(
                run.opened.history.commit,
                generation.number,
                run.clock.now_ms(),
                switches=lasting(target.switches),
                settle=target.settle,
            )
        except StorageFailed as error:
            return await self._flip(target, generation, transaction, before, error)
        self.force, self.torn = Force(generation, target.loaded), False
        self._replaced = transaction
        kept = await self._write_back(target, generation) if target.restore else ""
        return Applied(
            generation=generation.number,
            path=target.loaded.path,
            who=target.who,
            previous=force.generation.number,
            cause=target.cause,
            changes=changes,
            effects=effects,
            plan=tuple(planned.lines()),
            took_ms=took_ms,
            restored=target.restore and not kept,
            proven=proven,
            notes=(*target.notes, *(_restore_words(generation, kept) if target.restore else ())),
        )

    # -- the steps ------------------------------------------------------------------------------

    async def _begin(self, target: Target, changes: Sequence[Change]) -> tuple[Generation, bool]:
        """Write the new generation down, and before a rollback what its files displace.

        Returns it, and whether its text has passed a probation before. Raises StorageFailed.
        """
        history, now_ms, before = self._run.opened.history, self._run.clock.now_ms(), self.force.generation.number

        def write() -> tuple[Generation, bool]:
            proven = history.was_good(target.loaded.digest)
            return write_down(history, target, changes, before, now_ms), proven

        return await in_history(write)

    async def _swap(
        self, transaction: Transaction, number: int, old: Profile, new: Profile
    ) -> tuple[Plan, tuple[Instrument, ...]]:
        """Swap; return what follows for orders and positions, and what was watched before.

        A part that trading has overtaken since it was built (a symbol was bought that it does not know) is built anew.
        Raises SwapFailed, FlipFailed.
        """
        engine, builds = self._run.engine, 1
        while True:
            planned = plan(engine.desk, new, transaction.instruments, self._run.clock.now_ms())
            before = tuple(symbol.instrument for symbol in engine.symbols.values())
            self.torn = True
            try:
                transaction.swap(partial(self._tell_engine, number, new, transaction.instruments))
            except SwapFailed as error:
                if not isinstance(error.__cause__, CannotBuild) or builds == MOST_BUILDS:
                    raise
            else:
                return planned, before
            self.torn = False
            builds += 1
            await transaction.discard(old.reload.drain_timeout_s)
            try:
                await transaction.stage(old.reload.build_timeout_s)
                if self._run.coordinator.asked:
                    raise CannotBuild("the run is ending")
            except CannotBuild as late:
                raise SwapFailed(str(late)) from late

    def _tell_engine(self, number: int, profile: Profile, instruments: tuple[Instrument, ...] | None) -> None:
        run = self._run
        run.shell.inject(ProfileApplied(number, profile, run.clock.now_ms(), instruments))
        if run.shell.fatal is not None:
            raise SuspectEngine(str(run.shell.fatal))

    async def _write_back(self, target: Target, generation: Generation) -> str:
        """Write a rollback's files to the disk. Where that cannot be done, return why: no start runs the text there."""
        run, history = self._run, self._run.opened.history
        why = "the history cannot be read"
        try:
            why = await in_history(put_back, history, generation.files)
            if why and why != EDITED:
                await in_history(shelve, history, generation, run.clock.now_ms())
            await in_history(history.end_restore)
        except StorageFailed as error:
            run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))
        return why

    # -- what goes wrong ------------------------------------------------------------------------

    async def _too_late(self, target: Target, generation: Generation, transaction: Transaction) -> Rejected:
        """Swap nothing while the run ends: what is in force is what the end goes by."""
        await transaction.discard(self.force.loaded.profile.reload.drain_timeout_s)
        await self._note_failed(target, generation, "the run is ending")
        return self._rejected(target, "the run is ending")

    async def _taken_back(
        self, target: Target, generation: Generation, transaction: Transaction, error: Exception
    ) -> AnyOutcome:
        """Tell what became of a swap that failed; no start runs its text unasked."""
        self.torn = False
        await transaction.discard(self.force.loaded.profile.reload.drain_timeout_s)
        blameless = isinstance(error, StorageFailed) or isinstance(error.__cause__, CannotBuild)
        at_fault = "" if blameless else f"its swap failed: {error}"
        await self._note_failed(target, generation, str(error), condemned=at_fault)
        if isinstance(error, FlipFailed):
            return self._fatal(target, f"generation {generation.number} could not be taken back: {error}")
        return self._rolled_back(target, generation, f"the swap failed: {error}")

    async def _flip(
        self,
        target: Target,
        generation: Generation,
        transaction: Transaction,
        before: tuple[Instrument, ...],
        error: StorageFailed,
    ) -> AnyOutcome:
        """Swap back what the history could not take: what is not written down is not in force."""
        force, run = self.force, self._run
        watched = None if transaction.instruments is None else before
        run.loaded = force.loaded
        try:
            transaction.flip(error)
            self._tell_engine(force.generation.number, force.loaded.profile, watched)
        except (FlipFailed, SuspectEngine) as worse:
            return await self._taken_back(target, generation, transaction, FlipFailed(str(worse)))
        return await self._taken_back(target, generation, transaction, error)

    async def _note_failed(self, target: Target, generation: Generation, reason: str, *, condemned: str = "") -> None:
        history, now_ms = self._run.opened.history, self._run.clock.now_ms()
        try:
            await in_history(history.fail, generation.number, now_ms, reason)
            if condemned and generation.digest != self.force.generation.digest:
                verdict = Verdict(
                    generation.digest, "condemned", now_ms, target.who, generation.files,
                    reason=condemned, generation=generation.number,
                )  # fmt: skip
                await in_history(history.judge, verdict)
            if target.restore:
                await in_history(history.end_restore)
        except StorageFailed as error:
            self._run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))

    def _rejected(self, target: Target, reason: str) -> Rejected:
        return Rejected(generation=self.force.generation.number, path=target.loaded.path, who=target.who, reason=reason)

    def _rolled_back(self, target: Target, generation: Generation, reason: str) -> RolledBack:
        return RolledBack(
            generation=self.force.generation.number,
            path=target.loaded.path,
            who=target.who,
            condemned=generation.number,
            reason=reason,
        )

    def _fatal(self, target: Target, reason: str) -> Fatal:
        return Fatal(generation=self.force.generation.number, path=target.loaded.path, who=target.who, reason=reason)


async def in_history(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `call`, which waits for a disk, returns; in a thread of its own."""
    return await in_thread("tradebot-history", partial(call, *args, **kwargs))


def write_down(history: History, target: Target, changes: Sequence[Change], previous: int, now_ms: int) -> Generation:
    """Begin the generation of `target` in the history, and before a rollback keep what its files displace.

    Raises StorageFailed.
    """
    generation = Generation(
        number=history.next_number(previous),
        at_ms=now_ms,
        cause=target.cause,
        who=target.who,
        path=target.loaded.path,
        digest=target.loaded.digest,
        files=texts(target.loaded),
        effective=effective(target.loaded),
        changes=tuple(line.strip() for line in change_lines(changes, {})),
        switches=target.switches,
        previous=previous,
        reason=target.reason,
        pinned=target.pinned,
    )
    history.begin(generation)
    if target.restore:
        displaced = on_disk(generation.files)
        keep_displaced(history, generation, displaced)
        history.begin_restore(generation.number, displaced)
    return generation


def _restore_words(generation: Generation, kept: str) -> tuple[str, ...]:
    """Return what is said of a rollback's files; `kept` is why they could not be written."""
    if kept:
        return (f"the files are not restored ({kept}): generation {generation.number} is in force over what they say",)
    return (restored_words(generation.files),)
