"""What may a venue do to us that loses, repeats, delays and reorders every message, but never lies? Asked by the
router's property tests.

It keeps the truth of every order. What it says is drawn by the test; what it says is always so, or was so once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from tests.engine.hand import A, B, D, Hand
from tradebot.domain import events as e
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryOrder, ReconcileOrders
from tradebot.domain.facts import IntentOpened, OrderFilled
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side
from tradebot.storage.replay_journal import MemoryJournal

START = D(330)  # three buys of 100, and no fourth

SETTINGS: dict[str, Any] = {
    "budget": {"per_trade_quote": 100, "max_per_symbol_quote": 200, "max_positions": 3, "refresh_interval_s": 1},
    "execution": {"max_slippage_bps": 500, "max_spread_bps": 500},
    "exits": {"take_profit_bps": 100, "stop_loss_bps": 150, "max_hold_s": 600},
}


class Stalling(MemoryJournal):
    """A journal whose disk stalls when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled_at: int | None = None

    @property
    def durable_seq(self) -> int:
        """The seq of the last fact that survives a crash."""
        return self.last_seq if self.stalled_at is None else self.stalled_at


class TrueOrder(Struct):
    """What really became of an order."""

    place: PlaceOrder
    state: str = "flying"  # flying, lost, refused, open, filled, canceled, expired
    fills: list[e.FillReported] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        """Base filled so far."""
        return sum((fill.amount for fill in self.fills), ZERO)

    @property
    def paid(self) -> Decimal:
        """Quote of its fills."""
        return sum((fill.amount * fill.price for fill in self.fills), ZERO)

    @property
    def alive(self) -> bool:
        """Whether it may still be filled."""
        return self.state in ("flying", "open")


class Wild:
    """An engine by hand, and the venue that never lies."""

    def __init__(self, settings: Mapping[str, Any] = SETTINGS) -> None:
        self.journal = Stalling()
        self.hand = Hand(settings, journal=self.journal).start(START)
        self.orders: dict[str, TrueOrder] = {}
        self.requests: list[CancelOrder | QueryOrder] = []
        self.mail: list[e.Event] = []
        self.prices = {A: 100.0, B: 100.0}
        self._seen = 0
        self._trades = 0
        self.quote(A, 100.0, 0)
        self.quote(B, 100.0, 0)

    @property
    def now(self) -> int:
        """The present."""
        return self.hand.now

    # -- what happens ---------------------------------------------------------------------------------

    def quote(self, symbol: str, price: float, spread_bps: int) -> None:
        """Show a price."""
        self.prices[symbol] = price
        self.hand.quote(symbol, price, round(price * (1 + spread_bps / 10_000), 4))
        self.collect()

    def wait(self, span_ms: int) -> None:
        """Let time pass."""
        self.hand.wait(span_ms)
        self.collect()

    def stall(self, *, on: bool) -> None:
        """Stall the journal, or let it catch up."""
        self.journal.stalled_at = self.journal.durable_seq if on else None
        self.hand.dispatch.poll(self.now)
        self.collect()

    def collect(self) -> None:
        """Take in what has been asked since the last look."""
        asked, self._seen = self.hand.wire.asked[self._seen :], len(self.hand.wire.asked)
        for command in asked:
            if isinstance(command, PlaceOrder):
                assert command.client_id not in self.orders, "a client id was used again"
                self.orders[command.client_id] = TrueOrder(command)
            elif isinstance(command, CancelOrder | QueryOrder):
                self.requests.append(command)
            elif isinstance(command, ReconcileOrders):
                self.requests.extend(command.orders)

    def arrive(self, order: TrueOrder, *, welcome: bool) -> None:
        """Let an order reach the venue, which takes or refuses it."""
        order.state = "open" if welcome else "refused"
        name = order.place.client_id
        self.mail.append(
            e.OrderAcknowledged(name, "v", self.now) if welcome else e.OrderRefused(name, "-2010", "no", self.now)
        )

    def lose(self, order: TrueOrder) -> None:
        """Lose an order on its way; nobody knows but the venue."""
        order.state = "lost"
        self.mail.append(e.OutcomeUnknown(order.place.client_id, "place", "timeout", self.now))

    def doubt(self, number: int, kind: int) -> None:
        """Lose the answer to a request that may or may not have arrived."""
        if kind % 2 and self.requests:
            request = self.requests.pop(number % len(self.requests))
            what: Any = "cancel" if isinstance(request, CancelOrder) else "query"
            self.mail.append(e.OutcomeUnknown(request.client_id, what, "timeout", self.now))
        elif alive := [name for name, order in self.orders.items() if order.alive]:
            self.mail.append(e.OutcomeUnknown(alive[number % len(alive)], "place", "timeout", self.now))

    def fill(self, order: TrueOrder, share: Decimal, worse_bps: int) -> None:
        """Fill a share of what is left of an order in effect, at its limit or better by some basis points."""
        place = order.place
        reference = place.price or D(repr(self.prices[place.symbol]))
        better = reference * worse_bps / 10_000
        price = (reference - better if place.side is Side.BUY else reference + better).quantize(D("0.01"))
        if place.quote_amount:
            left = ((place.quote_amount - order.paid) / price).quantize(D("0.001"), "ROUND_DOWN")
        else:
            left = place.amount - order.filled
        amount = left if share == 1 else (left * share).quantize(D("0.001"), "ROUND_DOWN")
        if amount > 0:
            self._trades += 1
            fill = e.FillReported(
                place.client_id, place.symbol, f"t{self._trades}", price, amount, ZERO, "USDT", False, self.now
            )
            order.fills.append(fill)
            self.mail.append(fill)
        if amount == left:
            self.end(order, "filled")

    def end(self, order: TrueOrder, state: Any) -> None:
        """End an order in effect."""
        order.state = state
        self.mail.append(e.OrderClosed(order.place.client_id, state, order.filled, "", self.now))

    def answer(self, request: CancelOrder | QueryOrder, *, lagging: bool = False) -> None:
        """Answer a cancel or a query as things stand; a lagging venue does not show the fills yet."""
        order, name = self.orders.get(request.client_id), request.client_id
        if isinstance(request, CancelOrder):
            if order is not None and order.state == "open":
                self.end(order, "canceled")
            else:
                self.mail.append(e.CancelRefused(name, "-2011", "Unknown order sent.", self.now))
        elif order is None or order.state in ("flying", "lost", "refused"):
            sure = order is not None and order.state != "flying" and not lagging
            self.mail.append(e.OrderNotFound(name, sure, self.now))
        else:
            fills = () if lagging else tuple(order.fills)
            status: Any = order.state
            self.mail.append(e.OrderReported(name, "v", status, order.filled, fills, self.now))

    def deliver(self, message: e.Event) -> None:
        """Let the engine hear a message."""
        self.hand.feed(message)
        self.collect()

    # -- what must hold -------------------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds at every moment."""
        state = self.hand.engine.state
        by_intent: dict[int, list[TrueOrder]] = {}
        for name, order in self.orders.items():
            known = state.order(name)
            assert known is not None
            by_intent.setdefault(known.intent_id, []).append(order)
            assert known.filled <= order.filled
            if order.alive:
                assert name in state.orders, f"{name} was given up while it lived"
                assert known.intent_id in state.intents
            if known.state.terminal:
                assert known.filled == order.filled, f"{name} ended without its fills"
        for intent_id, orders in by_intent.items():
            assert sum(order.alive for order in orders) <= 1, "two orders of one intent live at a time"
            fact = self._opened(intent_id)
            if orders[0].place.side is Side.BUY:
                assert sum((order.paid for order in orders), ZERO) <= fact.quote_amount
            else:
                assert sum((order.filled for order in orders), ZERO) <= fact.amount
        for symbol in self.prices:
            assert sum(order.alive for order in self.orders.values() if order.place.symbol == symbol) <= 1
        self._check_budget()
        booked = [fact.trade_id for fact in self.hand.told(OrderFilled)]
        assert len(booked) == len(set(booked)), "a fill was booked twice"

    def _check_budget(self) -> None:
        state = self.hand.engine.state
        for intent in state.buying():
            assert 0 <= intent.reserved == intent.quote_amount * D("1.002")
            assert intent.spent <= intent.reserved
        assert state.outstanding() == sum((intent.reserved - intent.spent for intent in state.buying()), ZERO)
        assert state.outstanding() <= state.ledger.cash, "more is promised than there is"

    def _opened(self, intent_id: int) -> IntentOpened:
        return next(fact for fact in self.hand.told(IntentOpened) if fact.intent_id == intent_id)

    # -- the end ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the venue answer everything, truthfully and at once, for as long as anything is under way."""
        self.stall(on=False)
        for _ in range(400):
            self._answer_all()
            self.check()
            if not self.hand.engine.state.intents:
                break
            self.wait(max(1, self.hand.dispatch.next_due_ms - self.now))
        self._check_end()

    def _answer_all(self) -> None:
        while True:
            for order in self.orders.values():
                if order.state == "flying":
                    self.arrive(order, welcome=True)
                if order.state == "open" and (order.place.side is Side.SELL or order.place.type is OrderType.MARKET):
                    self.fill(order, D(1), 0)
            requests, self.requests = self.requests, []
            for request in requests:
                self.answer(request)
            mail, self.mail = self.mail, []
            for message in mail:
                self.deliver(message)
            if not self.requests and not self.mail and not any(o.state == "flying" for o in self.orders.values()):
                return

    def _check_end(self) -> None:
        state = self.hand.engine.state
        assert not state.intents, "an intent never ended"
        assert not state.orders, "an order was left"
        assert state.outstanding() == 0
        cash = START
        held = dict.fromkeys(self.prices, ZERO)
        for order in self.orders.values():
            sign = 1 if order.place.side is Side.BUY else -1
            cash -= sign * order.paid
            held[order.place.symbol] += sign * order.filled
        assert state.ledger.cash == cash
        for symbol, amount in held.items():
            assert self.hand.held(symbol) + state.ledger.dust.get(symbol, ZERO) == amount
