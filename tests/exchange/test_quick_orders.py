"""Is an order that we word ourselves, byte for byte, the one that ccxt words, and its answer read the same?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange.walls import Wall
from tests.feeds.loopback import made
from tests.venues.ccxt_kit import order
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.numbers import plain
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.exchange.construction import disconnect
from tradebot.exchange.quick_orders import QuickOrders

TICK, STEP = Decimal("0.01"), Decimal("0.00001")
ANSWER = {
    "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": "a-1-1", "transactTime": 1_700_000_000_000,
    "price": "50000.00000000", "origQty": "0.00200000", "executedQty": "0.00200000",
    "cummulativeQuoteQty": "100.00000000", "status": "FILLED", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
    "fills": [
        {"price": "50000.00", "qty": "0.002", "commission": "0.000002", "commissionAsset": "BTC", "tradeId": 56}
    ],
}  # fmt: skip

Wired = tuple[str, str, Any, Any]


class Wire:
    """An instance of ccxt that sends nothing: what would leave is kept, at a time that stands."""

    def __init__(self, **options: Any) -> None:
        self.exchange = made("http://127.0.0.1:9", Wall(), markets=[("BTC/USDT", "BTCUSDT")])  # type: ignore[arg-type]
        self.exchange.apiKey, self.exchange.secret = "key-of-this-test", "secret-of-this-test"
        self.exchange.enableRateLimit = False
        self.exchange.nonce = lambda: 1_700_000_000_123
        self.exchange.fetch = self._fetch
        self.exchange.options.update(options)
        market = self.exchange.markets["BTC/USDT"]
        market["precision"] = {"price": "0.01", "amount": "0.00001"}
        market["info"]["orderTypes"] = ["LIMIT", "LIMIT_MAKER", "MARKET"]
        self.left: list[Wired] = []

    async def _fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.left.append((url, method, headers, body))
        return ANSWER


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def wire(loop: asyncio.AbstractEventLoop) -> Iterator[Wire]:
    async def make() -> Wire:
        return Wire()

    wire = loop.run_until_complete(make())
    yield wire
    loop.run_until_complete(disconnect(wire.exchange))


async def both(wire: Wire, command: PlaceOrder) -> tuple[list[Wired], list[Any]]:
    """Return what leaves and what is answered, by our words and by ccxt's."""
    wire.left.clear()
    send = QuickOrders(wire.exchange).send(command, command.client_id)
    assert send is not None
    params = {"newClientOrderId": command.client_id}
    if command.tif is TimeInForce.PO:
        params["postOnly"] = True  # type: ignore[assignment]
    else:
        params["timeInForce"] = command.tif.value
    ours = await send()
    side, amount, price = command.side.value, plain(command.amount), plain(command.price)
    theirs = await wire.exchange.create_order(command.symbol, "limit", side, amount, price, params)
    return wire.left, [ours, theirs]


@settings(max_examples=300, deadline=None)
@given(
    tif=st.sampled_from(list(TimeInForce)),
    side=st.sampled_from(list(Side)),
    ticks=st.integers(1, 10**9),
    steps=st.integers(1, 10**12),
    client_id=st.from_regex(r"[a-z0-9][a-z0-9-]{0,23}", fullmatch=True),
    recv_window=st.integers(100, 60_000),
)
def test_what_leaves_is_byte_for_byte_what_ccxt_sends(
    loop: asyncio.AbstractEventLoop, wire: Wire, tif: TimeInForce, side: Side, ticks: int, steps: int, client_id: str,
    recv_window: int,
) -> None:  # fmt: skip
    wire.exchange.options["recvWindow"] = recv_window
    command = order(client_id, tif=tif, side=side, price=ticks * TICK, amount=steps * STEP)
    (ours, theirs), (our_answer, their_answer) = loop.run_until_complete(both(wire, command))
    assert ours == theirs
    assert our_answer == their_answer


@pytest.mark.parametrize(
    "odd",
    [
        {"price": Decimal("50000.001")},
        {"amount": Decimal("0.000001")},
        {"amount": Decimal(0)},
        {"type": OrderType.MARKET},
        {"symbol": "ETH/USDT"},
    ],
    ids=str,
)
def test_what_is_not_a_plain_limit_order_on_the_grid_is_left_to_ccxt(wire: Wire, odd: dict[str, Any]) -> None:
    assert QuickOrders(wire.exchange).send(order(**odd), "a-1-1") is None


def test_a_client_id_that_would_be_escaped_is_left_to_ccxt(wire: Wire) -> None:
    assert QuickOrders(wire.exchange).send(order(), "a b&c") is None


@pytest.mark.parametrize("what", ["enableRateLimit", "secret", "id"])
def test_a_throttled_instance_another_kind_of_key_and_another_exchange_are_left_to_ccxt(
    loop: asyncio.AbstractEventLoop, what: str
) -> None:
    async def asked() -> object:
        wire = Wire()
        before = QuickOrders(wire.exchange).send(order(), "a-1-1")
        assert before is not None
        setattr(
            wire.exchange, what, {"enableRateLimit": True, "secret": "-----BEGIN PRIVATE KEY-----", "id": "okx"}[what]
        )
        try:
            return QuickOrders(wire.exchange).send(order(), "a-1-1")
        finally:
            await disconnect(wire.exchange)

    assert loop.run_until_complete(asked()) is None


def test_a_market_that_is_listed_anew_is_read_anew(loop: asyncio.AbstractEventLoop) -> None:
    async def asked() -> tuple[bool, bool]:
        wire = Wire()
        quick = QuickOrders(wire.exchange)
        first = quick.send(order(price=Decimal("50000.05")), "a-1-1") is not None
        market = {**wire.exchange.markets["BTC/USDT"], "precision": {"price": "0.1", "amount": "0.00001"}}
        wire.exchange.markets["BTC/USDT"] = market
        second = quick.send(order(price=Decimal("50000.05")), "a-1-1") is not None
        await disconnect(wire.exchange)
        return first, second

    assert loop.run_until_complete(asked()) == (True, False)
