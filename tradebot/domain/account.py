"""What does a simulated exchange account hold? Asked by the paper venue and by the store that keeps it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from tradebot.domain.events import FillReported
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce

AccountOrderStatus = Literal["pending", "open", "filled", "canceled", "expired", "rejected"]


class AccountOrder(Struct):
    """One order as the simulated exchange holds it. `pending`: on its way, not yet in effect.

    `arrives_ms` is when the request reaches the matching engine; `ahead` is base queued before it at its price
    (infinite where nobody shows that price). `cancels` are the cancels on their way: (arrival in ms, request number).
    """

    client_id: str
    venue_id: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    arrives_ms: int
    price: Decimal = ZERO
    amount: Decimal = ZERO
    quote_amount: Decimal = ZERO
    status: AccountOrderStatus = "pending"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    locked: Decimal = ZERO  # what of the balance it holds back: quote on buys, base on sells
    ahead: Decimal = ZERO
    reason: str = ""
    request: int = 0  # its number, which its latency comes from
    cancels: tuple[tuple[int, int], ...] = ()


class AccountImage(Struct):
    """A whole account: balances by asset, orders by client id, every fill, and the counters ids come from."""

    balances: dict[str, Balance] = field(default_factory=dict)
    orders: dict[str, AccountOrder] = field(default_factory=dict)
    fills: list[FillReported] = field(default_factory=list)
    next_order: int = 1
    next_trade: int = 1
    requests: int = 0  # counted for the seeded latency


class AccountDelta(Struct):
    """What changed since the last delta: absolute new values, to be stored in one transaction."""

    balances: dict[str, Balance] = field(default_factory=dict)
    orders: dict[str, AccountOrder] = field(default_factory=dict)
    fills: list[FillReported] = field(default_factory=list)
    next_order: int = 1
    next_trade: int = 1
    requests: int = 0
