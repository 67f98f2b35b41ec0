"""Are trades taken for what they are, and asked for from where they were last told? Asked of a little Bybit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.little_exchange import Asked, in_loop, says
from tests.exchange.test_requests_wire import speaking
from tests.venues.ccxt_kit import WallClock
from tradebot.domain.events import Event, FillReported
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests
from tradebot.venues.ccxt_lookups import Lookups
from tradebot.venues.ccxt_orders import OwnOrders
from tradebot.venues.ccxt_reconcile import Reconciler

HOUR_MS = 3_600_000


class Desk:
    """Own orders of the prefix "t-" at an exchange, and what was told of them."""

    def __init__(self, requests: Requests, server: Any) -> None:
        self.clock = WallClock()
        self.events: list[Event] = []
        offset = ClockOffset(self._no_time, self.clock)
        self.orders = OwnOrders(offset, "t-")
        self.lookups = Lookups(self.orders, offset, server.settings("bybit"), self.clock)
        self.requests = requests
        self.reconciler = Reconciler(
            self.orders, self.lookups, requests, offset, self.clock, self.events.append, lambda _id: False,
            lambda _symbol, _why: None, 0,
        )  # fmt: skip

    async def _no_time(self) -> int:
        return self.clock.now_ms()


@pytest.mark.parametrize(("told", "taken"), [("0.001000000000000001", "0.001"), ("0.00101", "0.00101")])
@in_loop
async def test_what_was_filled_is_the_sum_of_its_trades_where_no_trade_could_make_the_difference(
    told: str, taken: str
) -> None:
    async with speaking("bybit") as (requests, server, spoken):
        server.on(*spoken.trades, says(spoken.traded))
        desk = Desk(requests, server)
        here = SeenOrder("V1", "t-1-1", "BTC/USDT", "filled", Decimal(told), (), 0)
        whole = await desk.lookups.with_fills(desk.orders.know("t-1-1", "BTC/USDT"), here, requests)
        assert isinstance(whole, SeenOrder), whole
        assert whole.filled == Decimal(taken)
        assert [fill.amount for fill in whole.fills] == [Decimal("0.001")]


@in_loop
async def test_trades_are_asked_for_since_the_last_comparison_where_the_exchange_does_not_count_them() -> None:
    async with speaking("bybit") as (requests, server, spoken):
        since: list[int] = []

        async def trades(asked: Asked) -> Any:
            since.append(int(asked.query["startTime"]))
            return await says(spoken.traded)(asked)

        server.on("GET", "/v5/order/realtime", says(spoken.found))
        server.on(*spoken.trades, says(spoken.traded))
        desk = Desk(requests, server)
        desk.orders.know("t-1-1", "BTC/USDT")
        assert await desk.reconciler.run() == ""
        server.on(*spoken.trades, trades)
        for days in (1, 8):
            desk.clock.ahead_ms = days * 24 * HOUR_MS
            assert await desk.reconciler.run() == ""
        assert since[1] - since[0] > 23 * HOUR_MS, "bybit tells of seven days from the time it is asked for"
        assert len([event for event in desk.events if isinstance(event, FillReported)]) == 1
