"""Which small things does the loop look after by itself? Asked by the bot, which adds them to the live shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from tradebot.config.sections.market import Market
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import BalancesWanted, Event, HealthChecked
from tradebot.engine.desk import SymbolState
from tradebot.engine.drift_book import Drifts
from tradebot.runtime.meter import Meter
from tradebot.runtime.outbox import NEVER_MS
from tradebot.runtime.places import Lease


class HealthCheck:
    """Asks the machine to look at the age of every symbol's price, and counts those that are stale as a gauge."""

    name = "health_check"

    def __init__(self, market: Market, symbols: Callable[[], Iterable[SymbolState]], meter: Meter, now_ms: int) -> None:
        self._symbols = symbols
        self._meter = meter
        self._begun_ms = now_ms
        self.retune(market)

    def retune(self, market: Market) -> None:
        """Check by `market` from here on; the wait under way is measured anew, from its own beginning."""
        self._interval_ms = round(market.health_check_interval_s * 1000)
        self._stale_ms = round(market.stale_after_s * 1000)
        self.next_due_ms = self._begun_ms + self._interval_ms

    def run(self, now_ms: int) -> Event | None:
        """Count, and return the question."""
        self._begun_ms = now_ms
        self.next_due_ms = now_ms + self._interval_ms
        oldest_ms = now_ms - self._stale_ms
        self._meter.gauge("stale_symbols", sum(1 for symbol in self._symbols() if symbol.seen_ms < oldest_ms))
        return HealthChecked(now_ms)


class AccountCheck:
    """Asks the machine to compare the account with the ledger; counts what is to be settled, refreshes the lease."""

    name = "account_check"

    def __init__(
        self, interval_s: float, drifts: Callable[[], Drifts], lease: Lease, meter: Meter, now_ms: int
    ) -> None:
        self._drifts = drifts
        self._lease = lease
        self._meter = meter
        self._begun_ms = now_ms
        self.retune(interval_s)

    def retune(self, interval_s: float) -> None:
        """Compare every `interval_s` from here on; the wait under way is measured anew, from its own beginning."""
        self._interval_ms = round(interval_s * 1000)
        self.next_due_ms = self._begun_ms + self._interval_ms

    def run(self, now_ms: int) -> Event | None:
        """Count, and return the question."""
        self._begun_ms = now_ms
        self.next_due_ms = now_ms + self._interval_ms
        self._meter.gauge("drift_items", sum(1 for item in self._drifts().items.values() if item.missing > 0))
        self._lease.refresh()
        return BalancesWanted(now_ms)


class NoAccountCheck:
    """The null part of the account's check: a paper account is the bot's alone, and changes by its own trades only."""

    name = "account_check"
    next_due_ms = NEVER_MS

    def retune(self, interval_s: float) -> None:
        """Compare nothing, however often."""
        del interval_s

    def run(self, now_ms: int) -> Event | None:
        """Ask nothing."""
        del now_ms
        return None


class Waiting(Protocol):
    """What of the journal its guard looks at."""

    @property
    def last_seq(self) -> int:
        """The seq of the last fact appended."""
        ...

    @property
    def durable_seq(self) -> int:
        """The last seq that survives a crash."""
        ...

    @property
    def failed(self) -> StorageFailed | None:
        """Why it cannot be written at present."""
        ...


class JournalGuard:
    """Ends the run when the journal has been failing for so long that more than `limit` facts wait for it."""

    name = "journal_guard"

    def __init__(
        self, journal: Waiting, limit: int, fail: Callable[[Exception], None], interval_s: float, now_ms: int
    ) -> None:
        self._journal = journal
        self._limit = limit
        self._fail = fail
        self._begun_ms = now_ms
        self._interval_ms = round(interval_s * 1000)
        self.next_due_ms = now_ms

    def retune(self, interval_s: float) -> None:
        """Look every `interval_s` from here on; the wait under way is measured anew, from its own beginning."""
        self._interval_ms = round(interval_s * 1000)
        self.next_due_ms = self._begun_ms + self._interval_ms

    def run(self, now_ms: int) -> Event | None:
        """Look once."""
        self._begun_ms = now_ms
        self.next_due_ms = now_ms + self._interval_ms
        waiting = self._journal.last_seq - self._journal.durable_seq
        if waiting > self._limit:
            cause = self._journal.failed or "its writer does not keep up"
            self._fail(StorageFailed(f"{waiting} facts wait for the journal: {cause}"))
        return None
