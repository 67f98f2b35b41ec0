"""Do both decoders tell the same of what exchanges really said? Recorded sessions, replayed over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from tests.feeds.loopback import MarketServer, TestClock, feeding
from tests.feeds.recordings import Line, recorded
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen

QUOTES = "binance_spot_2021-04-17_mixed.jsonl.zst"
BOOKS = "binance_spot_2021-04-04_btc_eth_dot.jsonl.zst"
COINBASE = "coinbase_spot_2021-04-17.jsonl.zst"
KRAKEN = "kraken_spot_2021-04-05_book_ticker_trade.jsonl.zst"
BINANCE_QUOTES = ("USDT", "BUSD", "BTC", "ETH", "BNB", "TRY", "RUB", "USD", "EUR")
LEVELS = 5
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
