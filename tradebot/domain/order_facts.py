"""What can have happened to an order? The facts that make up its audit; asked through the catalogue in `facts`.

`generation` is the order's own, which placed it (of a stray fill: the one in force); 0 in old journals.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from tradebot.domain.fact import Fact, Level, Stream
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side, TimeInForce


class OrderPlanned(Fact, frozen=True):
    """An order is written down; only after this is durable does its request leave."""

    event_type: ClassVar[str] = "ORDER_PLANNED"
    stream: ClassVar[Stream] = "orders"

    client_id: str
    intent_id: int
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    step: int
    generation: int
    wait_ms: int
    price: Decimal = ZERO
    amount: Decimal = ZERO
    quote_amount: Decimal = ZERO


class OrderSent(Fact, frozen=True):
    """The request left; the wait for a fill runs from here."""

    event_type: ClassVar[str] = "ORDER_SENT"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_sent"

    client_id: str
    symbol: str
    side: Side
    tif: TimeInForce
    type: OrderType
    wait_ms: int
    generation: int = 0


class OrderNeverSent(Fact, frozen=True):
    """The request was taken back before it left."""

    event_type: ClassVar[str] = "ORDER_NEVER_SENT"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_never_sent"

    client_id: str
    symbol: str
    reason: str
    generation: int = 0


class OrderAccepted(Fact, frozen=True):
    """The venue acknowledged the order."""

    event_type: ClassVar[str] = "ORDER_ACCEPTED"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_accepted"

    client_id: str
    symbol: str
    venue_id: str
    latency_ms: int
    generation: int = 0


class OrderRejected(Fact, frozen=True):
    """The venue refused the order, with its code and words.

    Where the code is our own (`HeldBack`, `NoConnection`, `NeverSent`) the order never left: logs and the error summary
    tell it as ORDER_NOT_SENT, a WARNING where only the moment was wrong.
    """

    event_type: ClassVar[str] = "ORDER_REJECTED"
    level: ClassVar[Level] = "ERROR"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_failed"

    client_id: str
    symbol: str
    side: Side
    code: str
    message: str
    generation: int = 0


class OrderFilled(Fact, frozen=True):
    """One trade of an own order, booked once, by the venue's trade id."""

    event_type: ClassVar[str] = "ORDER_FILLED"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "fills"

    client_id: str
    intent_id: int
    symbol: str
    side: Side
    trade_id: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    latency_ms: int
    generation: int = 0


class OrderDone(Fact, frozen=True):
    """The order is over: filled, canceled, expired, or (a WARNING) proven never to have reached the venue."""

    event_type: ClassVar[str] = "ORDER_DONE"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_done"

    client_id: str
    symbol: str
    side: Side
    outcome: Literal["filled", "canceled", "expired", "absent"]
    filled: Decimal
    reason: str
    generation: int = 0


class OrderWaitEnded(Fact, frozen=True):
    """The wait of the order's time in force passed without a full fill; it is cancelled and verified."""

    event_type: ClassVar[str] = "ORDER_TIMED_OUT"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_timed_out"

    client_id: str
    symbol: str
    tif: TimeInForce
    wait_ms: int
    filled: Decimal
    generation: int = 0


class CancelAsked(Fact, frozen=True):
    """A cancel was asked for; it ends only on a terminal state of the order."""

    event_type: ClassVar[str] = "CANCEL_ASKED"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "cancels_asked"

    client_id: str
    symbol: str
    reason: str
    generation: int = 0


class CancelFailed(Fact, frozen=True):
    """The venue refused a cancel; the order is queried."""

    event_type: ClassVar[str] = "CANCEL_REJECTED"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "cancels_failed"

    client_id: str
    symbol: str
    code: str
    message: str
    generation: int = 0


class OrderBecameUnknown(Fact, frozen=True):
    """A request's outcome is not known: the order keeps its budget until the venue's evidence settles it."""

    event_type: ClassVar[str] = "ORDER_UNKNOWN"
    level: ClassVar[Level] = "ERROR"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_unknown"

    client_id: str
    symbol: str
    request: str
    cause: str
    generation: int = 0


class OrderSeen(Fact, frozen=True):
    """The venue reported the order as open (an answer to a query)."""

    event_type: ClassVar[str] = "ORDER_SEEN"
    stream: ClassVar[Stream] = "orders"

    client_id: str
    symbol: str
    venue_id: str
    filled: Decimal
    generation: int = 0


class StrayFillSeen(Fact, frozen=True):
    """A fill came for an order this journal does not hold; it is not booked."""

    event_type: ClassVar[str] = "STRAY_FILL"
    level: ClassVar[Level] = "ERROR"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "stray_fills"

    client_id: str
    symbol: str
    trade_id: str
    price: Decimal
    amount: Decimal
    generation: int = 0
