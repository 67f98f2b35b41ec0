"""Are many own orders answered for together: each as if it were asked for alone, with few requests, nothing missed?"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from tests.exchange.binance_answers import queried, traded
from tests.exchange.little_exchange import Answer, Asked, in_loop, raw, says
from tests.sandbox.rest_kit import SYMBOL
from tests.venues.ccxt_kit import bench, running
from tests.venues.test_ccxt_sandbox import PAIR, Rehearsal, buy, rehearsing
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryOrder, ReconcileOrders
from tradebot.domain.events import OrderNotFound, OrderReported, OutcomeUnknown
from tradebot.domain.orders import TimeInForce

BTC = "BTC/USDT"
NO_SUCH_ORDER = {"code": -2013, "msg": "Order does not exist."}


def together(*client_ids: str, symbol: str = BTC, since_ms: int = 1_700_000_000_000) -> ReconcileOrders:
    """Return the question for some orders."""
    return ReconcileOrders(tuple(QueryOrder(each, symbol) for each in client_ids), since_ms)


def names(count: int) -> list[str]:
    """Return the client ids of so many orders."""
    return [f"a-1-{number}" for number in range(1, count + 1)]


def open_rows(client_ids: list[str], filled: str = "0.00000000") -> list[dict[str, Any]]:
    """Return the list of open orders, each with the number of its client id as the exchange's."""
    status = "NEW" if not float(filled) else "PARTIALLY_FILLED"
    return [queried(each, order_id=number(each), status=status, filled=filled) for each in client_ids]


def number(client_id: str) -> int:
    """Return the exchange's id of an order."""
    return 1_000 + int(client_id.rpartition("-")[2])


def asked_after(there: Any, before: int) -> list[str]:
    """Return the paths of the requests since then, without those of clock and socket."""
    paths = [each.path.rpartition("/")[2] for each in there.server.asked[before:]]
    return [path for path in paths if path in {"openOrders", "allOrders", "myTrades", "order"}]


@in_loop
async def test_a_thousand_open_orders_cost_one_request() -> None:
    async with bench() as there, running(there) as venue:
        ids = names(1_000)
        there.server.on("GET", "/openOrders", says(open_rows(ids)))
        before = len(there.server.asked)
        venue.submit(together(*ids), 0)
        told = await there.heard(OrderReported, 1_000)
        assert asked_after(there, before) == ["openOrders"]
        assert [(each.client_id, each.status) for each in told] == [(each, "open") for each in ids]
        assert there.of(OutcomeUnknown) == []


@in_loop
async def test_fills_of_many_orders_of_a_symbol_cost_one_list_of_its_trades() -> None:
    async with bench() as there, running(there) as venue:
        ids = names(30)
        rows = open_rows(ids, "0.00100000")
        fills = [traded(number(each), trade_id=number(each)) for each in ids]
        there.server.on("GET", "/openOrders", says(rows))
        there.server.on("GET", "/myTrades", says(fills))
        before = len(there.server.asked)
        venue.submit(together(*ids), 0)
        told = await there.heard(OrderReported, 30)
        assert asked_after(there, before) == ["openOrders", "myTrades"]
        assert {each.client_id: [fill.trade_id for fill in each.fills] for each in told} == {
            each: [str(number(each))] for each in ids
        }


@in_loop
async def test_fills_that_do_not_add_up_in_the_list_are_asked_for_order_by_order() -> None:
    """A list of trades that ends early, or lags, is not taken for all there is."""
    async with bench() as there, running(there) as venue:
        ids = names(6)

        async def trades(asked: Asked) -> web.StreamResponse:
            if "orderId" not in asked.query:
                return web.json_response([traded(number(each), trade_id=number(each)) for each in ids[:3]])
            one = int(asked.query["orderId"])
            return web.json_response([traded(one, trade_id=one)])

        there.server.on("GET", "/openOrders", says(open_rows(ids, "0.00100000")))
        there.server.on("GET", "/myTrades", trades)
        before = len(there.server.asked)
        venue.submit(together(*ids), 0)
        told = await there.heard(OrderReported, 6)
        assert all(len(each.fills) == 1 for each in told)
        assert asked_after(there, before)[-5:] == ["openOrders", *["myTrades"] * 4]  # the start's own list may be late


@in_loop
async def test_orders_that_ended_meanwhile_cost_one_list_of_the_symbols_orders_and_one_of_its_trades() -> None:
    async with bench() as there, running(there) as venue:
        ids = names(40)
        done = [queried(each, order_id=number(each), status="FILLED", filled="0.00200000") for each in ids]
        fills = [traded(number(each), trade_id=number(each), amount="0.00200000") for each in ids]
        there.server.on("GET", "/allOrders", says(done))
        there.server.on("GET", "/myTrades", says(fills))
        before = len(there.server.asked)
        venue.submit(together(*ids), 0)
        told = await there.heard(OrderReported, 40)
        assert asked_after(there, before) == ["openOrders", "allOrders", "myTrades"]
        assert all(each.status == "filled" and each.filled == Decimal("0.002") for each in told)


@in_loop
async def test_what_no_list_tells_is_looked_up_alone_so_many_at_once() -> None:
    async with bench() as there, running(there, lookups_at_once=3) as venue:
        ids = names(12)
        under_way = most = 0
        go = asyncio.Event()

        async def find(asked: Asked) -> web.StreamResponse:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 3:
                go.set()
            await go.wait()
            under_way -= 1
            client_id = asked.query["origClientOrderId"]
            if client_id == "a-1-12":
                return web.json_response(NO_SUCH_ORDER, status=400)
            return web.json_response(queried(client_id, order_id=number(client_id), status="CANCELED"))

        there.server.on("GET", "/api/v3/order", find)
        before = len(there.server.asked)
        venue.submit(together(*ids), 0)
        told = await there.heard(OrderReported, 11)
        (absent,) = await there.heard(OrderNotFound)
        assert most == 3
        assert {each.status for each in told} == {"canceled"}
        assert (absent.client_id, absent.conclusive) == ("a-1-12", False), "one miss proves nothing"
        assert asked_after(there, before).count("order") == 12


FAILING: dict[str, Answer] = {
    "an error": says({"code": -1000, "msg": "down"}, status=503),
    "a cut list": raw('[{"symbol": "BTCUSDT", "orderId"'),
    "no list": says({}),
}


@pytest.mark.parametrize("failing", FAILING)
@in_loop
async def test_a_list_that_cannot_be_had_leaves_every_order_unknown_and_proves_nothing(failing: str) -> None:
    async with bench() as there, running(there) as venue:
        ids = names(25)
        there.server.on("GET", "/openOrders", FAILING[failing])
        venue.submit(together(*ids), 0)
        told = await there.heard(OutcomeUnknown, 25)
        assert {(each.client_id, each.request) for each in told} == {(each, "query") for each in ids}
        assert there.of(OrderNotFound) == []
        assert there.of(OrderReported) == []


@in_loop
async def test_an_order_whose_own_request_is_under_way_is_asked_for_behind_it() -> None:
    async with bench() as there, running(there) as venue:
        released = asyncio.Event()

        async def cancel(_asked: Asked) -> web.StreamResponse:
            await released.wait()
            return web.json_response({"code": -2011, "msg": "Unknown order sent."}, status=400)

        there.server.on("DELETE", "/order", cancel)
        there.server.on("GET", "/openOrders", says(open_rows(["a-1-2", "a-1-3"])))
        there.server.on("GET", "/api/v3/order", says(queried("a-1-1", order_id=1_001, status="CANCELED")))
        venue.submit(CancelOrder("a-1-1", BTC), 0)
        await there.until(lambda: bool(there.server.calls("DELETE", "/order")))
        venue.submit(together("a-1-1", "a-1-2", "a-1-3"), 0)
        told = await there.heard(OrderReported, 2)
        assert {each.client_id for each in told} == {"a-1-2", "a-1-3"}
        assert not there.server.calls("GET", "/api/v3/order")
        released.set()
        told = await there.heard(OrderReported, 3)
        assert (told[2].client_id, told[2].status) == ("a-1-1", "canceled")


@in_loop
async def test_everything_that_happened_while_away_is_told_to_the_last_unit() -> None:
    """Twelve resting orders: a venue goes, some fill whole, one in part, some are cancelled by hand; another comes."""
    async with rehearsing() as there:
        orders = [
            buy(f"a-1-{at}", tif=TimeInForce.GTC, price=Decimal(f"{90 + at / 10:.2f}"), amount=Decimal(1))
            for at in range(1, 13)
        ]
        for wish in orders:
            there.venue_here.submit(wish, 0)
        live = there.venue_here.orders.live
        await there.until(lambda: len(live()) == 12 and all(one.venue_id for one in live()))
        await there.venue_here.stop()
        there.client.trade(90.85, 3.5, buyer_taker=False)
        for name in ("a-1-1", "a-1-2"):
            await there.client.signed("DELETE", "order", symbol=SYMBOL, origClientOrderId=name)
        lost = PlaceOrder(**{**_fields(orders[0]), "client_id": "a-1-99"})
        again = Rehearsal(there.client)
        venue = again.venue_here
        await venue.start()
        try:
            ids = [each.client_id for each in orders] + [lost.client_id]
            venue.submit(together(*ids, symbol=PAIR, since_ms=there.clock.now_ms() - 60_000), 0)
            await again.until(lambda: len({event.client_id for event in again.of(OrderReported)}) == 12)
            (absent,) = await again.heard(OrderNotFound)
            assert (absent.client_id, absent.conclusive) == (lost.client_id, False)
            rows = (await there.client.signed("GET", "allOrders", symbol=SYMBOL)).body
            told = {event.client_id: event for event in again.of(OrderReported)}
            assert {row["clientOrderId"] for row in rows} == set(told)
            for row in rows:
                report = told[row["clientOrderId"]]
                assert report.filled == Decimal(row["executedQty"]) == sum(fill.amount for fill in report.fills)
                assert report.status == {"NEW": "open", "PARTIALLY_FILLED": "open"}.get(
                    row["status"], row["status"].lower()
                )
            assert sum(report.filled for report in told.values()) == Decimal("3.5")
            await again.agree()
        finally:
            await venue.stop()
        assert again.broken == []


def _fields(wish: PlaceOrder) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in wish.__struct_fields__}
