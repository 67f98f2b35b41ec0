"""What has grown too old? Stale intents and stale market data; asked at their deadlines and by the health check."""

from __future__ import annotations

from typing import Literal

from tradebot.domain.events import HealthChecked
from tradebot.domain.facts import IntentStale, StaleDataSeen
from tradebot.domain.numbers import ms
from tradebot.domain.orders import OrderState
from tradebot.engine.desk import Desk
from tradebot.engine.router import Router

STALE_INTENTS = "stale_intents"


class Ages:
    """Finds what is too old and ends what may be ended: age alone never frees an UNKNOWN order."""

    def __init__(self, desk: Desk, router: Router) -> None:
        self.desk = desk
        self.router = router
        self._watching = False
        self._stale: frozenset[str] = frozenset()

    def watch(self) -> None:
        """Look for stale intents every `intents.check_interval_s`, for as long as a buy is under way."""
        if not self._watching:
            self._watching = True
            self.desk.remind(self.desk.now + ms(self.desk.profile.intents.check_interval_s), STALE_INTENTS, "")

    def on_check(self) -> None:
        """Report stale buy intents: unsent ones are dropped, open ones cancelled and verified, UNKNOWN ones kept."""
        self._watching = False
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

    def on_health(self, event: HealthChecked) -> None:
        """Report the symbols whose last price is too old, when the set changes."""
        if not self.desk.profile.features.stale_warnings:
            return
        oldest = event.at_ms - ms(self.desk.profile.market.stale_after_s)
        stale = frozenset(one.symbol for one in self.desk.symbols.values() if one.seen_ms < oldest)
        if stale != self._stale:
            self._stale = stale
            if stale:
                self.desk.emit(StaleDataSeen(symbols=tuple(sorted(stale))))
