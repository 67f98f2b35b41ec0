"""When is an order asked for next? One plan an order, by the settings in force; asked by the router and at start."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tradebot.domain.orders import Order
from tradebot.engine.desk import Desk

VERIFY = "verify"

Why = Literal["cancelled", "doubted", "again"]
"""A cancel's end is awaited, a request's outcome is not known, or the last answer did not settle it."""


class Plan(Struct, frozen=True):
    """From when, and for how old a doubt of this run, the wait before the next query counts."""

    why: Why
    from_ms: int
    age_ms: int


class Doubts:
    """Keeps the plan of each order; a deadline that is not the latest plan's is nothing."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._plans: dict[str, Plan] = {}

    def plan(self, order: Order, why: Why) -> None:
        """Plan the one next query of an order; an earlier plan is void."""
        now = self.desk.now
        plan = Plan(why, now, now - max(order.sent_ms or order.planned_ms, self.desk.asked_ms))
        self._plans[order.client_id] = plan
        self.desk.remind(self._due_ms(plan), VERIFY, order.client_id)

    def take(self, client_id: str) -> bool:
        """Return whether the order's planned query has come; it is planned no more then."""
        plan = self._plans.get(client_id)
        if plan is None:
            return False
        due_ms = self._due_ms(plan)
        if self.desk.now < due_ms:
            if due_ms > self._by_settings(plan):  # moved by a ban that began since: its deadline is not set yet
                self.desk.remind(due_ms, VERIFY, client_id)
            return False
        del self._plans[client_id]
        return True

    def drop(self, client_id: str) -> None:
        """Forget an order that has ended."""
        self._plans.pop(client_id, None)

    def retune(self) -> None:
        """Let every plan follow the settings now in force."""
        for client_id, plan in self._plans.items():
            self.desk.remind(self._due_ms(plan), VERIFY, client_id)

    def _due_ms(self, plan: Plan) -> int:
        venue = self.desk.state.fences.venue
        due_ms = self._by_settings(plan)
        return max(due_ms, venue.until_ms) if venue.state == "banned" else due_ms

    def _by_settings(self, plan: Plan) -> int:
        settings = self.desk.profile.execution
        if plan.why == "cancelled":
            return plan.from_ms + settings.cancel_wait_ms
        if plan.why == "doubted":
            return plan.from_ms + settings.query_interval_ms
        return plan.from_ms + min(max(settings.query_interval_ms, plan.age_ms), settings.query_max_interval_ms)
