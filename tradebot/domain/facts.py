"""What has happened? The closed catalogue of facts: state changes only by them, logs and metrics tell them.

Each fact names its `event_type` (the log record's), its `level` (what the operator must do: INFO nothing,
WARNING look when convenient, ERROR look now), its `stream` (which log file) and, where one is counted, its `metric`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

import msgspec
from msgspec import Struct

from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side, TimeInForce

Stream = Literal["events", "system", "engine", "orders"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Fact(Struct, frozen=True, tag_field="fact", tag=True):
    """Base of every fact."""

    event_type: ClassVar[str] = ""
    level: ClassVar[Level] = "INFO"
    stream: ClassVar[Stream] = "engine"
    metric: ClassVar[str] = ""


# -- the account and the run ----------------------------------------------------------------------


class RunOpened(Fact, frozen=True):
    """A run began under the name that its client order ids carry."""

    event_type: ClassVar[str] = "RUN_OPENED"
    stream: ClassVar[Stream] = "system"

    run: str
    generation: int


class ProfileTaken(Fact, frozen=True):
    """A generation of the profile came into force."""

    event_type: ClassVar[str] = "PROFILE_APPLIED"
    stream: ClassVar[Stream] = "system"

    generation: int


class AccountOpened(Fact, frozen=True):
    """The ledger began with what the venue held of the quote asset."""

    event_type: ClassVar[str] = "ACCOUNT_OPENED"
    stream: ClassVar[Stream] = "events"

    asset: str
    amount: Decimal


class BalanceRefreshed(Fact, frozen=True):
    """The venue told its quote balance; `total` is free and locked together."""

    event_type: ClassVar[str] = "BUDGET_REFRESHED"
    level: ClassVar[Level] = "DEBUG"
    metric: ClassVar[str] = "budget_refreshes"

    asset: str
    total: Decimal


class BalanceRefreshFailed(Fact, frozen=True):
    """A balance request failed or timed out; the last known balance stands."""

    event_type: ClassVar[str] = "BUDGET_TIMEOUT"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "system"
    metric: ClassVar[str] = "budget_timeouts"

    cause: str


class RecoveryPlanned(Fact, frozen=True):
    """Before trading, these orders are asked for at the venue."""

    event_type: ClassVar[str] = "RECOVERY_PLANNED"
    stream: ClassVar[Stream] = "events"

    orders: tuple[str, ...]
    positions: tuple[str, ...]
    intents: int


class RecoveryCompleted(Fact, frozen=True):
    """Every own order is known again and the balances are told: trading is allowed."""

    event_type: ClassVar[str] = "RECOVERY_COMPLETED"
    stream: ClassVar[Stream] = "events"

    orders_open: int
    positions: int
    fills_adopted: int


class EntriesClosed(Fact, frozen=True):
    """No buy is opened or escalated from here on."""

    event_type: ClassVar[str] = "ENTRIES_CLOSED"
    stream: ClassVar[Stream] = "events"

    reason: str


# -- deciding -----------------------------------------------------------------------------------


class BuyBlocked(Fact, frozen=True):
    """A drop did not become a buy; told when the reason changes."""

    event_type: ClassVar[str] = "BUY_BLOCKED"
    metric: ClassVar[str] = "buys_blocked"

    symbol: str
    price: float
    anchor: float
    gate: str
    value: str
    limit: str


class IntentOpened(Fact, frozen=True):
    """A buy or an exit was decided; a buy's quote is reserved from here on."""

    event_type: ClassVar[str] = "INTENT_OPENED"
    metric: ClassVar[str] = "intents_opened"

    intent_id: int
    symbol: str
    side: Side
    reason: str
    generation: int
    quote_amount: Decimal = ZERO
    reserved: Decimal = ZERO
    amount: Decimal = ZERO
    signal_price: Decimal = ZERO
    anchor_price: Decimal = ZERO
    max_spread_bps: Decimal = ZERO
    max_slippage_bps: Decimal = ZERO


class StepSkipped(Fact, frozen=True):
    """A step of the ladder could not be tried (spread or slippage guard, filter, stale price)."""

    event_type: ClassVar[str] = "STEP_SKIPPED"
    level: ClassVar[Level] = "WARNING"

    intent_id: int
    symbol: str
    step: int
    guard: str
    value: str
    limit: str


class IntentStale(Fact, frozen=True):
    """An intent is older than `max_age_s`: an unsent one is dropped, an open one cancelled, UNKNOWN kept."""

    event_type: ClassVar[str] = "INTENT_STALE"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "intents_stale"

    intent_id: int
    symbol: str
    age_ms: int
    order_state: str
    action: Literal["dropped", "cancelled", "reported"]


class IntentEnded(Fact, frozen=True):
    """An intent is over; what was reserved and not spent is free again."""

    event_type: ClassVar[str] = "INTENT_ENDED"
    metric: ClassVar[str] = "intents_ended"

    intent_id: int
    symbol: str
    side: Side
    purpose: str  # why it was opened
    outcome: Literal["filled", "partial", "unfilled", "never_sent"]
    reason: str  # why it is over
    filled: Decimal
    spent: Decimal
    age_ms: int


# -- orders ---------------------------------------------------------------------------------------


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


class OrderNeverSent(Fact, frozen=True):
    """The request was taken back before it left."""

    event_type: ClassVar[str] = "ORDER_NEVER_SENT"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_never_sent"

    client_id: str
    symbol: str
    reason: str


class OrderAccepted(Fact, frozen=True):
    """The venue acknowledged the order."""

    event_type: ClassVar[str] = "ORDER_ACCEPTED"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_accepted"

    client_id: str
    symbol: str
    venue_id: str
    latency_ms: int


class OrderRejected(Fact, frozen=True):
    """The venue refused the order, with its code and words."""

    event_type: ClassVar[str] = "ORDER_REJECTED"
    level: ClassVar[Level] = "ERROR"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_failed"

    client_id: str
    symbol: str
    side: Side
    code: str
    message: str


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


class OrderDone(Fact, frozen=True):
    """The order is over: filled, canceled, expired or proven absent."""

    event_type: ClassVar[str] = "ORDER_DONE"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "orders_done"

    client_id: str
    symbol: str
    side: Side
    outcome: Literal["filled", "canceled", "expired", "absent"]
    filled: Decimal
    reason: str


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


class CancelAsked(Fact, frozen=True):
    """A cancel was asked for; it ends only on a terminal state of the order."""

    event_type: ClassVar[str] = "CANCEL_ASKED"
    stream: ClassVar[Stream] = "orders"
    metric: ClassVar[str] = "cancels_asked"

    client_id: str
    symbol: str
    reason: str


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


class OrderSeen(Fact, frozen=True):
    """The venue reported the order as open (an answer to a query)."""

    event_type: ClassVar[str] = "ORDER_SEEN"
    stream: ClassVar[Stream] = "orders"

    client_id: str
    symbol: str
    venue_id: str
    filled: Decimal


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


# -- positions ------------------------------------------------------------------------------------


class PositionOpened(Fact, frozen=True):
    """The first fill of a symbol that was flat."""

    event_type: ClassVar[str] = "POSITION_OPENED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "positions_opened"

    symbol: str
    entry_price: Decimal
    amount: Decimal


class TrailingArmed(Fact, frozen=True):
    """The trailing stop is active from here on."""

    event_type: ClassVar[str] = "TRAILING_ARMED"

    symbol: str
    price: float


class PositionClosed(Fact, frozen=True):
    """A trade is over. `pnl` = proceeds - cost, in quote, fees included; `dust` is base too small to sell."""

    event_type: ClassVar[str] = "POSITION_CLOSED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "trades"

    symbol: str
    reason: str
    opened_ms: int
    entry_price: Decimal
    exit_price: Decimal
    amount: Decimal
    cost: Decimal
    proceeds: Decimal
    fees: Decimal
    pnl: Decimal
    dust: Decimal
    generation: int


class StaleDataSeen(Fact, frozen=True):
    """A health check found symbols whose last price is older than `stale_after_s`."""

    event_type: ClassVar[str] = "MARKET_DATA_STALE"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "system"
    metric: ClassVar[str] = "stale_checks"

    symbols: tuple[str, ...]


AnyFact = (
    RunOpened
    | ProfileTaken
    | AccountOpened
    | BalanceRefreshed
    | BalanceRefreshFailed
    | RecoveryPlanned
    | RecoveryCompleted
    | EntriesClosed
    | BuyBlocked
    | IntentOpened
    | StepSkipped
    | IntentStale
    | IntentEnded
    | OrderPlanned
    | OrderSent
    | OrderNeverSent
    | OrderAccepted
    | OrderRejected
    | OrderFilled
    | OrderDone
    | OrderWaitEnded
    | CancelAsked
    | CancelFailed
    | OrderBecameUnknown
    | OrderSeen
    | StrayFillSeen
    | PositionOpened
    | TrailingArmed
    | PositionClosed
    | StaleDataSeen
)

CATALOGUE: tuple[type[Fact], ...] = get_args(AnyFact)

_encoder = msgspec.json.Encoder(decimal_format="string", order="deterministic")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFact)


def encode(fact: Fact) -> bytes:
    """Return the canonical JSON of `fact`: the same fact gives the same bytes on every machine."""
    return _encoder.encode(fact)


def decode(body: bytes) -> Fact:
    """Return the fact of its canonical JSON. Raises msgspec.DecodeError on anything else."""
    fact: Fact = _decoder.decode(body)
    return fact
