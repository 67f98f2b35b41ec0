"""What time is it in a test of an exchange? A clock that is set by hand."""

from __future__ import annotations


class Wall:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> int:
        return self.time_ms

    def move_s(self, seconds: float) -> None:
        """Let so much time pass."""
        self.time_ms += round(seconds * 1000)
