"""Which trades, quotes and books were recorded, in the order they came? Asked by the simulated shell.

Rows are told at the time a recorder received them, where the recording has it: deciding on the venue's own time would
be deciding before the news. Within one millisecond trades come first, then books, then quotes, each in symbol order:
a trade met the book that stood before it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal
from heapq import merge
from itertools import groupby
from math import inf
from operator import attrgetter
from pathlib import Path

from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.domain.market import Instrument, instrument_from_price
from tradebot.domain.numbers import BPS
from tradebot.feeds.depth import DepthBook
from tradebot.feeds.event_tables import EventTable, read_events
from tradebot.feeds.files import Holds, recording_files
from tradebot.feeds.places import decimal_places

_ORDER: tuple[Holds, ...] = ("trades", "depth", "quotes")


class EventRecording:
    """Recorded market events of one or more symbols: `rows` counts what was recorded, `symbols` are sorted."""

    def __init__(self, tables: Sequence[EventTable], settings: RecordedFeed, from_ms: int, to_ms: int) -> None:
        self._tables = sorted(tables, key=lambda table: (_ORDER.index(table.holds), table.symbol))
        self._settings = settings
        self._from_ms = from_ms
        self._to_ms = to_ms
        times = [cut for cut in map(self._times, self._tables) if cut]
        self.rows = sum(map(len, times))
        self.first_ms = min(cut[0] for cut in times)
        self.last_ms = max(cut[-1] for cut in times)
        self.symbols = tuple(sorted({table.symbol for table in tables}))

    def _times(self, table: EventTable) -> array[int]:
        return table.at_ms[bisect_left(table.at_ms, self._from_ms) : bisect_left(table.at_ms, self._to_ms)]

    def decimals(self, symbol: str) -> int:
        """Return how many decimal places the recorded prices of `symbol` have: its tick size, as far as seen."""
        return decimal_places(*(prices for table in self._of(symbol) for prices in table.prices()))

    def instruments(self, min_notional: Decimal) -> tuple[Instrument, ...]:
        """Return the filters that the recorded prices suggest, in the order of `symbols`."""
        return tuple(
            instrument_from_price(
                symbol,
                self._of(symbol)[0].prices()[0][0],
                decimals=self.decimals(symbol),
                min_notional=min_notional,
            )
            for symbol in self.symbols
        )

    def events(self) -> Iterator[QuoteSeen | BookSeen | TradeSeen]:
        """Yield every event in time order; each call begins anew."""
        quoted = {table.symbol for table in self._tables if table.holds != "trades"}
        streams: list[Iterator[QuoteSeen | BookSeen | TradeSeen]] = []
        for table in self._tables:
            if table.holds == "depth":
                streams.append(self._depth(table))
            elif table.holds == "quotes":
                streams.append(self._quotes(table))
            else:
                streams.append(self._trades(table, quoted=table.symbol in quoted))
        return merge(*streams, key=attrgetter("at_ms"))

    def _of(self, symbol: str) -> list[EventTable]:
        return [table for table in self._tables if table.symbol == symbol]

    def _window(self, table: EventTable) -> range:
        return range(bisect_left(table.at_ms, self._from_ms), bisect_left(table.at_ms, self._to_ms))

    def _trades(self, table: EventTable, *, quoted: bool) -> Iterator[TradeSeen | QuoteSeen]:
        """Yield the trades; where nobody recorded quotes, each is followed by one around its price."""
        half = float(self._settings.spread_bps / 2 / BPS)
        share = self._settings.volume_share if self._settings.shown_size == "volume_share" else inf
        symbol, floats = table.symbol, table.columns.floats
        prices, sizes, maker = floats["price"], floats["qty"], table.columns.ints["is_buyer_maker"]
        for at in self._window(table):
            now, price, size = table.at_ms[at], prices[at], sizes[at]
            yield TradeSeen(symbol, price, size, not maker[at], now)
            if not quoted:
                yield QuoteSeen(symbol, price * (1 - half), price * (1 + half), size * share, size * share, now)

    def _quotes(self, table: EventTable) -> Iterator[QuoteSeen]:
        floats = table.columns.floats
        bids, asks, bid_sizes, ask_sizes = floats["bid"], floats["ask"], floats["bid_qty"], floats["ask_qty"]
        for at in self._window(table):
            yield QuoteSeen(table.symbol, bids[at], asks[at], bid_sizes[at], ask_sizes[at], table.at_ms[at])

    def _depth(self, table: EventTable) -> Iterator[BookSeen | QuoteSeen]:
        """Yield the book whenever its shown levels change, then the best prices where those changed too.

        Diffs before the window build the book and are not told.
        """
        symbol, levels, book = table.symbol, self._settings.levels, DepthBook()
        told_book: object = None
        told_best: object = None
        for now, rows in _diffs(table, self._window(table).stop):
            _apply(book, table, rows)
            top = book.top(levels)
            if top is None or top == told_book or now < self._from_ms:
                continue
            bids, asks = told_book = top
            yield BookSeen(symbol, bids, asks, now)
            best = (*bids[0], *asks[0])
            if best != told_best:
                told_best = best
                yield QuoteSeen(symbol, bids[0][0], asks[0][0], bids[0][1], asks[0][1], now)


def _diffs(table: EventTable, stop: int) -> Iterator[tuple[int, range]]:
    """Yield (time, rows) of each diff before row `stop`: rows in a row with one final update id."""
    ids = table.columns.ints["final_update_id"]
    start = 0
    for at in range(1, stop + 1):
        if at == stop or ids[at] != ids[start]:
            yield table.at_ms[start], range(start, at)
            start = at


def _apply(book: DepthBook, table: EventTable, rows: range) -> None:
    ints, floats = table.columns.ints, table.columns.floats
    book.follows(ints["first_update_id"][rows.start], ints["final_update_id"][rows.start])
    for at in rows:
        book.put(bool(ints["is_ask"][at]), floats["price"][at], floats["qty"][at])


def load_events(
    data: Path | Sequence[Path],
    symbols: Sequence[str] | None,
    quote: str,
    from_ms: int | None,
    to_ms: int | None,
    settings: RecordedFeed,
) -> EventRecording:
    """Return the recorded trades, quotes and depth of `data` (files or folders) from `from_ms` on, before `to_ms`.

    `symbols` as BASE/QUOTE, or None for every symbol quoted in `quote`; `settings` say which spread and size is laid
    around trades without quotes, and how many levels of a book are told.
    Raises DataInvalid naming the file and row of anything unsound, or where no row lies in the time asked for.
    """
    files = recording_files(data, symbols, quote, holds=_ORDER)
    files.sort(key=lambda file: (file.symbol, file.holds))
    tables = [read_events(list(group)) for _, group in groupby(files, key=lambda file: (file.symbol, file.holds))]
    start = min(table.at_ms[0] for table in tables) if from_ms is None else from_ms
    stop = max(table.at_ms[-1] for table in tables) + 1 if to_ms is None else to_ms
    if not any(bisect_left(table.at_ms, start) < bisect_left(table.at_ms, stop) for table in tables):
        raise DataInvalid(f"{files[0].path.parent}: no row lies in the time asked for")
    return EventRecording(tables, settings, start, stop)
