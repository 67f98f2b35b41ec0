"""At the end no buy leaves for the exchange any more, and what is open there is told by the exchange itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.binance_answers import placed, queried
from tests.exchange.little_exchange import Asked, hanging, in_loop, raw, says
from tests.venues.ccxt_kit import Bench, bench, order, running
from tradebot.domain.events import OrderAcknowledged, OrderRefused
from tradebot.domain.inventory import NotTold, OpenOrder
from tradebot.domain.orders import HELD_BACK, Side
from tradebot.venues.ccxt_ending import AtTheEnd
from tradebot.venues.ccxt_spot import CcxtSpot

PLACE = ("POST", "/api/v3/order")


def end_of(venue: CcxtSpot) -> AtTheEnd:
    assert venue.end is not None
    return venue.end


def row(client_id: str, **more: Any) -> dict[str, Any]:
    """Return an order of 0.002 BTC at 50 000 as the list of open orders has it."""
    return {**queried(client_id, order_id=28, status="NEW", filled="0.00000000"), **more}


@in_loop
async def test_a_buy_that_waits_is_refused_at_the_socket_and_a_sale_still_leaves() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on(*PLACE, says(placed("a-1-2", order_id=2)))
        await end_of(venue).close_entries()
        venue.submit(order("a-1-1"), 0)
        (refused,) = await there.heard(OrderRefused)
        assert (refused.client_id, refused.code) == ("a-1-1", HELD_BACK)
        assert refused.message == "the entries are closed: the bot is ending"
        assert there.server.calls(*PLACE) == []
        venue.submit(order("a-1-2", side=Side.SELL), 0)
        await there.heard(OrderAcknowledged)
        (asked,) = there.server.calls(*PLACE)
        assert asked.fields["side"] == "SELL"


@in_loop
async def test_a_buy_whose_lane_begins_after_the_gate_does_not_leave() -> None:
    async with bench() as there, running(there) as venue:
        for number in range(5):
            venue.submit(order(f"a-1-{number}"), 0)  # their lanes begin at the next turn of the loop
        await end_of(venue).close_entries()
        await there.heard(OrderRefused, 5)
        assert there.server.calls(*PLACE) == []


@in_loop
async def test_the_gate_is_shut_only_when_no_buy_is_on_its_way() -> None:
    async with bench() as there, running(there, request_timeout_s=5) as venue:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow(asked: Asked) -> Any:
            arrived.set()
            await go_on.wait()
            return await says(placed("a-1-1", order_id=1))(asked)

        there.server.on(*PLACE, slow)
        venue.submit(order("a-1-1"), 0)
        await arrived.wait()
        closing = asyncio.create_task(end_of(venue).close_entries())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()
        await closing
        assert there.of(OrderAcknowledged), "its answer was heard before"


@in_loop
async def test_own_open_orders_of_any_run_are_listed_and_nobody_else_s() -> None:
    async with bench() as there, running(there) as venue:
        rows = [
            row("a-9-1", side="SELL", executedQty="0.00050000", status="PARTIALLY_FILLED"),
            row("a-1-7", symbol="ETHUSDT", price="3000.10000000", origQty="0.50000000"),
            row("web_of_a_person"),
            row("b-1-1"),
        ]
        there.server.on("GET", "/openOrders", says(rows))
        before = len(there.server.calls("GET", "/openOrders"))
        assert await end_of(venue).open_orders() == (
            OpenOrder("a-9-1", "BTC/USDT", "sell", Decimal(50000), Decimal("0.0015")),
            OpenOrder("a-1-7", "ETH/USDT", "buy", Decimal("3000.1"), Decimal("0.5")),
        )
        asked = there.server.calls("GET", "/openOrders")[before:]
        assert len([one for one in asked if "symbol" not in one.query]) == 1, "one listing of all"


@in_loop
async def test_a_list_that_is_not_one_is_told_as_not_known() -> None:
    async with bench() as there, running(there) as venue:
        for answer in (raw("{}"), raw(""), raw("<html>", 502, "text/html"), says({"code": -1003, "msg": "x"}, 429)):
            there.server.on("GET", "/openOrders", answer)
            with pytest.raises(NotTold):
                await end_of(venue).open_orders()


@in_loop
async def test_an_exchange_that_does_not_answer_is_told_as_not_known() -> None:
    async with bench() as there, running(there, request_timeout_s=0.2) as venue:
        there.server.on("GET", "/openOrders", hanging(there.server))
        with pytest.raises(NotTold, match="RequestTimeout"):
            await end_of(venue).open_orders()


@in_loop
async def test_a_venue_that_has_stopped_has_no_end_to_ask() -> None:
    async with bench() as there:
        venue: CcxtSpot = Bench.venue(there)
        assert venue.end is None
        await venue.start()
        await end_of(venue).keep_guard(_never)
        await end_of(venue).disarm(1.0)
        await venue.stop()
        assert venue.end is None


async def _never() -> bool:
    raise AssertionError("there is no switch to keep")
