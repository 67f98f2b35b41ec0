"""How does the live feed keep whole books of Binance? Asked by the feed where levels are wanted.

Diffs come from the stream, snapshots over REST: one at a time, paced so that all of them together stay well below the
exchange's request weight (6,000 a minute), and again wherever a diff is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from tradebot.domain.events import BookSeen, Event
from tradebot.exchange.budget import HeldBack
from tradebot.feeds.ccxt_counts import FeedTold
from tradebot.feeds.decode_binance import DepthDiff, local_ms
from tradebot.feeds.decode_book import LiveBook

_SNAPSHOTS = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
"""Levels that a snapshot may hold, and its request weight (Binance, GET depth)."""

WEIGHT_PER_S = 50
"""Request weight a second that snapshots may take: half of what the exchange allows."""

MOST_WAIT_S = 30.0


class BinanceBooks:
    """The books of `symbols`, `levels` deep on each side; each change is published as a `BookSeen`.

    `run` fetches the snapshots. `now_ms` is our clock, `offset_ms` what it is minus the exchange's.
    """

    def __init__(
        self,
        exchange: Any,
        symbols: Collection[str],
        levels: int,
        publish: Callable[[Event], None],
        told: FeedTold,
        now_ms: Callable[[], int],
        offset_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._books = {symbol: LiveBook(levels) for symbol in symbols}
        self._publish = publish
        self._told = told
        self._now_ms = now_ms
        self._offset_ms = offset_ms
        self._asked, weight = next((one for one in _SNAPSHOTS if one[0] >= 2 * levels), _SNAPSHOTS[-1])
        self._pace_s = weight / WEIGHT_PER_S
        self._wanted: dict[str, None] = {}  # ordered, each symbol once
        self._wake = asyncio.Event()
        self._errors = (import_module("ccxt").BaseError, HeldBack)

    def subscribed(self, _client: Any, _message: Any, subscription: Mapping[str, Any]) -> None:
        """Begin the books of a subscription that the exchange has confirmed; ccxt calls this."""
        for symbol in subscription.get("symbols") or ():
            self._books[symbol].lose()
            self._want(symbol)

    def take(self, diff: DepthDiff) -> None:
        """Take a diff of one of the symbols; publish the book it makes."""
        book = self._books[diff.symbol]
        taken = book.take(diff)
        if taken == "gap":
            self._told.gap(diff.symbol, f"update {diff.first_id} does not follow")
            self._want(diff.symbol)
        elif taken == "shown":
            self._show(diff.symbol, book, diff.venue_ms)

    async def run(self) -> None:
        """Fetch the snapshots that are wanted, one after the other, until cancelled."""
        wait_s = self._pace_s
        while True:
            while not self._wanted:
                self._wake.clear()
                await self._wake.wait()
            symbol = next(iter(self._wanted))
            try:
                snapshot = await self._exchange.fetch_order_book(symbol, self._asked)
            except self._errors as error:
                wait_s = min(max(2 * wait_s, 0.5), MOST_WAIT_S)
                self._told.failed(f"snapshot of {symbol}", f"{type(error).__name__}: {error}", wait_s)
                self._wanted[symbol] = self._wanted.pop(symbol)  # the last one from here on: it holds up no other
            else:
                wait_s = self._pace_s
                self._wanted.pop(symbol, None)
                self.begin(symbol, snapshot)
            await asyncio.sleep(wait_s)

    def begin(self, symbol: str, snapshot: Mapping[str, Any]) -> None:
        """Take a snapshot of a symbol (ccxt's order book); where it does not meet the diffs, another is asked for."""
        self._told.count.snapshots += 1
        book = self._books[symbol]
        last_id = snapshot.get("nonce")
        if not last_id or not book.begin(snapshot["bids"], snapshot["asks"], int(last_id), self._asked):
            self._told.gap(symbol, "the snapshot does not reach the updates")
            self._want(symbol)
            return
        self._show(symbol, book, None)

    def _show(self, symbol: str, book: LiveBook, venue_ms: int | None) -> None:
        top = book.top()
        if top is not None:
            now = self._now_ms()
            at_ms = now if venue_ms is None else local_ms(venue_ms, self._offset_ms(), now)
            self._publish(BookSeen(symbol, top[0], top[1], at_ms))
        if book.shallow:
            book.shallow = False
            self._want(symbol)

    def _want(self, symbol: str) -> None:
        self._wanted.setdefault(symbol)
        self._wake.set()
