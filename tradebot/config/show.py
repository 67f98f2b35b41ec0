"""What does the effective profile look like as a file? Asked by `profile show` and by the session folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tradebot.config.base import Table
from tradebot.config.catalogue import settings_of
from tradebot.config.faults import Path, dotted
from tradebot.config.loader import Loaded
from tradebot.config.merge import Origin
from tradebot.config.profile import Profile
from tradebot.config.toml_text import header, key, literal


def effective(loaded: Loaded, with_origins: bool = False) -> str:
    """Return the profile in force as TOML that reads back the same, each value with its origin if asked."""
    return as_toml(loaded.profile, loaded.origins if with_origins else None)


def as_toml(profile: Profile, origins: Mapping[str, Origin] | None = None) -> str:
    """Return a whole profile as TOML, with `origins` (by dotted key) as comments behind the values."""
    return "\n".join(_table(profile, (), origins)).strip("\n") + "\n"


def _table(table: Table, path: tuple[str, ...], origins: Mapping[str, Origin] | None) -> Iterator[str]:
    known = settings_of(type(table))
    inner: list[tuple[tuple[str, ...], Table]] = []
    lines: list[tuple[str, str]] = []
    for name, setting in known.items():
        value = getattr(table, name)
        here = (*path, name)
        if isinstance(value, Table):
            inner.append((here, value))
        elif isinstance(value, dict):
            inner.extend(((*here, each), own) for each, own in value.items())
        elif setting.kind == "tables":
            lines.append((f"{key(name)} = [", ""))
            lines.extend((f"  {literal(item)},", _origin((*here, i), item, origins)) for i, item in enumerate(value))
            lines.append(("]", ""))
        else:
            place = origins.get(dotted(here)) if origins is not None else None
            lines.append((f"{key(name)} = {literal(value, setting)}", str(place) if place else ""))
    if lines:
        yield f"\n{header(path)}"
        width = max((len(text) for text, place in lines if place), default=0)
        yield from (f"{text:<{width}}  # {place}" if place else text for text, place in lines)
    for here, own in inner:
        yield from _table(own, here, origins)


def _origin(path: Path, item: Table, origins: Mapping[str, Origin] | None) -> str:
    """Return where an element of an array comes from: its settings' origins, each named once."""
    if origins is None:
        return ""
    places = (origins[dotted((*path, name))] for name in type(item).model_fields)
    return ", ".join(dict.fromkeys(str(place) for place in places))
