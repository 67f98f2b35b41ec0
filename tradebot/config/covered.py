"""What do the files say that something else stands over? Asked by the loader, and by a reload of an edit's effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tradebot.config.env import Override
from tradebot.config.faults import Path, dotted
from tradebot.config.merge import at


class Covered(Struct, frozen=True):
    """What the files say at a key, None for nothing. `by` says what stands over it, `clear` how that is ended."""

    by: str
    said: Any
    clear: str = ""


def covered(tree: dict[str, Any], found: Sequence[Override], switches: Mapping[str, bool]) -> dict[str, Covered]:
    """Return by dotted key what the files' `tree` says where a variable or a toggle set by hand has the last word."""
    over = {
        dotted(path): Covered(f"is set by {one.variable}", at(tree, path))
        for one in found
        for path in _innermost(one.value, one.path)
    }
    for name in switches:
        clear = f": `tradebot feature clear {name}`"
        over[f"features.{name}"] = Covered("is set over the profile", at(tree, ("features", name)), clear)
    return over


def without_effect(old: Mapping[str, Covered], new: Mapping[str, Covered]) -> tuple[str, ...]:
    """Return a line for each key whose value in the files an edit changes for nothing."""
    return tuple(
        f"{key} {one.by}, the edit has no effect{one.clear}"
        for key, one in new.items()
        if key in old and old[key].said != one.said
    )


def _innermost(value: Any, path: Path) -> Iterator[Path]:
    """Yield the path of every value inside `value` that is no table; a table is merged with what lies below it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _innermost(inner, (*path, key))
    else:
        yield path
