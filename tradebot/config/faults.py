"""What is wrong with a profile, and where? Asked by the loader, the command line and the reload."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from math import isfinite

from msgspec import Struct, structs

from tradebot.domain.errors import TradebotError
from tradebot.domain.numbers import plain

Path = tuple[str | int, ...]
"""Where a value stands in a profile: keys, and positions in arrays counted from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS = 60
_KEY_CHARACTERS = 200
_MESSAGE_CHARACTERS = 1_000

MOST = 100
"""So many faults of one profile are told: who has more has one cause, or none to mend by hand."""


class Fault(Struct, frozen=True, order=True):
    """One fault. `line` and `column` count from 1, the column in characters; both are 0 where there is no file.

    `file` is then the environment variable as `$NAME`, or the profile's name as it was asked for.
    """

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ProfileInvalid(TradebotError):
    """A profile cannot be used as it stands; `faults` has the reasons, in the order to mend them.

    Of more than `MOST` the last only says how many more there are.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        told = [_brief(fault) for fault in faults[:MOST]]
        if len(faults) > MOST:
            told.append(Fault(told[-1].file, 0, 0, "", f"and {len(faults) - MOST:,} more"))
        super().__init__("\n".join(map(str, told)))
        self.faults = tuple(told)


def _brief(fault: Fault) -> Fault:
    """Return a fault that no text of the operator's makes long."""
    return structs.replace(
        fault, key=short(fault.key, _KEY_CHARACTERS), message=short(fault.message, _MESSAGE_CHARACTERS)
    )


def dotted(path: Path) -> str:
    """Return `path` as an operator writes it: `drop.symbol."BTC/USDT".threshold_bps`, `execution.steps[2].tif`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        text += ("." if text else "") + (part if _BARE.fullmatch(part) else _quoted(part))
    return text


def _quoted(text: str) -> str:
    """Return `text` in quotes on one line; what a terminal would obey is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def short(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """Return `text`, cut after `most` characters."""
    return text if len(text) <= most else text[:most] + "…"


def shown(value: object) -> str:
    """Return `value` as a fault shows it: short, on one line; what a table or an array holds is never shown."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(short(value))
        case Decimal():
            if not value.is_finite():
                return str(value).lower().replace("infinity", "inf")
            return short(f"{value:f}" if abs(value.adjusted()) <= _SHOWN_CHARACTERS else str(value))
        case int():
            return short(f"{Decimal(value):f}")  # the text of an int may not be of any length
        case float():
            return short(plain(Decimal(repr(value)))) if isfinite(value) else str(value)
        case dict():
            return "a table"
        case list() | tuple():
            return "an array"
        case date() | time():
            return "a date or time"
    return str(value)
