"""Are recorded trades, quotes and depth diffs sound, and in which order did they come? Asked by recorded events."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import islice, repeat
from math import inf
from operator import le, lt
from pathlib import Path

from msgspec import Struct

from tradebot.domain.errors import DataInvalid
from tradebot.feeds.files import Holds, RecordingFile
from tradebot.feeds.tables import Columns, ColumnType, column_names, expect, read_columns

_SHAPES: dict[Holds, dict[str, ColumnType]] = {
    "trades": {"price": "float", "qty": "float", "is_buyer_maker": "bool"},
    "quotes": {"bid": "float", "bid_qty": "float", "ask": "float", "ask_qty": "float"},
    "depth": {"first_update_id": "int", "final_update_id": "int", "is_ask": "bool", "price": "float", "qty": "float"},
}
PRICES: dict[Holds, tuple[str, ...]] = {"trades": ("price",), "quotes": ("bid", "ask"), "depth": ("price",)}
"""The columns that hold prices, by content."""

_TIMES = ("recv_us", "ts")
"""Columns of time, the best first: when a recorder received a row (µs), else the venue's own time (ms)."""


class EventTable(Struct):
    """The rows of one symbol and kind in time order: `at_ms` beside the columns as recorded."""

    symbol: str
    holds: Holds
    at_ms: array[int]
    columns: Columns

    def prices(self) -> tuple[array[float], ...]:
        """Return the columns that hold prices."""
        return tuple(self.columns.floats[name] for name in PRICES[self.holds])


def read_events(files: Sequence[RecordingFile]) -> EventTable:
    """Return the files (all of one symbol and kind) as one table in time order.

    Raises DataInvalid naming file and row of what is unsound, or where two files overlap.
    """
    parts = [(file.path, _read(file)) for file in files]
    parts.sort(key=lambda part: part[1].at_ms[0])
    path, whole = parts[0]
    for next_path, part in parts[1:]:
        if part.at_ms[0] < whole.at_ms[-1]:
            raise DataInvalid(f"{next_path}: overlaps with {path}; name the files you want, one for each time")
        whole.at_ms.extend(part.at_ms)
        for name, ints in whole.columns.ints.items():
            ints.extend(part.columns.ints[name])
        for name, floats in whole.columns.floats.items():
            floats.extend(part.columns.floats[name])
        path = next_path
    return whole


def _read(file: RecordingFile) -> EventTable:
    names = column_names(file.path)
    time = next((name for name in _TIMES if name in names), None)
    if time is None:
        raise DataInvalid(f"{file.path}: has no column of time; {' (µs) or '.join(_TIMES)} (ms) is wanted")
    columns = read_columns(file.path, {time: "int", **_SHAPES[file.holds]})
    told = columns.ints.pop(time)
    table = EventTable(
        symbol=file.symbol,
        holds=file.holds,
        at_ms=array("q", [us // 1000 for us in told]) if time.endswith("_us") else told,
        columns=columns,
    )
    _check(file.path, table, told, time)
    return table


def _check(path: Path, table: EventTable, told: array[int], time: str) -> None:
    expect(path, map(le, told, islice(told, 1, None)), 1, lambda at: f"{time} {told[at]} is before {told[at - 1]}")
    for name, column in table.columns.floats.items():
        _check_numbers(path, name, column, may_be_zero=name not in PRICES[table.holds] and table.holds != "trades")
    if table.holds == "quotes":
        bid, ask = table.columns.floats["bid"], table.columns.floats["ask"]
        expect(path, map(le, bid, ask), 0, lambda at: f"bid {bid[at]} is above ask {ask[at]}")
    if table.holds == "depth":
        first, final = table.columns.ints["first_update_id"], table.columns.ints["final_update_id"]
        expect(path, map(le, first, final), 0, lambda at: f"update {first[at]} is after {final[at]}, which ends it")


def _check_numbers(path: Path, name: str, column: array[float], *, may_be_zero: bool) -> None:
    least = map(le if may_be_zero else lt, repeat(0.0), column)
    expect(path, least, 0, lambda at: f"{name} {column[at]} is not {'0 or more' if may_be_zero else 'above 0'}")
    expect(path, map(lt, column, repeat(inf)), 0, lambda at: f"{name} {column[at]} is not a number")
