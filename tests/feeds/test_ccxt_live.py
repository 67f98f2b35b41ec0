"""Do an exchange's live prices come in, and come again after whatever ends a connection?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, Literal

import pytest

from tests.feeds.loopback import Heard, MarketServer, Socket, TestClock, feeding, made
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import QuoteSeen, TradeSeen
from tradebot.domain.market import instrument_from_price
from tradebot.feeds import ccxt_subscriptions
from tradebot.feeds.ccxt_live import CcxtLive

NOW = 1_700_000_000_000
QUOTE = {"u": 1, "s": "BTCUSDT", "b": "100.10000000", "B": "2.5", "a": "100.20000000", "A": "3.5"}
TRADE = {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 7, "p": "100.15", "q": "0.5", "T": NOW - 40, "m": True, "M": True}
STREAMS = ("btcusdt@bookTicker", "btcusdt@trade")
BTC = instrument_from_price("BTC/USDT", 100.0, decimals=2, min_notional=Decimal(5))
Decoder = Literal["fast", "general"]

both = pytest.mark.parametrize("decoder", ["fast", "general"])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_subscriptions, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(ccxt_subscriptions, "MOST_WAIT_S", 0.05)


def quotes(heard: Heard) -> list[QuoteSeen]:
    return [one for one in heard.events if isinstance(one, QuoteSeen)]


def trades(heard: Heard) -> list[TradeSeen]:
    return [one for one in heard.events if isinstance(one, TradeSeen)]


def socket_of(server: MarketServer, stream: str) -> Socket:
    return next(one for one in server.open() if stream in one.streams)


def serving(
    body: Callable[[MarketServer], Coroutine[Any, Any, None]], ids: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
) -> None:
    async def run() -> None:
        async with MarketServer(ids) as server:
            await body(server)

    asyncio.run(run())


@both
def test_quotes_come_with_our_time_and_trades_with_the_venues_less_its_clocks_offset(decoder: Decoder) -> None:
    async def body(server: MarketServer) -> None:
        settings, clock = CcxtFeed(decoder=decoder), TestClock(NOW - 1_000)
        async with feeding(server, ["BTC/USDT"], settings, clock=clock, offset_ms=-30) as (feed, heard):
            await server.subscribed(*STREAMS)
            clock.now = NOW
            await server.tell("btcusdt@bookTicker", QUOTE)
            await server.tell("btcusdt@trade", TRADE)
            await server.tell("btcusdt@trade", {**TRADE, "t": 8, "T": NOW + 500, "m": False})
            await heard.until(lambda: len(heard.events) == 3)
            assert quotes(heard) == [QuoteSeen("BTC/USDT", 100.1, 100.2, 2.5, 3.5, NOW)]
            assert trades(heard) == [
                TradeSeen("BTC/USDT", 100.15, 0.5, False, NOW - 70),
                TradeSeen("BTC/USDT", 100.15, 0.5, True, NOW),  # never later than its receipt
            ]
            assert feed.counts.events == 3
            assert feed.synthetic is False

    serving(body)


@both
def test_a_lost_connection_is_opened_and_subscribed_anew(decoder: Decoder) -> None:
    async def body(server: MarketServer) -> None:
        async with feeding(server, ["BTC/USDT"], CcxtFeed(decoder=decoder)) as (feed, heard):
            for count in (1, 2, 3):
                await server.subscribed(*STREAMS)
                await server.tell("btcusdt@bookTicker", {**QUOTE, "u": count})
                await heard.until(lambda count=count: len(quotes(heard)) == count)  # type: ignore[misc]
                lost = socket_of(server, "btcusdt@bookTicker")
                server.cut(lost)
                await heard.until(lambda count=count: heard.told("FEED_DISCONNECTED") == count)  # type: ignore[misc]
            assert feed.counts.disconnects == 3

    serving(body)


@both
def test_a_peer_that_is_gone_without_a_word_is_noticed_within_the_silence_allowed(decoder: Decoder) -> None:
    async def body(server: MarketServer) -> None:
        settings = CcxtFeed(decoder=decoder, trades=False, silence_s=1.0)
        async with feeding(server, ["BTC/USDT"], settings, keep_alive_s=60) as (feed, heard):
            await server.subscribed("btcusdt@bookTicker")
            await server.tell("btcusdt@bookTicker", QUOTE)
            await heard.until(lambda: len(quotes(heard)) == 1)
            gone = socket_of(server, "btcusdt@bookTicker")
            gone.answers_pings = False
            begun = asyncio.get_running_loop().time()
            await heard.until(lambda: heard.told("FEED_DISCONNECTED") == 1)
            assert asyncio.get_running_loop().time() - begun < 1.6
            gone.streams.clear()
            await server.subscribed("btcusdt@bookTicker")
            await server.tell("btcusdt@bookTicker", QUOTE)
            await heard.until(lambda: len(quotes(heard)) == 2)
            assert feed.counts.connects == 2

    serving(body)


def test_a_connection_that_answers_but_tells_no_price_is_opened_anew() -> None:
    async def body(server: MarketServer) -> None:
        server.acks = False
        settings = CcxtFeed(trades=False, silence_s=1.0)
        async with feeding(server, ["BTC/USDT"], settings) as (feed, heard):
            await heard.until(lambda: heard.told("FEED_SILENT") == 1)
            await server.until(lambda: server.dials == 2)
            assert feed.counts.silences == 1

    serving(body)


def test_a_refused_subscription_is_told_and_tried_again_on_a_new_connection() -> None:
    async def refuse_first(server: MarketServer, socket: Socket, asked: Any) -> None:
        if server.dials == 1:
            await socket.tell({"error": {"code": 2, "msg": "Invalid request: unknown stream"}, "id": asked["id"]})
        else:
            socket.streams |= set(asked["params"])

    async def run() -> None:
        async with (
            MarketServer(on_text=refuse_first) as server,
            feeding(server, ["BTC/USDT"], CcxtFeed(trades=False)) as (_, heard),
        ):
            await server.subscribed("btcusdt@bookTicker")
            assert heard.told("FEED_SUBSCRIPTION_FAILED") >= 1
            assert server.dials == 2
            await server.tell("btcusdt@bookTicker", QUOTE)
            await heard.until(lambda: len(quotes(heard)) == 1)

    asyncio.run(run())


def test_a_server_that_takes_no_connection_is_dialled_again_with_growing_waits() -> None:
    async def body(server: MarketServer) -> None:
        server.refuses = True
        async with feeding(server, ["BTC/USDT"], CcxtFeed(trades=False)) as (_, heard):
            await server.until(lambda: server.dials >= 3)
            server.refuses = False
            await server.subscribed("btcusdt@bookTicker")
            await server.tell("btcusdt@bookTicker", QUOTE)
            await heard.until(lambda: len(quotes(heard)) == 1)
            assert heard.told("FEED_DISCONNECTED") == 0  # nothing stood that could be lost
            assert heard.told("FEED_CONNECTED") == 1

    serving(body)


def test_the_feed_moves_before_a_server_that_announced_its_end_and_tells_no_trade_twice() -> None:
    async def body(server: MarketServer) -> None:
        clock = TestClock(NOW)
        async with feeding(server, ["BTC/USDT"], CcxtFeed(), clock=clock) as (feed, heard):
            await server.subscribed(*STREAMS)
            old = socket_of(server, "btcusdt@trade")
            clock.now = NOW + 100
            await old.tell({**TRADE, "T": NOW + 1})
            await old.tell({"e": "serverShutdown", "E": NOW})
            await server.until(lambda: sum("btcusdt@trade" in one.streams for one in server.open()) == 2)
            new = next(one for one in server.open() if "btcusdt@trade" in one.streams and one is not old)
            for socket in (old, new):
                await socket.tell({**TRADE, "t": 8, "T": NOW + 2})
            await server.until(lambda: old not in server.open())
            await new.tell({**TRADE, "t": 9, "T": NOW + 3})
            await heard.until(lambda: len(trades(heard)) == 3)
            assert [one.at_ms for one in trades(heard)] == [NOW + 1, NOW + 2, NOW + 3]
            assert heard.told("FEED_SERVER_SHUTDOWN") == 1
            assert feed.counts.connections == 2  # one of quotes, one of trades

    serving(body)


@both
@pytest.mark.parametrize(
    "odd",
    [
        '{"u":1,"s":"BTCUSDT","b":null,"B":"1","a":"2","A":"1"}',
        '{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2',
        '{"e":"trade","s":"BTCUSDT"}',
        '{"e":"somethingNew","s":"BTCUSDT","x":[1,{"y":null}]}',
        "[]",
        "not json",
        "null",
    ],
)
def test_an_odd_message_does_not_end_the_prices(decoder: Decoder, odd: str) -> None:
    async def body(server: MarketServer) -> None:
        async with feeding(server, ["BTC/USDT"], CcxtFeed(decoder=decoder, trades=False)) as (_, heard):
            await server.subscribed("btcusdt@bookTicker")
            await server.tell("btcusdt@bookTicker", odd)
            while not quotes(heard):  # where ccxt's handler fails, the connection is opened anew
                await server.subscribed("btcusdt@bookTicker")
                await server.tell("btcusdt@bookTicker", QUOTE)
                try:
                    await heard.until(lambda: bool(quotes(heard)), 0.2)
                except TimeoutError:
                    continue
            assert quotes(heard)[0].bid == 100.1

    serving(body)


@both
@pytest.mark.parametrize("then", ["goes on", "falls silent"])
def test_a_frame_that_is_cut_in_the_middle_ends_in_fresh_prices(decoder: Decoder, then: str) -> None:
    async def body(server: MarketServer) -> None:
        settings = CcxtFeed(decoder=decoder, trades=False, silence_s=1.0)
        async with feeding(server, ["BTC/USDT"], settings, keep_alive_s=0.2) as (_, heard):
            await server.subscribed("btcusdt@bookTicker")
            socket = socket_of(server, "btcusdt@bookTicker")
            socket.cut_frame(200, b'{"u":1,"s":"BTCUSDT","b":"99')
            if then == "falls silent":
                socket.answers_pings = False
                socket.streams.clear()
            while not quotes(heard):
                await server.subscribed("btcusdt@bookTicker")
                await server.tell("btcusdt@bookTicker", {**QUOTE, "u": 7})
                try:
                    await heard.until(lambda: bool(quotes(heard)), 0.2)
                except TimeoutError:
                    continue
            assert quotes(heard)[0].bid == 100.1
            assert heard.told("FEED_DISCONNECTED") + heard.told("FEED_MESSAGE_UNREADABLE") >= 1

    serving(body)


def test_hundreds_of_symbols_are_asked_for_in_few_messages() -> None:
    ids = tuple(f"S{number:03d}USDT" for number in range(450))

    async def body(server: MarketServer) -> None:
        symbols = [f"S{number:03d}/USDT" for number in range(450)]
        async with feeding(server, symbols, CcxtFeed()) as (_, heard):
            await server.subscribed(*(f"{one.lower()}@{what}" for one in ids for what in ("bookTicker", "trade")))
            assert sorted(len(one) for one in server.subscribes) == [50, 50, 200, 200, 200, 200]
            assert server.dials == 6
            assert all(len(one.streams) <= 200 for one in server.open())
            await server.tell("s449usdt@bookTicker", {**QUOTE, "s": "S449USDT"})
            await heard.until(lambda: len(quotes(heard)) == 1)

    serving(body, ids)


def test_an_ended_feed_leaves_no_task_and_no_connection() -> None:
    async def body(server: MarketServer) -> None:
        before = asyncio.all_tasks()
        async with feeding(server, ["BTC/USDT"], CcxtFeed(depth_levels=5)) as (_, heard):
            await server.subscribed(*STREAMS)
        await server.until(lambda: not server.open())
        assert heard.told("FEED_DISCONNECTED") == 0  # closed by us, not lost
        left = [
            task
            for task in asyncio.all_tasks() - before
            if "_handle_" not in repr(task) and "start()" not in repr(task)
        ]
        assert left == []

    serving(body)


def test_a_feed_runs_again_after_it_ended() -> None:
    async def body(server: MarketServer) -> None:
        async with feeding(server, ["BTC/USDT"], CcxtFeed(trades=False)) as (feed, heard):
            await server.subscribed("btcusdt@bookTicker")
            again = asyncio.create_task(feed.run(heard.publish))
            await server.until(lambda: server.dials == 2)
            again.cancel()
            await asyncio.wait([again])
            assert again.cancelled()

    serving(body)


def test_an_exchange_without_such_a_stream_is_refused_by_name() -> None:
    async def run() -> None:
        markets = [("BTC/USDT", "BTCUSDT")]
        async with MarketServer() as server:
            exchange = made(server.base_url, TestClock(), "bitstamp", markets)
            feed = CcxtLive(lambda: exchange, CcxtFeed(), [BTC], TestClock(), Heard(), offset_ms=lambda: 0)
            with pytest.raises(CannotStart, match="bitstamp: ccxt has no stream of its quotes"):
                await feed.run(Heard().publish)
            assert exchange.tradebot_session.closed
            assert server.dials == 0

    asyncio.run(run())


def test_a_symbol_that_the_exchange_does_not_know_ends_the_run() -> None:
    async def body(server: MarketServer) -> None:
        exchange = made(server.base_url, TestClock())
        unknown = instrument_from_price("NONE/USDT", 1.0, decimals=2, min_notional=Decimal(5))
        feed = CcxtLive(
            lambda: exchange, CcxtFeed(decoder="general"), [unknown], TestClock(), Heard(), offset_ms=lambda: 0
        )
        with pytest.raises(CannotStart, match="NONE/USDT"):
            await feed.run(Heard().publish)

    serving(body)
