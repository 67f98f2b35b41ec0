"""Is the new generation doing harm? Watched for a while after an edit; asked by the reloads, between two cycles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tradebot.config.sections.reload import Guards
from tradebot.domain.events import Event
from tradebot.domain.numbers import BPS, ZERO
from tradebot.runtime.outbox import NEVER_MS

LOOK_MS = 1000
"""How often the guards are looked at."""

MINUTE_MS = 60_000


class Readings(Struct, frozen=True):
    """Where the guards read: totals since the start of the run, and the equity now, in quote."""

    errors: Callable[[], int]
    slow_cycles: Callable[[], int]
    component_failures: Callable[[], int]
    orders_sent: Callable[[], int]
    orders_rejected: Callable[[], int]
    equity: Callable[[], Decimal]


class Watch(Protocol):
    """A watch over a generation."""

    name: str

    @property
    def next_due_ms(self) -> int:
        """When it wants to look."""
        ...

    def run(self, now_ms: int) -> Event | None:
        """Look once."""
        ...


class NotWatched:
    """No generation is on probation: nothing is watched, and no edit is taken back by itself."""

    name = "probation"
    next_due_ms = NEVER_MS

    def run(self, now_ms: int) -> Event | None:
        """Look at nothing."""


class Probation:
    """Watches the guards of one generation for `lasts_s` of watched time; a breach or the end is told once.

    `breached` gets the reason in words, `passed` nothing. Rates are of the last minute, the rest since the edit.
    """

    name = "probation"

    def __init__(
        self,
        number: int,
        falls_back_to: int,
        guards: Guards,
        readings: Readings,
        now_ms: int,
        lasts_s: float,
        breached: Callable[[str], None],
        passed: Callable[[], None],
    ) -> None:
        self.number = number
        self.falls_back_to = falls_back_to
        self.begun_ms = now_ms
        self._looked_ms, self._left_ms = now_ms, round(lasts_s * 1000)
        self.next_due_ms = now_ms + min(LOOK_MS, self._left_ms)
        self._guards = guards
        self._readings = readings
        self._breached = breached
        self._passed = passed
        self._errors = _Rate(readings.errors, now_ms)
        self._slow = _Rate(readings.slow_cycles, now_ms)
        self._failures = readings.component_failures()
        self._sent, self._rejected = readings.orders_sent(), readings.orders_rejected()
        self._equity = readings.equity()

    def run(self, now_ms: int) -> Event | None:
        """Look once. Time in which nobody looked (a stopped process, a clock that was set) is not watched time."""
        self._left_ms -= max(0, min(now_ms - self._looked_ms, 2 * LOOK_MS))
        self._looked_ms = now_ms
        self.next_due_ms = now_ms + min(LOOK_MS, max(1, self._left_ms))
        self._errors.look(now_ms)
        self._slow.look(now_ms)
        breach = next((text for text, over in self._checks() if over), "")
        if breach:
            self.next_due_ms = NEVER_MS
            self._breached(breach)
        elif self._left_ms <= 0:
            self.next_due_ms = NEVER_MS
            self._passed()
        return None

    @property
    def until_ms(self) -> int:
        """When it ends, if it is watched all the time."""
        return self._looked_ms + max(0, self._left_ms)

    def look_again(self, now_ms: int) -> None:
        """Look again soon: what was told of a breach could not be acted on."""
        self.next_due_ms = now_ms + LOOK_MS

    def words(self) -> tuple[str, ...]:
        """Return each guard's value against its limit."""
        return tuple(text for text, _ in self._checks())

    def limits(self) -> tuple[str, ...]:
        """Return each guard's limit."""
        guards = self._guards
        found = (
            ("errors ≤ {:g} a minute", guards.max_errors_per_min),
            ("rejected orders ≤ {:g} %", guards.max_reject_pct),
            ("slow cycles ≤ {:g} a minute", guards.max_slow_cycles_per_min),
            ("drawdown ≤ {:g} bps", guards.max_drawdown_bps),
            ("component failures < {:g}", guards.max_component_failures),
        )
        return tuple(text.format(float(limit)) for text, limit in found if limit is not None)

    def _checks(self) -> list[tuple[str, bool]]:
        """Return (words, whether it is breached) of every guard that is on."""
        guards, readings = self._guards, self._readings
        checks: list[tuple[str, bool]] = []

        def check(what: str, value: float | Decimal, limit: float | Decimal | None, *, most: bool) -> None:
            if limit is not None:
                over = value > limit if most else value >= limit
                checks.append((f"{what} {float(value):g} ({'≤' if most else '<'} {float(limit):g})", over))

        check("errors a minute", self._errors.minute, guards.max_errors_per_min, most=True)
        sent = readings.orders_sent() - self._sent
        rejected = readings.orders_rejected() - self._rejected
        share = Decimal(100 * rejected) / sent if sent >= guards.min_orders else ZERO
        check("rejected orders in %", share.quantize(Decimal("0.1")), guards.max_reject_pct, most=True)
        check("slow cycles a minute", self._slow.minute, guards.max_slow_cycles_per_min, most=True)
        check("drawdown in bps", self._drawdown(), guards.max_drawdown_bps, most=True)
        failures = readings.component_failures() - self._failures
        check("component failures", failures, guards.max_component_failures, most=False)
        return checks

    def _drawdown(self) -> Decimal:
        if self._equity <= 0:
            return ZERO
        fall = (self._equity - self._readings.equity()) / self._equity * BPS
        return max(ZERO, fall).quantize(Decimal("0.1"))


class _Rate:
    """How much a total has grown within the last minute, since the watch began at most."""

    def __init__(self, total: Callable[[], int], now_ms: int) -> None:
        self._total = total
        self._seen: deque[tuple[int, int]] = deque([(now_ms, total())])
        self.minute = 0

    def look(self, now_ms: int) -> None:
        value = self._total()
        seen = self._seen
        seen.append((now_ms, value))
        while len(seen) > 1 and seen[1][0] <= now_ms - MINUTE_MS:
            seen.popleft()
        self.minute = value - seen[0][1]
