"""What do environment variables say over a profile? Asked by the loader, after every file is merged."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from tradebot.config.base import Table
from tradebot.config.catalogue import NAME, settings_of, walk
from tradebot.config.faults import Fault, Path, dotted
from tradebot.config.profile import Profile
from tradebot.config.reading import TooManyDigits, toml
from tradebot.config.wording import BELONGS, secret

PREFIX = "TRADEBOT__"
_TEXTUAL = frozenset({"text", "choice"})


class Override(Struct, frozen=True):
    """One variable, understood: the place it sets and the value it gives it."""

    variable: str
    path: tuple[str, ...]
    value: Any


def overrides(environ: Mapping[str, str]) -> tuple[list[Override], list[Fault]]:
    """Return what the variables that begin with `TRADEBOT__` set, and the faults of those that name no setting.

    `TRADEBOT__DROP__THRESHOLD_BPS=300` sets `drop.threshold_bps`; case does not matter. A symbol may be written
    `BTC_USDT`. The value is read as TOML, and taken as a text where it is none.
    """
    found: list[Override] = []
    faults: list[Fault] = []
    seen: dict[Path, str] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX):
            continue
        named = _named(variable)
        if isinstance(named, Fault):
            faults.append(named)
            continue
        path, kind = named
        if path in seen:
            faults.append(Fault(f"${variable}", 0, 0, dotted(path), f"is also set by {seen[path]}: keep one of them"))
            continue
        seen[path] = variable
        found.append(Override(variable, path, _value(environ[variable], kind)))
    return found, faults


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return `value` in the tables that lead to it: ("a", "b"), 1 gives {"a": {"b": 1}}."""
    tree = {path[-1]: value}
    for part in reversed(path[:-1]):
        tree = {part: tree}
    return tree


def variable_of(path: tuple[str, ...]) -> str:
    """Return the variable that overrides the setting at `path`."""
    return PREFIX + "__".join(part.upper() for part in path)


def _named(variable: str) -> tuple[tuple[str, ...], str] | Fault:
    """Return the path that a variable names and the kind of what stands there."""
    table: type[Table] | None = Profile
    path: tuple[str, ...] = ()
    kind = "table"
    for part in variable[len(PREFIX) :].split("__"):
        if kind == "named":
            path, kind = (*path, _symbol(part)), "table"
            continue
        if kind == "tables":
            return _fault(variable, f"an array is set as a whole: {variable_of(tuple(map(str, path)))}='[…]'")
        known = {name.casefold(): name for name in settings_of(table)} if table is not None else {}
        name = known.get(part.casefold())
        if name is None or table is None:
            return _unknown(variable, part)
        found = settings_of(table)[name]
        path, kind, table = (*path, name), found.kind, found.table
    return path, kind


def _symbol(part: str) -> str:
    return (part if "/" in part else part.replace("_", "/", 1)).upper()


def _unknown(variable: str, part: str) -> Fault:
    if secret(part):
        return _fault(variable, f"no setting is a secret: {BELONGS}")
    fixed = [path for path, _ in walk() if NAME not in path and not any("[]" in word for word in path)]
    known = [variable_of(path).removeprefix(PREFIX) for path in fixed]
    near = get_close_matches(variable.upper().removeprefix(PREFIX), known, 1, 0.6)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else f"; after {PREFIX} come a table and a key, parted by __"
    return _fault(variable, f"names no setting{hint}")


def _fault(variable: str, message: str) -> Fault:
    return Fault(f"${variable}", 0, 0, "", message)


def _value(text: str, kind: str) -> Any:
    try:
        tree = toml(f"value = {text}")
    except (tomllib.TOMLDecodeError, TooManyDigits, RecursionError):
        return text
    value = tree.get("value")
    if set(tree) != {"value"} or (kind in _TEXTUAL and not isinstance(value, str)):
        return text
    return value
