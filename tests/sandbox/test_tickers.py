"""Do tickers of a window tell what happened in it, and is a client told of nothing where there is none?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sandbox.core_kit import T0, Floor
from tests.sandbox.faults_kit import signed_ws, trade, wire
from tests.sandbox.rehearsal_kit import rehearsing
from tests.sandbox.rest_kit import SYMBOL, WITH_PAST, Client, Reply, running
from tests.sandbox.streams_kit import streaming
from tradebot.sandbox import shapes

MINUTE = 60_000


def test_a_window_holds_the_minutes_that_open_in_it_and_no_other() -> None:
    floor = Floor()
    floor.now = T0 - T0 % MINUTE
    for price in (100.0, 90.0, 120.0):
        floor.trade(price, 2.0, buyer_taker=True)
        floor.now += MINUTE
    market = floor.exchange.market.symbols["BTCUSDT"]
    told = shapes.window(market, floor.now - floor.now % MINUTE - 2 * MINUTE, floor.now, mini=False)
    assert (told["openPrice"], told["highPrice"], told["lowPrice"], told["lastPrice"]) == (
        *("90.00000000", "120.00000000", "90.00000000", "120.00000000"),
    )
    assert (told["count"], told["volume"], told["priceChange"], told["priceChangePercent"]) == (
        *(2, "4.00000000", "30.00000000", "33.333"),
    )
    nothing = shapes.window(market, floor.now + MINUTE, floor.now, mini=True)
    assert (nothing["count"], nothing["lastPrice"], "priceChange" in nothing) == (0, "120.00000000", False)


def test_a_rolling_ticker_begins_at_a_whole_minute_and_a_trading_day_at_midnight() -> None:
    async def ask(client: Client) -> tuple[Any, Any]:
        rolling = await client.public("ticker", symbol=SYMBOL, windowSize="2h")
        return rolling.body, (await client.public("ticker/tradingDay", symbol=SYMBOL)).body

    rolling, day = running(ask)
    assert rolling["openTime"] % MINUTE == 0
    assert 120 * MINUTE <= rolling["closeTime"] - rolling["openTime"] < 121 * MINUTE
    assert (day["openTime"] % 86_400_000, day["closeTime"] - day["openTime"]) == (0, 86_399_999)


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("ticker", {}, -1102),
        ("ticker", {"symbol": SYMBOL, "windowSize": "24h"}, -1130),
        ("ticker", {"symbols": "[" + ",".join([f'"{SYMBOL}"'] * 101) + "]"}, -1101),
        ("ticker/tradingDay", {"symbol": SYMBOL, "timeZone": "8"}, -1130),
    ],
)
def test_a_ticker_that_cannot_be_is_refused(path: str, params: dict[str, str], code: int) -> None:
    reply: Reply = running(lambda client: client.public(path, **params))
    assert reply.refusal[:2] == (400, code)


def test_candles_from_the_beginning_of_time_are_the_first_ones() -> None:
    async def ask(client: Client) -> tuple[Any, Any]:
        many = await client.public("klines", symbol=SYMBOL, interval="1m")
        first = await client.public("klines", symbol=SYMBOL, interval="1m", limit=1, startTime=0)
        return many.body, first.body

    many, first = running(ask, WITH_PAST)
    assert len(many) > 1
    assert [each[0] for each in first] == [many[0][0]]


def test_the_streams_of_a_window_tell_it_once_and_again_when_it_changed() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws") as client:
            await client.ask("SUBSCRIBE", ["btcusdt@ticker_1h", "!ticker_4h@arr"])
            served.market(trade(101.0), trade(103.0))
            served.board.tick(slow=True)
            one, all_of_them = await client.hear(), await client.hear()
            assert (one["e"], one["o"], one["c"], one["n"], one["C"] - one["O"] >= 60 * MINUTE) == (
                *("1hTicker", "101.00000000", "103.00000000", 2, True),
            )
            assert [(each["e"], each["s"]) for each in all_of_them] == [("4hTicker", "BTCUSDT")]
            served.board.tick(slow=True)
            served.market(trade(105.0))
            served.board.tick(slow=True)
            assert (await client.hear())["c"] == "105.00000000"

    asyncio.run(run())


def test_lists_allocations_and_amendments_there_are_none() -> None:
    async def ask(client: Client) -> list[Reply]:
        order = (await client.order()).body["orderId"]
        return [
            await client.signed("GET", "openOrderList"),
            await client.signed("GET", "allOrderList", limit=5),
            await client.signed("GET", "myAllocations", symbol=SYMBOL),
            await client.signed("GET", "order/amendments", symbol=SYMBOL, orderId=order),
            await client.signed("GET", "order/amendments", symbol=SYMBOL, orderId=order + 1),
            await client.signed("GET", "myAllocations", symbol="NOPEUSDT"),
        ]

    *none, no_order, no_symbol = running(ask)
    assert [(each.status, each.body) for each in none] == [(200, [])] * 4
    assert (no_order.refusal[1], no_symbol.refusal[1]) == (-2013, -1121)


def test_a_socket_says_what_it_is() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as client:
            told = (await client.ask("session.status", {}))["result"]
            assert (told["apiKey"], told["userDataStream"], told["returnRateLimits"]) == (None, True, True)
            assert told["connectedSince"] <= told["serverTime"] == pytest.approx(rehearsal.clock.now_ms(), abs=5_000)
            assert (await client.ask("session.subscriptions", {}))["result"] == [{"subscriptionId": 0}]
            assert (await client.ask("userDataStream.subscribe.signature", signed_ws({})))["status"] == 200

    asyncio.run(run())
