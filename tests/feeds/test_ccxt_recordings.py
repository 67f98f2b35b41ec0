"""Do both decoders tell the same of what exchanges really said? Recorded sessions, replayed over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from tests.feeds.loopback import Heard, MarketServer, Socket, TestClock, feeding
from tests.feeds.recordings import Line, recorded
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen

QUOTES = "binance_spot_2021-04-17_mixed.jsonl.zst"
BOOKS = "binance_spot_2021-04-04_btc_eth_dot.jsonl.zst"
COINBASE = "coinbase_spot_2021-04-17.jsonl.zst"
KRAKEN = "kraken_spot_2021-04-05_book_ticker_trade.jsonl.zst"
BINANCE_QUOTES = ("USDT", "BUSD", "BTC", "ETH", "BNB", "TRY", "RUB", "USD", "EUR")
LEVELS = 5
NOW = 1_700_000_000_000
Decoder = Literal["fast", "general"]
Done = Callable[[Sequence[Event]], bool]


def unified(market_id: str) -> str:
    quote = next(one for one in BINANCE_QUOTES if market_id.endswith(one))
    return f"{market_id.removesuffix(quote)}/{quote}"


async def binance(lines: Sequence[Line], decoder: Decoder, kinds: frozenset[str], done: Done) -> list[Event]:
    """Return what a feed tells of a recorded session, until that is `done`."""
    messages = [line for line in lines if line.kind == "ws_in" and line.message["stream"].split("@")[1] in kinds]
    ids = sorted({line.message["data"]["s"] for line in messages})
    clock = TestClock(lines[0].at_ms)
    depth = "depth" in kinds
    settings = CcxtFeed(decoder=decoder, trades="aggTrade" in kinds, depth_levels=LEVELS if depth else 0)
    async with MarketServer(ids) as server:
        for line in lines:
            if line.kind == "http":
                symbol = line.place.split("symbol=")[1].split("&")[0]
                await server.offer(symbol, line.message)
        markets = [(unified(one), one) for one in ids]
        async with feeding(server, [one for one, _ in markets], settings, clock=clock, markets=markets) as (
            feed,
            heard,
        ):
            wanted = {f"{one.lower()}@bookTicker" for one in ids}
            if depth:
                wanted |= {f"{one.lower()}@depth@100ms" for one in ids}
            if settings.trades:
                wanted |= {f"{one.lower()}@trade" for one in ids}
            await server.subscribed(*wanted)
            if depth and decoder == "fast":
                await heard.until(lambda: feed.counts.snapshots == len(ids))
            elif depth:
                await server.until(lambda: sum(one.startswith("depth") for one in server.requests) == len(ids))
            for line in messages:
                clock.now = line.at_ms
                data = line.message["data"]
                stream = "trade" if data.get("e") == "aggTrade" else line.message["stream"].split("@", 1)[1]
                await server.tell(f"{data['s'].lower()}@{stream}", data)
            await heard.until(lambda: done(heard.events))
            assert feed.counts.unreadable == feed.counts.gaps == 0
            return heard.events


def by_symbol(events: Sequence[Event], kind: type[Any]) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for event in events:
        if isinstance(event, kind):
            told.setdefault(event.symbol, []).append(event)
    return told


def timeless(events: Mapping[str, list[QuoteSeen]]) -> dict[str, list[QuoteSeen]]:
    """Return the quotes without their time, which is that of the receipt."""
    return {symbol: [msgspec.structs.replace(one, at_ms=0) for one in told] for symbol, told in events.items()}


def test_both_decoders_tell_the_same_quotes_and_trades_of_binance(shared_data: Path) -> None:
    lines = recorded(shared_data, QUOTES)
    kinds = frozenset({"bookTicker", "aggTrade"})
    fast = asyncio.run(binance(lines, "fast", kinds, lambda events: len(events) >= 594))
    general = asyncio.run(binance(lines, "general", kinds, lambda events: len(events) >= 594))
    assert timeless(by_symbol(fast, QuoteSeen)) == timeless(by_symbol(general, QuoteSeen))
    assert by_symbol(fast, TradeSeen) == by_symbol(general, TradeSeen)
    assert len(fast) == len(general) == 594
    assert sum(len(told) for told in by_symbol(fast, TradeSeen).values()) == 24


def test_both_decoders_tell_the_same_trades_and_books_of_binance(shared_data: Path) -> None:
    lines = recorded(shared_data, BOOKS)[:2_000]
    trades = sum(line.kind == "ws_in" and line.message["stream"].endswith("aggTrade") for line in lines)
    last: list[dict[str, BookSeen]] = []
    told: list[dict[str, list[TradeSeen]]] = []
    for decoder in get_args(Decoder):
        events = asyncio.run(books_to_the_end(lines, decoder))
        last.append({symbol: books[-1] for symbol, books in by_symbol(events, BookSeen).items()})
        told.append(by_symbol(events, TradeSeen))
    assert last[0] == last[1]
    assert len(last[0]) == 3
    assert all(len(book.bids) == len(book.asks) == LEVELS for book in last[0].values())
    assert told[0] == told[1]
    assert sum(len(one) for one in told[0].values()) == trades


async def books_to_the_end(lines: Sequence[Line], decoder: Decoder) -> list[Event]:
    """Return the events of a session up to the last diff of every book and the last trade."""
    ends = {}
    for line in lines:
        if line.kind == "ws_in" and line.message["data"].get("e") == "depthUpdate":
            ends[unified(line.message["data"]["s"])] = line.message["data"]["E"]
    trades = sum(line.kind == "ws_in" and line.message["stream"].endswith("aggTrade") for line in lines)

    def done(events: Sequence[Event]) -> bool:
        shown = {one.symbol: one.at_ms for one in events if isinstance(one, BookSeen)}
        return shown == ends and sum(isinstance(one, TradeSeen) for one in events) == trades

    return await binance(lines, decoder, frozenset({"depth", "aggTrade"}), done)


async def other(
    name: str, symbols: Mapping[str, str], messages: Sequence[Line], settings: CcxtFeed, done: Done
) -> Heard:
    """Return what a feed hears of an exchange that ccxt's own handlers read; `symbols` to the exchange's ids.

    The exchange says all of `messages` once it was asked for everything.
    """
    asked: list[Any] = []
    clock = TestClock(messages[0].at_ms)
    wanted = 1 + settings.trades + bool(settings.depth_levels)

    async def speak(server: MarketServer, socket: Socket, subscribe: Any) -> None:
        if subscribe.get("method") == "ping":
            return
        asked.append(subscribe)
        if len(asked) == wanted:
            for line in messages:
                clock.now = line.at_ms
                await socket.tell(line.message)

    async with MarketServer(on_text=speak) as server:
        markets = list(symbols.items())
        async with feeding(server, list(symbols), settings, clock=clock, name=name, markets=markets) as (feed, heard):
            await heard.until(lambda: done(heard.events))
            assert feed.counts.unreadable == 0
            assert server.dials == 1
            return heard


def test_ccxts_own_handlers_tell_the_recorded_quotes_and_trades_of_coinbase(shared_data: Path) -> None:
    lines = [line for line in recorded(shared_data, COINBASE) if line.kind == "ws_in" and "product_id" in line.message]
    messages = [line for line in lines if line.message["type"] in {"ticker", "match"}]
    tickers = [line.message for line in messages if line.message["type"] == "ticker"]
    matches = [line.message for line in messages if line.message["type"] == "match"]
    ids = {one["product_id"] for one in tickers}
    symbols = {one.replace("-", "/"): one for one in sorted(ids)}
    from_ms = messages[0].at_ms

    def done(events: Sequence[Event]) -> bool:
        return len(events) == len(tickers) + len(matches)

    heard = asyncio.run(other("coinbaseexchange", symbols, messages, CcxtFeed(), done))
    assert timeless(by_symbol(heard.events, QuoteSeen)) == timeless(
        by_symbol(
            [
                QuoteSeen(
                    one["product_id"].replace("-", "/"), float(one["best_bid"]), float(one["best_ask"]), 0.0, 0.0, 0
                )
                for one in tickers
            ],
            QuoteSeen,
        )
    )
    told = [(one.symbol, one.price, one.size, one.buyer_taker) for one in heard.events if isinstance(one, TradeSeen)]
    assert told == [
        (one["product_id"].replace("-", "/"), float(one["price"]), float(one["size"]), one["side"] == "sell")
        for one in matches
    ]
    assert all(one.at_ms >= from_ms for one in heard.events if isinstance(one, TradeSeen))


def of_version_2(line: Line) -> Line | None:
    """Return a message of Kraken's first protocol, which was recorded, as its second one says it; None for others."""
    if not isinstance(line.message, list) or line.message[-2] not in {"ticker", "trade"}:
        return None
    _, body, channel, pair = line.message
    symbol = pair.replace("XBT", "BTC")
    if channel == "ticker":
        price = {"bid": body["b"][0], "bid_qty": body["b"][2], "ask": body["a"][0], "ask_qty": body["a"][2]}
        data: list[dict[str, Any]] = [{"symbol": symbol, **{name: float(value) for name, value in price.items()}}]
    else:
        data = [
            {
                "symbol": symbol,
                "side": {"b": "buy", "s": "sell"}[side],
                "price": float(price),
                "qty": float(size),
                "ord_type": "market",
                "trade_id": int(float(at_s) * 1e6),
                "timestamp": datetime.fromtimestamp(float(at_s), UTC).isoformat().replace("+00:00", "Z"),
            }
            for price, size, at_s, side, *_ in body
        ]
    return Line(line.kind, line.at_ms, line.place, {"channel": channel, "type": "update", "data": data})


def test_ccxts_own_handlers_tell_the_recorded_quotes_and_trades_of_kraken(shared_data: Path) -> None:
    messages = [line for one in recorded(shared_data, KRAKEN) if (line := of_version_2(one)) is not None]
    rows = [(line.message["channel"], row) for line in messages for row in line.message["data"]]
    symbols = {row["symbol"]: row["symbol"].replace("/", "") for _, row in rows}
    quotes = [row for channel, row in rows if channel == "ticker"]
    trades = [row for channel, row in rows if channel == "trade"]

    def done(events: Sequence[Event]) -> bool:
        return len(events) == len(rows)

    heard = asyncio.run(other("kraken", symbols, messages, CcxtFeed(), done))
    assert [
        (one.symbol, one.bid, one.ask, one.bid_size, one.ask_size) for one in heard.events if isinstance(one, QuoteSeen)
    ] == [(one["symbol"], one["bid"], one["ask"], one["bid_qty"], one["ask_qty"]) for one in quotes]
    told = [(one.symbol, one.price, one.size, one.buyer_taker) for one in heard.events if isinstance(one, TradeSeen)]
    assert told == [(one["symbol"], one["price"], one["qty"], one["side"] == "buy") for one in trades]
    assert len(told) > 10


def test_ccxts_own_handlers_tell_the_books_of_kraken(shared_data: Path) -> None:
    names = ("ws_book_snapshot", "ws_book_update")
    said = [json.loads((shared_data / "api/kraken" / f"{name}.json").read_text(encoding="utf-8")) for name in names]
    messages = [Line("ws_in", NOW, "", one) for one in said]
    symbol = said[0]["data"][0]["symbol"]
    settings = CcxtFeed(trades=False, depth_levels=2)
    heard = asyncio.run(
        other("kraken", {symbol: symbol.replace("/", "")}, messages, settings, lambda events: len(events) == 2)
    )
    expected: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    for one in said:
        for side, levels in expected.items():
            levels.update({level["price"]: level["qty"] for level in one["data"][0][side]})
    bids = [(price, size) for price, size in sorted(expected["bids"].items(), reverse=True) if size][:2]
    asks = [(price, size) for price, size in sorted(expected["asks"].items()) if size][:2]
    last = heard.events[-1]
    assert isinstance(last, BookSeen)
    assert (last.symbol, last.bids, last.asks) == (symbol, tuple(bids), tuple(asks))
