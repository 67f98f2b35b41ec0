"""What does the engine know of its own doing? One mutable object, changed by facts alone; asked by every decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any

from msgspec import Struct, field

from tradebot.domain import facts as f
from tradebot.domain.ledger import Ledger
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.domain.orders import Intent, IntentState, Order, OrderState, Side
from tradebot.engine.drift_book import RULES as DRIFTS
from tradebot.engine.drift_book import Drifts
from tradebot.engine.fences import RULES as FENCES
from tradebot.engine.fences import Fences

KEPT_ORDERS, KEPT_REFUSED = 200, 50
"""How many ended orders stay known, so that a late fill of one is still booked once (memory bound, not a setting); of
those that the venue never took only such as are among so many latest, where others need the place."""

DONE_STATES = {
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
    "absent": OrderState.ABSENT,
}


class Closed(Struct, frozen=True):
    """When and why a symbol's last position ended: cooldown and rearm stand on it."""

    at_ms: int
    reason: str


class EngineState(Struct):
    """Orders, intents, ledger and counters, at `seq` facts.

    `epoch` counts the changes that could open a gate which is common to all symbols (budget, slots, start).
    """

    ledger: Ledger
    seq: int = 0
    run: str = ""
    generation: int = 0
    next_order: int = 1
    next_intent: int = 1
    intents: dict[int, Intent] = field(default_factory=dict)
    by_symbol: dict[str, int] = field(default_factory=dict)  # the active intent of a symbol
    orders: dict[str, Order] = field(default_factory=dict)  # not ended
    ended: dict[str, Order] = field(default_factory=dict)  # the last KEPT_ORDERS that ended
    trades: dict[str, list[str]] = field(default_factory=dict)  # venue trade ids booked, by client id
    closed: dict[str, Closed] = field(default_factory=dict)
    venue_total: Decimal | None = None  # quote at the venue when last told
    cash_then: Decimal = ZERO  # the ledger's cash at that moment
    entries_open: bool = True
    trading: bool = False
    epoch: int = 0
    paused: str = ""  # who paused buying, "" while it is not
    flattening: bool = False  # everything is to be sold
    fences: Fences = field(default_factory=Fences)
    drifts: Drifts = field(default_factory=Drifts)

    def apply(self, fact: f.Fact, at_ms: int) -> None:
        """Change by one fact. Facts without a rule here change nothing."""
        self.seq += 1
        rule = RULES.get(type(fact))
        if rule is not None:
            rule(self, fact, at_ms)
        fence = FENCES.get(type(fact))
        if fence is not None and fence(self.fences, fact, at_ms):
            self.epoch += 1
        drift = DRIFTS.get(type(fact))
        if drift is not None:
            drift(self.drifts, fact, at_ms)

    def order(self, client_id: str) -> Order | None:
        """Return the order of `client_id`, ended ones included while they are kept."""
        return self.orders.get(client_id) or self.ended.get(client_id)

    def intent_of(self, symbol: str) -> Intent | None:
        """Return the symbol's active intent."""
        number = self.by_symbol.get(symbol)
        return None if number is None else self.intents[number]

    def outstanding(self) -> Decimal:
        """Return the quote that active buys have reserved and not yet spent."""
        total = ZERO
        for intent in self.intents.values():
            left = intent.reserved - intent.spent
            if intent.side is Side.BUY and left > 0:
                total += left
        return total

    def buying(self) -> Iterable[Intent]:
        """Yield the active buy intents."""
        return (intent for intent in self.intents.values() if intent.side is Side.BUY)


Rule = Callable[[EngineState, Any, int], None]


def _run_opened(state: EngineState, fact: f.RunOpened, at_ms: int) -> None:
    state.run = fact.run
    state.next_order = 1
    state.trading = False
    state.entries_open = True


def _profile_taken(state: EngineState, fact: f.ProfileTaken, at_ms: int) -> None:
    state.generation = fact.generation
    state.epoch += 1


def _account_opened(state: EngineState, fact: f.AccountOpened, at_ms: int) -> None:
    state.ledger.open(fact.amount)
    state.venue_total, state.cash_then = fact.amount, fact.amount
    state.epoch += 1


def _balance_refreshed(state: EngineState, fact: f.BalanceRefreshed, at_ms: int) -> None:
    state.venue_total, state.cash_then = fact.total, state.ledger.cash
    state.epoch += 1


def _recovery_completed(state: EngineState, fact: f.RecoveryCompleted, at_ms: int) -> None:
    state.trading = True
    state.epoch += 1


def _entries_closed(state: EngineState, fact: f.EntriesClosed, at_ms: int) -> None:
    state.entries_open = False
    state.epoch += 1


def _buying_paused(state: EngineState, fact: f.BuyingPaused, at_ms: int) -> None:
    state.paused = fact.who
    state.epoch += 1


def _buying_resumed(state: EngineState, fact: f.BuyingResumed, at_ms: int) -> None:
    state.paused, state.flattening = "", False
    state.epoch += 1


def _flatten_begun(state: EngineState, fact: f.FlattenBegun, at_ms: int) -> None:
    state.flattening = True


def _flatten_done(state: EngineState, fact: f.FlattenDone, at_ms: int) -> None:
    state.flattening = False


def _intent_opened(state: EngineState, fact: f.IntentOpened, at_ms: int) -> None:
    state.intents[fact.intent_id] = Intent(
        intent_id=fact.intent_id,
        symbol=fact.symbol,
        side=fact.side,
        reason=fact.reason,
        opened_ms=at_ms,
        generation=fact.generation,
        quote_amount=fact.quote_amount,
        reserved=fact.reserved,
        amount=fact.amount,
        signal_price=fact.signal_price,
        anchor_price=fact.anchor_price,
        max_spread_bps=fact.max_spread_bps,
        max_slippage_bps=fact.max_slippage_bps,
    )
    state.by_symbol[fact.symbol] = fact.intent_id
    state.next_intent = fact.intent_id + 1
    state.epoch += 1


def _step_skipped(state: EngineState, fact: f.StepSkipped, at_ms: int) -> None:
    state.intents[fact.intent_id].step = fact.step


def _intent_stale(state: EngineState, fact: f.IntentStale, at_ms: int) -> None:
    intent = state.intents[fact.intent_id]
    if fact.action != "reported" or not intent.ending:
        intent.ending = "stale"


def _intent_ended(state: EngineState, fact: f.IntentEnded, at_ms: int) -> None:
    state.intents.pop(fact.intent_id).state = IntentState.ENDED
    state.by_symbol.pop(fact.symbol, None)
    state.epoch += 1


def _order_planned(state: EngineState, fact: f.OrderPlanned, at_ms: int) -> None:
    state.orders[fact.client_id] = Order(
        client_id=fact.client_id,
        intent_id=fact.intent_id,
        symbol=fact.symbol,
        side=fact.side,
        type=fact.type,
        tif=fact.tif,
        step=fact.step,
        generation=fact.generation,
        planned_ms=at_ms,
        wait_ms=fact.wait_ms,
        price=fact.price,
        amount=fact.amount,
        quote_amount=fact.quote_amount,
    )
    state.next_order += 1
    intent = state.intents[fact.intent_id]
    intent.step, intent.client_id, intent.state = fact.step, fact.client_id, IntentState.WORKING


def _order_sent(state: EngineState, fact: f.OrderSent, at_ms: int) -> None:
    order = state.orders[fact.client_id]
    order.state, order.sent_ms = OrderState.SENT, at_ms
    state.intents[order.intent_id].sent = True


def _order_accepted(state: EngineState, fact: f.OrderAccepted, at_ms: int) -> None:
    order = state.orders[fact.client_id]
    order.state, order.venue_id = OrderState.OPEN, fact.venue_id
    order.sent_ms = order.sent_ms or order.planned_ms


def _order_seen(state: EngineState, fact: f.OrderSeen, at_ms: int) -> None:
    order = state.orders[fact.client_id]
    order.state, order.venue_id = OrderState.OPEN, fact.venue_id
    order.reported = max(order.reported, fact.filled)
    order.sent_ms = order.sent_ms or order.planned_ms


def _order_unknown(state: EngineState, fact: f.OrderBecameUnknown, at_ms: int) -> None:
    if order := state.orders.get(fact.client_id):
        order.state = OrderState.UNKNOWN


def _order_filled(state: EngineState, fact: f.OrderFilled, at_ms: int) -> None:
    order = state.order(fact.client_id)
    if order is None:
        raise KeyError(f"fill {fact.trade_id} of an order that is not known: {fact.client_id}")
    state.ledger.book(fact, fact.symbol.partition("/")[0], at_ms)
    state.trades.setdefault(fact.client_id, []).append(fact.trade_id)
    with localcontext(EXACT):
        worth = fact.price * fact.amount
        order.filled += fact.amount
        order.cost += worth
        if intent := state.intents.get(fact.intent_id):
            fee = fact.fee if fact.fee_asset == state.ledger.quote else ZERO
            intent.filled += fact.amount
            intent.paid += worth
            intent.spent += worth + fee if fact.side is Side.BUY else worth - fee
    state.epoch += 1


def _end_order(state: EngineState, client_id: str, outcome: OrderState) -> None:
    order = state.orders.pop(client_id)
    order.state = outcome
    state.ended[client_id] = order
    if len(state.ended) > KEPT_ORDERS:
        oldest = _least_needed(state.ended)
        del state.ended[oldest]
        state.trades.pop(oldest, None)
    if intent := state.intents.get(order.intent_id):
        intent.state = IntentState.PENDING


def _least_needed(ended: dict[str, Order]) -> str:
    """Return whose late fill is least likely: the oldest that the venue never took, the latest aside; else the oldest.

    A ban refuses hundreds within seconds; they must not push out those whose fills a start is told again.
    """
    never = (OrderState.NEVER_SENT, OrderState.REJECTED)
    older = islice(ended.items(), len(ended) - KEPT_REFUSED)
    return next((name for name, order in older if order.state in never and not order.filled), next(iter(ended)))


def _order_never_sent(state: EngineState, fact: f.OrderNeverSent, at_ms: int) -> None:
    _end_order(state, fact.client_id, OrderState.NEVER_SENT)


def _order_rejected(state: EngineState, fact: f.OrderRejected, at_ms: int) -> None:
    _end_order(state, fact.client_id, OrderState.REJECTED)


def _order_done(state: EngineState, fact: f.OrderDone, at_ms: int) -> None:
    _end_order(state, fact.client_id, DONE_STATES[fact.outcome])


def _cancel_asked(state: EngineState, fact: f.CancelAsked, at_ms: int) -> None:
    order = state.orders[fact.client_id]
    order.canceling = True
    order.cancel_tries += 1
    intent = state.intents[order.intent_id]
    intent.state = IntentState.CANCELING
    if fact.reason != "wait":
        intent.ending = intent.ending or fact.reason


def _position_closed(state: EngineState, fact: f.PositionClosed, at_ms: int) -> None:
    state.ledger.close(fact.symbol)
    state.closed[fact.symbol] = Closed(at_ms=at_ms, reason=fact.reason)
    state.epoch += 1


def _drift_adopted(state: EngineState, fact: f.DriftAdopted, at_ms: int) -> None:
    ledger = state.ledger
    ledger.adopt(fact.asset, fact.symbol, fact.change, fact.price, at_ms)
    if fact.asset == ledger.quote:
        state.cash_then = EXACT.add(state.cash_then, fact.change)  # the venue's total knew of it
    state.epoch += 1


RULES: dict[type[f.Fact], Rule] = {
    f.RunOpened: _run_opened,
    f.ProfileTaken: _profile_taken,
    f.AccountOpened: _account_opened,
    f.BalanceRefreshed: _balance_refreshed,
    f.RecoveryCompleted: _recovery_completed,
    f.EntriesClosed: _entries_closed,
    f.BuyingPaused: _buying_paused,
    f.BuyingResumed: _buying_resumed,
    f.FlattenBegun: _flatten_begun,
    f.FlattenDone: _flatten_done,
    f.IntentOpened: _intent_opened,
    f.StepSkipped: _step_skipped,
    f.IntentStale: _intent_stale,
    f.IntentEnded: _intent_ended,
    f.OrderPlanned: _order_planned,
    f.OrderSent: _order_sent,
    f.OrderNeverSent: _order_never_sent,
    f.OrderAccepted: _order_accepted,
    f.OrderSeen: _order_seen,
    f.OrderBecameUnknown: _order_unknown,
    f.OrderRejected: _order_rejected,
    f.OrderFilled: _order_filled,
    f.OrderDone: _order_done,
    f.CancelAsked: _cancel_asked,
    f.PositionClosed: _position_closed,
    f.DriftAdopted: _drift_adopted,
}
