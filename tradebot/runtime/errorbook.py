"""What went wrong in this run, and how often? Asked for the summary at the end, and by who watches an edit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from threading import Lock
from typing import Any

from tradebot.domain.facts import Fact, Level, Stream, level_of, told_as
from tradebot.ports import Log

_COUNTED: tuple[Level, ...] = ("WARNING", "ERROR")


class ErrorBook:
    """Counts WARNING and ERROR records and facts by event type; any thread may tell."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[Level, str]] = Counter()

    def add(self, level: Level, event_type: str) -> None:
        """Count one record if its level asks for anything."""
        if level in _COUNTED:
            with self._lock:
                self._counts[level, event_type] += 1

    def add_facts(self, facts: Sequence[Fact]) -> None:
        """Count what among `facts` asks for anything."""
        for fact in facts:
            self.add(level_of(fact), told_as(fact))

    def count(self, level: Level, event_type: str = "") -> int:
        """Return how often `event_type` was told at `level`; "" counts all of that level."""
        with self._lock:
            if event_type:
                return self._counts[level, event_type]
            return sum(count for (told, _), count in self._counts.items() if told == level)

    def of(self, level: Level) -> dict[str, int]:
        """Return how often each event type was told at `level`."""
        with self._lock:
            return {kind: count for (told, kind), count in sorted(self._counts.items()) if told == level}

    def words(self) -> str:
        """Return the summary in one line."""
        parts = [
            f"{sum(found.values())} {name}" + (f" ({_listed(found)})" if found else "")
            for name, found in (("errors", self.of("ERROR")), ("warnings", self.of("WARNING")))
        ]
        return ", ".join(parts)


class CountedLog:
    """A log whose warnings and errors are counted."""

    def __init__(self, then: Log, book: ErrorBook) -> None:
        self._then = then
        self._book = book

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Count the record and pass it on."""
        self._book.add(level, event_type)
        self._then.emit(stream, level, event_type, message, **fields)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())
