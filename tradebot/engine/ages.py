"""Which buys have grown too old? Asked at the deadlines of their checks."""

from __future__ import annotations

from typing import Literal

from tradebot.domain.facts import IntentStale
from tradebot.domain.numbers import ms
from tradebot.domain.orders import OrderState
from tradebot.engine.desk import Desk
from tradebot.engine.router import Router

STALE_INTENTS = "stale_intents"


class Ages:
    """Finds buy intents that are too old and ends what may be ended: age alone never frees an UNKNOWN order."""

    def __init__(self, desk: Desk, router: Router) -> None:
        self.desk = desk
        self.router = router
        self._since_ms = -1  # the last check, or when the first buy came; -1 while none is under way

    def watch(self) -> None:
        """Look for stale intents every `intents.check_interval_s`, for as long as a buy is under way."""
        if self._since_ms < 0:
            self._since_ms = self.desk.now
            self.retune()

    def retune(self) -> None:
        """Let the next check follow the interval now in force."""
        if self._since_ms >= 0:
            due_ms = self._since_ms + ms(self.desk.profile.intents.check_interval_s)
            self.desk.remind(due_ms, STALE_INTENTS, "")

    def on_check(self) -> None:
        """Report stale buy intents: unsent ones are dropped, open ones cancelled and verified, UNKNOWN ones kept."""
        self._since_ms = -1
        limit_ms = ms(self.desk.profile.intents.max_age_s)
        buys = list(self.desk.state.buying())
        for intent in buys:
            age_ms = self.desk.now - intent.opened_ms
            if age_ms <= limit_ms or intent.ending:
                continue
            order = self.desk.state.orders.get(intent.client_id)
            action: Literal["dropped", "cancelled", "reported"] = "cancelled"
            if order is None or order.state is OrderState.PLANNED:
                action = "dropped"
            elif order.state is OrderState.UNKNOWN:
                action = "reported"
            self.desk.emit(
                IntentStale(
                    generation=self.desk.state.generation,
                    intent_id=intent.intent_id,
                    symbol=intent.symbol,
                    age_ms=age_ms,
                    order_state=order.state if order else "none",
                    action=action,
                )
            )
            if action != "reported":
                self.router.stop(intent, "stale")
        if self.desk.state.intents:
            self.watch()
