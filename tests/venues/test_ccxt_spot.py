"""Does the ccxt venue send each order once, and tell of it what the exchange proves and nothing else?"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.binance_answers import canceled, placed, queried, traded
from tests.exchange.little_exchange import each, hanging, in_loop, raw, reset, says
from tests.venues.ccxt_kit import KEYS, bench, order, running
from tradebot.domain.commands import CancelOrder, QueryBalances, QueryOrder
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import (
    BalancesReported,
    BalancesUnavailable,
    CancelRefused,
    FillReported,
    OrderAcknowledged,
    OrderClosed,
    OrderNotFound,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
)
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.venues.ccxt_spot import NotRunning

CANCEL = CancelOrder("a-1-1", "BTC/USDT")
QUERY = QueryOrder("a-1-1", "BTC/USDT")

UNKNOWN_ORDER = {"code": -2011, "msg": "Unknown order sent."}
NO_SUCH_ORDER = {"code": -2013, "msg": "Order does not exist."}


@in_loop
async def test_an_order_leaves_as_it_was_decided_and_its_fill_is_told_with_its_fee() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says(placed("a-1-1", status="PARTIALLY_FILLED", filled="0.00100000")))
        assert venue.submit(order(), 0) == []
        (fill,) = await there.heard(FillReported)
        (sent,) = there.server.calls("POST", "/order")
        fields = sent.fields
        assert (fields["newClientOrderId"], fields["side"], fields["type"]) == ("a-1-1", "BUY", "LIMIT")
        assert (fields["price"], fields["quantity"], fields["timeInForce"]) == ("50000", "0.002", "GTC")
        assert "clientOrderId" not in fields
        assert fields["recvWindow"] == "100"
        (known,) = there.of(OrderAcknowledged)
        assert (known.client_id, known.venue_id) == ("a-1-1", "28")
        assert (fill.trade_id, fill.price, fill.amount) == ("7", Decimal("50000.00"), Decimal("0.001"))
        assert (fill.fee, fill.fee_asset) == (Decimal("0.00001"), "BNB")
        assert there.of(OrderClosed) == []


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"tif": TimeInForce.IOC}, {"type": "LIMIT", "timeInForce": "IOC"}),
        ({"tif": TimeInForce.FOK}, {"type": "LIMIT", "timeInForce": "FOK"}),
        ({"tif": TimeInForce.PO}, {"type": "LIMIT_MAKER", "timeInForce": None}),
        (
            {"type": OrderType.MARKET, "tif": TimeInForce.IOC, "side": Side.SELL, "price": Decimal(0)},
            {"type": "MARKET", "side": "SELL", "quantity": "0.002", "price": None, "quoteOrderQty": None},
        ),
        (
            {
                "type": OrderType.MARKET,
                "tif": TimeInForce.IOC,
                "price": Decimal(0),
                "amount": Decimal(0),
                "quote_amount": Decimal("100.50"),
            },
            {"type": "MARKET", "side": "BUY", "quoteOrderQty": "100.5", "quantity": None, "price": None},
        ),
    ],
    ids=["IOC", "FOK", "PO", "market sell", "market buy by quote"],
)
@in_loop
async def test_every_kind_of_order_is_worded_as_binance_wants_it(more: dict[str, Any], wanted: dict[str, Any]) -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says(placed("a-1-1")))
        venue.submit(order(**more), 0)
        await there.heard(OrderAcknowledged)
        (sent,) = there.server.calls("POST", "/order")
        assert {name: sent.fields.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("more", "code"), [({"price": Decimal("50000.125")}, "PRICE_FILTER"), ({"amount": Decimal("0.002001")}, "LOT_SIZE")]
)
@in_loop
async def test_what_ccxt_would_round_is_not_sent(more: dict[str, Any], code: str) -> None:
    async with bench() as there, running(there) as venue:
        venue.submit(order(**more), 0)
        (refused,) = await there.heard(OrderRefused)
        assert refused.code == code
        assert there.server.calls("POST", "/order") == []


@in_loop
async def test_a_refusal_is_told_with_the_exchange_s_code() -> None:
    async with bench() as there, running(there) as venue:
        refusal = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
        there.server.on("POST", "/order", says(refusal, 400))
        venue.submit(order(), 0)
        (refused,) = await there.heard(OrderRefused)
        assert (refused.code, refused.message) == ("-2010", refusal["msg"])


@pytest.mark.parametrize("answer", [reset, raw(""), says({"code": -1007, "msg": "Timeout"}, 504)])
@in_loop
async def test_an_unknown_outcome_is_told_and_nothing_is_sent_again(answer: Any) -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", answer)
        venue.submit(order(), 0)
        (unknown,) = await there.heard(OutcomeUnknown)
        assert (unknown.client_id, unknown.request) == ("a-1-1", "place")
        there.server.on("GET", "/order", says(queried("a-1-1", filled="0.00100000", status="PARTIALLY_FILLED")))
        there.server.on("GET", "/myTrades", says([traded()]))
        venue.submit(QUERY, 0)
        (found,) = await there.heard(OrderReported)
        assert (found.status, found.filled, len(found.fills)) == ("open", Decimal("0.001"), 1)
        assert len(there.server.calls("POST", "/order")) == 1


@in_loop
async def test_a_timestamp_that_was_refused_is_measured_anew_and_only_then_sent_again() -> None:
    async with bench() as there, running(there) as venue:
        late = says({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
        asked = len(there.server.calls("GET", "/time"))
        there.server.on("POST", "/order", each(late, says(placed("a-1-1"))))
        venue.submit(order(), 0)
        await there.heard(OrderAcknowledged)
        assert len(there.server.calls("GET", "/time")) > asked
        assert len(there.server.calls("POST", "/order")) == 2


@in_loop
async def test_a_timestamp_refused_twice_or_too_late_is_a_refusal() -> None:
    async with bench() as there, running(there) as venue:
        late = says({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
        there.server.on("POST", "/order", late)
        venue.submit(order(send_by_ms=1), 0)
        (refused,) = await there.heard(OrderRefused)
        assert refused.code == "-1021"
        assert len(there.server.calls("POST", "/order")) == 1
        venue.submit(order("a-1-2"), 0)
        await there.heard(OrderRefused, 2)
        assert len(there.server.calls("POST", "/order")) == 3


@in_loop
async def test_a_duplicate_that_is_open_is_asked_for_and_adopted() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says({"code": -2010, "msg": "Duplicate order sent."}, 400))
        there.server.on("GET", "/order", says(queried("a-1-1")))
        venue.submit(order(), 0)
        (found,) = await there.heard(OrderReported)
        assert (found.client_id, found.status, found.venue_id) == ("a-1-1", "open", "28")
        assert there.of(OrderRefused) == []


@in_loop
async def test_a_cancel_waits_for_its_order_and_tells_how_much_was_filled() -> None:
    async with bench() as there, running(there) as venue:
        answered = asyncio.Event()

        async def slowly(asked: Any) -> Any:
            await answered.wait()
            return await says(placed("a-1-1"))(asked)

        there.server.on("POST", "/order", slowly)
        there.server.on("DELETE", "/order", says(canceled("a-1-1")))
        venue.submit(order(), 0)
        venue.submit(CANCEL, 0)
        await there.until(lambda: bool(there.server.calls("POST", "/order")))
        assert there.server.calls("DELETE", "/order") == []
        answered.set()
        (closed,) = await there.heard(OrderClosed)
        assert (closed.outcome, closed.filled) == ("canceled", Decimal(0))
        (sent,) = there.server.calls("DELETE", "/order")
        assert sent.fields["origClientOrderId"] == "a-1-1"


@in_loop
async def test_a_cancel_that_finds_no_order_asks_for_it() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says(placed("a-1-1")))
        there.server.on("DELETE", "/order", says(UNKNOWN_ORDER, 400))
        there.server.on("GET", "/order", says(queried("a-1-1", status="CANCELED")))
        venue.submit(order(), 0)
        venue.submit(CANCEL, 0)
        (found,) = await there.heard(OrderReported)
        assert found.status == "canceled"
        assert there.of(CancelRefused) == []


@in_loop
async def test_a_cancel_whose_answer_was_lost_and_repeated_ends_in_what_the_order_says() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says(placed("a-1-1")))
        there.server.on("DELETE", "/order", each(reset, says(UNKNOWN_ORDER, 400)))
        there.server.on("GET", "/order", says(queried("a-1-1", status="CANCELED")))
        venue.submit(order(), 0)
        await there.heard(OrderAcknowledged)
        venue.submit(CANCEL, 0)
        (found,) = await there.heard(OrderReported)
        assert found.status == "canceled"
        assert len(there.server.calls("DELETE", "/order")) == 2, "the connection repeats a DELETE by itself"


@in_loop
async def test_a_cancel_refused_or_unknown_is_told_as_that() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says(placed("a-1-1")))
        refusal = says({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)
        there.server.on("DELETE", "/order", each(refusal, says({"code": -1000, "msg": "Unknown"}, 500)))
        venue.submit(order(), 0)
        await there.heard(OrderAcknowledged)
        venue.submit(CANCEL, 0)
        (refused,) = await there.heard(CancelRefused)
        assert refused.code == "-2015"
        venue.submit(CANCEL, 0)
        (unknown,) = await there.heard(OutcomeUnknown)
        assert unknown.request == "cancel"


@in_loop
async def test_no_such_order_is_proof_only_late_twice_and_without_a_trace() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", reset)
        there.server.on("GET", "/order", says(NO_SUCH_ORDER, 400))
        venue.submit(order(), 0)
        await there.heard(OutcomeUnknown)
        there.clock.ahead_ms = -3_600_000  # the time since the request has not passed
        for count in (1, 2, 3):
            venue.submit(QUERY, 0)
            await there.heard(OrderNotFound, count)
        assert not any(absent.conclusive for absent in there.of(OrderNotFound))
        there.clock.ahead_ms = 0
        there.passes(venue, 1_000)
        there.server.on("GET", "/allOrders", says({"code": -1000, "msg": "busy"}, 500))
        venue.submit(QUERY, 0)
        await there.heard(OrderNotFound, 4)
        assert not any(absent.conclusive for absent in there.of(OrderNotFound))
        there.server.on("GET", "/allOrders", says([queried("someone-else", order_id=3)]))
        venue.submit(QUERY, 0)
        await there.heard(OrderNotFound, 5)
        assert there.of(OrderNotFound)[-1].conclusive


@pytest.mark.parametrize("status", ["NEW", "CANCELED", "FILLED"])
@in_loop
async def test_an_order_that_no_query_finds_any_more_is_known_by_the_list_that_holds_it(status: str) -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("GET", "/order", says(NO_SUCH_ORDER, 400))
        filled = "0.00200000" if status == "FILLED" else "0.00000000"
        there.server.on("GET", "/allOrders", says([queried("a-1-1", status=status, filled=filled)]))
        there.server.on("GET", "/myTrades", says([traded(amount=filled)] if status == "FILLED" else []))
        for count in (1, 2):  # one of an earlier run, whose client id the exchange has forgotten
            venue.submit(QUERY, 0)
            await there.heard(OrderNotFound, count)
        there.passes(venue, 1_000)
        venue.submit(QUERY, 0)
        (found,) = await there.heard(OrderReported)
        assert found.status == {"NEW": "open", "CANCELED": "canceled", "FILLED": "filled"}[status]
        assert (found.venue_id, found.filled) == ("28", Decimal(filled))
        assert sum((fill.amount for fill in found.fills), Decimal(0)) == Decimal(filled)
        assert not any(absent.conclusive for absent in there.of(OrderNotFound))


@in_loop
async def test_one_miss_is_no_proof_and_the_order_of_a_trade_nobody_knows_is_asked_for_and_believed() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", reset)
        there.server.on("GET", "/order", says(NO_SUCH_ORDER, 400))
        venue.submit(order(), 0)
        await there.heard(OutcomeUnknown)
        there.passes(venue, 1_000)
        venue.submit(QUERY, 0)
        (missed,) = await there.heard(OrderNotFound)
        assert not missed.conclusive

        async def by_id(asked: Any) -> Any:
            known = asked.query.get("orderId") == "99"
            return await (says(queried("a-1-1", order_id=99)) if known else says(NO_SUCH_ORDER, 400))(asked)

        there.server.on("GET", "/order", by_id)
        there.server.on("GET", "/myTrades", says([traded(99)]))
        venue.submit(QUERY, 0)
        (found,) = await there.heard(OrderReported)
        assert (found.status, found.venue_id) == ("open", "99")
        assert len(there.of(OrderNotFound)) == 1


@in_loop
async def test_an_order_of_an_earlier_run_is_not_absent_before_it_could_have_arrived() -> None:
    async with bench() as there, running(there, recv_window_ms=5_000, not_found_after_s=20) as venue:
        there.server.on("GET", "/order", says(NO_SUCH_ORDER, 400))
        for count in (1, 2, 3):
            venue.submit(QUERY, 0)
            await there.heard(OrderNotFound, count)
        there.clock.ahead_ms = 25_100  # a clock that is set forward is no time that has passed
        venue.submit(QUERY, 0)
        await there.heard(OrderNotFound, 4)
        assert not any(absent.conclusive for absent in there.of(OrderNotFound))
        there.passes(venue, 25_100)
        venue.submit(QUERY, 0)
        await there.heard(OrderNotFound, 5)
        assert there.of(OrderNotFound)[-1].conclusive


@in_loop
async def test_balances_are_told_exactly_or_as_unavailable() -> None:
    async with bench() as there, running(there) as venue:
        venue.submit(QueryBalances(), 0)
        (told,) = await there.heard(BalancesReported)
        assert told.balances == {"USDT": Balance(Decimal("1000.00000000"))}
        there.server.on("GET", "/account", says({"code": -1000, "msg": "Unknown"}, 500))
        venue.submit(QueryBalances(), 0)
        (failed,) = await there.heard(BalancesUnavailable)
        assert failed.cause == "HTTP 500, code -1000"


@in_loop
async def test_a_ban_stops_every_request_until_it_ends() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says({"code": -1003, "msg": "banned"}, 418, {"Retry-After": "120"}))
        venue.submit(order(), 0)
        await there.heard(OrderRefused)
        before = len(there.server.asked)
        venue.submit(order("a-1-2"), 0)
        venue.submit(QUERY, 0)
        venue.submit(QueryBalances(), 0)
        (_, held) = await there.heard(OrderRefused, 2)
        assert (held.code, "banned by the exchange" in held.message) == ("HeldBack", True)
        await there.heard(OutcomeUnknown)
        await there.heard(BalancesUnavailable)
        assert len(there.server.asked) == before
        there.clock.ahead_ms = 121_000
        there.server.on("POST", "/order", says(placed("a-1-3")))
        venue.submit(order("a-1-3"), 0)
        await there.heard(OrderAcknowledged)


@in_loop
async def test_instruments_have_exact_filters() -> None:
    async with bench() as there, running(there) as venue:
        bitcoin, ether = venue.instruments()
        assert (bitcoin.symbol, ether.symbol) == ("BTC/USDT", "ETH/USDT")
        assert (bitcoin.tick_size, bitcoin.amount_step) == (Decimal("0.01"), Decimal("0.00001"))
        assert (bitcoin.min_amount, bitcoin.max_amount) == (Decimal("0.00001"), Decimal(9000))
        assert bitcoin.min_notional == 5


@in_loop
async def test_stopping_leaves_nothing_open_and_an_order_under_way_is_told_as_unknown() -> None:
    async with bench() as there:
        before = asyncio.all_tasks()
        async with running(there, request_timeout_s=30) as venue:
            there.server.on("POST", "/order", hanging(there.server))
            venue.submit(order(), 0)
            await there.until(lambda: bool(there.server.calls("POST", "/order")))
        (unknown,) = there.of(OutcomeUnknown)
        assert (unknown.client_id, unknown.request) == ("a-1-1", "place")
        await venue.stop()
        with pytest.raises(NotRunning):
            venue.submit(order("a-1-2"), 0)
        there.server.over.set()
        await there.until(lambda: all(socket.closed for socket in there.sockets))
        left = {task for task in asyncio.all_tasks() - before if "tradebot" in task.get_name() or "ccxt" in repr(task)}
        assert left == set()


@pytest.mark.parametrize(
    ("path", "answer", "says_so"),
    [
        ("/exchangeInfo", says({"code": -1000, "msg": "no"}, 500), "markets could not be loaded"),
        ("/time", says({"serverTime": 1_000}), "ahead of binance's"),
        ("/account", says({"code": -2015, "msg": f"no {KEYS.api_key}"}, 401), r"refuses the key: -2015 no \*\*\*"),
    ],
)
@in_loop
async def test_a_start_that_cannot_be_says_why_and_leaves_nothing_open(path: str, answer: Any, says_so: str) -> None:
    async with bench() as there:
        there.server.on("GET", path, answer)
        venue = there.venue()
        with pytest.raises(CannotStart, match=says_so) as caught:
            await venue.start()
        assert KEYS.secret not in str(caught.value)
        assert KEYS.api_key not in str(caught.value)
        assert there.sockets == []
        with pytest.raises(NotRunning):
            venue.submit(order(), 0)
