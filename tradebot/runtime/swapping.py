"""How does one part of the running bot take a new generation? Asked by the reload transaction, of every part.

A part is staged (built, started, proven) before anything is swapped; commits happen together between two cycles
of the engine; what is old is retired afterwards. Until then everything can be taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from tradebot.config.profile import Profile


class CannotBuild(Exception):
    """A part of the new generation could not be built, started or proven; nothing has been swapped."""


class Staged(Protocol):
    """One part's share of a transaction, ready to be swapped in."""

    name: str
    effect: str
    """What follows for the operator, in a few words: "from the next decision", "started, 0.2 s"."""

    def commit(self) -> None:
        """Swap: from the loop's thread, between two cycles, quick. An exception makes the whole edit flip back."""
        ...

    def revert(self) -> None:
        """Swap back, after `commit`; as quick."""
        ...

    async def retire(self) -> None:
        """End what was swapped out, once the swap stands. Raises where it does not end cleanly."""
        ...

    async def discard(self) -> None:
        """End what was built, where it is not swapped in or was swapped back."""
        ...


class Swappable(Protocol):
    """A part of the running bot that settings concern."""

    name: str

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether an edit of these dotted keys changes anything here."""
        ...

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Build what `new` asks for beside what runs by `old`. Raises CannotBuild; nothing is left behind then."""
        ...


class Retune:
    """The share of a part that only takes new numbers: nothing is built, the new profile is told to it.

    `tell` must leave the part as it was where it raises.
    """

    effect = "at once"

    def __init__(self, name: str, tell: Callable[[Profile], None], old: Profile, new: Profile) -> None:
        self.name = name
        self._tell = tell
        self._old = old
        self._new = new

    def commit(self) -> None:
        """Tell the new profile."""
        self._tell(self._new)

    def revert(self) -> None:
        """Tell the old profile again."""
        self._tell(self._old)

    async def retire(self) -> None:
        """End nothing."""

    async def discard(self) -> None:
        """End nothing."""


class Tuned:
    """A part that only takes new numbers, where one of the keys that begin with `prefixes` changes."""

    def __init__(self, name: str, prefixes: tuple[str, ...], tell: Callable[[Profile], None]) -> None:
        self.name = name
        self._prefixes = prefixes
        self._tell = tell

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key.startswith(self._prefixes) for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Return the share of this part."""
        return Retune(self.name, self._tell, old, new)
