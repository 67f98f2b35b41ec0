"""Which settings does a profile hold, one by one? Asked for origins, for `profile show`, and by a diff."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradebot.config.base import Table
from tradebot.config.faults import Path


def leaves(table: Table, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path and the value of every setting in `table`, in the order of declaration.

    Arrays of tables and tables by name are entered; an array of texts is one value, and so is None.
    """
    for name in type(table).model_fields:
        yield from _inside(getattr(table, name), (*path, name))


def _inside(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Table):
        yield from leaves(value, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _inside(inner, (*path, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], Table):
        for index, inner in enumerate(value):
            yield from _inside(inner, (*path, index))
    else:
        yield path, value
