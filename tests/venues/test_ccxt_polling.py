"""What does it cost to do without the user stream, and how soon is a fill noticed then? Asked of a real sandbox."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.little_exchange import LittleExchange, in_loop
from tests.integration.processes import PATIENCE_S
from tests.integration.rehearsing_processes import Exchange as Process
from tests.venues.ccxt_kit import Bench
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.events import FillReported, OrderAcknowledged
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.exchange.budget import Budget
from tradebot.exchange.credentials import Credentials
from tradebot.venues.ccxt_reconcile import poll_interval_s
from tradebot.venues.ccxt_spot import CcxtSpot

MINUTE: int = 6_000
"""Binance's request weight of a minute."""

KEYS = Credentials("test-key", "test-secret")


class Metered(Budget):
    """A budget that adds up what the exchange says is used, over the ends of minutes."""

    spent = 0
    _last = 0

    def note(self, status: int, headers: Mapping[str, str], code: str = "") -> None:
        super().note(status, headers, code)
        for name, value in headers.items():
            if name.lower() == "x-mbx-used-weight-1m":
                used = int(value)
                self.spent += used - self._last if used >= self._last else used
                self._last = used


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, ["--count", "50"])
    try:
        process.start()
        yield process
    finally:
        process.away()


def asked(url: str, said: dict[str, Any] | None = None) -> Any:
    body = None if said is None else json.dumps(said).encode()
    with urllib.request.urlopen(url, body, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        return json.load(answer)


class Blind(Bench):
    """A venue at the sandbox's process, whose user stream never opens."""

    def __init__(self, url: str, **settings: Any) -> None:
        super().__init__(LittleExchange())
        self.url = url
        self.settings = Exchange.model_validate({"base_url": url, **settings})
        self.budget = Metered(self.clock, self.settings.requests)
        self.spot = CcxtSpot(
            self.settings,
            KEYS,
            quote="USDT",
            id_prefix="a-",
            clock=self.clock,
            deliver=self.deliver,
            log=self.told,
            failed=lambda _name, error: self.broken.append(error),
            budget=self.budget,
        )

    async def bids(self) -> dict[str, Decimal]:
        rows = await asyncio.to_thread(asked, f"{self.url}/api/v3/ticker/bookTicker")
        return {row["symbol"]: Decimal(row["bidPrice"]) for row in rows}

    async def rest(self, count: int) -> None:
        """Let buys rest in so many symbols, a little below the market."""
        bids = await self.bids()
        for number, one in enumerate(self.spot.instruments()[:count]):
            price = one.price_down(bids[one.symbol.replace("/", "")] * Decimal("0.97"))
            amount = one.amount_down(Decimal(50) / price)
            place = PlaceOrder(
                f"a-1-{number}", one.symbol, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 0, price, amount
            )
            self.spot.submit(place, 0)
        await self.heard(OrderAcknowledged, count)


@asynccontextmanager
async def blind(process: Process, **settings: Any) -> AsyncIterator[Blind]:
    await asyncio.to_thread(
        asked, f"{process.url}/sandbox/faults", {"on": "connect.user", "action": "status", "status": 503}
    )
    there = Blind(process.url, **settings)
    await there.spot.start()
    try:
        yield there
    finally:
        await there.spot.stop()
        assert there.broken == []


async def weight_a_minute(there: Blind, comparisons: int) -> float:
    """Return the weight a minute of so many comparisons, without the one in an interval that looks at everything."""
    spot, compared = there.spot, there.spot.reconciliations
    await there.until(lambda: spot.reconciliations >= compared + 2)  # the thorough one is among them
    begun_s, spent, compared = time.monotonic(), there.budget.spent, spot.reconciliations
    await there.until(lambda: spot.reconciliations >= compared + comparisons)
    return (there.budget.spent - spent) * 60 / (time.monotonic() - begun_s)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("orders", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_open_orders_cost_a_quarter_of_the_weight_while_the_user_stream_is_lost(process: Process, orders: int) -> None:
    async def main() -> None:
        async with asyncio.timeout(3 * PATIENCE_S), blind(process) as there:
            await there.rest(orders)
            found = await weight_a_minute(there, 3)
            print(f"{orders} open orders, no user stream: {found:,.0f} of weight a minute")
            assert len(there.spot.orders.live()) >= orders - 2, "some may be filled meanwhile"
            assert found <= MINUTE * 0.30

    asyncio.run(main())


@pytest.mark.timeout(240)
@in_loop
async def test_a_fill_is_noticed_within_seconds_though_no_stream_tells_of_it(process: Process) -> None:
    async with blind(process) as there:
        await there.rest(9)
        one = there.spot.instruments()[9]
        ask = await asyncio.to_thread(asked, f"{process.url}/api/v3/ticker/bookTicker?symbol={one.base}USDT")
        price = one.price_up(Decimal(ask["askPrice"]) * Decimal("1.02"))
        there.spot.submit(
            PlaceOrder(
                "a-1-9", one.symbol, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 0, price, one.amount_down(50 / price)
            ),
            0,
        )
        begun_s = time.monotonic()
        await there.heard(FillReported)
        assert time.monotonic() - begun_s < 10


def test_the_pause_between_two_questions_follows_the_weight_that_is_allowed() -> None:
    settings = Exchange.model_validate({"poll_interval_s": 2})
    assert poll_interval_s(settings, 0, MINUTE) == 2
    assert poll_interval_s(settings, 10, MINUTE) == pytest.approx(2.4)
    assert poll_interval_s(settings, 14, MINUTE) == poll_interval_s(settings, 500, MINUTE) == pytest.approx(3.2)
    assert poll_interval_s(settings, 500, 0) == 2, "an exchange that tells no limit is asked as often as is said"
    assert poll_interval_s(settings, 50, 1_200) == pytest.approx(16)
