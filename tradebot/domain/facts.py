"""What has happened? The closed catalogue of facts: state changes only by them, logs and metrics tell them.

Each fact names its `event_type` (the log record's), its `level` (what the operator must do: INFO nothing,
WARNING look when convenient, ERROR look now), its `stream` (which log file) and, where one is counted, its `metric`.

A decision carries the generation in force, an order and a position the one that placed the order, an intent's end the
one that opened it; 0 in facts that were written down before facts carried one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, get_args

import msgspec

from tradebot.domain.account_facts import (
    AccountOpened,
    BalanceRefreshed,
    BalanceRefreshFailed,
    DriftAdopted,
    DriftEnded,
    DriftSeen,
    RivalNoticed,
)
from tradebot.domain.fact import Fact, Level, Stream
from tradebot.domain.numbers import ZERO
from tradebot.domain.operator_facts import BuyingPaused, BuyingResumed, FlattenBegun, FlattenDone, SymbolsChanged
from tradebot.domain.order_facts import (
    CancelAsked,
    CancelFailed,
    OrderAccepted,
    OrderBecameUnknown,
    OrderDone,
    OrderFilled,
    OrderNeverSent,
    OrderPlanned,
    OrderRejected,
    OrderSeen,
    OrderSent,
    OrderWaitEnded,
    StrayFillSeen,
)
from tradebot.domain.orders import NOT_NOW, UNSENT, Side
from tradebot.domain.recovery_facts import RecoveryCompleted, RecoveryPlanned
from tradebot.domain.venue_facts import (
    BreakerRearmed,
    BreakerTripped,
    ClockJudged,
    SymbolQuarantined,
    SymbolReleased,
    VenueStateChanged,
    loudness,
)

__all__ = [
    "CATALOGUE",
    "AccountOpened",
    "AnyFact",
    "BalanceRefreshFailed",
    "BalanceRefreshed",
    "BreakerRearmed",
    "BreakerTripped",
    "BuyBlocked",
    "BuyingPaused",
    "BuyingResumed",
    "CancelAsked",
    "CancelFailed",
    "ClockJudged",
    "DriftAdopted",
    "DriftEnded",
    "DriftSeen",
    "EntriesClosed",
    "Fact",
    "FlattenBegun",
    "FlattenDone",
    "IntentEnded",
    "IntentOpened",
    "IntentStale",
    "Level",
    "OrderAccepted",
    "OrderBecameUnknown",
    "OrderDone",
    "OrderFilled",
    "OrderNeverSent",
    "OrderPlanned",
    "OrderRejected",
    "OrderSeen",
    "OrderSent",
    "OrderWaitEnded",
    "PositionClosed",
    "PositionOpened",
    "ProfileTaken",
    "RecoveryCompleted",
    "RecoveryPlanned",
    "RivalNoticed",
    "RunOpened",
    "StaleDataSeen",
    "StepSkipped",
    "StrayFillSeen",
    "Stream",
    "SymbolQuarantined",
    "SymbolReleased",
    "SymbolsChanged",
    "TrailingArmed",
    "VenueStateChanged",
    "decode",
    "encode",
    "level_of",
]


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
    generation: int = 0


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
    generation: int = 0


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
    generation: int = 0


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
    generation: int = 0  # the one that opened it


# -- positions ------------------------------------------------------------------------------------


class PositionOpened(Fact, frozen=True):
    """The first fill of a symbol that was flat."""

    event_type: ClassVar[str] = "POSITION_OPENED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "positions_opened"

    symbol: str
    entry_price: Decimal
    amount: Decimal
    generation: int = 0


class TrailingArmed(Fact, frozen=True):
    """The trailing stop is active from here on."""

    event_type: ClassVar[str] = "TRAILING_ARMED"

    symbol: str
    price: float
    generation: int = 0


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
    generation: int = 0


AnyFact = (
    RunOpened
    | ProfileTaken
    | AccountOpened
    | BalanceRefreshed
    | BalanceRefreshFailed
    | RecoveryPlanned
    | RecoveryCompleted
    | EntriesClosed
    | BuyingPaused
    | BuyingResumed
    | FlattenBegun
    | FlattenDone
    | SymbolsChanged
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
    | VenueStateChanged
    | ClockJudged
    | SymbolQuarantined
    | SymbolReleased
    | BreakerTripped
    | BreakerRearmed
    | DriftSeen
    | DriftEnded
    | DriftAdopted
    | RivalNoticed
)

CATALOGUE: tuple[type[Fact], ...] = get_args(AnyFact)

_encoder = msgspec.json.Encoder(decimal_format="string", order="deterministic")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFact)


NOT_SENT: Final = "ORDER_NOT_SENT"
"""The event type by which logs tell an order that never left: nobody rejected it."""


def level_of(fact: Fact) -> Level:
    """Return how loud one fact is told: as its kind, or as what it tells.

    An order that proves absent, and one that our own request budget held back or that found no connection, are a
    WARNING; what the account holds beside the ledger's is none.
    """
    if isinstance(fact, DriftSeen):
        return "WARNING" if fact.missing > 0 else "INFO"
    if isinstance(fact, OrderDone) and fact.outcome == "absent":
        return "WARNING"
    return "WARNING" if isinstance(fact, OrderRejected) and fact.code in NOT_NOW else loudness(fact)


def told_as(fact: Fact) -> str:
    """Return the event type that logs tell a fact by: its own, or `NOT_SENT`."""
    never_left = isinstance(fact, OrderRejected) and fact.code in UNSENT
    return NOT_SENT if never_left else fact.event_type


def encode(fact: Fact) -> bytes:
    """Return the canonical JSON of `fact`: the same fact gives the same bytes on every machine."""
    return _encoder.encode(fact)


def decode(body: bytes) -> Fact:
    """Return the fact of its canonical JSON. Raises msgspec.DecodeError on anything else."""
    fact: Fact = _decoder.decode(body)
    return fact
