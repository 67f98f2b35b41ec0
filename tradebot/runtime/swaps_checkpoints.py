"""How are the periodic checkpoints changed, switched off and on again? Asked by the bot and the reload.

Concerned: `state.persist_interval_s`, `state.slice_ms`, `features.state_persistence`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from tradebot.config.profile import Profile
from tradebot.ports import Clock
from tradebot.runtime.checkpoints import Checkpoints, NoCheckpoints, Pictured, Written
from tradebot.runtime.failures import NO_FAILURES, Failures
from tradebot.runtime.live import LiveShell
from tradebot.runtime.meter import Meter
from tradebot.runtime.swapping import Staged

PERSISTENCE: Final = ("state.persist_interval_s", "state.slice_ms", "features.state_persistence")

WRITER: Final = "checkpointer"
"""Name of the part that writes what the chore takes, in the book of failures."""


class Writer(Protocol):
    """Who writes the pictures, in a thread of its own."""

    @property
    def busy(self) -> bool:
        """Whether a picture waits or is being written."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Return whether the newest picture was written, waiting at most so long."""
        ...

    def submit(self, core: bytes, windows: Sequence[tuple[str, bytes]]) -> None:
        """Take a picture to be written."""
        ...


class CheckpointSwap:
    """The periodic checkpoints: other numbers for them, or their null part in their place, and back.

    `chore` is the one in force, to be added to the shell at the start.
    """

    name = "checkpoint"

    def __init__(
        self,
        profile: Profile,
        engine: Pictured,
        journal: Written,
        writer: Writer,
        meter: Meter,
        clock: Clock,
        failures: Failures = NO_FAILURES,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._writer = writer
        self._meter = meter
        self._clock = clock
        self._failures = failures
        self._submitted = False
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
            self._clock.now_ms(),
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

    def _submit(self, core: bytes, windows: Sequence[tuple[str, bytes]]) -> None:
        """Hand a picture over; whether the one before it was written counts as the writer's failure or success."""
        if self._submitted and not self._writer.busy:
            if self._writer.flush(0):
                self._failures.well(WRITER)
            else:
                self._failures.failed(WRITER, "the checkpoint before was not written")
        self._submitted = True
        self._writer.submit(core, windows)

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
