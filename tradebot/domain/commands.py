"""What may the engine ask of the world? Imperative, serialisable, answered by events."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side, TimeInForce


class Command(Struct, frozen=True, tag_field="command", tag=True):
    """Base of every command."""


class PlaceOrder(Command, frozen=True):
    """Send one order. `amount` in base, or `quote_amount` in quote on a market buy; `price` 0 on market orders.

    Not sent any more after `send_by_ms`.
    """

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    send_by_ms: int
    price: Decimal = ZERO
    amount: Decimal = ZERO
    quote_amount: Decimal = ZERO


class CancelOrder(Command, frozen=True):
    """Cancel an own order."""

    client_id: str
    symbol: str


class QueryOrder(Command, frozen=True):
    """Ask the venue for an own order by its client id."""

    client_id: str
    symbol: str


class ReconcileOrders(Command, frozen=True):
    """Ask the venue for many own orders together; each is answered as if it were asked for alone.

    None of them was planned before `since_ms`.
    """

    orders: tuple[QueryOrder, ...]
    since_ms: int


class QueryBalances(Command, frozen=True):
    """Ask the venue for the account's balances."""
