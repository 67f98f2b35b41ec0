"""Which candles were recorded, minute by minute over all symbols? Asked by the simulated shell and the report.

A candle row is (open_ms, symbol_index, open, high, low, close, volume); the index counts the sorted symbols.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import groupby, islice, repeat
from math import inf
from operator import itemgetter, le, lt, mod, not_
from pathlib import Path

from msgspec import Struct

from tradebot.domain.errors import DataInvalid
from tradebot.domain.market import Instrument, instrument_from_price
from tradebot.feeds.files import RecordingFile, recording_files
from tradebot.feeds.gaps import Gap, gaps_of, outages_of
from tradebot.feeds.places import decimal_places
from tradebot.feeds.tables import ColumnType, expect, read_columns

CandleRow = tuple[int, int, float, float, float, float, float]

_WANTED: dict[str, ColumnType] = {
    "ts": "int",
    "open": "float",
    "high": "float",
    "low": "float",
    "close": "float",
    "volume": "float",
}


class CandleColumns(Struct):
    """One symbol's candles as columns of the same length: `ts` is the open time in ms UTC, strictly increasing."""

    ts: array[int]
    open: array[float]
    high: array[float]
    low: array[float]
    close: array[float]
    volume: array[float]

    def cut(self, start: int, stop: int) -> CandleColumns:
        """Return a copy of the rows from `start` on, before `stop`."""
        return CandleColumns(
            ts=self.ts[start:stop],
            open=self.open[start:stop],
            high=self.high[start:stop],
            low=self.low[start:stop],
            close=self.close[start:stop],
            volume=self.volume[start:stop],
        )


ENOUGH_CLOSES = 1_000
"""So many closes show every decimal place that a symbol's prices have; a shorter recording is read whole."""


class CandleRecording:
    """Checked candles of one interval: `symbols` sorted, `columns` at the same index, 48 bytes a candle."""

    def __init__(self, symbols: tuple[str, ...], columns: tuple[CandleColumns, ...], interval_ms: int) -> None:
        self.symbols = symbols
        self.columns = columns
        self.interval_ms = interval_ms
        self.candles = sum(len(one.ts) for one in columns)
        self.first_ms = min(one.ts[0] for one in columns)
        self.last_ms = max(one.ts[-1] for one in columns)
        self._places: dict[str, int] = {}

    @cached_property
    def gaps(self) -> dict[str, tuple[Gap, ...]]:
        """What is missing of each symbol between its own first and last candle."""
        return {
            symbol: gaps_of(one.ts, self.interval_ms) for symbol, one in zip(self.symbols, self.columns, strict=True)
        }

    @cached_property
    def outages(self) -> tuple[Gap, ...]:
        """When no symbol at all has a candle, between the first and the last candle of the recording."""
        return outages_of([one.ts for one in self.columns], self.interval_ms)

    @cached_property
    def silent(self) -> tuple[str, ...]:
        """Symbols of which no candle has a volume."""
        return tuple(symbol for symbol, one in zip(self.symbols, self.columns, strict=True) if not any(one.volume))

    def decimals(self, symbol: str) -> int:
        """Return how many decimal places the recorded prices of `symbol` have: its tick size, as far as seen."""
        if symbol not in self._places:
            one = self.columns[self.symbols.index(symbol)]
            others = () if len(one.close) >= ENOUGH_CLOSES else (one.open, one.high, one.low)
            self._places[symbol] = decimal_places(one.close, *others)
        return self._places[symbol]

    def instruments(self, min_notional: Decimal) -> tuple[Instrument, ...]:
        """Return the filters that the recorded prices suggest, in the order of `symbols`."""
        return tuple(
            instrument_from_price(symbol, one.open[0], decimals=self.decimals(symbol), min_notional=min_notional)
            for symbol, one in zip(self.symbols, self.columns, strict=True)
        )

    def batches(self, rows: int) -> Iterator[list[CandleRow]]:
        """Yield every candle once, ordered by (open time, symbol index), in lists of about `rows`.

        A list ends between two intervals, never inside one; intervals without any candle are jumped over.
        """
        width = max(1, rows // len(self.columns)) * self.interval_ms
        starts = [0] * len(self.columns)
        while True:
            opens = [one.ts[at] for one, at in zip(self.columns, starts, strict=True) if at < len(one.ts)]
            if not opens:
                return
            until = min(opens) + width
            stops = [bisect_left(one.ts, until, at) for one, at in zip(self.columns, starts, strict=True)]
            yield self._rows(starts, stops)
            starts = stops

    def _rows(self, starts: list[int], stops: list[int]) -> list[CandleRow]:
        parts = [
            (index, self.columns[index].cut(start, stop))
            for index, (start, stop) in enumerate(zip(starts, stops, strict=True))
            if start < stop
        ]
        times = parts[0][1].ts.tobytes()
        if all(part.ts.tobytes() == times for _, part in parts):  # nobody misses a minute: deal the rows out
            dealt: list[CandleRow] = [_NO_ROW] * (len(parts) * len(parts[0][1].ts))
            for place, (index, part) in enumerate(parts):
                dealt[place :: len(parts)] = _zipped(index, part)
            return dealt
        rows = [row for index, part in parts for row in _zipped(index, part)]
        rows.sort(key=itemgetter(0))  # stable: equal times stay in the order of the symbols
        return rows


_NO_ROW: CandleRow = (0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _zipped(index: int, part: CandleColumns) -> list[CandleRow]:
    return list(zip(part.ts, repeat(index), part.open, part.high, part.low, part.close, part.volume, strict=False))


def load_candles(
    data: Path | Sequence[Path], symbols: Sequence[str] | None, quote: str, from_ms: int | None, to_ms: int | None
) -> CandleRecording:
    """Return the candles of `data` (files or folders) that open from `from_ms` on and before `to_ms` (ms UTC).

    `symbols` as BASE/QUOTE, or None for every symbol quoted in `quote`. Several files of one symbol are joined.
    Raises DataInvalid naming the file and row of anything that is no sound candle.
    """
    files = recording_files(data, symbols, quote, holds=("candles",))
    interval_ms = _one_interval(files)
    kept: dict[str, CandleColumns] = {}
    recorded: list[int] = []
    for symbol, group in groupby(files, key=lambda file: file.symbol):
        whole = _joined([(file.path, _read(file)) for file in group])
        recorded += (whole.ts[0], whole.ts[-1])
        start = 0 if from_ms is None else bisect_left(whole.ts, from_ms)
        stop = len(whole.ts) if to_ms is None else bisect_left(whole.ts, to_ms)
        if start < stop:
            kept[symbol] = whole if stop - start == len(whole.ts) else whole.cut(start, stop)
        elif symbols is not None:
            raise DataInvalid(f"{symbol} has no candle in the time asked for; {_span(whole.ts)}")
    if not kept:
        raise DataInvalid(f"{files[0].path.parent}: no symbol has a candle in the time asked for; {_span(recorded)}")
    return CandleRecording(tuple(kept), tuple(kept.values()), interval_ms)


def _one_interval(files: Sequence[RecordingFile]) -> int:
    for file in files:
        if not file.interval_ms:
            raise DataInvalid(f"{file.path}: its name does not say how long a candle is, e.g. BTC-USDT.1m.csv")
        if file.interval_ms != files[0].interval_ms:
            raise DataInvalid(f"{file.path}: its candles are not as long as those of {files[0].path}")
    return files[0].interval_ms


def _span(ts: Sequence[int]) -> str:
    first, last = (f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}" for at in (min(ts), max(ts)))
    return f"the candles recorded open from {first} to {last} UTC"


def _joined(parts: list[tuple[Path, CandleColumns]]) -> CandleColumns:
    """Return one symbol's files as one, in time order; they must not overlap."""
    parts.sort(key=lambda part: part[1].ts[0])
    path, whole = parts[0]
    for next_path, part in parts[1:]:
        if part.ts[0] <= whole.ts[-1]:
            raise DataInvalid(f"{next_path}: overlaps with {path}; name the files you want, one for each time")
        for name in _WANTED:
            getattr(whole, name).extend(getattr(part, name))
        path = next_path
    return whole


def _read(file: RecordingFile) -> CandleColumns:
    columns = read_columns(file.path, _WANTED)
    floats = columns.floats
    candles = CandleColumns(
        ts=columns.ints["ts"],
        open=floats["open"],
        high=floats["high"],
        low=floats["low"],
        close=floats["close"],
        volume=floats["volume"],
    )
    _check(file, candles)
    return candles


def _check(file: RecordingFile, c: CandleColumns) -> None:
    """Refuse unsound candles. Comparisons are written so that a NaN fails them; whole columns are compared in C."""
    path, interval = file.path, file.interval_ms
    expect(path, map(lt, c.ts, islice(c.ts, 1, None)), 1, lambda at: f"ts {c.ts[at]} is not after {c.ts[at - 1]}")
    expect(
        path,
        map(not_, map(mod, c.ts, repeat(interval))),
        0,
        lambda at: f"ts {c.ts[at]} is not on the grid of its interval, {interval} ms",
    )
    _check_prices(path, "low", c.low, c)
    _check_prices(path, "high", c.high, c)
    _check_prices(path, "open", c.open, c)
    _check_prices(path, "close", c.close, c)
    expect(path, map(le, repeat(0.0), c.volume), 0, lambda at: f"volume {c.volume[at]} is no amount")
    expect(path, map(lt, c.volume, repeat(inf)), 0, lambda at: f"volume {c.volume[at]} is no amount")


def _check_prices(path: Path, name: str, prices: array[float], c: CandleColumns) -> None:
    expect(path, map(lt, repeat(0.0), prices), 0, lambda at: f"{name} {prices[at]} is not a price above 0")
    expect(path, map(lt, prices, repeat(inf)), 0, lambda at: f"{name} {prices[at]} is not a price")
    expect(path, map(le, c.low, prices), 0, lambda at: f"{name} {prices[at]} is below low {c.low[at]}")
    expect(path, map(le, prices, c.high), 0, lambda at: f"{name} {prices[at]} is above high {c.high[at]}")
