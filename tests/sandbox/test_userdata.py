"""Can a client trade and listen over one socket, signed as Binance's ws-api wants it?"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from tests.sandbox.faults_kit import KEY, signed_ws, wire
from tests.sandbox.rehearsal_kit import ORDER, event, rehearsing, until

ONE: dict[str, object] = {"symbol": "BTCUSDT", "origClientOrderId": "bot-1"}


def test_an_order_is_placed_queried_listed_and_canceled() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            placed = await client.ask("order.place", signed_ws({**ORDER, "newClientOrderId": "bot-1"}), "a-1")
            assert (placed["id"], placed["status"], placed["result"]["status"]) == ("a-1", 200, "NEW")
            kinds = [each["rateLimitType"] for each in placed["rateLimits"]]
            assert kinds[0] == "REQUEST_WEIGHT"
            assert "ORDERS" in kinds
            found = await client.ask("order.status", signed_ws(ONE), 2)
            assert (found["id"], found["result"]["orderId"]) == (2, placed["result"]["orderId"])
            listed = await client.ask("openOrders.status", signed_ws({"symbol": "BTCUSDT"}))
            assert [each["clientOrderId"] for each in listed["result"]] == ["bot-1"]
            canceled = await client.ask("order.cancel", signed_ws(ONE))
            assert (canceled["result"]["status"], canceled["result"]["origClientOrderId"]) == ("CANCELED", "bot-1")
            missing = await client.ask("order.cancel", signed_ws(ONE))
            assert (missing["status"], missing["error"]["code"]) == (400, -2011)

    asyncio.run(run())


def test_a_test_places_nothing_and_cancel_all_cancels_all() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            tested = await client.ask("order.test", signed_ws({**ORDER, "newClientOrderId": "bot-0"}))
            assert (tested["status"], tested["result"]) == (200, {})
            assert not rehearsal.placed("bot-0")
            for number in (1, 2):
                await client.ask("order.place", signed_ws({**ORDER, "newClientOrderId": f"bot-{number}"}))
            gone = await client.ask("openOrders.cancelAll", signed_ws({"symbol": "BTCUSDT"}))
            assert [each["status"] for each in gone["result"]] == ["CANCELED", "CANCELED"]
            assert rehearsal.exchange.open_orders(KEY) == []

    asyncio.run(run())


def test_account_and_own_trades_are_told() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            taker = signed_ws({**ORDER, "newClientOrderId": "bot-1", "price": "101.00", "timeInForce": "IOC"})
            filled = await client.ask("order.place", taker)
            assert filled["result"]["status"] == "FILLED"
            account = await client.ask("account.status", signed_ws({}))
            assert {each["asset"] for each in account["result"]["balances"]} >= {"BTC", "USDT"}
            trades = await client.ask("myTrades", signed_ws({"symbol": "BTCUSDT"}))
            assert [each["qty"] for each in trades["result"]] == ["0.50000000"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "parameters", "field"),
    [
        ("ping", {}, None),
        ("time", {}, "serverTime"),
        ("exchangeInfo", {"symbols": ["BTCUSDT"]}, "symbols"),
        ("depth", {"symbol": "BTCUSDT", "limit": 5}, "lastUpdateId"),
        ("ticker.book", {"symbol": "BTCUSDT"}, "bidPrice"),
    ],
)
def test_public_methods_need_no_signature(method: str, parameters: dict[str, object], field: str | None) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            answer = await client.ask(method, parameters, None)
            assert (answer["id"], answer["status"]) == (None, 200)
            assert field is None or field in answer["result"]

    asyncio.run(run())


def test_wrong_signatures_keys_and_times_are_refused() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            order = signed_ws({**ORDER, "newClientOrderId": "bot-1"})
            late = signed_ws({**ORDER, "newClientOrderId": "bot-1"}, now_ms=int(time.time() * 1000) - 6_000)
            for parameters, status, code in (
                ({**order, "price": "91.00"}, 400, -1022),
                ({**order, "apiKey": "nobody"}, 401, -2015),
                ({name: value for name, value in order.items() if name != "apiKey"}, 401, -2014),
                ({name: value for name, value in order.items() if name != "timestamp"}, 400, -1102),
                (late, 400, -1021),
            ):
                answer = await client.ask("order.place", parameters)
                assert (answer["status"], answer["error"]["code"]) == (status, code)
            refused = await client.ask("userDataStream.subscribe.signature", {**signed_ws({}), "signature": "00"})
            assert refused["error"]["code"] == -1022
            assert not rehearsal.placed("bot-1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("{", None),
        ("[]", None),
        ('{"id":5}', 5),
        ('{"id":true,"method":"ping"}', None),
        ('{"id":"x","method":"ping","params":[]}', "x"),
        ('{"id":"x","method":"no.such.method"}', "x"),
        ('{"id":"x","method":"sapi.asset.dust"}', "x"),
    ],
)
def test_what_is_no_request_is_refused_with_the_id_it_had(said: str, number: object) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            await client.socket.send_str(said)
            answer = await client.hear()
            assert (answer["id"], answer["status"]) == (number, 400)
            assert answer["error"]["code"] < 0
            assert (await client.ask("ping"))["status"] == 200

    asyncio.run(run())


def test_signed_parameters_may_be_of_any_kind() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            whole = signed_ws({**ORDER, "newClientOrderId": "bot-1", "price": 90, "recvWindow": 5000})
            assert (await client.ask("order.place", whole))["status"] == 200
            omitted = await client.ask("account.status", signed_ws({"omitZeroBalances": True}))
            assert omitted["status"] == 200

    asyncio.run(run())


def test_subscriptions_are_numbered_listed_and_ended_alone_or_together() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            second = await user.ask("userDataStream.subscribe.signature", signed_ws({}))
            assert second["result"] == {"subscriptionId": 1}
            listed = await user.ask("session.subscriptions")
            assert listed["result"] == [{"subscriptionId": 0}, {"subscriptionId": 1}]
            await rehearsal.place("bot-1")
            heard = [await user.hear() for _ in range(4)]
            assert [each["subscriptionId"] for each in heard] == [0, 1, 0, 1]
            await user.say({"id": 1, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})
            told = [await user.hear() for _ in range(2)]
            assert {each.get("event", {}).get("e", "answer") for each in told} == {"eventStreamTerminated", "answer"}
            assert (await user.ask("userDataStream.unsubscribe", {"subscriptionId": 7}))["error"]["code"] == -1130
            assert (await user.ask("userDataStream.unsubscribe"))["status"] == 200
            assert (await user.ask("session.subscriptions"))["result"] == []

    asyncio.run(run())


def test_a_deposit_is_told_and_a_socket_that_left_hears_nothing() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            async with rehearsal.user() as user:
                rehearsal.exchange.deposit(KEY, "BTC", Decimal(2), rehearsal.clock.now_ms())
                assert {(await event(user))["e"], (await event(user))["e"]} >= {"balanceUpdate"}
            await until(lambda: not rehearsal.service.sockets.of())
            assert (await rehearsal.place("bot-1")).status == 200

    asyncio.run(run())


def test_limits_are_left_out_of_answers_that_do_not_want_them() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            order = signed_ws({**ORDER, "newClientOrderId": "bot-1", "returnRateLimits": False})
            placed = await client.ask("order.place", order)
            assert (placed["status"], "rateLimits" in placed) == (200, False)
            assert "rateLimits" in await client.ask("ping")
            async with wire(rehearsal.session, f"{rehearsal.url}/ws-api/v3?returnRateLimits=false") as quiet:
                assert "rateLimits" not in await quiet.ask("ping")
                assert "rateLimits" in await quiet.ask("ping", {"returnRateLimits": True})

    asyncio.run(run())
