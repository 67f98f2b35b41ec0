"""What does a raw client hear of the events that a fault strikes on their way?"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.sandbox.faults_kit import Wire, book, signed_ws, trade, wire
from tests.sandbox.rehearsal_kit import Rehearsal, event, rehearsing, until
from tradebot.sandbox.fault_events import UNKNOWN_FIELDS


async def told(rehearsal: Rehearsal, user: Wire, fault: dict[str, object]) -> list[dict[str, Any]]:
    """Return the four events of an order that was placed and canceled, and whatever came between, under a fault.

    The last one is always told: it is of the other account event's kind.
    """
    await rehearsal.fault(**fault)
    await rehearsal.place("bot-1")
    await rehearsal.ask("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": "bot-1"})
    heard: list[dict[str, Any]] = []
    while sum(each["e"] == "outboundAccountPosition" for each in heard) < 2:
        heard.append(await event(user))
    return heard


def kinds(heard: list[dict[str, Any]]) -> list[str]:
    """Return the execution kinds, or the events' own names."""
    return [str(each.get("x", each["e"])) for each in heard]


POSITION = "outboundAccountPosition"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("pass", ["NEW", POSITION, "CANCELED", POSITION]),
        ("drop", [POSITION, "CANCELED", POSITION]),
        ("duplicate", ["NEW", "NEW", POSITION, "CANCELED", POSITION]),
        ("reorder", [POSITION, "NEW", "CANCELED", POSITION]),
        ("unknown_event", ["somethingNew", "NEW", POSITION, "CANCELED", POSITION]),
        ("unknown_fields", ["NEW", POSITION, "CANCELED", POSITION]),
        ("delay", ["NEW", POSITION, "CANCELED", POSITION]),
    ],
)
def test_user_events_are_told_as_the_fault_wants(action: str, expected: list[str]) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            fault: dict[str, object] = {"on": "user.executionReport", "execution": "NEW", "action": action}
            heard = await told(rehearsal, user, {**fault, "delay_ms": 20})
            assert kinds(heard) == expected
            new = [each for each in heard if each.get("x") == "NEW"]
            changed = [each for each in new if set(UNKNOWN_FIELDS) <= set(each)]
            assert len(changed) == (1 if action == "unknown_fields" else 0)

    asyncio.run(run())


def test_a_reordered_event_that_nothing_follows_comes_all_the_same() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            await rehearsal.fault(on="user.outboundAccountPosition", action="reorder", delay_ms=50, times=1)
            await rehearsal.place("bot-1")
            assert kinds([await event(user), await event(user)]) == ["NEW", POSITION]

    asyncio.run(run())


def test_a_fill_comes_in_the_order_of_the_exchange() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            await rehearsal.place("bot-1", price="102.00", quantity="7.00000", timeInForce="IOC")
            heard = [await event(user) for _ in range(6)]
            assert kinds(heard) == ["NEW", POSITION, "TRADE", POSITION, "TRADE", POSITION]
            assert [each["X"] for each in heard if "X" in each] == ["NEW", "PARTIALLY_FILLED", "FILLED"]

    asyncio.run(run())


def test_a_dropped_depth_message_is_a_gap_in_the_book() -> None:
    async def run() -> None:
        async with (
            rehearsing() as rehearsal,
            wire(rehearsal.session, f"{rehearsal.url}/ws/btcusdt@depth@100ms") as client,
        ):
            await client.ask("LIST_SUBSCRIPTIONS")
            await rehearsal.fault(on="market.depthUpdate", symbol="BTCUSDT", action="drop", nth=2, times=1)
            for move in range(1, 4):
                rehearsal.market(book(100.0 + move, 101.0 + move))
                rehearsal.service.board.tick(slow=False)
            heard = [await client.hear() for _ in range(2)]
            assert heard[1]["U"] == heard[0]["u"] + 2

    asyncio.run(run())


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("action", ["half_open", "disconnect"])
def test_a_socket_is_lost_by_an_event(action: str, stage: str) -> None:
    async def run() -> None:
        async with (
            rehearsing() as rehearsal,
            wire(rehearsal.session, f"{rehearsal.url}/ws/btcusdt@trade", autoping=False) as client,
            wire(rehearsal.session, f"{rehearsal.url}/ws/ethusdt@trade") as other,
        ):
            for each in (client, other):
                await each.ask("LIST_SUBSCRIPTIONS")
            await rehearsal.fault(on="market.trade", symbol="BTCUSDT", action=action, stage=stage)
            rehearsal.market(trade(101.0))
            if stage == "after":
                assert (await client.hear())["e"] == "trade"
            rehearsal.market(trade(102.0), trade(7.0, symbol="ETH/USDT"))
            assert (await other.hear())["s"] == "ETHUSDT"
            if action == "disconnect":
                await client.ended()
                return
            await client.socket.ping(b"alive?")
            silent = asyncio.ensure_future(client.socket.receive())
            await asyncio.wait({silent}, timeout=0.2)
            assert not silent.done()
            assert len(rehearsal.service.sockets.of()) == 2
            rehearsal.service.controls.disconnect("market")
            assert (await silent).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)

    asyncio.run(run())


@pytest.mark.parametrize("room", ["market", "user"])
def test_sockets_are_disconnected_or_silenced_at_a_word(room: str) -> None:
    async def run() -> None:
        async with (
            rehearsing() as rehearsal,
            rehearsal.user() as user,
            wire(rehearsal.session, f"{rehearsal.url}/ws") as public,
        ):
            lost, kept = (public, user) if room == "market" else (user, public)
            silenced = await rehearsal.steer("POST", "/sockets", {"action": "half_open", "room": room})
            assert silenced.json == {"sockets": 1}
            await lost.say({"id": 1, "method": "LIST_SUBSCRIPTIONS"})
            silent = asyncio.ensure_future(lost.socket.receive())
            await asyncio.wait({silent}, timeout=0.1)
            assert not silent.done()
            assert (await rehearsal.steer("POST", "/sockets", {"action": "disconnect", "room": room})).status == 200
            assert (await silent).type is not aiohttp.WSMsgType.TEXT
            assert "id" in await kept.ask("LIST_SUBSCRIPTIONS")
            await until(lambda: len(rehearsal.service.sockets.of()) == 1)

    asyncio.run(run())


def test_a_terminated_stream_is_told_and_tells_nothing_more_until_it_is_subscribed_again() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            assert (await rehearsal.steer("POST", "/sockets", {"action": "terminate"})).json == {"ended": 1}
            assert (await event(user))["e"] == "eventStreamTerminated"
            await rehearsal.place("bot-1")
            again = await user.ask("userDataStream.subscribe.signature", signed_ws({}), "again")
            assert (again["id"], again["result"]) == ("again", {"subscriptionId": 0})
            await rehearsal.place("bot-2")
            assert (await event(user))["c"] == "bot-2"

    asyncio.run(run())


def test_a_stream_can_end_by_an_event_that_a_fault_waits_for() -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal, rehearsal.user() as user:
            await rehearsal.fault(on="user.executionReport", execution="TRADE", action="terminate", times=1)
            await rehearsal.place("bot-1", price="101.00", timeInForce="IOC")
            heard = [await event(user) for _ in range(4)]
            assert kinds(heard) == ["NEW", POSITION, "eventStreamTerminated", "TRADE"]

    asyncio.run(run())


def test_a_shutdown_is_told_on_streams_and_ws_api() -> None:
    async def run() -> None:
        async with (
            rehearsing() as rehearsal,
            rehearsal.user() as user,
            wire(rehearsal.session, f"{rehearsal.url}/ws") as public,
        ):
            await public.ask("LIST_SUBSCRIPTIONS")
            assert (await rehearsal.steer("POST", "/shutdown-notice")).json == {"sockets": 2}
            assert (await public.hear())["e"] == "serverShutdown"
            assert (await user.hear())["event"]["e"] == "serverShutdown"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "status"),
    [("status", 500), ("html", 403), ("maintenance", 503), ("ban", 418), ("reset", 0), ("hang", 0)],
)
def test_a_connection_can_be_refused(action: str, status: int) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            await rehearsal.fault(on="connect.market", action=action, for_ms=50)
            with pytest.raises(aiohttp.ClientError) as caught:
                await rehearsal.session.ws_connect(f"{rehearsal.url}/ws/btcusdt@trade")
            if isinstance(caught.value, aiohttp.WSServerHandshakeError):
                assert caught.value.status == status
            else:
                assert status == 0
            for path in ("/faults", "/ban"):
                await rehearsal.steer("DELETE", path)
            async with wire(rehearsal.session, f"{rehearsal.url}/ws/btcusdt@trade") as client:
                assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade"]

    asyncio.run(run())


def test_market_events_can_be_doubled_and_unknown() -> None:
    async def run() -> None:
        async with (
            rehearsing() as rehearsal,
            wire(rehearsal.session, f"{rehearsal.url}/stream?streams=btcusdt@trade") as client,
        ):
            await client.ask("LIST_SUBSCRIPTIONS")
            await rehearsal.fault(
                on="market.trade",
                script=[{"action": "duplicate"}, {"action": "unknown_event"}, {"action": "unknown_fields"}],
            )
            rehearsal.market(trade(101.0), trade(102.0), trade(103.0))
            heard = [await client.hear() for _ in range(5)]
            assert {each["stream"] for each in heard} == {"btcusdt@trade"}
            data = [each["data"] for each in heard]
            assert data[0] == data[1]
            assert [each["e"] for each in data] == ["trade", "trade", "somethingNew", "trade", "trade"]
            assert set(UNKNOWN_FIELDS) <= set(data[4])

    asyncio.run(run())
