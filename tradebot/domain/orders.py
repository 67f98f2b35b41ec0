"""What is an order, what an intent, and which changes of state are possible? Asked by router, state and recovery."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field

from tradebot.domain.numbers import EXACT, ROUGH, ZERO

HELD_BACK = "HeldBack"
"""The code of an order that our own request budget did not let leave: its further steps would be held back, too."""

NO_CONNECTION = "NoConnection"
"""The code of an order for which no connection to the venue came about: one of its further steps would find none."""

NOT_NOW = frozenset({HELD_BACK, NO_CONNECTION})
"""Codes that tell nothing of the order, only of the moment."""

UNSENT = NOT_NOW | {"NeverSent"}
"""Codes of our own: an order with one of them never left, and nobody has rejected it."""


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Whether an order carries a limit price."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order may stand. PO is post-only: it rests or is refused. MARKET orders carry IOC."""

    IOC = "IOC"
    FOK = "FOK"
    GTC = "GTC"
    PO = "PO"


class OrderState(StrEnum):
    """Where an order stands, as far as the evidence goes."""

    PLANNED = "planned"  # decided and journalled, not known to have left
    SENT = "sent"  # the request left, no answer yet
    OPEN = "open"  # acknowledged, may be partly filled
    UNKNOWN = "unknown"  # the request's outcome is not known; the order may exist
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NEVER_SENT = "never_sent"
    ABSENT = "absent"  # proven never to have reached the venue

    @property
    def terminal(self) -> bool:
        """Whether no further change is expected (late fills are still booked)."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
        OrderState.NEVER_SENT,
        OrderState.ABSENT,
    }
)


class IntentState(StrEnum):
    """Where an intent stands: between orders, with one working, or ended."""

    PENDING = "pending"  # opened, no order in the market
    WORKING = "working"  # one order planned, sent or open
    CANCELING = "canceling"  # a cancel was asked; ends only on a terminal state of the order
    ENDED = "ended"


class Order(Struct):
    """One order, from plan to end. Amounts in base, prices in quote per base.

    `quote_amount` is set instead of `amount` on a market buy sized in quote (then `amount` is 0 until filled).
    """

    client_id: str
    intent_id: int
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    step: int
    generation: int
    planned_ms: int
    wait_ms: int
    price: Decimal = ZERO
    amount: Decimal = ZERO
    quote_amount: Decimal = ZERO
    state: OrderState = OrderState.PLANNED
    venue_id: str = ""
    sent_ms: int = 0
    filled: Decimal = ZERO
    cost: Decimal = ZERO  # quote paid or received, before fees
    reported: Decimal = ZERO  # the venue's own cumulative fill, which may run ahead of the fills seen
    canceling: bool = False
    cancel_tries: int = 0


class Intent(Struct):
    """A wish to buy or to sell that the router turns into one order after another.

    A buy has `quote_amount` to spend and `reserved` quote set aside for it (fees included);
    a sell has `amount` of base to sell.
    """

    intent_id: int
    symbol: str
    side: Side
    reason: str
    opened_ms: int
    generation: int
    quote_amount: Decimal = ZERO
    reserved: Decimal = ZERO
    amount: Decimal = ZERO
    signal_price: Decimal = ZERO
    anchor_price: Decimal = ZERO
    max_spread_bps: Decimal = ZERO
    max_slippage_bps: Decimal = ZERO
    state: IntentState = IntentState.PENDING
    step: int = -1  # the step last tried
    client_id: str = ""  # the order last planned
    filled: Decimal = ZERO
    paid: Decimal = ZERO  # quote paid or received for `filled`, before fees
    spent: Decimal = ZERO  # the same with quote fees: added on a buy, taken off on a sell
    sent: bool = False
    ending: str = ""  # why it is being ended, while a cancel is verified


class Balance(Struct, frozen=True):
    """What the venue holds of one asset: `free` to use, `locked` in open orders."""

    free: Decimal
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return EXACT.add(self.free, self.locked)


class Lot(Struct):
    """What one buy intent left in the position: net base amount and what it cost, fees included."""

    lot_id: int  # the intent's id
    amount: Decimal
    cost: Decimal  # quote, fees in quote included
    gross_amount: Decimal  # base bought before fees, for the entry price
    gross_cost: Decimal  # quote paid before fees
    opened_ms: int


class Position(Struct):
    """The lots held of one symbol, and what the exits need to know."""

    symbol: str
    opened_ms: int
    lots: list[Lot] = field(default_factory=list)
    sold: Decimal = ZERO
    proceeds: Decimal = ZERO  # quote received for what was sold, fees off
    gross_proceeds: Decimal = ZERO
    spent: Decimal = ZERO  # cost of every lot, sold ones included
    bought: Decimal = ZERO  # net base of every lot, sold ones included
    gross_bought: Decimal = ZERO  # base bought before fees
    gross_spent: Decimal = ZERO  # quote paid before fees
    fees: Decimal = ZERO  # fees of the trade in quote (base fees at the fill's price)

    @property
    def amount(self) -> Decimal:
        """Base held now, net of fees."""
        return sum((lot.amount for lot in self.lots), ZERO)

    @property
    def cost(self) -> Decimal:
        """Quote the held lots cost, fees included."""
        return sum((lot.cost for lot in self.lots), ZERO)

    @property
    def entry_price(self) -> Decimal:
        """Average price paid per base before fees, over the lots still held."""
        amount = sum((lot.gross_amount for lot in self.lots), ZERO)
        cost = sum((lot.gross_cost for lot in self.lots), ZERO)
        return ROUGH.divide(cost, amount) if amount else ZERO
