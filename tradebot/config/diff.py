"""What does an edit change? Setting by setting, with what each needs. Asked by the reload and by who shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from msgspec import Struct

from tradebot.config.base import ReloadClass, Table
from tradebot.config.catalogue import find
from tradebot.config.faults import Path, dotted, short
from tradebot.config.leaves import leaves
from tradebot.config.loader import Loaded
from tradebot.config.looser import ABSENT, looser, to_market
from tradebot.config.merge import Origin
from tradebot.config.profile import Profile
from tradebot.config.toml_text import literal

_STRICTER: tuple[ReloadClass, ...] = get_args(ReloadClass)

_NOTHING = "none"
_CHARACTERS = 1_000


class Change(Struct, frozen=True):
    """One setting that differs. `old` and `new` are its values, `ABSENT` where one of the profiles has no such key.

    A table that may be off is told as a whole where it is switched, and so is each setting inside. `origin` is where
    the new value stands (or what holds instead), `reload` the strictest class of the setting and the tables around it.
    """

    key: str
    path: Path
    old: Any
    new: Any
    origin: Origin
    reload: ReloadClass
    looser: bool

    def words(self) -> tuple[str, str]:
        """Return the old and the new value as TOML has them, "none" for a key that is not there; long ones are cut."""
        setting = find(self.path)
        old, new = (_NOTHING if value is ABSENT else literal(value, setting) for value in (self.old, self.new))
        return short(old, _CHARACTERS), short(new, _CHARACTERS)


def diff(old: Loaded, new: Loaded) -> tuple[Change, ...]:
    """Return every setting whose effective value differs, in the order of declaration, tables by name sorted."""
    return tuple(
        Change(
            key=dotted(path),
            path=path,
            old=before,
            new=after,
            origin=_origin(new, path, after),
            reload=_reload(path),
            looser=_looser(path, before, after, old.profile, new.profile),
        )
        for path, before, after in _compared(old.profile, new.profile, ())
    )


def _compared(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Yield (path, old, new) of all leaves that differ, and of every table that is switched on or off."""
    if isinstance(old, Table) or isinstance(new, Table):
        if old is None or new is None:
            yield path, old, new
        for name in type(old if isinstance(old, Table) else new).model_fields:
            yield from _compared(_inner(old, name), _inner(new, name), (*path, name))
    elif isinstance(old, dict) or isinstance(new, dict):
        for name in sorted({*(old if isinstance(old, dict) else ()), *(new if isinstance(new, dict) else ())}):
            yield from _compared(_inner(old, name), _inner(new, name), (*path, name))
    elif _rows(old) or _rows(new):
        for index in range(max(_rows(old), _rows(new))):
            yield from _compared(_inner(old, index), _inner(new, index), (*path, index))
    elif old != new:
        yield path, old, new


def _inner(value: Any, part: str | int) -> Any:
    """Return what stands at `part` of a table or an array, `ABSENT` where there is nothing."""
    if isinstance(value, Table) and isinstance(part, str):
        return getattr(value, part, ABSENT)
    if isinstance(value, dict):
        return value.get(part, ABSENT)
    return value[part] if isinstance(part, int) and part < _rows(value) else ABSENT


def _rows(value: Any) -> int:
    """Return how many tables an array of tables has; 0 for anything else."""
    return len(value) if isinstance(value, tuple) and value and isinstance(value[0], Table) else 0


def _at(profile: Profile, path: Path) -> Any:
    found: Any = profile
    for part in path:
        found = _inner(found, part)
    return found


def _instead(path: Path) -> Path | None:
    """Return the setting that holds where a table by name says nothing: `drop.threshold_bps` for a symbol's own."""
    for length in range(1, len(path) - 1):
        setting = find(path[:length])
        if setting is not None and setting.kind == "named":
            general = (*path[: length - 1], *path[length + 1 :])
            return general if find(general) is not None else None
    return None


def _looser(path: Path, before: Any, after: Any, old: Profile, new: Profile) -> bool:
    general = _instead(path)
    if general is not None:
        before = _at(old, general) if before is ABSENT else before
        after = _at(new, general) if after is ABSENT else after
    setting = find(path)
    if setting is not None and setting.means:
        meant = (*path[:-1], setting.means)
        before = _at(old, meant) if before is None else before
        after = _at(new, meant) if after is None else after
    return looser(path, before, after) or to_market(path, old, new)


def _reload(path: Path) -> ReloadClass:
    around = (find(path[:length]) for length in range(1, len(path) + 1))
    return max((setting.reload for setting in around if setting is not None), key=_STRICTER.index)


def _origin(new: Loaded, path: Path, after: Any) -> Origin:
    """Return where the new value stands; for one that is gone where what holds instead stands."""
    exact = new.origins.get(dotted(path))
    if exact is not None:
        return exact
    places: list[Path] = []
    if isinstance(after, Table):
        places.extend(inner for inner, _ in leaves(after, path))
    places.extend(path[:length] for length in range(len(path) - 1, 0, -1))
    for length, part in enumerate(path):
        if isinstance(part, int):
            first = (*path[:length], 0)
            places.extend(inner for inner, _ in leaves(_at(new.profile, first), first))
    general = _instead(path)
    if general is not None:
        places.append(general)
    found = [new.origins[key] for key in map(dotted, places) if key in new.origins]
    return next((origin for origin in found if origin.rank >= 0), Origin())
