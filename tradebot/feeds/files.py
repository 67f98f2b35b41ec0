"""Which recording files are there, of which symbol, and what do they hold? Asked by the recorded feeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tradebot.domain.errors import DataInvalid
from tradebot.feeds.tables import SUFFIXES, column_names

Holds = Literal["candles", "trades", "quotes", "depth"]

_SYMBOL = re.compile(r"(?:^|_)([A-Z0-9]+)-([A-Z0-9]+)(?=[._])")
_INTERVAL = re.compile(r"[._]([1-9][0-9]*)([smhd])(?=[._])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_MARKS: tuple[tuple[Holds, frozenset[str]], ...] = (
    ("candles", frozenset({"open", "high", "low", "close"})),
    ("depth", frozenset({"is_ask", "price", "qty"})),
    ("quotes", frozenset({"bid", "ask"})),
    ("trades", frozenset({"price", "qty", "is_buyer_maker"})),
)


class RecordingFile(Struct, frozen=True):
    """One file of a recording: the symbol its name says (unified, BASE/QUOTE) and what its columns say it holds.

    `interval_ms` is the candle length that the name says (`.1m.`), 0 where it says none.
    """

    path: Path
    symbol: str
    holds: Holds
    interval_ms: int


def recording_files(
    data: Path | Sequence[Path], symbols: Sequence[str] | None, quote: str, holds: Sequence[Holds] | None = None
) -> list[RecordingFile]:
    """Return the files of `data` (files or folders, not searched deeper), sorted by symbol and path.

    `symbols` picks those symbols, None every symbol quoted in `quote`; `holds` picks kinds of content.
    Raises DataInvalid where a path is absent, a symbol has no file, or nothing remains.
    """
    places = [data] if isinstance(data, Path) else list(data)
    named = [(path, _symbol_of(path)) for place in places for path in _listed(place)]
    wanted = {symbol for _, symbol in named if symbol.endswith(f"/{quote}")} if symbols is None else set(symbols)
    found = [
        RecordingFile(path=path, symbol=symbol, holds=_held(path), interval_ms=_interval_of(path))
        for path, symbol in named
        if symbol in wanted
    ]
    found = [file for file in found if holds is None or file.holds in holds]
    what = " or ".join(holds) if holds else "recording"
    _complain_of_absence(places, [symbol for _, symbol in named], found, symbols, quote, what)
    return sorted(found, key=lambda file: (file.symbol, str(file.path)))


def _listed(place: Path) -> list[Path]:
    """Return the recordings at `place`; a file that is named must be one, a folder may hold other things."""
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix in SUFFIXES and _SYMBOL.search(path.name))
    if not place.exists():
        raise DataInvalid(f"{place}: no such file or folder")
    if place.suffix not in SUFFIXES:
        raise DataInvalid(f"{place}: is neither .parquet nor .csv")
    if not _SYMBOL.search(place.name):
        raise DataInvalid(f"{place}: its name says no symbol; BASE-QUOTE is wanted, e.g. BTC-USDT.1m.csv")
    return [place]


def _symbol_of(path: Path) -> str:
    match = _SYMBOL.search(path.name)
    if match is None:
        raise DataInvalid(f"{path}: its name says no symbol; BASE-QUOTE is wanted, e.g. BTC-USDT.1m.csv")
    return f"{match[1]}/{match[2]}"


def _interval_of(path: Path) -> int:
    match = _INTERVAL.search(path.name)
    return int(match[1]) * _UNIT_MS[match[2]] if match else 0


def _held(path: Path) -> Holds:
    names = frozenset(column_names(path))
    for holds, marks in _MARKS:
        if marks <= names:
            return holds
    raise DataInvalid(
        f"{path}: holds neither candles (ts, open, high, low, close, volume), trades (price, qty, is_buyer_maker), "
        f"quotes (bid, ask) nor depth diffs (is_ask, price, qty); it has {', '.join(sorted(names))}"
    )


def _complain_of_absence(
    places: Sequence[Path],
    there: Sequence[str],
    found: Sequence[RecordingFile],
    symbols: Sequence[str] | None,
    quote: str,
    what: str,
) -> None:
    where = ", ".join(map(str, places))
    absent = sorted(set(symbols or ()) - {file.symbol for file in found})
    if absent:
        raise DataInvalid(f"{where}: no {what} of {', '.join(absent)}; files there: {_some(there)}")
    if not found:
        raise DataInvalid(f"{where}: no {what} quoted in {quote}; files there: {_some(there)}")


def _some(symbols: Sequence[str], most: int = 8) -> str:
    names = sorted(set(symbols))
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
