"""How do Binance's messages become events without ccxt reading them? Asked by the live feed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tradebot.domain.events import Event
from tradebot.feeds.ccxt_books import BinanceBooks
from tradebot.feeds.ccxt_counts import FeedTold
from tradebot.feeds.ccxt_sockets import Sockets
from tradebot.feeds.decode_binance import BinanceMessages, DepthDiff, ServerGoing, Unreadable

FAST = frozenset({"binance", "binanceus"})
"""Exchanges whose messages the bot reads by its own decoder."""


class FastReader:
    """Binance's own messages, read by the bot's decoder; with `levels`, its books, too."""

    def __init__(
        self,
        exchange: Any,
        symbols: Sequence[str],
        levels: int,
        publish: Callable[[Event], None],
        told: FeedTold,
        now_ms: Callable[[], int],
        offset_ms: Callable[[], int],
    ) -> None:
        ids = {exchange.markets[symbol]["id"]: symbol for symbol in symbols}
        self._messages = BinanceMessages(ids, offset_ms)
        self._publish = publish
        self._told = told
        self._now_ms = now_ms
        self.books: BinanceBooks | None = None
        if levels:
            self.books = BinanceBooks(exchange, symbols, levels, publish, told, now_ms, offset_ms)
            exchange.handle_order_book_subscription = self.books.subscribed

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run beside the connections."""
        return [self.books.run()] if self.books is not None else []

    def take(self, sockets: Sockets, client: Any, data: Any) -> bool:
        """Publish what a message tells; return whether it was a market message."""
        self._messages.replaced = bool(client.tradebot_socket.retired_s)
        try:
            tells = self._messages.read(data, self._now_ms())
        except Unreadable as error:
            self._told.unreadable(str(error))
            return True
        if isinstance(tells, bool):
            return tells
        if isinstance(tells, ServerGoing):
            sockets.going(client)
            return True
        sockets.priced(client)
        if isinstance(tells, DepthDiff):
            if self.books is not None:
                self.books.take(tells)
        elif tells is not None:
            self._publish(tells)
        return True
