"""Is every own fill told once, whatever the user stream repeats, loses, reorders or breaks?"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.binance_answers import placed, queried, traded
from tests.exchange.little_exchange import in_loop, says
from tests.venues.ccxt_kit import Bench, bench, execution, order, running, trade
from tradebot.domain.commands import QueryOrder
from tradebot.domain.events import FillReported, OrderAcknowledged, OrderClosed, OrderReported
from tradebot.venues.ccxt_spot import CcxtSpot

QUERY = QueryOrder("a-1-1", "BTC/USDT")


async def placing(there: Bench, venue: CcxtSpot, client_id: str = "a-1-1") -> None:
    """Place an order that rests."""
    there.server.on("POST", "/order", says(placed(client_id)))
    before = len(there.of(OrderAcknowledged))
    venue.submit(order(client_id), 0)
    await there.heard(OrderAcknowledged, before + 1)


async def settled(there: Bench, venue: CcxtSpot) -> None:
    """Wait until everything that was sent over the stream was read: an order of its own comes behind it."""
    mark = f"a-mark-{len(there.events)}"
    await there.push(execution(mark, i=1_000_000 + len(there.events)))
    await there.until(lambda: venue.orders.get(mark) is not None)


@in_loop
async def test_fills_are_told_with_their_fees_and_the_end_with_its_amount() -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        await there.push(trade(7, "0.00100000", "0.00100000"))
        await there.push(trade(8, "0.00100000", "0.00200000", n="0.05", N="USDT", m=False))
        (closed,) = await there.heard(OrderClosed)
        assert (closed.outcome, closed.filled, closed.reason) == ("filled", Decimal("0.002"), "")
        first, second = there.of(FillReported)
        assert (first.trade_id, first.price, first.amount) == ("7", Decimal(50_000), Decimal("0.001"))
        assert (first.fee, first.fee_asset, first.maker) == (Decimal("0.00001"), "BNB", True)
        assert (second.fee, second.fee_asset, second.maker) == (Decimal("0.05"), "USDT", False)
        assert len(there.of(OrderAcknowledged)) == 1


@in_loop
async def test_repeated_and_reordered_reports_change_nothing() -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        reports = [
            trade(8, "0.00100000", "0.00200000"),
            trade(7, "0.00100000", "0.00100000"),
            execution(),
            trade(8, "0.00100000", "0.00200000"),
            trade(7, "0.00100000", "0.00100000"),
        ]
        for report in reports:
            await there.push(report)
        await settled(there, venue)
        assert sorted(fill.trade_id for fill in there.of(FillReported)) == ["7", "8"]
        (closed,) = there.of(OrderClosed)
        assert (closed.outcome, closed.filled) == ("filled", Decimal("0.002"))


@in_loop
async def test_the_answer_and_the_report_of_one_fill_are_one_fill_in_either_order() -> None:
    async with bench() as there, running(there) as venue:
        answered = asyncio.Event()

        async def slowly(asked: Any) -> Any:
            await answered.wait()
            return await says(placed("a-1-1", status="FILLED", filled="0.00200000"))(asked)

        there.server.on("POST", "/order", slowly)
        venue.submit(order(), 0)
        await there.until(lambda: bool(there.server.calls("POST", "/order")))
        await there.push(execution())
        await there.push(trade(7, "0.00200000", "0.00200000"))
        await there.heard(OrderClosed)
        answered.set()
        await there.until(lambda: not venue._lanes.busy("a-1-1") if venue._lanes else False)
        assert [len(there.of(kind)) for kind in (OrderAcknowledged, FillReported, OrderClosed)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({"x": "CANCELED", "X": "CANCELED", "C": "a-1-1", "c": "the-cancel"}, "canceled", ""),
        ({"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"}, "expired", "UNFILLED"),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, "expired", ""),
        ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "rejected", "INSUFFICIENT_BALANCES"),
    ],
    ids=["canceled", "expired", "self-trade", "rejected"],
)
@in_loop
async def test_every_end_is_told_as_what_it_is(fields: dict[str, Any], outcome: str, reason: str) -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        await there.push(trade(7, "0.00100000", "0.00100000"))
        await there.push(execution(**{"z": "0.00100000", **fields}))
        (closed,) = await there.heard(OrderClosed)
        assert (closed.outcome, closed.filled) == (outcome, Decimal("0.001"))
        assert closed.reason.startswith(reason)


@in_loop
async def test_orders_of_others_are_left_alone_and_unknown_events_are_nothing() -> None:
    async with bench() as there, running(there) as venue:
        await there.push(trade(9, "0.00200000", "0.00200000", c="web_of_a_person", i=77))
        await there.push({"e": "somethingNew", "E": 1, "of": ["a", {"kind": None}]})
        await there.push({"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "USDT", "f": "1", "l": "0"}]})
        await there.push(execution(unknown_field={"a": 1}, i=78, c="a-1-7"))
        await there.until(lambda: venue.orders.get("a-1-7") is not None)
        assert there.of(FillReported) == []
        assert venue.orders.foreign == 1
        assert len(there.sockets) == 1


@in_loop
async def test_an_order_presumed_absent_is_adopted_when_a_late_report_tells_of_it() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says({"code": -2010, "msg": "This action is disabled."}, 400))
        venue.submit(order(), 0)
        await there.until(lambda: bool(there.events))
        await there.push(trade(7, "0.00200000", "0.00200000"))
        (closed,) = await there.heard(OrderClosed)
        assert (closed.client_id, len(there.of(FillReported))) == ("a-1-1", 1)


WAYS = {
    "the stream is ended": {"e": "eventStreamTerminated", "E": 1},
    "the server goes down": {"e": "serverShutdown", "E": 1},
    "a report breaks a handler": {"e": "kline", "E": 1, "s": "BTCUSDT", "k": "of another kind"},
}


@pytest.mark.parametrize("way", [*WAYS, "the socket closes", "cut text"])
@in_loop
async def test_whatever_ends_the_stream_it_is_back_and_what_was_missed_is_told(way: str) -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        there.server.on("GET", "/openOrders", says([queried("a-1-1", status="PARTIALLY_FILLED", filled="0.00100000")]))
        there.server.on("GET", "/myTrades", says([traded()]))
        if way == "the socket closes":
            await there.sockets[-1].close()
        elif way == "cut text":
            await there.sockets[-1].send_str('{"subscriptionId":0,"event":{"e":"executionRep')
        else:
            await there.push(WAYS[way])
        await there.until(lambda: there.subscriptions == 2)
        (fill,) = await there.heard(FillReported)
        assert (fill.trade_id, fill.fee_asset) == ("7", "BNB")
        await there.push(trade(8, "0.00100000", "0.00200000"))
        await there.heard(OrderClosed)
        assert len(there.of(FillReported)) == 2
        assert "VENUE_STREAM_LOST" in there.told.kinds()
        assert venue.stream_up


@in_loop
async def test_an_order_that_ended_while_the_stream_was_away_is_told() -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        there.server.on("GET", "/order", says(queried("a-1-1", status="FILLED", filled="0.00200000")))
        there.server.on("GET", "/myTrades", says([traded(amount="0.00200000")]))
        await there.sockets[-1].close()
        (closed,) = await there.heard(OrderClosed)
        (fill,) = there.of(FillReported)
        assert (closed.filled, fill.amount) == (Decimal("0.002"), Decimal("0.002"))
        asked = [each for each in there.server.calls("GET", "/myTrades") if each.query.get("orderId") == "28"]
        assert asked, "its fills are asked for by its id"


@in_loop
async def test_a_half_open_socket_is_noticed_and_opened_anew() -> None:
    async with bench() as there, running(there, keep_alive_s=0.2) as venue:
        await placing(there, venue)
        first = there.sockets[0]
        there.reads.clear()  # from here on nothing is read, no ping answered
        await first.send_json({"result": None, "id": 99})  # lets the reader come to its next wait
        await there.until(lambda: "VENUE_STREAM_LOST" in there.told.kinds())
        assert not venue.stream_up
        there.reads.set()
        await there.until(lambda: there.subscriptions == 2 and venue.stream_up)


@in_loop
async def test_a_subscription_is_signed_when_its_connection_stands_however_long_that_took() -> None:
    async with bench() as there:
        stood_ms: list[int] = []
        signed_ms: list[int] = []

        async def slowly(asked: Any) -> Any:
            await there.answering.wait()
            stood_ms.append(there.clock.now_ms())
            return await there.serve_socket(asked, lambda said: signed_ms.append(said["params"]["timestamp"]))

        there.server.on("GET", "/ws-api/v3", slowly)
        venue = there.venue()
        await venue.start()
        try:
            dialled_ms = there.clock.now_ms()
            await there.until(lambda: there.clock.now_ms() > dialled_ms + 200)
            there.answering.set()
            await there.until(lambda: venue.stream_up)
            assert signed_ms[0] >= stood_ms[0] - 1
        finally:
            await venue.stop()


@in_loop
async def test_a_refused_subscription_says_why() -> None:
    async with bench() as there:
        there.refuses_subscriptions = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        venue = there.venue()
        await venue.start()
        try:
            await there.until(lambda: "VENUE_STREAM_LOST" in there.told.kinds())
            (text,) = [text for kind, text in there.told.records if kind == "VENUE_STREAM_LOST"][:1]
            assert "InvalidNonce" in text
            assert "outside of the recvWindow" in text
            there.refuses_subscriptions = None
            await there.until(lambda: venue.stream_up)
        finally:
            await venue.stop()


@in_loop
async def test_a_lost_stream_is_told_once_however_often_it_is_dialled_and_its_return_says_how_often() -> None:
    async with bench() as there:
        there.refuses_subscriptions = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        venue = there.venue()
        await venue.start()
        try:
            await there.until(lambda: venue.dials == 3)
            there.refuses_subscriptions = None
            await there.until(lambda: venue.stream_up)
            assert len(there.told.texts("VENUE_STREAM_LOST")) == 1
            (opened,) = there.told.texts("VENUE_STREAM_OPENED")
            assert opened.endswith("after 3 attempts"), "each refusal is answered at once, none is waited out"
            await there.sockets[-1].close()
            await there.until(lambda: len(there.told.texts("VENUE_STREAM_LOST")) == 2)
            await there.until(lambda: len(there.told.texts("VENUE_STREAM_OPENED")) == 2)
        finally:
            await venue.stop()


@in_loop
async def test_without_a_stream_own_orders_are_polled() -> None:
    async with bench() as there:
        there.answers_subscriptions = False
        venue = there.venue(request_timeout_s=1.5)
        await venue.start()
        try:
            await placing(there, venue)
            await there.until(lambda: "VENUE_STREAM_LOST" in there.told.kinds())
            assert not venue.stream_up
            there.server.on("GET", "/order", says(queried("a-1-1", status="CANCELED")))
            (closed,) = await there.heard(OrderClosed)
            assert closed.outcome == "canceled"
        finally:
            await venue.stop()


@in_loop
async def test_a_comparison_that_fails_is_told_once_and_tried_again() -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        there.server.on("GET", "/openOrders", says({"code": -1000, "msg": "busy"}, 500))
        await there.sockets[-1].close()
        await there.until(lambda: "VENUE_NOT_RECONCILED" in there.told.kinds())
        asked = len(there.server.calls("GET", "/openOrders"))
        await there.until(lambda: len(there.server.calls("GET", "/openOrders")) > asked + 2)
        assert there.told.kinds().count("VENUE_NOT_RECONCILED") == 1
        there.server.on("GET", "/openOrders", says([]))
        there.server.on("GET", "/order", says(queried("a-1-1", status="CANCELED")))
        await there.heard(OrderClosed)


@in_loop
async def test_a_query_after_the_end_never_opens_an_order_again() -> None:
    async with bench() as there, running(there) as venue:
        await placing(there, venue)
        await there.push(execution(x="CANCELED", X="CANCELED", C="a-1-1", c="the-cancel"))
        await there.heard(OrderClosed)
        there.server.on("GET", "/order", says(queried("a-1-1", status="NEW")))  # a database that lags behind
        venue.submit(QUERY, 0)
        (found,) = await there.heard(OrderReported)
        assert found.status == "canceled"


@in_loop
async def test_the_trades_of_an_order_whose_placing_is_not_known_are_found_by_comparison() -> None:
    async with bench() as there, running(there) as venue:
        await there.sockets[-1].close()
        await there.until(lambda: there.subscriptions == 2)
        there.server.on("POST", "/order", says({"code": -1007, "msg": "Timeout"}, 504))

        async def lagging(asked: Any) -> Any:
            known = asked.query.get("orderId") == "28"
            missing = {"code": -2013, "msg": "Order does not exist."}
            return await (
                says(queried("a-1-1", status="FILLED", filled="0.00200000")) if known else says(missing, 400)
            )(asked)

        there.server.on("GET", "/order", lagging)
        there.server.on("GET", "/myTrades", says([traded(amount="0.00200000")]))
        venue.submit(order(), 0)
        await there.until(lambda: bool(there.events))
        await there.sockets[-1].close()
        (fill,) = await there.heard(FillReported)
        (closed,) = await there.heard(OrderClosed)
        assert (fill.client_id, fill.trade_id, closed.outcome) == ("a-1-1", "7", "filled")
