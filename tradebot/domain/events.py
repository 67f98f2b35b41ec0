"""What can happen to the engine? One closed set; every input is one of these, in one queue.

Market events carry float prices (signals); everything about orders and money is Decimal.
Times are integer milliseconds UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from tradebot.domain.market import Instrument
from tradebot.domain.orders import Balance
from tradebot.domain.venue_facts import ClockState, VenueState


class Event(Struct, frozen=True, gc=False, tag_field="event", tag=True):
    """Base of every event."""


# -- the market -----------------------------------------------------------------------------------


class QuoteSeen(Event, frozen=True, gc=False):
    """Best bid and ask of a symbol (prices in quote per base, sizes in base).

    `volume` is base traded since the last quote where the feed knows it (a candle's closing quote);
    `closes` marks the last price of a candle.
    """

    symbol: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    at_ms: int
    volume: float = 0.0
    closes: bool = False


class TradeSeen(Event, frozen=True, gc=False):
    """A public trade; `buyer_taker` says the aggressor bought."""

    symbol: str
    price: float
    size: float
    buyer_taker: bool
    at_ms: int


class BookSeen(Event, frozen=True):
    """The visible book, best level first on both sides, each level (price, size in base)."""

    symbol: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    at_ms: int


# -- what the venue says ------------------------------------------------------------------------


class OrderAcknowledged(Event, frozen=True):
    """The venue has the order."""

    client_id: str
    venue_id: str
    at_ms: int


class OrderRefused(Event, frozen=True):
    """The venue said no, conclusively: the order does not exist. `code` is the venue's own."""

    client_id: str
    code: str
    message: str
    at_ms: int


class FillReported(Event, frozen=True):
    """One trade of an own order. `trade_id` is the venue's, unique per symbol."""

    client_id: str
    symbol: str
    trade_id: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at_ms: int


class OrderClosed(Event, frozen=True):
    """The order is over at the venue; `filled` is its final cumulative amount in base."""

    client_id: str
    outcome: Literal["filled", "canceled", "expired", "rejected"]
    filled: Decimal
    reason: str
    at_ms: int


class CancelRefused(Event, frozen=True):
    """The venue refused a cancel (often because the order is already over): query before believing."""

    client_id: str
    code: str
    message: str
    at_ms: int


class OutcomeUnknown(Event, frozen=True):
    """A request may or may not have reached the venue (timeout, 5xx, cut body, lost socket)."""

    client_id: str
    request: Literal["place", "cancel", "query"]
    cause: str
    at_ms: int


class OrderReported(Event, frozen=True):
    """The answer to a query: the order as the venue holds it, with its fills so far."""

    client_id: str
    venue_id: str
    status: Literal["pending", "open", "filled", "canceled", "expired", "rejected"]
    filled: Decimal
    fills: tuple[FillReported, ...]
    at_ms: int


class OrderNotFound(Event, frozen=True):
    """The venue knows no such order. Only `conclusive` absence is proof (a lagging venue is not)."""

    client_id: str
    conclusive: bool
    at_ms: int


class VenueStateSeen(Event, frozen=True):
    """How fit the venue is, by its own answers; `until_ms` is when it lets us ask again, 0 where it does not say."""

    state: VenueState
    reason: str
    until_ms: int
    at_ms: int


class ClockSeen(Event, frozen=True):
    """Our clock minus the venue's was measured, and judged by `limit_ms`: the limit that was passed, or the lowest."""

    state: ClockState
    offset_ms: int
    limit_ms: int
    at_ms: int


class SymbolStatusSeen(Event, frozen=True):
    """Whether the venue trades a symbol at present, and why it is known."""

    symbol: str
    tradable: bool
    reason: str
    at_ms: int


class BalancesReported(Event, frozen=True):
    """Every balance of the account, by asset."""

    balances: dict[str, Balance]
    at_ms: int


class BalancesUnavailable(Event, frozen=True):
    """A balance request failed or timed out."""

    cause: str
    at_ms: int


# -- what our own shell says ---------------------------------------------------------------------


class RequestSent(Event, frozen=True):
    """The order's request has left; waits start here."""

    client_id: str
    at_ms: int


class RequestNotSent(Event, frozen=True):
    """The order's request was taken back before it left: it never will."""

    client_id: str
    reason: str
    at_ms: int


class DeadlineReached(Event, frozen=True):
    """The engine's next deadline has come."""

    at_ms: int


class ProfileApplied(Event, frozen=True):
    """From here on generation `generation` is in force; `profile` is a `config.profile.Profile`.

    `instruments` are the symbols watched from here on, None where they stay as they are.
    """

    generation: int
    profile: Any
    at_ms: int
    instruments: tuple[Instrument, ...] | None = None


class PauseAsked(Event, frozen=True):
    """An operator wants nothing bought until resumed; `who` asked."""

    who: str
    at_ms: int


class ResumeAsked(Event, frozen=True):
    """An operator lets buying go on."""

    who: str
    at_ms: int


class FlattenAsked(Event, frozen=True):
    """An operator wants to hold nothing: nothing is bought until resumed, every position is sold."""

    who: str
    at_ms: int


class RearmAsked(Event, frozen=True):
    """An operator lets stopped actions of a symbol be tried again, of every symbol where it is ""; `who` asked."""

    symbol: str
    who: str
    at_ms: int


class BalancesWanted(Event, frozen=True):
    """It is time to compare the account with the ledger: its balances are asked for."""

    at_ms: int


class DriftAnswered(Event, frozen=True):
    """An operator says what becomes of a difference between account and ledger; `who` said it.

    `price` is what the asset was sold or bought for (quote per base), None where it is not known.
    """

    asset: str
    action: Literal["adopt", "ignore", "close"]
    price: Decimal | None
    who: str
    at_ms: int


class RivalSeen(Event, frozen=True):
    """The venue told of an order under our own name, made while we run, that no run of ours placed."""

    client_id: str
    run: str
    at_ms: int


class RunStarted(Event, frozen=True):
    """A run begins: `run` names it in every client order id; reconcile before trading."""

    run: str
    at_ms: int


class ShutdownRequested(Event, frozen=True):
    """Close the entries; `open_orders` says what becomes of the own open orders."""

    open_orders: Literal["cancel", "leave", "wait"]
    reason: str
    at_ms: int


class HealthChecked(Event, frozen=True):
    """Look at every symbol's age now."""

    at_ms: int
