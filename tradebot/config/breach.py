"""What does a rule between settings report? Asked by every rule, read by the loader."""

from __future__ import annotations

from msgspec import Struct

from tradebot.config.faults import Path


class Breach(Struct, frozen=True):
    """One broken rule: the key it is told at, and after it the other keys that have a part in it."""

    keys: tuple[Path, ...]
    message: str

    @classmethod
    def of(cls, key: str | Path, message: str, *others: str | Path) -> Breach:
        """Make a breach at `key`, with the other keys concerned; a text is parted at its dots."""
        return cls(tuple(tuple(each.split(".")) if isinstance(each, str) else each for each in (key, *others)), message)
