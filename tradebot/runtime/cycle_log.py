"""Is every cycle's time told? Asked by the live shell, after each cycle that handled an event."""

from __future__ import annotations

from typing import Final, Protocol

from tradebot.ports import Log


class CycleLog(Protocol):
    """Told of every cycle."""

    def cycle(self, took_ms: float, handled: int) -> None:
        """Take a cycle of `took_ms` that handled so many events."""
        ...


class CycleTimes:
    """Logs the time of every cycle."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def cycle(self, took_ms: float, handled: int) -> None:
        """Log it."""
        text = f"Cycle: {took_ms:.3f} ms for {handled} events"
        self._log.emit("system", "INFO", "ENGINE_CYCLE", text, took_ms=took_ms, events=handled)


class NoCycleTimes:
    """The null part: no cycle is logged for its time alone; slow ones are, and all are in the metrics."""

    def cycle(self, took_ms: float, handled: int) -> None:
        """Log nothing."""


NO_CYCLE_TIMES: Final = NoCycleTimes()
