"""How is a value written in TOML? Asked by `profile show`, `init` and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import tomli_w

from tradebot.config.base import Table
from tradebot.config.catalogue import Setting, settings_of

_GROUPED_FROM = 1_000


def literal(value: Any, setting: Setting | None = None) -> str:
    """Return `value` as TOML on one line: numbers without needless digits, tables in braces, None by its word."""
    match value:
        case None:
            return _text(setting.unset or "") if setting else '""'
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return _number(value)
        case str():
            return _text(value)
        case Table():
            return _braces({name: getattr(value, name) for name in type(value).model_fields}, type(value))
        case Mapping():
            return _braces(value, None)
    return f"[{', '.join(literal(item) for item in value)}]"


def block(value: tuple[Any, ...], indent: str = "  ") -> str:
    """Return an array of tables as TOML, one table on a line, without the defaults at the end of each."""
    rows = [f"{indent}{_brief(item)},\n" for item in value]
    return f"[\n{''.join(rows)}]" if rows else "[]"


def key(name: str) -> str:
    """Return a key as TOML, in quotes where it needs them."""
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def header(path: tuple[str, ...]) -> str:
    """Return the header of the table at `path`: `[drop.symbol."BTC/USDT"]`."""
    return f"[{'.'.join(map(key, path))}]"


def _brief(item: Table) -> str:
    known = settings_of(type(item))
    values = {name: getattr(item, name) for name in known}
    own = [index for index, name in enumerate(known) if known[name].required or values[name] != known[name].default]
    last = own[-1] if own else len(values)
    return _braces(dict(list(values.items())[: last + 1]), type(item))


def _braces(values: Mapping[str, Any], table: type[Table] | None) -> str:
    known = settings_of(table) if table else {}
    inside = ", ".join(f"{key(name)} = {literal(value, known.get(name))}" for name, value in values.items())
    return f"{{ {inside} }}" if inside else "{}"


def _text(value: str) -> str:
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")


def _number(value: int | float | Decimal) -> str:
    """Return a number, grouped by thousands where it is long; a whole one without a point."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if exact != exact.to_integral_value():
        return f"{exact:f}"
    return f"{int(exact):_}" if abs(exact) >= _GROUPED_FROM else str(int(exact))
