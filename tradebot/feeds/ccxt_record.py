"""How is a live feed written down so that it can be replayed? Asked by `tradebot data record`.

Quotes, trades and the changes of books stand in one file each of a symbol, under the time of their receipt, which is
when the bot would have heard of them. Rows reach the disk every `flush_s`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen
from tradebot.feeds.ccxt_files import RowFile, file_of
from tradebot.ports import Clock

_HEADERS = {
    "quotes": ("recv_us", "ts", "bid", "bid_qty", "ask", "ask_qty"),
    "trades": ("recv_us", "ts", "price", "qty", "is_buyer_maker"),
    "depth": ("recv_us", "ts", "first_update_id", "final_update_id", "is_ask", "price", "qty"),
}
MOST_ROWS = 100_000
"""Most rows held back; beyond it they are written at once."""

Row = tuple[object, ...]


class Recording:
    """Takes a feed's events and appends them to files of `folder`; `rows` counts what was taken."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.rows = 0
        self._folder = folder
        self._clock = clock
        self._files: dict[tuple[str, str], RowFile] = {}
        self._held: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self._holding = 0
        self._shown: dict[str, dict[tuple[bool, float], float]] = {}
        self._updates: dict[str, int] = {}

    def publish(self, event: Event) -> None:
        """Take an event; what is no quote, trade or book is left out. Raises OSError and DataInvalid."""
        if isinstance(event, QuoteSeen):
            row: Row = (event.bid, event.bid_size, event.ask, event.ask_size)
            self._hold(event.symbol, "quotes", event.at_ms, row)
        elif isinstance(event, TradeSeen):
            row = (event.price, event.size, str(not event.buyer_taker).lower())
            self._hold(event.symbol, "trades", event.at_ms, row)
        elif isinstance(event, BookSeen):
            for row in self._changes(event):
                self._hold(event.symbol, "depth", event.at_ms, row)
        if self._holding >= MOST_ROWS:
            self.flush()

    async def run(self, flush_s: float = 5.0) -> None:
        """Write what is held every `flush_s`, until cancelled; `flush` writes the rest."""
        while True:
            await asyncio.sleep(flush_s)
            self.flush()

    def flush(self) -> None:
        """Write everything that is held. Raises OSError."""
        for key in tuple(self._held):
            self._file(*key).append(self._held[key], durable=False)
            self._holding -= len(self._held.pop(key))  # what stands in its file is not written again after a failure

    def _hold(self, symbol: str, kind: str, at_ms: int, row: Row) -> None:
        self._held[symbol, kind].append((self._clock.now_ms() * 1000, at_ms, *row))
        self._holding += 1
        self.rows += 1

    def _file(self, symbol: str, kind: str) -> RowFile:
        file = self._files.get((symbol, kind))
        if file is None:
            file = self._files[symbol, kind] = RowFile(file_of(self._folder, symbol, kind), _HEADERS[kind])
        return file

    def _changes(self, book: BookSeen) -> Iterator[Row]:
        """Yield the levels that differ from the book before; a level that is not shown any more has size 0."""
        now = {(False, price): size for price, size in book.bids} | {(True, price): size for price, size in book.asks}
        before = self._shown.get(book.symbol)
        if before is None:
            before = {}
            last = self._file(book.symbol, "depth").last
            # a number is left out after what an earlier recording wrote: its book does not go on here
            self._updates[book.symbol] = int(last[3]) + 1 if last is not None else 0
        changed = [(level, 0.0) for level in before if level not in now]
        changed += [(level, size) for level, size in now.items() if before.get(level) != size]
        if not changed:
            return
        self._shown[book.symbol] = now
        self._updates[book.symbol] += 1
        number = self._updates[book.symbol]
        for (is_ask, price), size in changed:
            yield (number, number, str(is_ask).lower(), price, size)
