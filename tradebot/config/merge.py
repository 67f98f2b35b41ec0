"""What holds when several files and variables speak? Asked by the loader: the later word, table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from tradebot.config.faults import Path

OVERRIDE = "feature override"
"""Names the place of a toggle that was set by hand, or by the bot itself, over whatever the profile says."""


class Origin(Struct, frozen=True):
    """Where a value comes from: a file, an environment variable, a toggle's override, or (all "") the default.

    `line` and `column` count from 1; both are 0 outside a file. `rank` grows with the authority of the source.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    variable: str = ""
    rank: int = -1
    switch: str = ""

    def __str__(self) -> str:
        if self.switch:
            return OVERRIDE
        if self.variable:
            return f"${self.variable}"
        return f"{self.file}:{self.line}" if self.file else "default"


Origins = dict[Path, Origin]


def merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Return a new table: `upper` over `lower`, tables merged by key, anything else (lists too) replaced."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every table, array, element and value inside `value`, outer ones first."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def overlay(origins: Origins, lower: dict[str, Any], upper: dict[str, Any], origin: Callable[[Path], Origin]) -> None:
    """Enter into `origins` where the values of `upper` come from, once it lies over `lower`."""
    for path in paths(upper):
        below = _at(lower, path)
        if isinstance(below, list) or (isinstance(below, dict) and not isinstance(_at(upper, path), dict)):
            for old in [known for known in origins if known[: len(path)] == path]:
                if _at(upper, old) is _ABSENT:
                    del origins[old]
        origins[path] = origin(path)


_ABSENT = object()


def at(tree: dict[str, Any], path: Path) -> Any:
    """Return the value of `tree` at `path`, None where there is none."""
    found = _at(tree, path)
    return None if found is _ABSENT else found


def holds(tree: dict[str, Any], path: Path) -> bool:
    """Whether there is a value in `tree` at `path`; the empty path is the tree itself."""
    return _at(tree, path) is not _ABSENT


def _at(value: Any, path: Path) -> Any:
    for part in path:
        known = isinstance(value, dict) and part in value
        if not known and not (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            return _ABSENT
        value = value[part]
    return value
