"""What does one message of Binance's spot market streams say? Asked by the live feed, for every frame it receives.

The bytes are read into typed structs; nothing else of a message is looked at. A message that begins as Binance writes
them goes to its decoder at once, any other is looked at first, so that the order of the fields decides only the speed.
Shapes: Binance's spot web-socket streams (bookTicker has neither an event name nor a time).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain.events import QuoteSeen, TradeSeen

Levels = list[tuple[float, float]]
"""(price, size in base) of levels as a diff names them; size 0 removes the level."""


class Unreadable(Exception):
    """A message that names a known stream does not hold what that stream tells."""


class DepthDiff(Struct, frozen=True, gc=False):
    """What changed in a book from update `first_id` to `final_id`; `venue_ms` is the exchange's time."""

    symbol: str
    first_id: int
    final_id: int
    bids: Levels
    asks: Levels
    venue_ms: int


class ServerGoing(Struct, frozen=True):
    """The server announces that it will close the connection."""


Told = QuoteSeen | TradeSeen | DepthDiff | ServerGoing

_Read = Callable[[str, int], Told | None]


class _Ticker(Struct, gc=False):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class _Trade(Struct, gc=False):
    s: str
    p: float
    q: float
    T: int
    m: bool
    t: int


class _Aggregate(Struct, gc=False):
    s: str
    p: float
    q: float
    T: int
    m: bool
    a: int


class _Depth(Struct, gc=False):
    s: str
    E: int
    U: int
    u: int
    b: Levels
    a: Levels


class _Outline(Struct, gc=False):
    """What kind of message it is. `data` stands in a combined stream, `b` and `a` without `e` in a bookTicker."""

    e: Any = None
    s: Any = None
    id: Any = None
    data: msgspec.Raw = msgspec.Raw()
    a: msgspec.Raw = msgspec.Raw()
    b: msgspec.Raw = msgspec.Raw()


def _decoder(kind: type[Any]) -> Callable[[str | bytes], Any]:
    return msgspec.json.Decoder(kind, strict=False).decode  # not strict: a number may stand in a string


class BinanceMessages:
    """Reads messages of the symbols in `ids` (the exchange's id, like BTCUSDT, to the unified symbol).

    `offset_ms` tells what our clock is minus the exchange's, at the moment it is called.
    """

    def __init__(self, ids: Mapping[str, str], offset_ms: Callable[[], int]) -> None:
        self._symbols = dict(ids)
        self._offset_ms = offset_ms
        self._ticker = _decoder(_Ticker)
        self._trade = _decoder(_Trade)
        self._aggregate = _decoder(_Aggregate)
        self._depth = _decoder(_Depth)
        self._outline = _decoder(_Outline)
        self.replaced = False
        """Whether what is read comes from a connection beside which there is a newer one: set before each message."""
        self._last_quote: dict[str, int] = {}
        self._last_trade: dict[str, int] = {}
        self._last_aggregate: dict[str, int] = {}
        self._readers: dict[str, _Read] = {
            "bookTicker": self._quote,
            "trade": self._traded,
            "aggTrade": self._aggregated,
            "depthUpdate": self._diff,
        }

    def read(self, data: str | bytes, receipt_ms: int) -> Told | bool | None:
        """Return what a message received at `receipt_ms` tells.

        None where it tells nothing that can be used (another symbol, a trade told before, an empty side of the book);
        False where it is no market message of these streams: an answer, an error, another event.
        Raises Unreadable.
        """
        try:
            text = data if isinstance(data, str) else data.decode()
            if text.startswith('{"u":'):
                reader: _Read = self._quote
            elif text.startswith('{"e":"trade"'):
                reader = self._traded
            elif text.startswith('{"e":"depthUpdate"'):
                reader = self._diff
            else:
                return self._look(text, receipt_ms)
            try:
                return reader(text, receipt_ms)
            except msgspec.ValidationError:  # it only begins like one, or is odd: looked at to know
                return self._look(text, receipt_ms)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(str(error)) from error

    def _look(self, data: str, receipt_ms: int) -> Told | bool | None:
        outline: _Outline = self._outline(data)
        data_inside = bytes(outline.data)
        if data_inside:
            return self.read(data_inside, receipt_ms)
        if outline.e == "serverShutdown":
            return ServerGoing()
        kind = outline.e
        if kind is None and outline.id is None and outline.s is not None and bytes(outline.a) and bytes(outline.b):
            kind = "bookTicker"
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        return False if reader is None else reader(data, receipt_ms)

    def _quote(self, data: str, receipt_ms: int) -> QuoteSeen | None:
        read = self._ticker(data)
        symbol = self._symbols.get(read.s)
        if symbol is None or (self.replaced and read.u <= self._last_quote.get(symbol, -1)):
            return None
        self._last_quote[symbol] = read.u
        return quote(symbol, read.b, read.a, read.B, read.A, receipt_ms)

    def _traded(self, data: str, receipt_ms: int) -> TradeSeen | None:
        read = self._trade(data)
        return self._told_once(self._last_trade, read, read.t, receipt_ms)

    def _aggregated(self, data: str, receipt_ms: int) -> TradeSeen | None:
        read = self._aggregate(data)
        return self._told_once(self._last_aggregate, read, read.a, receipt_ms)

    def _told_once(
        self, last: dict[str, int], read: _Trade | _Aggregate, trade_id: int, receipt_ms: int
    ) -> TradeSeen | None:
        """Return the trade, or None where two connections told it (ids of a symbol rise)."""
        symbol = self._symbols.get(read.s)
        if symbol is None or trade_id <= last.get(symbol, -1):
            return None
        event = trade(symbol, read.p, read.q, not read.m, local_ms(read.T, self._offset_ms(), receipt_ms))
        if event is not None:
            last[symbol] = trade_id
        return event

    def _diff(self, data: str, _receipt_ms: int) -> DepthDiff | None:
        read = self._depth(data)
        symbol = self._symbols.get(read.s)
        if symbol is None:
            return None
        return DepthDiff(symbol, read.U, read.u, read.b, read.a, read.E)


def local_ms(venue_ms: int, offset_ms: int, receipt_ms: int) -> int:
    """Return when, by our clock, something happened that the exchange dates `venue_ms`; never after its receipt."""
    return min(venue_ms + offset_ms, receipt_ms)


def quote(symbol: str, bid: float, ask: float, bid_size: float, ask_size: float, at_ms: int) -> QuoteSeen | None:
    """Return the quote, or None where it is none: a side without an order, crossed, or not a number."""
    if 0.0 < bid <= ask < inf and 0.0 <= bid_size < inf and 0.0 <= ask_size < inf:
        return QuoteSeen(symbol, bid, ask, bid_size, ask_size, at_ms)
    return None


def trade(symbol: str, price: float, size: float, buyer_taker: bool, at_ms: int) -> TradeSeen | None:
    """Return the trade, or None where its price or size is not a number above 0."""
    if 0.0 < price < inf and 0.0 < size < inf:
        return TradeSeen(symbol, price, size, buyer_taker, at_ms)
    return None
