"""How does a market stream say it? Asked by the board of streams, once for each event and stream.

Shapes of Binance's "WebSocket streams": numbers as texts of eight places, times in ms UTC.
"""

from __future__ import annotations

from typing import Any, Final

from tradebot.sandbox.market import MINUTE_MS, Candle, Levels, PublicTrade, SymbolMarket, joined

DAY_MS: Final = 86_400_000

INTERVALS_MS: Final = {
    **{f"{minutes}m": minutes * MINUTE_MS for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}h": hours * 60 * MINUTE_MS for hours in (1, 2, 4, 6, 8, 12)},
    **{f"{days}d": days * DAY_MS for days in (1, 3)},
}
"""The candle intervals there are, in ms."""

Message = dict[str, Any]


def trade(event: PublicTrade, now_ms: int) -> Message:
    """Return a trade."""
    return {
        "e": "trade",
        "E": now_ms,
        "s": event.symbol,
        "t": event.trade_id,
        "p": text(event.price),
        "q": text(event.size),
        "T": event.at_ms,
        "m": event.buyer_maker,
        "M": True,
    }


def aggregate(event: PublicTrade, now_ms: int) -> Message:
    """Return a trade as the aggregate that it is alone."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": event.symbol,
        "a": event.trade_id,
        "p": text(event.price),
        "q": text(event.size),
        "f": event.trade_id,
        "l": event.trade_id,
        "T": event.at_ms,
        "m": event.buyer_maker,
        "M": True,
    }


def book_ticker(symbol: str, update_id: int, bids: Levels, asks: Levels) -> Message:
    """Return best bid and ask; an empty side is 0."""
    bid, ask = (bids or ((0.0, 0.0),))[0], (asks or ((0.0, 0.0),))[0]
    return {
        "u": update_id,
        "s": symbol,
        "b": text(bid[0]),
        "B": text(bid[1]),
        "a": text(ask[0]),
        "A": text(ask[1]),
    }


def depth_update(symbol: str, first_id: int, last_id: int, bids: Levels, asks: Levels, now_ms: int) -> Message:
    """Return the levels that changed between two books, gone ones with size 0."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": symbol,
        "U": first_id,
        "u": last_id,
        "b": levels(bids),
        "a": levels(asks),
    }


def partial_depth(market: SymbolMarket, most: int) -> Message:
    """Return the best levels of the book."""
    return {
        "lastUpdateId": market.update_id,
        "bids": levels(market.bids[:most]),
        "asks": levels(market.asks[:most]),
    }


def kline(symbol: str, interval: str, candle: Candle, now_ms: int, *, closed: bool) -> Message:
    """Return a candle of an interval as it stands."""
    about = {
        "t": candle.open_ms,
        "T": candle.open_ms + INTERVALS_MS[interval] - 1,
        "s": symbol,
        "i": interval,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": text(candle.open),
        "c": text(candle.close),
        "h": text(candle.high),
        "l": text(candle.low),
        "v": text(candle.volume),
        "n": candle.count,
        "x": closed,
        "q": text(candle.quote_volume),
        "V": text(candle.buy_volume),
        "Q": text(candle.buy_quote_volume),
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": symbol, "k": about}


def mini_ticker(symbol: str, day: Candle, now_ms: int) -> Message:
    """Return the day's prices and volumes."""
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": symbol,
        "c": text(day.close),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
    }


def ticker(market: SymbolMarket, day: Candle, now_ms: int) -> Message:
    """Return the day's prices, volumes and changes, and the best prices now."""
    bid, ask = (market.bids or ((0.0, 0.0),))[0], (market.asks or ((0.0, 0.0),))[0]
    change = day.close - day.open
    last = market.trades[-1].size if market.trades else 0.0
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": market.symbol,
        "p": text(change),
        "P": f"{change / day.open * 100 if day.open else 0.0:.3f}",
        "w": text(day.quote_volume / day.volume if day.volume else day.close),
        "x": text(day.open),
        "c": text(day.close),
        "Q": text(last),
        "b": text(bid[0]),
        "B": text(bid[1]),
        "a": text(ask[0]),
        "A": text(ask[1]),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
        "O": now_ms - DAY_MS,
        "C": now_ms,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.count,
    }


def rolling(symbol: str, window: str, candle: Candle, from_ms: int, now_ms: int) -> Message:
    """Return the prices, volumes and changes of a window of `window` (1h, 4h or 1d)."""
    change = candle.close - candle.open
    return {
        "e": f"{window}Ticker",
        "E": now_ms,
        "s": symbol,
        "p": text(change),
        "P": f"{change / candle.open * 100 if candle.open else 0.0:.3f}",
        "o": text(candle.open),
        "h": text(candle.high),
        "l": text(candle.low),
        "c": text(candle.close),
        "w": text(candle.quote_volume / candle.volume if candle.volume else candle.close),
        "v": text(candle.volume),
        "q": text(candle.quote_volume),
        "O": from_ms,
        "C": now_ms,
        "F": candle.first_id,
        "L": candle.last_id,
        "n": candle.count,
    }


def average_price(market: SymbolMarket, now_ms: int) -> Message:
    """Return the average price of the last five minutes."""
    last_ms = market.trades[-1].at_ms if market.trades else now_ms
    about = {"e": "avgPrice", "E": now_ms, "s": market.symbol, "i": "5m"}
    return {**about, "w": text(market.average(now_ms)), "T": last_ms}


def last_candles(market: SymbolMarket, interval_ms: int, after_ms: int) -> list[Candle]:
    """Return the candles of an interval that open after `after_ms`, of the last two of them, oldest first."""
    if not market.minutes:
        return []
    last_ms = market.minutes[-1].open_ms
    current_ms = last_ms - last_ms % interval_ms
    found: list[Candle] = []
    for begin_ms in (current_ms - interval_ms, current_ms):
        if begin_ms <= after_ms:
            continue
        inside: list[Candle] = []
        for minute in reversed(market.minutes):
            if minute.open_ms < begin_ms:
                break
            if minute.open_ms < begin_ms + interval_ms:
                inside.append(minute)
        candle = joined(reversed(inside))
        if candle is not None:
            candle.open_ms = begin_ms
            found.append(candle)
    return found


def text(number: float) -> str:
    """Return a number as the exchange writes it."""
    return f"{number:.8f}"


def levels(side: Levels) -> list[list[str]]:
    """Return levels as the exchange writes them."""
    return [[text(price), text(size)] for price, size in side]
