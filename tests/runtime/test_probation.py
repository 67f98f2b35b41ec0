"""Does a guard that is breached tell so, once, with its reason, and does a quiet probation pass?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tradebot.config.sections.reload import Guards
from tradebot.runtime.outbox import NEVER_MS
from tradebot.runtime.probation import LOOK_MS, NotWatched, Probation, Readings

BEGUN_MS = 1_000_000


class Market:
    """Totals that a test moves."""

    def __init__(self) -> None:
        self.errors = 100
        self.slow = 50
        self.failures = 7
        self.sent = 1000
        self.rejected = 400
        self.equity = Decimal(10_000)

    def readings(self) -> Readings:
        return Readings(
            errors=lambda: self.errors,
            slow_cycles=lambda: self.slow,
            component_failures=lambda: self.failures,
            orders_sent=lambda: self.sent,
            orders_rejected=lambda: self.rejected,
            equity=lambda: self.equity,
        )


class Watched:
    """A probation with what it told."""

    def __init__(self, lasts_s: float = 600, **guards: Any) -> None:
        self.market = Market()
        self.told: list[str] = []
        self.probation = Probation(
            8, 7, Guards(**guards), self.market.readings(), BEGUN_MS, lasts_s, self.told.append, self._passed
        )

    def _passed(self) -> None:
        self.told.append("passed")

    def look_until(self, at_ms: int) -> None:
        """Look whenever it wants to, as the loop does."""
        while self.probation.next_due_ms <= at_ms:
            self.probation.run(self.probation.next_due_ms)


def test_what_happened_before_the_edit_breaches_nothing() -> None:
    watched = Watched()
    watched.look_until(BEGUN_MS + 599_999)
    assert watched.told == []


def test_a_quiet_probation_passes_at_its_end_and_once() -> None:
    watched = Watched(lasts_s=2.5)
    watched.look_until(BEGUN_MS + 2_499)
    assert watched.told == []
    watched.look_until(BEGUN_MS + 60_000)
    assert watched.told == ["passed"]
    assert watched.probation.next_due_ms == NEVER_MS


def test_time_in_which_nobody_looked_is_not_watched_time() -> None:
    """A process that was stopped, a machine that slept, a clock that was set."""
    watched = Watched(lasts_s=60)
    watched.look_until(BEGUN_MS + 10_000)
    probation, back_ms = watched.probation, BEGUN_MS + 3_600_000
    probation.run(back_ms)
    assert watched.told == []
    assert 48_000 <= probation.until_ms - back_ms <= 50_000
    watched.look_until(probation.until_ms - 1)
    assert watched.told == []
    watched.look_until(probation.until_ms)
    assert watched.told == ["passed"]


def test_a_clock_that_is_set_back_neither_passes_a_probation_nor_prolongs_it() -> None:
    watched = Watched(lasts_s=60)
    watched.look_until(BEGUN_MS + 10_000)
    probation, set_ms = watched.probation, BEGUN_MS - 3_600_000
    probation.run(set_ms)
    assert probation.until_ms - set_ms == 50_000
    watched.look_until(set_ms + 50_000)
    assert watched.told == ["passed"]


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("errors", 106, "errors a minute 6 (≤ 5)"),
        ("slow", 61, "slow cycles a minute 11 (≤ 10)"),
        ("failures", 8, "component failures 1 (< 1)"),
        ("equity", Decimal(9_799), "drawdown in bps 201 (≤ 200)"),
    ],
)
def test_a_breach_is_told_once_with_its_value_and_its_limit(attribute: str, value: Any, reason: str) -> None:
    watched = Watched()
    setattr(watched.market, attribute, value)
    watched.look_until(BEGUN_MS + 10_000)
    assert watched.told == [reason]


@pytest.mark.parametrize(
    ("attribute", "value"), [("errors", 105), ("slow", 60), ("equity", Decimal(9_800)), ("equity", Decimal(20_000))]
)
def test_a_value_at_its_limit_is_no_breach(attribute: str, value: Any) -> None:
    watched = Watched()
    setattr(watched.market, attribute, value)
    watched.look_until(BEGUN_MS + 10_000)
    assert watched.told == []


def test_rejected_orders_count_by_their_share_and_only_of_enough_orders() -> None:
    watched = Watched()
    watched.market.sent += 4
    watched.market.rejected += 4
    watched.look_until(BEGUN_MS + LOOK_MS)
    assert watched.told == []
    watched.market.sent += 1
    watched.look_until(BEGUN_MS + 2 * LOOK_MS)
    assert watched.told == ["rejected orders in % 80 (≤ 20)"]


def test_errors_spread_over_many_minutes_are_no_breach() -> None:
    watched = Watched(lasts_s=1200)
    for second in range(0, 1100, 15):  # four a minute
        watched.look_until(BEGUN_MS + second * 1000)
        watched.market.errors += 1
    assert watched.told == []


def test_a_burst_of_errors_late_in_the_probation_is_a_breach() -> None:
    watched = Watched(lasts_s=1200)
    watched.look_until(BEGUN_MS + 900_000)
    watched.market.errors += 6
    watched.look_until(BEGUN_MS + 902_000)
    assert watched.told == ["errors a minute 6 (≤ 5)"]


def test_a_guard_that_is_off_is_neither_shown_nor_breached() -> None:
    watched = Watched(
        max_errors_per_min=None,
        max_reject_pct=None,
        max_slow_cycles_per_min=None,
        max_drawdown_bps=None,
        max_component_failures=None,
    )
    watched.market.errors += 10_000
    watched.market.equity = Decimal(1)
    watched.look_until(BEGUN_MS + 10_000)
    assert watched.told == []
    assert watched.probation.words() == ()


def test_without_money_there_is_no_drawdown() -> None:
    watched = Watched()
    watched.market.equity = Decimal(0)
    empty = Probation(8, 7, Guards(), watched.market.readings(), BEGUN_MS, 600, watched.told.append, lambda: None)
    watched.market.equity = Decimal(-5)
    empty.run(BEGUN_MS + 1000)
    assert watched.told == []


def test_nothing_is_watched_without_a_probation() -> None:
    assert NotWatched().next_due_ms == NEVER_MS
