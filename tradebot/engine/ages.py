"""What has grown too old? Stale intents and stale market data; asked at their deadlines and at health checks."""

from __future__ import annotations

from typing import Literal, Protocol

from tradebot.domain.facts import IntentStale, StaleDataSeen
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
        self._watching = False

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


class Warnings(Protocol):
    """Tells of market data that is too old."""

    def look(self, at_ms: int) -> None:
        """Look at the age of every symbol's last price at `at_ms`."""
        ...


class StaleWarnings:
    """Reports the symbols whose last price is older than `market.stale_after_s`, when the set changes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._stale: frozenset[str] = frozenset()

    def look(self, at_ms: int) -> None:
        """Report the stale symbols, if they are not those of the last report."""
        oldest = at_ms - ms(self.desk.profile.market.stale_after_s)
        stale = frozenset(one.symbol for one in self.desk.symbols.values() if one.seen_ms < oldest)
        if stale != self._stale:
            self._stale = stale
            if stale:
                self.desk.emit(StaleDataSeen(symbols=tuple(sorted(stale))))


class NoStaleWarnings:
    """The null part of stale warnings: nothing is reported, and stale symbols are still never bought."""

    def look(self, at_ms: int) -> None:
        """Report nothing, whatever the ages."""
        del at_ms
