"""What does the exchange answer about its markets? Asked by the calls that anybody may make.

Weights, defaults and bounds: Binance spot API, "General endpoints" and "Market data endpoints".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradebot.sandbox import shapes
from tradebot.sandbox.calls import Asked, Call, always
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.market import MINUTE_MS, SymbolMarket
from tradebot.sandbox.wire_errors import ApiError, not_valid, one_of

INTERVALS_MS: Final = {
    word: number * {"m": 60_000, "h": 3_600_000, "d": 86_400_000}[word[-1]]
    for word in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
    for number in (int(word[:-1]),)
}
"""The intervals of candles that are served."""

_FOREVER_MS: Final = 2**62
_MOST_NAMED: Final = 100
_DAY_MS: Final = 86_400_000

WINDOWS_MS: Final = {
    f"{number}{unit}": number * unit_ms
    for unit, unit_ms, most in (("m", MINUTE_MS, 59), ("h", 60 * MINUTE_MS, 23), ("d", _DAY_MS, 7))
    for number in range(1, most + 1)
}
"""The windows that a rolling ticker may have."""


class MarketCalls:
    """The public calls."""

    def __init__(self, exchange: Exchange, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        self._exchange = exchange
        self._rate_limits = list(rate_limits)

    def table(self) -> dict[str, Call]:
        """Return the calls by name."""
        return {
            "ping": Call("none", always(1), self._ping),
            "time": Call("none", always(1), self._time),
            "exchangeInfo": Call("none", always(20), self._exchange_info),
            "depth": Call("none", _depth_weight, self._depth),
            "trades.recent": Call("none", always(25), self._trades),
            "trades.historical": Call("none", always(25), self._historical),
            "trades.aggregate": Call("none", always(4), self._aggregates),
            "klines": Call("none", always(2), self._klines),
            "uiKlines": Call("none", always(2), self._klines),
            "avgPrice": Call("none", always(2), self._average),
            "ticker": Call("none", _window_weight, self._window),
            "ticker.tradingDay": Call("none", _window_weight, self._trading_day),
            "ticker.24hr": Call("none", _day_weight, self._day),
            "ticker.price": Call("none", _best_weight, self._price),
            "ticker.book": Call("none", _best_weight, self._best),
        }

    def _ping(self, asked: Asked) -> Any:
        asked.params.finish()
        return {}

    def _time(self, asked: Asked) -> Any:
        asked.params.finish()
        return {"serverTime": asked.now_ms}

    def _exchange_info(self, asked: Asked) -> Any:
        params = asked.params
        names = params.symbols()
        params.ignore(("permissions", "showPermissionSets"))
        status = params.choice("symbolStatus", ("TRADING", "HALT", "BREAK"))
        params.finish()
        rules = self._exchange.rules
        chosen = list(rules.values()) if names is None else [self._exchange.rules_of(name) for name in names]
        return {
            "timezone": "UTC",
            "serverTime": asked.now_ms,
            "rateLimits": self._rate_limits,
            "exchangeFilters": [],
            "symbols": [each.info() for each in chosen if status in {None, each.status}],
        }

    def _one(self, asked: Asked) -> SymbolMarket:
        symbol = asked.params.symbol()
        self._exchange.rules_of(symbol)
        return self._exchange.market.symbols[symbol]

    def _many(self, asked: Asked) -> tuple[list[SymbolMarket], bool]:
        """Return the markets asked for, and whether it was one by `symbol`."""
        one = "symbol" in asked.params
        names = asked.params.symbols()
        asked.params.ignore(("symbolStatus",))
        if names is None:
            names = list(self._exchange.rules)
        for name in names:
            self._exchange.rules_of(name)
        return [self._exchange.market.symbols[name] for name in names], one

    def _depth(self, asked: Asked) -> Any:
        market = self._one(asked)
        most = asked.params.limit(100, 5_000)
        asked.params.ignore(("symbolStatus",))
        asked.params.finish()
        return shapes.depth(market, most)

    def _trades(self, asked: Asked) -> Any:
        market = self._one(asked)
        most = asked.params.limit(500, 1_000)
        asked.params.finish()
        return [shapes.public_trade(each) for each in list(market.trades)[-most:]]

    def _historical(self, asked: Asked) -> Any:
        market = self._one(asked)
        most, from_id = asked.params.limit(500, 1_000), asked.params.integer("fromId")
        asked.params.finish()
        if from_id is None:
            return [shapes.public_trade(each) for each in list(market.trades)[-most:]]
        return [shapes.public_trade(each) for each in market.trades if each.trade_id >= from_id][:most]

    def _aggregates(self, asked: Asked) -> Any:
        market, params = self._one(asked), asked.params
        from_id, from_ms, to_ms = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
        most = params.limit(500, 1_000)
        params.finish()
        found = [
            each
            for each in market.trades
            if each.trade_id >= (from_id or 0) and (from_ms or 0) <= each.at_ms <= (to_ms or _FOREVER_MS)
        ]
        first = from_id is not None or from_ms is not None
        return [shapes.aggregate(each) for each in (found[:most] if first else found[-most:])]

    def _klines(self, asked: Asked) -> Any:
        market, params = self._one(asked), asked.params
        word = params.text("interval")
        from_ms, to_ms = params.integer("startTime"), params.integer("endTime")
        zone = params.optional("timeZone")
        most = params.limit(500, 1_000)
        params.finish()
        interval_ms = INTERVALS_MS.get(word)
        if interval_ms is None or zone not in {None, "0"}:
            raise ApiError(-1120, "Invalid interval.")
        until = _FOREVER_MS if to_ms is None else to_ms
        return shapes.candles(market.candles(interval_ms, from_ms, until, most, asked.now_ms), interval_ms)

    def _average(self, asked: Asked) -> Any:
        market = self._one(asked)
        asked.params.finish()
        closed = market.trades[-1].at_ms if market.trades else asked.now_ms
        return {"mins": 5, "price": shapes.text(market.average(asked.now_ms)), "closeTime": closed}

    def _day(self, asked: Asked) -> Any:
        markets, one = self._many(asked)
        mini = asked.params.choice("type", ("FULL", "MINI")) == "MINI"
        asked.params.finish()
        told = [shapes.day(each, asked.now_ms, mini=mini) for each in markets]
        return told[0] if one else told

    def _window(self, asked: Asked) -> Any:
        markets, one = self._named(asked)
        length_ms = WINDOWS_MS.get(asked.params.optional("windowSize") or "1d")
        mini = asked.params.choice("type", ("FULL", "MINI")) == "MINI"
        asked.params.finish()
        if length_ms is None:
            raise not_valid("windowSize")
        from_ms = asked.now_ms - asked.now_ms % MINUTE_MS - length_ms
        told = [shapes.window(each, from_ms, asked.now_ms, mini=mini) for each in markets]
        return told[0] if one else told

    def _trading_day(self, asked: Asked) -> Any:
        markets, one = self._named(asked)
        zone = asked.params.optional("timeZone")
        mini = asked.params.choice("type", ("FULL", "MINI")) == "MINI"
        asked.params.finish()
        if zone not in {None, "0"}:
            raise not_valid("timeZone")
        from_ms = asked.now_ms - asked.now_ms % _DAY_MS
        told = [shapes.window(each, from_ms, asked.now_ms, mini=mini) for each in markets]
        for each in told:
            each["closeTime"] = from_ms + _DAY_MS - 1
        return told[0] if one else told

    def _named(self, asked: Asked) -> tuple[list[SymbolMarket], bool]:
        """Return the markets asked for by name, at most 100, and whether it was one by `symbol`."""
        if "symbol" not in asked.params and "symbols" not in asked.params:
            raise one_of("symbol", "symbols")
        markets, one = self._many(asked)
        if len(markets) > _MOST_NAMED:
            raise ApiError(-1101, "Too many values sent for parameter 'symbols'.")
        return markets, one

    def _price(self, asked: Asked) -> Any:
        markets, one = self._many(asked)
        asked.params.finish()
        told = [{"symbol": each.symbol, "price": shapes.text(each.last_price)} for each in markets]
        return told[0] if one else told

    def _best(self, asked: Asked) -> Any:
        markets, one = self._many(asked)
        asked.params.finish()
        told = [shapes.book_ticker(each) for each in markets]
        return told[0] if one else told


def _depth_weight(sent: Mapping[str, str]) -> int:
    text = sent.get("limit", "100")
    most = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 100
    return 5 if most <= 100 else 25 if most <= 500 else 50 if most <= 1_000 else 250


def _window_weight(sent: Mapping[str, str]) -> int:
    return min(4 * (sent.get("symbols", "").count(",") + 1), 200)


def _best_weight(sent: Mapping[str, str]) -> int:
    return 2 if "symbol" in sent else 4


def _day_weight(sent: Mapping[str, str]) -> int:
    if "symbol" in sent:
        return 2
    if "symbols" not in sent:
        return 80
    number = sent["symbols"].count(",") + 1
    return 2 if number <= 20 else 40 if number <= 100 else 80
