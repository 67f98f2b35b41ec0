"""Who follows which market stream, and what does each say when? Asked by the sockets of the market streams.

A stream is made for all its followers at once: its text once, then through each follower's own outlet. Trades and
best prices leave when they happen; books, candles and tickers at their own pace.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from tradebot.sandbox import streams_messages as messages
from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.market import MINUTE_MS, BookChanged, MarketEvent, SymbolMarket
from tradebot.sandbox.streams_depth import DepthDiffs

FAST_MS: Final = 100
SLOW_MS: Final = 1_000

ALL_SYMBOLS: Final = re.compile(r"!(?P<what>miniTicker|ticker(_1h|_4h|_1d)?)@arr(@[13]000ms)?")
"""The streams of every symbol: of those that changed, in one list."""

_TIMED: Final = re.compile(
    r"depth(?P<levels>5|10|20)?(?P<fast>@100ms|@1000ms)?|kline_(?P<interval>\d+[mhd])|miniTicker|ticker(_1h|_4h|_1d)?"
    r"|avgPrice"
)
_DEPTHS: Final = ("@depth", "@depth@100ms", "@depth@1000ms")


class Follower(Protocol):
    """One socket that follows a stream."""

    def hear(self, stream: str, occasion: Occasion, text: str) -> None:
        """Take a message of a stream."""
        ...


class Timed:
    """A stream that speaks at its own pace; `news` returns what it has to say, each (kind, symbol, text)."""

    def __init__(self, board: Board, name: str, slow: bool) -> None:
        self.slow = slow
        self._board = board
        self._said: dict[str, object] = {}
        symbol, _, self._what = name.partition("@")
        self._market = board.markets.get(symbol.upper())
        self._all = ALL_SYMBOLS.fullmatch(name)
        self._match = _TIMED.fullmatch(self._what)
        depth = self._what.startswith("depth") and self._match is not None and not self._match["levels"]
        self.diffs = DepthDiffs(self._market) if depth and self._market is not None else None
        self._candle_ms = self._past_candle()

    def news(self, now_ms: int) -> Iterator[tuple[str, str, str]]:
        """Yield what there is to say."""
        market = self._market
        if self._all is not None:
            yield from self._of_all(self._all["what"], now_ms)
        elif market is None or self._match is None:
            return
        elif self._match["interval"]:
            yield from self._candles(market, self._match["interval"], now_ms)
        elif self._match["levels"]:
            if self._fresh(market.symbol, market.update_id):
                yield _said("market.depth", market.symbol, messages.partial_depth(market, int(self._match["levels"])))
        elif self.diffs is not None:
            diff = self.diffs.next()
            if diff is not None:
                yield _said("market.depthUpdate", market.symbol, messages.depth_update(market.symbol, *diff, now_ms))
        else:
            yield from self._day(market, now_ms)

    def _day(self, market: SymbolMarket, now_ms: int) -> Iterator[tuple[str, str, str]]:
        if self._what != "avgPrice":
            message = self._ticker(market, self._what, market.update_id, now_ms)
            if message is not None:
                yield _said(f"market.{message['e']}", market.symbol, message)
            return
        day = market.day(now_ms)
        if day is not None and self._fresh(market.symbol, (day.last_id, market.update_id, day.count)):
            yield _said("market.avgPrice", market.symbol, messages.average_price(market, now_ms))

    def _ticker(self, market: SymbolMarket, what: str, book: int, now_ms: int) -> messages.Message | None:
        """Return a ticker of a symbol, None where there is nothing new to it."""
        day = market.day(now_ms)
        if day is None:
            return None
        window = what.partition("_")[2]
        if window:
            from_ms = now_ms - now_ms % MINUTE_MS - messages.INTERVALS_MS[window]
            found = market.since(from_ms, now_ms)
            if found is None or not self._fresh(market.symbol, (found.last_id, found.count, found.first_id)):
                return None
            return messages.rolling(market.symbol, window, found, from_ms, now_ms)
        if not self._fresh(market.symbol, (day.last_id, book, day.count)):
            return None
        if what == "miniTicker":
            return messages.mini_ticker(market.symbol, day, now_ms)
        return messages.ticker(market, day, now_ms)

    def _of_all(self, what: str, now_ms: int) -> Iterator[tuple[str, str, str]]:
        rows = []
        for market in self._board.markets.values():
            message = self._ticker(market, what, 0 if what == "miniTicker" else market.update_id, now_ms)
            if message is not None:
                rows.append(message)
        if rows:
            yield f"market.{rows[0]['e']}", "", msgspec.json.encode(rows).decode()

    def _past_candle(self) -> int:
        """Return the opening of the candle before the current one: it is not told again."""
        interval = self._match["interval"] if self._match is not None else None
        if self._market is None or interval not in messages.INTERVALS_MS or not self._market.minutes:
            return -1
        last_ms, length_ms = self._market.minutes[-1].open_ms, messages.INTERVALS_MS[interval]
        return last_ms - last_ms % length_ms - length_ms

    def _candles(self, market: SymbolMarket, interval: str, now_ms: int) -> Iterator[tuple[str, str, str]]:
        length_ms = messages.INTERVALS_MS.get(interval)
        if length_ms is None:
            return
        market.advance(now_ms)
        for candle in messages.last_candles(market, length_ms, self._candle_ms):
            closed = candle.open_ms + length_ms <= market.minutes[-1].open_ms
            if closed:
                self._candle_ms = candle.open_ms
            if self._fresh(interval, (candle.open_ms, candle.count, closed)):
                said = messages.kline(market.symbol, interval, candle, now_ms, closed=closed)
                yield _said("market.kline", market.symbol, said)

    def _fresh(self, about: str, state: object) -> bool:
        """Return whether the state is another than the one told last."""
        before = self._said.get(about)
        self._said[about] = state
        return before != state


class Board:
    """Every stream that is followed."""

    def __init__(self, markets: Mapping[str, SymbolMarket], now_ms: Callable[[], int]) -> None:
        self.markets = markets
        self._now_ms = now_ms
        self._followers: dict[str, list[Follower]] = {}
        self._timed: dict[str, Timed] = {}
        self._ticking: asyncio.Task[None] | None = None

    def follow(self, stream: str, follower: Follower) -> None:
        """Let a follower hear a stream; names are as Binance writes them, of symbols nobody lists too."""
        self._followers.setdefault(stream, []).append(follower)
        what = stream.partition("@")[2]
        if ALL_SYMBOLS.fullmatch(stream) or _TIMED.fullmatch(what):
            slow = not what.endswith("@100ms")
            self._timed.setdefault(stream, Timed(self, stream, slow))

    def leave(self, stream: str, follower: Follower) -> None:
        """Let a follower hear a stream no more."""
        followers = self._followers.get(stream, [])
        if follower in followers:
            followers.remove(follower)
        if not followers:
            self._followers.pop(stream, None)
            self._timed.pop(stream, None)

    def put(self, event: MarketEvent) -> None:
        """Take what happened in the market."""
        name = event.symbol.lower()
        if isinstance(event, BookChanged):
            for depth in _DEPTHS:
                timed = self._timed.get(name + depth)
                if timed is not None and timed.diffs is not None:
                    timed.diffs.see(event)
            stream = f"{name}@bookTicker"
            if event.best_changed and stream in self._followers:
                said = messages.book_ticker(event.symbol, event.update_id, event.bids, event.asks)
                self._tell(stream, *_said("market.bookTicker", event.symbol, said))
            return
        stream = f"{name}@trade"
        if stream in self._followers:
            self._tell(stream, *_said("market.trade", event.symbol, messages.trade(event, self._now_ms())))
        stream = f"{name}@aggTrade"
        if stream in self._followers:
            self._tell(stream, *_said("market.aggTrade", event.symbol, messages.aggregate(event, self._now_ms())))

    def tick(self, *, slow: bool) -> None:
        """Let the streams speak whose time it is: the fast ones, and the slow ones too where `slow`."""
        now_ms = self._now_ms()
        for stream, timed in tuple(self._timed.items()):
            if slow or not timed.slow:
                for kind, symbol, text in timed.news(now_ms):
                    self._tell(stream, kind, symbol, text)

    def start(self) -> None:
        """Begin to tick, inside the loop."""
        self._ticking = asyncio.ensure_future(self._tick_on())

    async def stop(self) -> None:
        """Tick no more."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None

    async def _tick_on(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(FAST_MS / 1000)
            count += 1
            self.tick(slow=count % (SLOW_MS // FAST_MS) == 0)

    def _tell(self, stream: str, kind: str, symbol: str, text: str) -> None:
        occasion = Occasion(kind, symbol, via="ws")
        for follower in tuple(self._followers.get(stream, ())):
            follower.hear(stream, occasion, text)


def _said(kind: str, symbol: str, message: messages.Message) -> tuple[str, str, str]:
    return kind, symbol, msgspec.json.encode(message).decode()
