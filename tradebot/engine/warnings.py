"""Which symbols' data is too old? Asked at health checks."""

from __future__ import annotations

from typing import Protocol

from tradebot.domain.facts import StaleDataSeen
from tradebot.domain.numbers import ms
from tradebot.engine.desk import Desk


class Warnings(Protocol):
    """Tells of market data that is too old."""

    def look(self, at_ms: int) -> None:
        """Look at the age of every symbol's last price at `at_ms`."""
        ...


class StaleWarnings:
    """Reports the symbols whose last price is older than `market.stale_after_s`, when the set changes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.told: frozenset[str] = frozenset()

    def look(self, at_ms: int) -> None:
        """Report the stale symbols, if they are not those of the last report."""
        oldest = at_ms - ms(self.desk.profile.market.stale_after_s)
        stale = frozenset(one.symbol for one in self.desk.symbols.values() if one.seen_ms < oldest)
        if stale != self.told:
            self.told = stale
            if stale:
                self.desk.emit(StaleDataSeen(symbols=tuple(sorted(stale)), generation=self.desk.state.generation))


class NoStaleWarnings:
    """The null part of stale warnings: nothing is reported, and stale symbols are still never bought."""

    def look(self, at_ms: int) -> None:
        """Report nothing, whatever the ages."""
        del at_ms
