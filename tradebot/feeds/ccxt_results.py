"""What does a price as ccxt read it say? Asked by the live feed, for exchanges whose messages ccxt decodes.

ccxt hands every handler's result to whoever waits for it; here each is taken as it comes, so that none is lost while
nobody waits. A result is known by its shape: a ticker holds `bid` and `ask`, a book `bids` and `asks`, a cache of
trades ends with what was added.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from math import isfinite
from typing import Any

from tradebot.domain.events import BookSeen, Event
from tradebot.feeds.decode_binance import local_ms, quote, trade

KEPT_TRADE_IDS = 1_000
"""Ids of a symbol's latest trades: as many as ccxt keeps and an exchange repeats after a subscription."""


class _Trades:
    """Which trades of a symbol were told."""

    __slots__ = ("ids", "last", "order")

    def __init__(self) -> None:
        self.last: Any = None
        self.ids: set[str] = set()
        self.order: deque[str] = deque()

    def is_new(self, trade_id: Any) -> bool:
        if trade_id is None:
            return True
        name = str(trade_id)
        if name in self.ids:
            return False
        self.ids.add(name)
        self.order.append(name)
        if len(self.order) > KEPT_TRADE_IDS:
            self.ids.discard(self.order.popleft())
        return True


class CcxtResults:
    """Turns ccxt's results for `symbols` into events and publishes them.

    `now_ms` is our clock, `offset_ms` what it is minus the exchange's; `levels` of a book are told on each side.
    Trades from before `from_ms`, which some exchanges repeat at a subscription, are not told.
    """

    def __init__(
        self,
        symbols: Collection[str],
        levels: int,
        publish: Callable[[Event], None],
        now_ms: Callable[[], int],
        offset_ms: Callable[[], int],
    ) -> None:
        self._symbols = frozenset(symbols)
        self._levels = levels
        self._publish = publish
        self._now_ms = now_ms
        self._offset_ms = offset_ms
        self._from_ms = now_ms()
        self._trades = {symbol: _Trades() for symbol in self._symbols}
        self._last_ticker: Any = None

    def take(self, result: Any) -> bool:
        """Publish what `result` tells; return whether it was a price of any kind, even if it could not be used."""
        if isinstance(result, dict):
            if "bids" in result and "asks" in result:
                self._book(result)
                return True
            if "bid" in result and "ask" in result and isinstance(result.get("symbol"), str):
                self._ticker(result)
                return True
            return False
        added = getattr(result, "_deque", None)
        if added and isinstance(added[-1], dict) and "price" in added[-1] and "takerOrMaker" in added[-1]:
            self._traded(added)
            return True
        return False

    def _at(self, venue_ms: Any, now_ms: int) -> int:
        return local_ms(int(venue_ms), self._offset_ms(), now_ms) if venue_ms else now_ms

    def _ticker(self, ticker: dict[str, Any]) -> None:
        symbol = ticker["symbol"]
        if ticker is self._last_ticker or symbol not in self._symbols:  # some handlers tell one ticker under two names
            return
        self._last_ticker = ticker
        bid, ask = _number(ticker["bid"]), _number(ticker["ask"])
        sizes = _number(ticker.get("bidVolume")), _number(ticker.get("askVolume"))
        event = quote(symbol, bid, ask, *sizes, self._at(ticker.get("timestamp"), self._now_ms()))
        if event is not None:
            self._publish(event)

    def _traded(self, cache: deque[dict[str, Any]]) -> None:
        symbol = cache[-1].get("symbol")
        told = self._trades.get(symbol) if isinstance(symbol, str) else None
        if told is None or not isinstance(symbol, str):
            return
        added = 0
        for one in reversed(cache):
            if one is told.last:
                break
            added += 1
        told.last = cache[-1]
        now = self._now_ms()
        for one in islice(cache, len(cache) - added, None):
            at_ms = self._at(one.get("timestamp"), now)
            if at_ms < self._from_ms or not told.is_new(one.get("id")):
                continue
            event = trade(symbol, _number(one["price"]), _number(one.get("amount")), one.get("side") == "buy", at_ms)
            if event is not None:
                self._publish(event)

    def _book(self, book: dict[str, Any]) -> None:
        symbol = book.get("symbol")
        if not self._levels or symbol not in self._symbols:
            return
        bids = tuple((float(level[0]), float(level[1])) for level in islice(book["bids"], self._levels))
        asks = tuple((float(level[0]), float(level[1])) for level in islice(book["asks"], self._levels))
        if bids and asks and 0.0 < bids[0][0] < asks[0][0]:
            self._publish(BookSeen(symbol, bids, asks, self._at(book.get("timestamp"), self._now_ms())))


def _number(told: Any) -> float:
    """Return a number of ccxt's (float, text or none) as a float; what is none counts as 0."""
    if told is None:
        return 0.0
    number = float(told)
    return number if isfinite(number) else 0.0
