"""What does the outside see of the running bot? Frozen copies, each with its age; told over the control door.

Money, prices and amounts are Decimal and written as text; times are integer milliseconds UTC, `_s` are seconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from tradebot.domain.generation import Generation
from tradebot.domain.numbers import ZERO
from tradebot.domain.venue_facts import Action, ClockState, VenueState

DriftAction = Literal["adopt", "ignore", "close"]
"""What becomes of a difference between account and ledger."""

OutcomeKind = Literal["unchanged", "applied", "pending", "rejected", "refused", "rolled_back", "fatal"]


class View(Struct, frozen=True, kw_only=True):
    """Base of every view."""


# -- the profile -----------------------------------------------------------------------------------


class FaultView(View, frozen=True):
    """One fault of a profile; line and column count from 1, 0 where there is no file."""

    file: str
    line: int
    column: int
    key: str
    message: str


class ChangeView(View, frozen=True):
    """One setting that an edit changes, in words: values as TOML, `origin` where the new one stands."""

    key: str
    old: str
    new: str
    origin: str
    reload: Literal["live", "rebuild", "restart"]
    looser: bool
    effect: str = ""


class OutcomeView(View, frozen=True):
    """What became of an edit, a confirmation, a toggle or a rollback. `lines` say all of it for people."""

    outcome: OutcomeKind
    generation: int
    previous: int = 0
    lines: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    faults: tuple[FaultView, ...] = ()
    changes: tuple[ChangeView, ...] = ()
    plan: tuple[str, ...] = ()
    took_ms: float = 0.0


class PendingView(View, frozen=True):
    """An edit that waits for its confirmation; `digest` identifies its text."""

    digest: str
    since_ms: int
    who: str
    reason: str
    changes: tuple[ChangeView, ...]
    plan: tuple[str, ...]


class ProbationView(View, frozen=True):
    """The watch over the generation in force: until when, and each guard's value against its limit, in words."""

    until_ms: int
    falls_back_to: int
    guards: tuple[str, ...]


class SwitchView(View, frozen=True):
    """One toggle: `on` is what is in force, `profile` what the profile says, `override` who set it otherwise."""

    feature: str
    on: bool
    profile: bool
    override: str = ""
    why: str = ""
    since_ms: int = 0
    sentence: str = ""


class ProfileView(View, frozen=True):
    """Which version of the profile is in force, and what happened to the last edit.

    `pinned` says that its files hold something else that does not wait; `by_rollback` that a rollback put it over them.
    """

    path: str
    generation: int
    since_ms: int
    cause: str
    who: str
    digest: str
    pinned: bool = False
    by_rollback: bool = False
    last_reload: OutcomeView | None = None
    last_reload_ms: int = 0
    pending: PendingView | None = None
    probation: ProbationView | None = None
    overrides: tuple[SwitchView, ...] = ()
    note: str = ""


class GenerationView(View, frozen=True):
    """One generation in the history."""

    number: int
    at_ms: int
    cause: str
    who: str
    state: str
    in_force: bool
    changes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    reason: str = ""
    previous: int = 0

    @classmethod
    def of(cls, one: Generation, *, in_force: bool) -> GenerationView:
        """Return what is shown of a generation."""
        return cls(
            number=one.number,
            at_ms=one.at_ms,
            cause=one.cause,
            who=one.who,
            state=one.state,
            in_force=in_force,
            changes=one.changes,
            overrides=tuple(f"{switch.feature} {'on' if switch.on else 'off'}" for switch in one.switches),
            reason=one.reason,
            previous=one.previous,
        )


# -- the trading -------------------------------------------------------------------------------------


class DropView(View, frozen=True):
    """One symbol: its price, its anchor and how far below it is. `gate` is what a buy was last stopped by.

    `rearming` says that `warm_in_s` is the wait for a new anchor after a stop loss.
    """

    symbol: str
    bid: float
    ask: float
    last: float
    anchor: float
    drop_bps: float
    threshold_bps: float
    spread_bps: float
    age_s: float | None
    warm_in_s: float
    stale: bool
    gate: str = ""
    rearming: bool = False


class PositionView(View, frozen=True):
    """One position; `stop` and `target` are the prices at which it is sold, 0 where there is none.

    `gain_bps` is what it is worth at the bid over what it cost, with the fees paid so far.
    """

    symbol: str
    amount: Decimal
    entry_price: Decimal
    bid: float
    cost: Decimal
    worth: Decimal
    gain_bps: float
    stop: float
    target: float
    opened_ms: int
    lots: int


class IntentView(View, frozen=True):
    """One buy or exit under way."""

    intent_id: int
    symbol: str
    side: str
    reason: str
    state: str
    step: int
    steps: int
    filled: Decimal
    age_s: float
    generation: int
    order: str = ""


class OrderView(View, frozen=True):
    """One own order that is not known to be over."""

    client_id: str
    symbol: str
    side: str
    type: str
    tif: str
    state: str
    price: Decimal
    amount: Decimal
    filled: Decimal
    age_s: float
    generation: int


class ComponentView(View, frozen=True):
    """One part with a life of its own."""

    name: str
    state: Literal["running", "off", "failed", "silent"]
    failures: int = 0
    detail: str = ""


class VenueView(View, frozen=True):
    """How fit the venue is, why, since when and until when it lets nobody ask (0 where it does not say); our clock."""

    state: VenueState = "up"
    reason: str = ""
    since_ms: int = 0
    until_ms: int = 0
    clock: ClockState = "right"
    clock_offset_ms: int = 0


class HaltedView(View, frozen=True):
    """A symbol that the venue does not trade."""

    symbol: str
    reason: str
    since_ms: int


class StoppedView(View, frozen=True):
    """An action of a symbol that kept failing for one cause: a buy is stopped, an exit or a cancel slowed.

    `until_ms` is when it is tried again, 0 where that is at its next occasion.
    """

    action: Action
    symbol: str
    cause: str
    failures: int
    until_ms: int


class DriftView(View, frozen=True):
    """A difference between account and ledger; `amount` is what is missing, held beside, or (signed) expected.

    `symbol` is "" for the quote; `owned` is what the ledger owned when it was seen.
    """

    asset: str
    symbol: str
    kind: Literal["missing", "beside", "ignored"]
    amount: Decimal
    owned: Decimal = ZERO
    since_ms: int = 0


class ComparedView(View, frozen=True):
    """What a comparison of account and ledger found, taken `at_ms`.

    `fresh` says that the account answered for this request, `why` why it did not; `compared_ms` is when it last did, 0
    for never in this run. `under_way` are symbols that were left out, and with them the quote: own orders explain
    whatever differs there.
    """

    at_ms: int
    compared_ms: int
    fresh: bool
    why: str = ""
    under_way: tuple[str, ...] = ()
    found: tuple[DriftView, ...] = ()


class StatusView(View, frozen=True, kw_only=True):
    """The run at one moment; `pnl` is realised since the start, `held` what positions are worth at their bids.

    `journal_failed` is why the journal cannot be written and nothing can be sent, "" while it can, `journal_failed_ms`
    since when. `rebuilt` says that this start rebuilt a damaged journal, `journal_damaged` what in its file is not as
    it was written, though the bot does not need it. `money` says whose money is traded, and where;
    `buying` is the toggle, `buying_held` what of the machine, the venue or the clock holds buys back all the same.
    `warming` counts the symbols without a warm price window, `rearming` those of them that wait for a new anchor after
    a stop loss.
    """

    journal_failed: str = ""
    journal_failed_ms: int = 0
    rebuilt: bool = False
    journal_damaged: str = ""
    at_ms: int
    run: str
    instance: str
    profile: ProfileView
    synthetic: bool
    venue: str
    money: str = ""
    quote: str
    up_s: float
    trading: bool
    buying: bool
    buying_held: str = ""
    exits: bool
    paused: str
    flattening: tuple[str, ...]
    stopping: str
    symbols: int
    stale: int
    warming: int
    rearming: int = 0
    positions: int
    intents: int
    orders: int
    unknown_orders: int
    fills: int
    trades: int
    pnl: Decimal
    cash: Decimal
    held: Decimal
    errors: int
    warnings: int
    age_s: float | None
    seq: int
    session: str
    venue_state: VenueView = VenueView()
    halted: tuple[HaltedView, ...] = ()
    stopped: tuple[StoppedView, ...] = ()
    drift: tuple[DriftView, ...] = ()
    rival: str = ""


class Snapshot(View, frozen=True):
    """Everything that is shown of the run at one moment."""

    status: StatusView
    drops: tuple[DropView, ...]
    positions: tuple[PositionView, ...]
    intents: tuple[IntentView, ...]
    orders: tuple[OrderView, ...]
    features: tuple[SwitchView, ...]
    components: tuple[ComponentView, ...]


class Done(View, frozen=True):
    """What a request that has no other answer did, in one line."""

    text: str
