"""Does the venue agree with what was restored? Asked once a run; exits go on as their symbols agree, buys after all.

A symbol is settled once the venue has answered for each of its own orders and every fill that it names is booked; from
then on its position is protected. Nothing is bought before the last symbol is settled and the balances are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal, localcontext

from tradebot.domain.events import Event, OrderNotFound, OrderReported, RunStarted
from tradebot.domain.facts import Fact, OrderFilled, RecoveryCompleted, RunOpened
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.domain.orders import Position, Side
from tradebot.domain.venue_facts import DELISTED
from tradebot.engine.budget import Budget
from tradebot.engine.desk import Desk
from tradebot.engine.exits import try_now
from tradebot.engine.recovery_plan import planned
from tradebot.engine.router import Router


class Recovery:
    """Asks the venue for every own order that has not ended, and for the balances; then allows trading.

    A clean start is the case with nothing to ask but the balances.
    """

    def __init__(self, desk: Desk, budget: Budget, router: Router) -> None:
        self.desk = desk
        self.budget = budget
        self.router = router
        self._open: dict[str, str] = {}  # symbols of the orders that are not settled yet, by client id
        self._answered: set[str] = set()
        self._away = _Away()
        self._running = False

    def on_run(self, event: RunStarted) -> None:
        """Plan the reconciliation, end what no order stands for any more, and ask."""
        desk = self.desk
        state = desk.state
        desk.emit(RunOpened(run=event.run, generation=state.generation))
        desk.emit(planned(desk))
        self._open = {client_id: order.symbol for client_id, order in state.orders.items()}
        self._answered.clear()
        self._away = _Away(f"{desk.profile.bot.instance}-{event.run}-", state.ledger.positions.values())
        self._running = True
        desk.asked_ms = desk.now
        desk.unsettled = dict(Counter(self._open.values()))
        for intent in list(state.intents.values()):
            if intent.client_id not in state.orders:
                self.router.ladder.end(intent, "restart")
        self.budget.ask()
        for order in list(state.orders.values()):
            self.router.ask(order)

    def on_event(self, event: Event) -> bool:
        """Look, after each event, whether the venue has answered for every order and told the balances.

        Return whether trading is allowed by it.
        """
        if not self._running and not self._open:
            return False
        desk = self.desk
        self._away.book(desk.facts, desk.state.ledger.positions)
        if isinstance(event, OrderReported) or (isinstance(event, OrderNotFound) and event.conclusive):
            self._answered.add(event.client_id)
        for client_id in {getattr(event, "client_id", ""), *(getattr(fact, "client_id", "") for fact in desk.facts)}:
            self._look(client_id)
        if not self._running or self._awaited() or not self.budget.told:
            return False
        self._running = False
        away = self._away
        desk.emit(
            RecoveryCompleted(
                orders_open=len(desk.state.orders),
                positions=len(desk.state.ledger.positions),
                fills_adopted=away.fills,
                bought=away.bought,
                sold=away.sold,
                pnl=away.pnl,
                quote=desk.state.ledger.quote if away.fills else "",
            )
        )
        return True

    def _awaited(self) -> bool:
        """Whether an answer is to come: none is of an order whose symbol the venue does not know any more."""
        quarantine = self.desk.state.fences.quarantine
        return any(symbol not in quarantine or quarantine[symbol].reason != DELISTED for symbol in self._open.values())

    def _look(self, client_id: str) -> None:
        """Take an order off the list once the venue has told all of it; its symbol is settled with its last one."""
        symbol = self._open.get(client_id)
        if symbol is None:
            return
        order, unsettled = self.desk.state.orders.get(client_id), self.desk.unsettled
        if unsettled is None or (
            order is not None and (client_id not in self._answered or order.filled < order.reported)
        ):
            return
        del self._open[client_id]
        unsettled[symbol] -= 1
        if unsettled[symbol]:
            return
        del unsettled[symbol]
        watched = self.desk.symbols.get(symbol)
        if watched is not None and watched.seen_ms >= 0 and symbol in self.desk.state.ledger.positions:
            try_now(self.desk, watched)


class _Away:
    """What the fills of earlier runs' orders amount to: quote paid and received, fees included, and what was won."""

    def __init__(self, own: str = "", positions: Iterable[Position] = ()) -> None:
        self._own = own  # how client ids of this run begin
        self._realised = {_key(position): _realised(position) for position in positions}
        self.fills = 0
        self.bought = self.sold = self.pnl = ZERO

    def book(self, facts: Iterable[Fact], positions: dict[str, Position]) -> None:
        """Count the fills among `facts`, which are in `positions` already."""
        for fact in facts:
            if not isinstance(fact, OrderFilled):
                continue
            position = positions.get(fact.symbol)
            won = ZERO
            if position is not None:
                before, now = self._realised.get(_key(position), ZERO), _realised(position)
                self._realised[_key(position)], won = now, EXACT.subtract(now, before)
            if not fact.client_id.startswith(self._own):
                self._add(fact, won)

    def _add(self, fact: OrderFilled, won: Decimal) -> None:
        self.fills += 1
        with localcontext(EXACT):
            worth = fact.price * fact.amount
            fee = fact.fee if fact.symbol.endswith(f"/{fact.fee_asset}") else ZERO
            if fact.side is Side.BUY:
                self.bought += worth + fee
            else:
                self.sold += worth - fee
            self.pnl += won


def _key(position: Position) -> tuple[str, int]:
    return position.symbol, position.opened_ms


def _realised(position: Position) -> Decimal:
    """Return what the sold part of a position has brought beyond its cost."""
    with localcontext(EXACT):
        return position.proceeds - (position.spent - position.cost)
