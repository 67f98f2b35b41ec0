"""Do venue and exchange agree on every order and fill, to the last unit, whatever befalls requests and events?

The whole sandbox exchange answers, through the real ccxt; each fault strikes where an exchange could have failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.exchange.little_exchange import LittleExchange, in_loop
from tests.sandbox.rest_kit import KEY, SECRET, SYMBOL, Client, exchange
from tests.venues.ccxt_kit import QUICK, Bench, order
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryBalances, QueryOrder
from tradebot.domain.events import (
    BalancesReported,
    FillReported,
    OrderClosed,
    OrderNotFound,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
)
from tradebot.domain.orders import TimeInForce
from tradebot.exchange.credentials import Credentials
from tradebot.venues.ccxt_spot import CcxtSpot

PAIR = "AAA/USDT"
SETTLED = (OrderClosed, OrderRefused)


class Rehearsal(Bench):
    """A venue that trades on the sandbox exchange, and the exchange's own word on it."""

    def __init__(self, client: Client, **settings: Any) -> None:
        super().__init__(LittleExchange())
        self.client = client
        self.venue_here = CcxtSpot(
            Exchange(
                **{
                    **QUICK,
                    "reconcile_interval_s": 1,
                    "base_url": client.sandbox.url,
                    "request_timeout_s": 1.2,
                    "recv_window_ms": 500,
                    "not_found_after_s": 0.3,
                    **settings,
                }
            ),
            Credentials(KEY, SECRET),
            quote="USDT",
            id_prefix="a-",
            clock=self.clock,
            deliver=self.deliver,
            log=self.told,
            failed=lambda _name, error: self.broken.append(error),
        )

    async def fault(self, **fields: object) -> None:
        """Let a fault strike from here on."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.client.sandbox.url}/sandbox/faults", json=fields) as answer,
        ):
            assert answer.status in {200, 201}, await answer.text()

    async def settled(self, client_id: str) -> str:
        """Ask, as an engine would, until an order has ended or is proven absent; return which."""
        while True:
            for event in self.events:
                if getattr(event, "client_id", "") != client_id:
                    continue
                if isinstance(event, SETTLED):
                    return type(event).__name__
                if isinstance(event, OrderReported) and event.status != "open":
                    return event.status
                if isinstance(event, OrderNotFound) and event.conclusive:
                    return "absent"
            if any(isinstance(event, OutcomeUnknown) and event.client_id == client_id for event in self.events):
                self.venue_here.submit(QueryOrder(client_id, PAIR), 0)
            await asyncio.sleep(0.05)

    async def agree(self) -> None:
        """Wait until every trade of the exchange was told, and check each of them."""
        rows = (await self.client.signed("GET", "myTrades", symbol=SYMBOL)).body
        await self.until(lambda: len(self.fills()) == len(rows))
        for row in rows:
            fill = self.fills()[str(row["id"])]
            assert (fill.price, fill.amount) == (Decimal(row["price"]), Decimal(row["qty"]))
            assert (fill.fee, fill.fee_asset) == (Decimal(row["commission"]), row["commissionAsset"])
            assert fill.maker == row["isMaker"]

    def fills(self) -> dict[str, FillReported]:
        """Return every fill that was told, by its id: those reported in the answer to a query, too."""
        told = [event for event in self.events if isinstance(event, FillReported)]
        told += [fill for event in self.of(OrderReported) for fill in event.fills]
        return {fill.trade_id: fill for fill in told}


@asynccontextmanager
async def rehearsing(**settings: Any) -> AsyncIterator[Rehearsal]:
    """Serve an exchange whose market moves when a test says so, and trade on it."""
    async with exchange() as client:
        rehearsal = Rehearsal(client, **settings)
        venue = rehearsal.venue_here
        await venue.start()
        try:
            await rehearsal.until(lambda: venue.stream_up and venue.reconciliations > 0)
            yield rehearsal
        finally:
            await venue.stop()
            assert rehearsal.broken == []


def buy(client_id: str = "a-1-1", **more: Any) -> PlaceOrder:
    """Return an IOC buy of two at the ask."""
    usual = {"symbol": PAIR, "tif": TimeInForce.IOC, "price": Decimal("101.00"), "amount": Decimal(2)}
    return order(client_id, **{**usual, **more})


@in_loop
async def test_orders_fills_fees_and_balances_agree_to_the_last_unit() -> None:
    async with rehearsing() as there:
        there.venue_here.submit(buy(), 0)
        assert await there.settled("a-1-1") == "OrderClosed"
        resting = buy("a-1-2", tif=TimeInForce.GTC, price=Decimal("99.50"), amount=Decimal(3))
        there.venue_here.submit(resting, 0)
        await there.until(lambda: bool(there.venue_here.orders.live()))
        await there.until(lambda: there.venue_here.orders.live()[0].venue_id != "")
        there.client.trade(99.4, 1.0, buyer_taker=False)
        await there.until(lambda: len(there.fills()) >= 2)
        there.venue_here.submit(CancelOrder("a-1-2", PAIR), 0)
        await there.settled("a-1-2")
        await there.agree()
        there.venue_here.submit(QueryBalances(), 0)
        (told,) = await there.heard(BalancesReported)
        rows = (await there.client.signed("GET", "account")).body["balances"]
        assert {asset: (held.free, held.locked) for asset, held in told.balances.items()} == {
            row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows if Decimal(row["free"])
        }


FAULTS: dict[str, dict[str, object]] = {
    f"{action} {stage}": {"action": action, "stage": stage, "for_ms": 2_500}
    for action in ("hang", "reset", "close", "truncate", "cut_json", "empty_200", "html", "status")
    for stage in ("before", "after")
}
FAULTS |= {
    "late": {"action": "late", "delay_ms": 200, "reply": "reset"},
    "reply first": {"action": "reply_first", "delay_ms": 100},
    "event first": {"action": "event_first", "delay_ms": 100},
    "lag": {"action": "lag", "queries": 2, "for_ms": 200},
    "delay": {"action": "delay", "delay_ms": 200},
}


@pytest.mark.parametrize("fault", FAULTS)
@in_loop
async def test_a_fault_of_placing_never_trades_twice_and_loses_nothing(fault: str) -> None:
    async with rehearsing() as there:
        await there.fault(on="order.place", times=1, **FAULTS[fault])
        there.venue_here.submit(buy(), 0)
        await there.settled("a-1-1")
        await there.agree()
        rows = (await there.client.signed("GET", "allOrders", symbol=SYMBOL)).body
        assert [row["clientOrderId"] for row in rows] in ([], ["a-1-1"])
        if fault.endswith("before") and fault.split(maxsplit=1)[0] != "delay":
            assert rows == []
        elif fault.endswith("after"):
            assert len(rows) == 1
            assert there.fills()


@pytest.mark.parametrize("fault", ["reset after", "hang after", "status after", "truncate before", "empty_200 after"])
@in_loop
async def test_a_fault_of_cancelling_ends_in_what_the_exchange_holds(fault: str) -> None:
    async with rehearsing() as there:
        there.venue_here.submit(buy(tif=TimeInForce.GTC, price=Decimal("90.00")), 0)
        await there.until(lambda: any(each.venue_id for each in there.venue_here.orders.live()))
        await there.fault(on="order.cancel", times=1, **FAULTS[fault])
        there.venue_here.submit(CancelOrder("a-1-1", PAIR), 0)
        if fault.endswith("before"):
            await there.heard(OutcomeUnknown)
            there.venue_here.submit(CancelOrder("a-1-1", PAIR), 0)
        await there.settled("a-1-1")
        rows = (await there.client.signed("GET", "allOrders", symbol=SYMBOL)).body
        assert [row["status"] for row in rows] == ["CANCELED"]


EVENTS: dict[str, dict[str, object]] = {
    action: {"on": "user.executionReport", "action": action, "delay_ms": 50}
    for action in ("duplicate", "drop", "reorder", "unknown_event", "unknown_fields", "disconnect", "delay")
}
EVENTS["terminate"] = {"on": "user.executionReport", "action": "terminate", "times": 1}
EVENTS["shutdown_notice"] = {"on": "user.executionReport", "action": "shutdown_notice", "times": 1}


@pytest.mark.parametrize("fault", EVENTS)
@in_loop
async def test_a_fault_of_events_changes_no_fill_and_loses_none(fault: str) -> None:
    async with rehearsing() as there:
        await there.fault(**{"times": 6, **EVENTS[fault]})
        resting = buy(tif=TimeInForce.GTC, price=Decimal("99.50"), amount=Decimal(1))
        there.venue_here.submit(resting, 0)
        await there.until(lambda: any(each.venue_id for each in there.venue_here.orders.live()))
        there.client.trade(99.0, 50.0, buyer_taker=False)
        await there.settled("a-1-1")
        await there.agree()
        assert len(there.of(FillReported)) == len(there.fills())
