"""What is wrong with a profile, and where? Asked by the loader, the command line and the reload."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from math import isfinite

from msgspec import Struct

from tradebot.domain.errors import TradebotError
from tradebot.domain.numbers import plain

Path = tuple[str | int, ...]
"""Where a value stands in a profile: keys, and positions in arrays counted from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS = 60


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
    """A profile cannot be used as it stands; `faults` has every reason, in the order to mend them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


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


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def shown(value: object) -> str:
    """Return `value` as a fault shows it: short, on one line; what a table or an array holds is never shown."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(_short(value))
        case Decimal():
            if not value.is_finite():
                return str(value).lower().replace("infinity", "inf")
            return _short(f"{value:f}" if abs(value.adjusted()) <= _SHOWN_CHARACTERS else str(value))
        case int():
            return _short(f"{Decimal(value):f}")  # the text of an int may not be of any length
        case float():
            return plain(Decimal(repr(value))) if isfinite(value) else str(value)
        case dict():
            return "a table"
        case list() | tuple():
            return "an array"
        case date() | time():
            return "a date or time"
    return str(value)
