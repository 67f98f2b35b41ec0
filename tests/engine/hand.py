"""How is an engine driven by hand, event by event, against a venue that says only what it is told to? Asked by every
test of the engine.

The dispatch, the outbox and the journal are the real ones; time moves only when a test says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from tradebot.config.profile import Profile
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import Command, PlaceOrder
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Balance, Intent, Order, Side
from tradebot.engine.engine import Engine
from tradebot.ports import Due
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.outbox import Outbox
from tradebot.storage.replay_journal import MemoryJournal

D = Decimal
A, B, C = "AAA/USDT", "BBB/USDT", "CCC/USDT"
T0 = 1_704_067_200_000  # 2024-01-01, the start of a UTC day

INSTRUMENTS = tuple(
    Instrument(name, name[:3], "USDT", tick_size=D("0.01"), amount_step=D("0.001"), min_amount=D("0.001"),
               min_notional=D(5))
    for name in (A, B, C)
)  # fmt: skip

BASE: dict[str, Any] = {
    "bot": {"instance": "t"},
    "market": {"stale_after_s": 3_600},
    "drop": {
        "anchor": {"kind": "rolling_high", "window_s": 600, "window_buckets": 60, "warmup_s": 0},
        "threshold_bps": 100,
        "cooldown_s": 0,
        "debounce_s": 0,
    },
    "budget": {"per_trade_quote": 100, "max_per_symbol_quote": 300, "fee_reserve_bps": 20},
    "execution": {"steps": [{"tif": "IOC"}, {"tif": "IOC", "offset_bps": 8}, {"tif": "GTC", "offset_bps": 2}]},
    "exits": {"take_profit_bps": 200, "stop_loss_bps": 500, "max_hold_s": "off"},
}
"""A drop of 1 % below the high of ten minutes is bought; what differs from it is the test's own."""

CommandT = TypeVar("CommandT", bound=Command)
FactT = TypeVar("FactT", bound=f.Fact)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return `lower` with `upper` laid over it, table by table."""
    tree = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, Mapping) and isinstance(tree.get(key), Mapping)
        tree[key] = merged(tree[key], value) if both else value
    return tree


def make_profile(settings: Mapping[str, Any] | None = None) -> Profile:
    """Return the tests' profile with `settings` laid over it."""
    return Profile.model_validate(merged(BASE, settings or {}))


class Wire:
    """A venue that only keeps what it was asked; the test answers for it."""

    def __init__(self) -> None:
        self.asked: list[Command] = []

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Keep a command."""
        self.asked.append(command)
        return []

    def on_market(self, event: e.Event, now_ms: int) -> list[Due]:
        """Answer nothing."""
        return []

    def watches(self, symbol: str) -> bool:
        """Care for nothing."""
        return False


class Unheard:
    """A recorder that nobody reads."""

    def record(self, facts: Sequence[f.Fact], now_ms: int, last_seq: int = 0) -> None:
        """Tell nobody."""


class Hand:
    """An engine, its dispatch and a scripted venue."""

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        instruments: Sequence[Instrument] = INSTRUMENTS,
        journal: MemoryJournal | None = None,
        now_ms: int = T0,
    ) -> None:
        self.profile = make_profile(settings)
        self.engine = Engine(self.profile, instruments)
        self.journal = MemoryJournal() if journal is None else journal
        self.wire = Wire()
        self.dispatch = Dispatch(self.engine, self.journal, Unheard(), Outbox(self.wire, self.journal))
        self.now = now_ms
        self._trades = 0

    # -- the world ----------------------------------------------------------------------------------

    def start(self, quote: int | Decimal = 10_000, run: str = "r1") -> Hand:
        """Put the profile in force, begin the run and tell the balances."""
        self.feed(e.ProfileApplied(1, self.profile, self.now))
        self.feed(e.RunStarted(run, self.now))
        self.balance(quote)
        return self

    def feed(self, event: e.Event) -> list[f.Fact]:
        """Let one event happen now; return the facts that came of it."""
        seq = self.journal.last_seq
        self.dispatch.feed(event, self.now)
        return [fact for _, _, fact in self.journal.read(seq)]

    def quote(self, symbol: str, bid: float, ask: float | None = None, size: float = 1e6) -> list[f.Fact]:
        """Show a quote; the ask is the bid unless it is told."""
        return self.feed(e.QuoteSeen(symbol, bid, bid if ask is None else ask, size, size, self.now))

    def wait(self, span_ms: int) -> list[f.Fact]:
        """Let time pass, with every deadline in it at its own time; return the facts that came of it."""
        seq, until = self.journal.last_seq, self.now + span_ms
        while self.dispatch.next_due_ms <= until:
            due_ms = max(self.now, self.dispatch.next_due_ms)
            self.now = due_ms
            self.dispatch.poll(self.now)
            self.feed(e.DeadlineReached(self.now))
        self.now = until
        return [fact for _, _, fact in self.journal.read(seq)]

    def drop(self, symbol: str = A, to: float = 99.0, high: float = 100.0) -> PlaceOrder:
        """Show a high and a drop that is bought; return the buy order that was sent."""
        self.quote(symbol, high)
        self.quote(symbol, to)
        return self.last(PlaceOrder)

    def decided(self, symbol: str = A, to: float = 99.0, high: float = 100.0) -> PlaceOrder:
        """Let the engine alone decide to buy a drop; return the order, which nobody sends."""
        seq = self.journal.last_seq
        self.quote(symbol, high)
        facts, commands = self.engine.process(e.QuoteSeen(symbol, to, to, 1e6, 1e6, self.now), self.now)
        assert seq == self.journal.last_seq
        self.journal.append(facts, self.now)
        (place,) = commands
        assert isinstance(place, PlaceOrder)
        return place

    def bought(self, symbol: str = A, price: float = 99.0, high: float = 100.0) -> Order:
        """Buy a drop and have it filled whole; return the order."""
        place = self.drop(symbol, price, high)
        order = self.engine.state.orders[place.client_id]
        self.fill(order)
        self.closed(order, "filled")
        assert symbol in self.engine.state.ledger.positions
        return order

    # -- the venue's words --------------------------------------------------------------------------

    def balance(self, quote: int | Decimal, **bases: int | str | Balance) -> list[f.Fact]:
        """Tell the balances: the quote's, and what the ledger owns of everything else but `bases`."""
        ledger = self.engine.state.ledger
        held = {one.base: ledger.holding(one.symbol) for one in INSTRUMENTS}
        told = {asset: each if isinstance(each, Balance) else Balance(D(each)) for asset, each in bases.items()}
        balances = {"USDT": Balance(D(quote)), **{asset: Balance(each) for asset, each in held.items()}, **told}
        return self.feed(e.BalancesReported(balances, self.now))

    def ack(self, order: Order | PlaceOrder) -> list[f.Fact]:
        """Acknowledge an order."""
        return self.feed(e.OrderAcknowledged(order.client_id, f"v-{order.client_id}", self.now))

    def a_fill(
        self,
        order: Order | PlaceOrder,
        amount: Decimal | str | None = None,
        *,
        price: Decimal | None = None,
        trade: str = "",
    ) -> e.FillReported:
        """Return a fill of an order without fees: of all of it, at its price, with a trade id of its own."""
        self._trades += 1
        return e.FillReported(
            client_id=order.client_id,
            symbol=order.symbol,
            trade_id=trade or f"t{self._trades}",
            price=order.price if price is None else price,
            amount=order.amount if amount is None else D(amount),
            fee=D(0),
            fee_asset="USDT",
            maker=False,
            at_ms=self.now,
        )

    def fill(
        self,
        order: Order | PlaceOrder,
        amount: Decimal | str | None = None,
        *,
        price: Decimal | None = None,
        trade: str = "",
    ) -> list[f.Fact]:
        """Fill (a part of) an order."""
        return self.feed(self.a_fill(order, amount, price=price, trade=trade))

    def closed(
        self, order: Order | PlaceOrder, outcome: Any = "canceled", filled: Decimal | None = None
    ) -> list[f.Fact]:
        """Say that an order is over; `filled` is what was seen unless it is told."""
        known = self.engine.state.order(order.client_id)
        total = (known.filled if known else D(0)) if filled is None else filled
        return self.feed(e.OrderClosed(order.client_id, outcome, total, "", self.now))

    def refused(self, order: Order | PlaceOrder) -> list[f.Fact]:
        """Refuse an order."""
        return self.feed(e.OrderRefused(order.client_id, "-2010", "no", self.now))

    def unknown(self, order: Order | PlaceOrder, request: Any = "place") -> list[f.Fact]:
        """Lose the answer to a request."""
        return self.feed(e.OutcomeUnknown(order.client_id, request, "timeout", self.now))

    def not_found(self, order: Order | PlaceOrder, *, conclusive: bool) -> list[f.Fact]:
        """Answer a query: no such order."""
        return self.feed(e.OrderNotFound(order.client_id, conclusive, self.now))

    def reported(
        self,
        order: Order | PlaceOrder,
        status: Any,
        fills: Sequence[e.FillReported] = (),
        filled: Decimal | None = None,
    ) -> list[f.Fact]:
        """Answer a query: the order as it stands, with these fills."""
        total = sum((fill.amount for fill in fills), D(0)) if filled is None else filled
        return self.feed(e.OrderReported(order.client_id, "v", status, total, tuple(fills), self.now))

    # -- what to look at ----------------------------------------------------------------------------

    def asked(self, kind: type[CommandT]) -> list[CommandT]:
        """Return every command of a kind that has left so far."""
        return [command for command in self.wire.asked if isinstance(command, kind)]

    def last(self, kind: type[CommandT]) -> CommandT:
        """Return the last command of a kind that has left."""
        return self.asked(kind)[-1]

    def told(self, kind: type[FactT]) -> list[FactT]:
        """Return every fact of a kind so far."""
        return [fact for _, _, fact in self.journal.read(0) if isinstance(fact, kind)]

    def order(self) -> Order:
        """Return the one order that has not ended."""
        (order,) = self.engine.state.orders.values()
        return order

    def buys(self) -> list[Intent]:
        """Return the active buy intents."""
        return list(self.engine.state.buying())

    def sells(self) -> list[Intent]:
        """Return the active exits."""
        return [intent for intent in self.engine.state.intents.values() if intent.side is Side.SELL]

    def held(self, symbol: str = A) -> Decimal:
        """Return the base held of a symbol."""
        position = self.engine.state.ledger.positions.get(symbol)
        return position.amount if position else D(0)

    @property
    def reserved(self) -> Decimal:
        """Return the quote that buys have reserved and not spent."""
        return self.engine.state.outstanding()


def names(facts: Sequence[f.Fact]) -> list[str]:
    """Return the kinds of facts, in their order."""
    return [type(fact).__name__ for fact in facts]
