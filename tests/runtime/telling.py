"""Who listens in the runtime's tests? One listener for logs, facts and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradebot.domain.facts import Fact, Level, Stream


class Told:
    """Keeps logs, counts and facts."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self.facts: list[Fact] = []

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        self.records.append((event_type, message))

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        self.facts += facts

    def count(self, name: str, amount: float = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + round(amount)

    def observe(self, name: str, value_ms: float) -> None:
        self.count(name)

    def gauge(self, name: str, value: float) -> None:
        self.counts[name] = round(value)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.records]

    def texts(self, event_type: str) -> list[str]:
        return [text for kind, text in self.records if kind == event_type]
