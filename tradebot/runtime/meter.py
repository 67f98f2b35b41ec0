"""How is something counted? Asked by the loop and its chores; telemetry's metrics fit, and so does nothing at all."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts, and keeps observations."""

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value: float) -> None:
        """Add an observation to a histogram."""
        ...

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""
        ...
