"""What time is it, in a time that never goes back? Asked by the live shell."""

from __future__ import annotations

import time


class WallClock:
    """The wall clock in integer milliseconds UTC.

    When the system's clock is set back, time goes on from where it was at the pace of the monotonic clock,
    until the system's clock has caught up.
    """

    __slots__ = ("_last_mono_ns", "_last_ns")

    def __init__(self) -> None:
        self._last_ns = time.time_ns()
        self._last_mono_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the present."""
        mono = time.monotonic_ns()
        wall = time.time_ns()
        floor = self._last_ns + (mono - self._last_mono_ns)
        if wall < self._last_ns:
            wall = floor
        self._last_ns = wall
        self._last_mono_ns = mono
        return wall // 1_000_000
