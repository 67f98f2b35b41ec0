"""Does the venue agree with what was restored? Asked once a run, before anything trades."""

from __future__ import annotations

from tradebot.domain.commands import QueryOrder
from tradebot.domain.events import Event, OrderNotFound, OrderReported, RunStarted
from tradebot.domain.facts import OrderFilled, RecoveryCompleted, RecoveryPlanned, RunOpened
from tradebot.engine.budget import Budget
from tradebot.engine.desk import Desk
from tradebot.engine.router import Router


class Recovery:
    """Asks the venue for every own order that has not ended, and for the balances; then allows trading.

    A clean start is the case with nothing to ask but the balances.
    """

    def __init__(self, desk: Desk, budget: Budget, router: Router) -> None:
        self.desk = desk
        self.budget = budget
        self.router = router
        self._open: set[str] = set()
        self._fills = 0
        self._running = False

    def on_run(self, event: RunStarted) -> None:
        """Plan the reconciliation and ask."""
        desk = self.desk
        generation = desk.state.generation
        desk.emit(RunOpened(run=event.run, generation=generation))
        orders = tuple(desk.state.orders)
        desk.emit(
            RecoveryPlanned(
                orders=orders, positions=tuple(desk.state.ledger.positions), intents=len(desk.state.intents)
            )
        )
        self._open = set(orders)
        self._running = True
        self.budget.ask()
        for client_id in orders:
            order = desk.state.orders[client_id]
            desk.send(QueryOrder(client_id=client_id, symbol=order.symbol))
            self.router.doubts.plan(order, "doubted")  # asked again then

    def on_event(self, event: Event) -> bool:
        """Look, after each event, whether the venue has answered for every order and told the balances.

        Return whether trading is allowed by it.
        """
        if not self._running:
            return False
        desk = self.desk
        self._fills += sum(1 for fact in desk.facts if isinstance(fact, OrderFilled))
        if isinstance(event, OrderReported | OrderNotFound):
            self._open.discard(event.client_id)
        if any(client_id in desk.state.orders for client_id in self._open) or not self.budget.told:
            return False
        self._running = False
        desk.emit(
            RecoveryCompleted(
                orders_open=len(desk.state.orders),
                positions=len(desk.state.ledger.positions),
                fills_adopted=self._fills,
            )
        )
        for intent in list(desk.state.intents.values()):
            if intent.client_id not in desk.state.orders:
                self.router.ladder.end(intent, "restart")
        return True
