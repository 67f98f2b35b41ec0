"""What does a raw client see of a request that a fault strikes, and does the order exist afterwards?"""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.sandbox.faults_kit import KEY, signed_ws
from tests.sandbox.rehearsal_kit import ORDER, Answer, Rehearsal, rehearsing, until

BOTH = pytest.mark.parametrize("stage", ["before", "after"])


async def seen(rehearsal: Rehearsal, client_id: str = "bot-1") -> Answer | str:
    """Return the answer to an order, or the name of the client's error."""
    try:
        return await asyncio.wait_for(rehearsal.place(client_id), 3)
    except aiohttp.ClientError as error:
        return type(error).__name__


@BOTH
@pytest.mark.parametrize(
    ("action", "errors"),
    [
        ("hang", {"ServerDisconnectedError", "ClientOSError"}),
        ("reset", {"ServerDisconnectedError", "ClientOSError"}),
        ("close", {"ServerDisconnectedError"}),
        ("truncate", {"ClientPayloadError"}),
    ],
)
def test_a_lost_answer_is_no_answer_and_only_after_acceptance_there_is_an_order(
    action: str, errors: set[str], stage: str
) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", action=action, stage=stage, for_ms=200, times=1)
            assert await seen(rehearsal) in errors
            assert rehearsal.placed("bot-1") == (stage == "after")
            answer = await rehearsal.place("bot-2")
            assert (answer.status, rehearsal.placed("bot-2")) == (200, True)

    asyncio.run(run())


@BOTH
@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        ({"action": "status", "status": 500}, 500, '{"code":-1000,'),
        ({"action": "status", "status": 503}, 503, '{"code":-1008,'),
        ({"action": "status", "status": 504}, 504, '{"code":-1007,'),
        ({"action": "status", "status": 429, "retry_after_s": 3}, 429, '{"code":-1003,'),
        (
            {"action": "status", "status": 400, "code": -9999, "message": "never seen"},
            400,
            '{"code":-9999,"msg":"never',
        ),
        ({"action": "empty_200"}, 200, ""),
        ({"action": "html"}, 403, "<html>"),
        ({"action": "html", "status": 200}, 200, "<html>"),
        ({"action": "cut_json"}, 200, '{"'),
    ],
)
def test_a_spoiled_answer_is_what_was_said_and_only_after_acceptance_there_is_an_order(
    said: dict[str, object], status: int, text: str, stage: str
) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", stage=stage, **said)
            answer = await seen(rehearsal)
            assert isinstance(answer, Answer)
            assert answer.status == status
            assert answer.text.startswith(text)
            if said["action"] in ("empty_200", "html", "cut_json"):
                with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
                    _ = answer.json
            if "retry_after_s" in said:
                assert answer.headers["Retry-After"] == "3"
            assert rehearsal.placed("bot-1") == (stage == "after")

    asyncio.run(run())


@BOTH
def test_a_cancel_can_be_lost_as_well(stage: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.place("bot-1")
            # without `times`: the client sends a DELETE once more by itself
            await rehearsal.fault(on="order.cancel", client_id_prefix="bot-", action="reset", stage=stage)
            cancel = {"symbol": "BTCUSDT", "origClientOrderId": "bot-1"}
            with pytest.raises(aiohttp.ClientError):
                await rehearsal.ask("DELETE", "/api/v3/order", cancel)
            assert (await rehearsal.query("bot-1")).json["status"] == ("CANCELED" if stage == "after" else "NEW")

    asyncio.run(run())


@BOTH
def test_a_delay_is_before_acceptance_or_after_it(stage: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", action="delay", stage=stage, delay_ms=300)
            asking = asyncio.ensure_future(rehearsal.place("bot-1"))
            await until(lambda: rehearsal.service.faults.told()[0]["strikes"] == 1)
            await asyncio.sleep(0.05)
            assert rehearsal.placed("bot-1") == (stage == "after")
            assert not asking.done()
            assert (await asking).status == 200
            assert rehearsal.placed("bot-1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "answered"), [({}, 504), ({"status": 503}, 503), ({"reply": "reset"}, 0), ({"reply": "hang"}, 0)]
)
def test_a_late_order_is_accepted_after_its_client_gave_up(said: dict[str, object], answered: int) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", action="late", delay_ms=300, for_ms=50, **said)
            answer = await seen(rehearsal)
            assert (answer.status if isinstance(answer, Answer) else 0) == answered
            assert not rehearsal.placed("bot-1")
            await until(lambda: rehearsal.placed("bot-1"))

    asyncio.run(run())


def test_an_order_later_than_its_window_is_never_accepted() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", action="late", delay_ms=200)
            await rehearsal.place("bot-1", recvWindow=100)
            await asyncio.sleep(0.4)
            assert not rehearsal.placed("bot-1")

    asyncio.run(run())


def test_a_query_lags_for_some_queries_and_finds_the_order_then() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.status", action="lag", queries=2)
            await rehearsal.place("bot-1")
            answers = [await rehearsal.query("bot-1") for _ in range(3)]
            assert [(each.status, each.json.get("code")) for each in answers] == [
                (400, -2013),
                (400, -2013),
                (200, None),
            ]

    asyncio.run(run())


def test_queries_and_lists_lag_for_a_while() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            for kind in ("order.status", "openOrders.status", "myTrades"):
                await rehearsal.fault(on=kind, action="lag", for_ms=60_000)
            await rehearsal.place("bot-1")
            await rehearsal.place("bot-2", price="101.00", quantity="0.10000")
            symbol: dict[str, object] = {"symbol": "BTCUSDT"}
            assert (await rehearsal.query("bot-1")).code == -2013
            assert (await rehearsal.ask("GET", "/api/v3/openOrders", symbol)).json == []
            assert (await rehearsal.ask("GET", "/api/v3/myTrades", symbol)).json == []
            await rehearsal.steer("DELETE", "/faults")
            assert (await rehearsal.query("bot-1")).status == 200
            assert len((await rehearsal.ask("GET", "/api/v3/openOrders", symbol)).json) == 1
            assert len((await rehearsal.ask("GET", "/api/v3/myTrades", symbol)).json) == 1

    asyncio.run(run())


@pytest.mark.parametrize("first", ["reply", "event"])
def test_answer_and_user_event_come_in_the_order_that_was_said(first: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            await rehearsal.fault(on="order.place", action=f"{first}_first", delay_ms=150)
            order: list[str] = []

            async def hear() -> None:
                message = await user.hear()
                assert message["event"]["e"] == "executionReport"
                order.append("event")

            async def place() -> None:
                assert (await rehearsal.place("bot-1")).status == 200
                order.append("reply")

            await asyncio.gather(hear(), place())
            assert order == (["reply", "event"] if first == "reply" else ["event", "reply"])

    asyncio.run(run())


def test_maintenance_answers_every_request_and_no_control_path() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(name="down", on="*", action="maintenance")
            for answer in (await rehearsal.place("bot-1"), await rehearsal.ask("GET", "/api/v3/time")):
                assert (answer.status, answer.code) == (503, -1008)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await rehearsal.session.ws_connect(f"{rehearsal.url}/ws/btcusdt@trade")
            assert refused.value.status == 503
            await rehearsal.steer("DELETE", "/faults/down")
            assert not rehearsal.placed("bot-1")
            assert (await rehearsal.place("bot-1")).status == 200

    asyncio.run(run())


def test_a_ban_grows_with_every_request_and_is_lifted() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            await rehearsal.fault(on="time", action="ban", retry_after_s=10, times=1)
            answers = [await rehearsal.ask("GET", "/api/v3/time") for _ in range(3)]
            assert [(each.status, each.code) for each in answers] == [(418, -1003)] * 3
            assert [each.headers["Retry-After"] for each in answers] == ["10", "20", "40"]
            assert (await client.ask("time"))["status"] == 418
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await rehearsal.session.ws_connect(f"{rehearsal.url}/ws")
            assert (await rehearsal.place("bot-1")).status == 418
            assert not rehearsal.placed("bot-1")
            await rehearsal.steer("DELETE", "/ban")
            assert (await rehearsal.ask("GET", "/api/v3/time")).status == 200

    asyncio.run(run())


@pytest.mark.parametrize("skew_ms", [-7_000, 7_000])
def test_a_skewed_clock_refuses_what_is_late_or_early_by_it(skew_ms: int) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            before_ms = (await rehearsal.ask("GET", "/api/v3/time")).json["serverTime"]
            assert (await rehearsal.steer("POST", "/clock", {"skew_ms": skew_ms})).status == 200
            after_ms = (await rehearsal.ask("GET", "/api/v3/time")).json["serverTime"]
            assert abs(after_ms - before_ms - skew_ms) < 2_000
            assert (await rehearsal.place("bot-1")).code == -1021
            assert not rehearsal.placed("bot-1")
            await rehearsal.steer("POST", "/clock", {"skew_ms": 0})
            assert (await rehearsal.place("bot-1")).status == 200

    asyncio.run(run())


def test_a_halted_symbol_is_told_and_takes_no_orders_until_it_is_resumed() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:

            async def status() -> str:
                answer = await rehearsal.ask("GET", "/api/v3/exchangeInfo")
                return str(next(each["status"] for each in answer.json["symbols"] if each["symbol"] == "BTCUSDT"))

            assert await status() == "TRADING"
            assert (await rehearsal.steer("POST", "/market/halt", {"symbol": "BTCUSDT"})).status == 200
            assert await status() == "BREAK"
            refused = await rehearsal.place("bot-1")
            assert (refused.status, refused.json["msg"]) == (400, "Market is closed.")
            await rehearsal.steer("POST", "/market/resume", {"symbol": "BTCUSDT"})
            assert await status() == "TRADING"
            assert (await rehearsal.place("bot-1")).status == 200

    asyncio.run(run())


def test_a_delisted_symbol_is_gone_and_its_orders_expire() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            await rehearsal.place("bot-1")
            await rehearsal.fault(on="ping", action="delist", symbol="", times=1)
            assert (await rehearsal.steer("POST", "/market/delist", {"symbol": "BTCUSDT"})).status == 200
            heard = [await user.hear() for _ in range(3)]
            assert heard[2]["event"]["X"] == "EXPIRED"
            assert (await rehearsal.place("bot-2")).code == -1121
            assert (await rehearsal.steer("POST", "/market/delist", {"symbol": "BTCUSDT"})).status == 400

    asyncio.run(run())


def test_an_order_can_halt_its_own_symbol() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.place", nth=2, times=1, action="halt")
            assert (await rehearsal.place("bot-1")).status == 200
            assert (await rehearsal.place("bot-2")).json["msg"] == "Market is closed."

    asyncio.run(run())


def test_a_frozen_exchange_answers_nobody_and_then_everybody() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            assert (await rehearsal.steer("POST", "/freeze", {"for_ms": 60_000})).status == 200
            placing = asyncio.ensure_future(rehearsal.place("bot-1"))
            asking = asyncio.ensure_future(user.ask("time"))
            assert (await rehearsal.steer("GET", "")).json["frozen"] is True
            await asyncio.wait({placing, asking}, timeout=0.2)
            assert not placing.done()
            assert not asking.done()
            assert not rehearsal.placed("bot-1")
            await rehearsal.steer("DELETE", "/freeze")
            assert (await placing).status == 200
            assert (await asking)["status"] == 200

    asyncio.run(run())


def test_a_freeze_ends_by_itself() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="time", action="freeze", for_ms=150, times=1)
            begun = asyncio.get_running_loop().time()
            assert (await rehearsal.ask("GET", "/api/v3/time")).status == 200
            assert asyncio.get_running_loop().time() - begun >= 0.14

    asyncio.run(run())


def test_a_script_from_a_file_is_played_in_order() -> None:
    toml = """
    [[fault]]
    on = "order.place"
    script = [
        { action = "status", status = 503 },
        { action = "pass" },
        { action = "empty_200", stage = "after" },
    ]
    """

    async def run() -> None:
        async with rehearsing(toml) as rehearsal:
            answers = [await rehearsal.place(f"bot-{number}") for number in range(4)]
            assert [each.status for each in answers] == [503, 200, 200, 200]
            assert [bool(each.text) for each in answers] == [True, True, False, True]
            assert [rehearsal.placed(f"bot-{number}") for number in range(4)] == [False, True, True, True]

    asyncio.run(run())


def test_a_file_can_begin_with_halted_symbols_and_a_skewed_clock() -> None:
    async def run() -> None:
        async with rehearsing('skew_ms = -60000\n[market]\nhalted = ["BTCUSDT"]\n') as rehearsal:
            assert (await rehearsal.place("bot-1")).code == -1021
            await rehearsal.steer("POST", "/clock", {"skew_ms": 0})
            assert (await rehearsal.place("bot-1")).json["msg"] == "Market is closed."

    asyncio.run(run())


def test_faults_are_told_with_counts_and_removed_over_http() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            said = {"fault": [{"name": "a", "on": "time", "action": "reset"}, {"on": "ping", "action": "html"}]}
            assert (await rehearsal.steer("POST", "/faults", said)).json == {"added": ["a", "fault-2"]}
            await rehearsal.ask("GET", "/api/v3/ping")
            told = {each["name"]: each for each in (await rehearsal.steer("GET", "/faults")).json["faults"]}
            assert (told["a"]["strikes"], told["fault-2"]["strikes"]) == (0, 1)
            assert (await rehearsal.steer("DELETE", "/faults/a")).status == 200
            assert (await rehearsal.steer("DELETE", "/faults/a")).status == 400
            assert (await rehearsal.steer("DELETE", "/faults")).status == 200
            assert (await rehearsal.steer("GET", "")).json["faults"] == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "said", "words"),
    [
        ("/faults", {"on": "order.plaice", "action": "hang"}, "no kind of request"),
        ("/faults", {"on": "time", "action": "hangs"}, "one of hang, reset"),
        ("/market/halt", {"symbol": "NOPE"}, "no symbol"),
        ("/market/halt", {}, "symbol"),
        ("/clock", {"skew_ms": "much"}, "skew_ms"),
        ("/freeze", {"for_ms": 0}, "for_ms"),
        ("/ban", {"retry_after_s": 0}, "retry_after_s"),
        ("/sockets", {"action": "explode"}, "explode"),
    ],
)
def test_a_wish_that_cannot_be_done_is_refused_in_words(path: str, said: object, words: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            answer = await rehearsal.steer("POST", path, said)
            assert answer.status == 400
            assert words in answer.json["error"]

    asyncio.run(run())


@BOTH
@pytest.mark.parametrize("action", ["hang", "reset", "status", "empty_200", "cut_json", "html", "truncate"])
def test_an_order_over_the_socket_is_lost_as_over_http(action: str, stage: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            await rehearsal.fault(on="order.place", via="ws", action=action, stage=stage, times=1)
            order = signed_ws({**ORDER, "newClientOrderId": "bot-1"})
            await client.say({"id": "x", "method": "order.place", "params": order})
            if action == "hang":
                assert (await client.ask("ping"))["status"] == 200
            elif action == "status":
                assert (await client.hear())["status"] == 500
            else:
                message = await asyncio.wait_for(client.socket.receive(), 5)
                if action == "reset":
                    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
                else:
                    with pytest.raises(json.JSONDecodeError):
                        json.loads(message.data)
            assert rehearsal.placed("bot-1") == (stage == "after")

    asyncio.run(run())


def test_an_order_over_the_socket_can_lag_and_be_late() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            await rehearsal.fault(on="order.place", action="late", delay_ms=50)
            await rehearsal.fault(on="order.status", action="lag", queries=1)
            answer = await client.ask("order.place", signed_ws({**ORDER, "newClientOrderId": "bot-1"}))
            assert (answer["status"], answer["error"]["code"]) == (504, -1007)
            await until(lambda: rehearsal.placed("bot-1"))
            query: dict[str, object] = {"symbol": "BTCUSDT", "origClientOrderId": "bot-1"}
            assert (await client.ask("order.status", signed_ws(query)))["error"]["code"] == -2013
            assert (await client.ask("order.status", signed_ws(query)))["result"]["clientOrderId"] == "bot-1"

    asyncio.run(run())


def test_a_chance_strikes_as_often_as_it_is_likely() -> None:
    async def run() -> None:
        async with rehearsing("seed = 5\n") as rehearsal:
            await rehearsal.fault(on="ping", action="status", status=502, probability=0.5)
            answers = [(await rehearsal.ask("GET", "/api/v3/ping")).status for _ in range(40)]
            assert 8 <= answers.count(502) <= 32

    asyncio.run(run())


def test_another_symbol_another_id_and_another_way_are_left_alone() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="order.*", symbol="ETHUSDT", action="reset")
            await rehearsal.fault(on="order.*", client_id_prefix="other-", action="reset")
            await rehearsal.fault(on="order.*", via="ws", action="reset")
            assert (await rehearsal.place("bot-1")).status == 200
            with pytest.raises(aiohttp.ClientError):
                await rehearsal.place("other-1")
            assert len(rehearsal.exchange.open_orders(KEY)) == 1

    asyncio.run(run())
