"""What did the market do? Asked by the core for books and prices, by REST and the streams for everything public.

`observe` takes a feed's events and returns what changed as numbered events: each change of a symbol's book has the
next `update_id`, so diffs between books are continuous, and a snapshot's `lastUpdateId` is the last one told. Ids begin
at the time the market began, so a restart never repeats one. Candles are made of trades alone, as the exchange's are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen

Levels = tuple[tuple[float, float], ...]
"""(price in quote, size in base) of each level, best first."""

MINUTE_MS: Final = 60_000
DAY_MINUTES: Final = 1_440
_MINUTES_KEPT: Final = 3 * DAY_MINUTES
_TRADES_KEPT: Final = 1_000


class BookChanged(Struct, frozen=True, gc=False):
    """A symbol's whole visible book after a change; `best_changed` where its first level is another than before."""

    symbol: str
    update_id: int
    bids: Levels
    asks: Levels
    at_ms: int
    best_changed: bool


class PublicTrade(Struct, frozen=True, gc=False):
    """One public trade, each an aggregate of its own; `buyer_maker` says the seller took."""

    symbol: str
    trade_id: int
    price: float
    size: float
    buyer_maker: bool
    at_ms: int


MarketEvent = BookChanged | PublicTrade
"""What a symbol's streams tell, in order."""


class Candle(Struct, gc=False):
    """One interval of trades, from `open_ms` on; `first_id` is -1 where nobody traded in it."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0  # base
    quote_volume: float = 0.0
    buy_volume: float = 0.0  # base that takers bought
    buy_quote_volume: float = 0.0
    first_id: int = -1
    last_id: int = -1
    count: int = 0

    def add(self, trade: PublicTrade) -> None:
        """Count a trade in."""
        price, worth = trade.price, trade.price * trade.size
        if not self.count:
            self.first_id = trade.trade_id
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += trade.size
        self.quote_volume += worth
        if not trade.buyer_maker:
            self.buy_volume += trade.size
            self.buy_quote_volume += worth
        self.last_id = trade.trade_id
        self.count += 1

    def join(self, later: Candle) -> None:
        """Count in the candle that follows."""
        if not self.count:
            self.first_id = later.first_id
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.buy_volume += later.buy_volume
        self.buy_quote_volume += later.buy_quote_volume
        self.last_id = max(self.last_id, later.last_id)
        self.count += later.count

    def copy(self) -> Candle:
        """Return the candle as it stands."""
        return Candle(*(getattr(self, name) for name in self.__struct_fields__))


class SymbolMarket:
    """One symbol's book, last trades and minutes."""

    def __init__(self, symbol: str, first_id: int) -> None:
        self.symbol = symbol
        self.update_id = first_id
        self.bids: Levels = ()
        self.asks: Levels = ()
        self.at_ms = 0
        self.trades: deque[PublicTrade] = deque(maxlen=_TRADES_KEPT)
        self.minutes: deque[Candle] = deque(maxlen=_MINUTES_KEPT)
        self.next_trade = first_id
        self._day: Candle | None = None  # the closed minutes of the last 24 h, joined
        self._day_of: tuple[int, int] = (-1, -1)

    @property
    def last_price(self) -> float:
        """The last trade's price, the middle of the book where nobody traded yet, 0 where nothing is known."""
        if self.minutes:
            return self.minutes[-1].close
        if self.bids and self.asks:
            return (self.bids[0][0] + self.asks[0][0]) / 2
        return self.bids[0][0] if self.bids else self.asks[0][0] if self.asks else 0.0

    def show(self, bids: Levels, asks: Levels, at_ms: int) -> BookChanged | None:
        """Replace the book; return the change, None where it shows what it showed."""
        if bids == self.bids and asks == self.asks:
            return None
        best = bids[:1] != self.bids[:1] or asks[:1] != self.asks[:1]
        self.bids, self.asks, self.at_ms = bids, asks, at_ms
        self.update_id += 1
        return BookChanged(self.symbol, self.update_id, bids, asks, at_ms, best)

    def trade(self, event: TradeSeen) -> PublicTrade:
        """Count a trade; return it with its number."""
        trade = PublicTrade(self.symbol, self.next_trade, event.price, event.size, not event.buyer_taker, event.at_ms)
        self.next_trade += 1
        self.lay(trade)
        return trade

    def lay(self, trade: PublicTrade) -> None:
        """Count a trade in that has its number; none is before the last one."""
        self.trades.append(trade)
        self.minute(trade.at_ms, trade.price).add(trade)

    def minute(self, at_ms: int, price: float) -> Candle:
        """Return the candle of a time that is not before the last one; minutes without a trade are laid between."""
        open_ms = at_ms - at_ms % MINUTE_MS
        minutes = self.minutes
        if not minutes or open_ms - minutes[-1].open_ms > _MINUTES_KEPT * MINUTE_MS:
            minutes.clear()
            minutes.append(Candle(open_ms, price, price, price, price))
        while minutes[-1].open_ms < open_ms:
            last = minutes[-1]
            following = last.open_ms + MINUTE_MS
            at = price if following == open_ms else last.close
            minutes.append(Candle(following, at, at, at, at))
        return minutes[-1]

    def advance(self, now_ms: int) -> None:
        """Lay the minutes up to now in which nobody traded, so that candles go on where trades do not."""
        if self.minutes and now_ms - self.minutes[-1].open_ms >= MINUTE_MS:
            self.minute(now_ms, self.minutes[-1].close)

    def day(self, now_ms: int) -> Candle | None:
        """Return the last 24 hours of trades as one candle, None where nobody ever traded."""
        if not self.minutes:
            return None
        self.advance(now_ms)
        key = (self.minutes[-1].open_ms, self.minutes[0].open_ms)
        if self._day is None or key != self._day_of:
            closed = list(self.minutes)[-DAY_MINUTES:-1]
            self._day = joined(closed)
            self._day_of = key
        if self._day is None:
            return self.minutes[-1].copy()
        whole = self._day.copy()
        whole.join(self.minutes[-1])
        return whole

    def since(self, from_ms: int, now_ms: int) -> Candle | None:
        """Return the minutes that open at `from_ms` or later as one candle, None where there are none."""
        self.advance(now_ms)
        return joined(each for each in self.minutes if each.open_ms >= from_ms)

    def average(self, now_ms: int, minutes: int = 5) -> float:
        """Return the volume-weighted price of the last `minutes`, the last price where nobody traded in them."""
        since = now_ms - minutes * MINUTE_MS
        volume = worth = 0.0
        for candle in reversed(self.minutes):
            if candle.open_ms + MINUTE_MS <= since:
                break
            volume += candle.volume
            worth += candle.quote_volume
        return worth / volume if volume else self.last_price

    def candles(self, interval_ms: int, from_ms: int | None, to_ms: int, limit: int, now_ms: int) -> list[Candle]:
        """Return at most `limit` candles that open from `from_ms` to `to_ms`, both included.

        They are the first ones from `from_ms` on, the last ones where it is None.
        """
        self.advance(now_ms)
        begin_ms = from_ms or 0
        found: list[Candle] = []
        for minute in self.minutes:
            open_ms = minute.open_ms - minute.open_ms % interval_ms
            if open_ms < begin_ms or open_ms > to_ms:
                continue
            if found and found[-1].open_ms == open_ms:
                found[-1].join(minute)
            elif from_ms is not None and len(found) == limit:
                break
            else:
                candle = minute.copy()
                candle.open_ms = open_ms
                found.append(candle)
        return found[-limit:] if from_ms is None else found


class Market:
    """Every symbol's market, by the wire's symbol; events of pairs nobody lists are left out."""

    def __init__(self, pairs: dict[str, str], began_ms: int) -> None:
        """Begin with `pairs`, the wire's symbol by the feed's pair (BTC/USDT), at `began_ms`."""
        self._by_pair = {pair: SymbolMarket(symbol, began_ms) for pair, symbol in pairs.items()}
        self.symbols = {each.symbol: each for each in self._by_pair.values()}

    def observe(self, event: Event) -> MarketEvent | None:
        """Take what a feed tells; return what changed by it, if anything.

        A quote beside a book changes the first level alone: levels it went through are gone.
        """
        if isinstance(event, TradeSeen):
            market = self._by_pair.get(event.symbol)
            return None if market is None else market.trade(event)
        if isinstance(event, BookSeen):
            market = self._by_pair.get(event.symbol)
            return None if market is None else market.show(event.bids, event.asks, event.at_ms)
        if isinstance(event, QuoteSeen):
            market = self._by_pair.get(event.symbol)
            best = ((event.bid, event.bid_size),), ((event.ask, event.ask_size),)
            if market is None or (market.bids[:1], market.asks[:1]) == best:
                return None
            bids = _under(event.bid, event.bid_size, market.bids, -1.0)
            asks = _under(event.ask, event.ask_size, market.asks, 1.0)
            return market.show(bids, asks, event.at_ms)
        return None


def _under(price: float, size: float, levels: Levels, direction: float) -> Levels:
    """Return `levels` with (price, size) as the best; a side without a price or a size is empty."""
    if price <= 0 or size <= 0:
        return ()
    return ((price, size), *(level for level in levels if (level[0] - price) * direction > 0))


def joined(candles: Iterable[Candle]) -> Candle | None:
    """Return consecutive candles as one, None without any."""
    whole: Candle | None = None
    for candle in candles:
        if whole is None:
            whole = candle.copy()
        else:
            whole.join(candle)
    return whole
