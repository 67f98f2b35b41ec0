"""How is something counted? Asked by the loop and its chores; telemetry's metrics and its null part both fit."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts, and keeps observations."""

    def count(self, name: str, amount: float = 1, /) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value_ms: float, /) -> None:
        """Add an observation in milliseconds to a histogram."""
        ...

    def gauge(self, name: str, value: float, /) -> None:
        """Set a gauge."""
        ...
