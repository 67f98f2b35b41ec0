"""How high was the price? The anchors that are highs; asked by the drop signal, once an observation."""

from __future__ import annotations

from collections import deque
from typing import Any

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.engine.window import Anchor, Candle, CandleShape

DAY_MS = 86_400_000


class RollingHigh(Anchor):
    """The highest price of the last `window_buckets` buckets, kept as a falling staircase of bucket highs."""

    __slots__ = ("_stairs",)

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(settings)
        self._stairs: deque[tuple[int, float]] = deque()

    def value(self, now_ms: int) -> float:
        """Return the highest price of the window."""
        bucket = now_ms // self.width_ms
        stairs = self._stairs
        oldest = bucket - self.buckets
        while stairs and stairs[0][0] < oldest:
            stairs.popleft()
        if not stairs or not self._warm(bucket):
            return 0.0
        return stairs[0][1]

    def record(self, price: float, volume: float, now_ms: int) -> None:
        """Take a price: lower steps before it can never be the high again."""
        bucket = now_ms // self.width_ms
        stairs = self._stairs
        if bucket != self.last:
            self._enter(bucket)
            oldest = bucket - self.buckets
            while stairs and stairs[0][0] < oldest:
                stairs.popleft()
        while stairs and stairs[-1][1] <= price:
            stairs.pop()
        if not stairs or stairs[-1][0] != bucket:
            stairs.append((bucket, price))

    def record_candle(self, shape: CandleShape, candle: Candle) -> None:
        """Take a candle: only its high can matter while it lies in one bucket."""
        start_ms = candle[0]
        bucket = start_ms // self.width_ms
        if bucket != (start_ms + shape.times[2]) // self.width_ms:
            super().record_candle(shape, candle)
            return
        high = candle[3]
        price = (high * shape.down + high * shape.up) * 0.5  # as `shape.mid`, and below as `record`
        stairs = self._stairs
        if bucket != self.last:
            if self.first < 0 or bucket - self.last > self.buckets:
                self.first = bucket
            self.last = bucket
            oldest = bucket - self.buckets
            while stairs and stairs[0][0] < oldest:
                stairs.popleft()
        while stairs and stairs[-1][1] <= price:
            stairs.pop()
        if not stairs or stairs[-1][0] != bucket:
            stairs.append((bucket, price))

    def ceiling(self) -> float:
        """Return the high itself: it falls by time, and rises only with a higher price."""
        return self._stairs[0][1] if self._stairs else 0.0

    def reset(self) -> None:
        """Forget every price."""
        super().reset()
        self._stairs.clear()

    def dump(self) -> dict[str, Any]:
        """Return the staircase: at most one step a bucket."""
        return {"kind": "RollingHigh", **super().dump(), "stairs": list(self._stairs)}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take a staircase back."""
        if not super().load(kept):
            return False
        self._stairs = deque((int(bucket), float(price)) for bucket, price in kept["stairs"])
        return True


class SessionHigh(Anchor):
    """The highest price since the session began (a UTC day from `session_start_s`)."""

    __slots__ = ("_high", "_session", "_start_ms")

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(settings)
        if settings.warmup_s is None:
            self.warm_buckets = 0
        self._start_ms = settings.session_start_s * 1000
        self._session = -1
        self._high = 0.0

    def value(self, now_ms: int) -> float:
        """Return the session's high so far."""
        if (now_ms - self._start_ms) // DAY_MS != self._session:
            return 0.0
        bucket = now_ms // self.width_ms
        return self._high if bucket - self.first >= self.warm_buckets else 0.0

    def record(self, price: float, volume: float, now_ms: int) -> None:
        """Take a price; the first of a session begins its high."""
        session = (now_ms - self._start_ms) // DAY_MS
        bucket = now_ms // self.width_ms
        if session != self._session:
            self._session, self._high, self.first = session, price, bucket
        elif price > self._high:
            self._high = price
        self.last = bucket

    def record_candle(self, shape: CandleShape, candle: Candle) -> None:
        """Take a candle: only its high can matter while it lies in one bucket and one session."""
        start_ms = candle[0]
        end_ms = start_ms + shape.times[2]
        one_session = (start_ms - self._start_ms) // DAY_MS == (end_ms - self._start_ms) // DAY_MS
        if one_session and start_ms // self.width_ms == end_ms // self.width_ms:
            self.record(shape.mid(candle[3]), 0.0, start_ms)
        else:
            super().record_candle(shape, candle)

    def ceiling(self) -> float:
        """Return the session's high: a new session begins lower or with a price that is seen."""
        return self._high

    def reset(self) -> None:
        """Forget the session so far."""
        super().reset()
        self._session, self._high = -1, 0.0

    def dump(self) -> dict[str, Any]:
        """Return the session and its high."""
        return {
            "kind": "SessionHigh",
            **super().dump(),
            "start_ms": self._start_ms,
            "session": self._session,
            "high": self._high,
        }

    def load(self, kept: dict[str, Any]) -> bool:
        """Take a session back; one that began at another time of the day is none."""
        if kept.get("start_ms") != self._start_ms or not super().load(kept):
            return False
        self._session, self._high = int(kept["session"]), float(kept["high"])
        return True
