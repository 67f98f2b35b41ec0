"""What went wrong in this run, and how often? Asked for the summary at the end, and by who watches an edit."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from tradebot.domain.facts import Fact, Level, Stream, level_of
from tradebot.ports import Log

_COUNTED: tuple[Level, ...] = ("WARNING", "ERROR")


_SLOW = "ENGINE_SLOW_CYCLE"

_MINUTE_S = 60


class _Minute:
    """How often something happened within the last minute, counted by the second: never more than 61 numbers."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque(maxlen=_MINUTE_S + 1)  # (second, how often), the newest last

    def add(self, now_s: int) -> None:
        if self._seconds and self._seconds[-1][0] >= now_s:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([now_s, 1])

    def count(self, now_s: int) -> int:
        return sum(count for second, count in self._seconds if second > now_s - _MINUTE_S)


class ErrorBook:
    """Counts WARNING and ERROR records and facts by event type; any thread may tell.

    ERROR records and slow cycles are also counted over the last minute, by the second of `timer`.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._lock = Lock()
        self._timer = timer
        self._counts: Counter[tuple[Level, str]] = Counter()
        self._errors, self._slow = _Minute(), _Minute()

    def add(self, level: Level, event_type: str) -> None:
        """Count one record if its level asks for anything."""
        if level in _COUNTED:
            with self._lock:
                self._counts[level, event_type] += 1
                if level == "ERROR":
                    self._errors.add(int(self._timer()))
                elif event_type == _SLOW:
                    self._slow.add(int(self._timer()))

    @property
    def errors_last_minute(self) -> int:
        """How many ERROR records there were within the last minute, since `begin_minute` at most."""
        with self._lock:
            return self._errors.count(int(self._timer()))

    @property
    def slow_cycles_last_minute(self) -> int:
        """How many slow cycles there were within the last minute, since `begin_minute` at most."""
        with self._lock:
            return self._slow.count(int(self._timer()))

    def begin_minute(self) -> None:
        """Begin the counts of the last minute at zero; those of the whole run go on."""
        with self._lock:
            self._errors, self._slow = _Minute(), _Minute()

    def add_facts(self, facts: Sequence[Fact]) -> None:
        """Count what among `facts` asks for anything."""
        for fact in facts:
            self.add(level_of(fact), fact.event_type)

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
