"""How is a model's refusal said to a person? Asked by the loader, for every error of the profile's model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from typing import Any

from msgspec import Struct
from pydantic_core import ErrorDetails

from tradebot.config.base import PLACES, TOO_FINE
from tradebot.config.catalogue import NAME, Setting, find, settings_of, table_at, walk, wanted
from tradebot.config.faults import Path, dotted, shown

HINTS = 20
"""So many unknown keys of one text are compared with the known ones: who has more has the wrong file."""

BELONGS = "secrets come from the environment or a secrets file, a profile never holds one"

_FLAGS = {"true": "true", "on": "true", "yes": "true", "false": "false", "off": "false", "no": "false"}
_NO_VALUE = frozenset({"off", "none", "null", "no", "never", "unlimited", ""})

_SECRETS = frozenset({"secret", "secrets", "password", "passwd", "passphrase", "token", "credential", "credentials"})
_SECRET_PAIRS = re.compile(r"(api|private|access|signing|secret)_?key|apitoken|bot_?token")


class Complaint(Struct, frozen=True):
    """What is wrong at `path`, in words; `meant` is the path the operator may have had in mind."""

    path: Path
    message: str
    meant: Path | None = None


def secret(key: str) -> bool:
    """Whether `key` looks like the name of a secret."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower())
    return not _SECRETS.isdisjoint(words) or bool(_SECRET_PAIRS.search("_".join(words)))


def complaints(errors: Iterable[ErrorDetails]) -> list[Complaint]:
    """Return every error in words, without those that only follow from another; secrets' values stay unsaid."""
    found = list(errors)
    around = {error["loc"][:length] for error in found for length in range(len(error["loc"]))}
    said: list[Complaint] = []
    unknown = 0
    for error in found:
        path = error["loc"]
        if error["type"] == "too_short" and path in around:
            continue  # elements that were refused do not count
        if error["type"] == "extra_forbidden":
            unknown += 1
            said.append(_unknown(path, hint=unknown <= HINTS))
        else:
            said.append(Complaint(path, _refusal(error, find(path))))
        said.extend(_secrets_inside(path, error["input"] if error["type"] != "missing" else None))
    return said


def _secrets_inside(path: Path, value: Any) -> Iterator[Complaint]:
    """Yield the secrets that a refused table or array holds."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, inner in items:
        here = (*path, key)
        if isinstance(key, str) and secret(key):
            yield Complaint(here, _SECRET)
        else:
            yield from _secrets_inside(here, inner)


MOVED: dict[str, Path] = {
    "state.journal_batch_ms": ("journal", "batch_ms"),
    "state.journal_wal_mb": ("journal", "wal_mb"),
    "state.journal_retry_s": ("journal", "retry_s"),
}
"""Settings that stand elsewhere than they did, by their dotted key of then."""

_SECRET = f"looks like a secret: {BELONGS}"


def _unknown(path: Path, *, hint: bool) -> Complaint:
    """Return the fault of an unknown key, with the nearest known one if a `hint` is wanted."""
    *parent, key = path
    if secret(str(key)):
        return Complaint(path, _SECRET)
    moved = MOVED.get(dotted(path))
    if moved is not None:
        return Complaint(path, f"moved: it is `{dotted(moved)}` now", moved)
    if not hint:
        return Complaint(path, "unknown key")
    table = table_at(tuple(parent))
    siblings = list(settings_of(table)) if table is not None else []
    near = get_close_matches(str(key).lower().replace("-", "_"), siblings, 1, 0.7)
    if near:
        return Complaint(path, f"unknown key; did you mean `{near[0]}`?", (*parent, near[0]))
    homes = _homes()
    own = homes.get(str(key), ())
    if len(own) == 1:
        home = find(own[0])
        words = f"it belongs to [{dotted(own[0][:-1])}]" if home and home.leaf else f"did you mean `{dotted(own[0])}`?"
        return Complaint(path, f"unknown key; {words}", own[0])
    near = get_close_matches(str(key), homes, 1, 0.8)
    if near:
        cousin = homes[near[0]][0]
        return Complaint(path, f"unknown key; did you mean `{dotted(cousin)}`?", cousin)
    return Complaint(path, f"unknown key; known here: {', '.join(siblings)}")


@cache
def _homes() -> dict[str, tuple[Path, ...]]:
    """Return where each name of a setting or table stands, the first place first."""
    homes: dict[str, tuple[Path, ...]] = {}
    for place, _ in walk():
        if NAME not in place and not any("[]" in part for part in place):
            homes[place[-1]] = (*homes.get(place[-1], ()), place)
    return homes


def _refusal(error: ErrorDetails, setting: Setting | None) -> str:
    """Return what is wrong with a value and what is allowed."""
    kind, value = error["type"], error["input"]
    if setting is None:
        return error["msg"]
    path = error["loc"]
    element = bool(path) and isinstance(path[-1], int)
    if kind == "missing":
        return f"missing: {wanted(setting)} is needed here"
    if kind == "literal_error" and isinstance(value, str):
        return _no_choice(value, setting)
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} is not {wanted(setting)}"
    if kind in ("greater_than", "greater_than_equal"):
        return f"{shown(value)} is too low: {wanted(setting)} is allowed"
    if kind in ("less_than", "less_than_equal"):
        return f"{shown(value)} is too high: {wanted(setting)} is allowed"
    if kind == "string_too_short":
        return "is empty: a text is wanted"
    if kind in ("too_short", "too_long"):
        return f"has {len(value) or 'no'} tables: from {setting.min_length or 0} to {setting.max_length} are allowed"
    if kind == TOO_FINE:
        return f"{shown(value)} has more than {PLACES} decimal places: {wanted(setting)} is allowed"
    if kind == "finite_number":
        return f"{shown(value)} is no quantity: {wanted(setting)} is allowed"
    if element or path[-1] != setting.name:
        keys = ", ".join(settings_of(setting.table)) if setting.table is not None else ""
        return f"{shown(value)} is not {f'a table with the keys {keys}' if keys else 'a text in quotes'}"
    return _wrong_type(value, setting)


def _no_choice(value: str, setting: Setting) -> str:
    near = get_close_matches(value.lower(), [choice.lower() for choice in setting.choices], 1, 0.6)
    meant = next((choice for choice in setting.choices if near and choice.lower() == near[0]), "")
    hint = f"; did you mean {meant}?" if meant else ""
    if len(setting.choices) == 1:
        return f"{shown(value)} is not {setting.choices[0]}, the only choice"
    return f"{shown(value)} is not one of {', '.join(setting.choices)}{hint}"


def _wrong_type(value: Any, setting: Setting) -> str:
    """Return what was written instead of what is wanted, with the way to mend it where one is plain."""
    given = shown(value)
    if setting.kind in ("number", "whole") and isinstance(value, str):
        if _number(value):
            return f"{given} is a text: write the number without quotes"
        if value.lower() in _NO_VALUE:
            return f"{given} is not allowed: {wanted(setting)} is wanted"
    if setting.kind == "whole" and isinstance(value, Decimal):
        return f"{given} has a fraction or a point: {wanted(setting)} is wanted"
    if setting.kind == "flag" and isinstance(value, str) and value.lower() in _FLAGS:
        return f"{given} is a text: write {_FLAGS[value.lower()]} without quotes"
    if setting.kind == "texts" and isinstance(value, str):
        return f"{given} is one text: write [{', '.join(shown(part.strip()) for part in value.split(','))}]"
    if setting.kind == "tables" and isinstance(value, dict):
        return "one table stands where an array of tables is wanted: write [[…]] or [{ … }]"
    return f"{given} is not {wanted(setting)}"


def _number(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False
