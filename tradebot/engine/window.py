"""What do all anchors share? Buckets of time, warm-up, and how a candle becomes prices; asked by every kind of anchor.

Windows are by time, in buckets of `window_s / window_buckets`: an old price leaves with its bucket, across
gaps too. The current observation is excluded: `value` is asked before `record`. Each kind also tells a
`ceiling`: as long as every coming price stays below some C >= ceiling, the anchor cannot rise above C.
Signals are floats, with + - * / only. Both `value` and `record` first let old buckets go, so the order of
float operations does not depend on how often `value` is asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from msgspec import Struct

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.domain.numbers import ms

Candle = tuple[int, int, float, float, float, float, float]
"""(open time ms, symbol index, open, high, low, close, volume), as recordings deal them out."""


class CandleShape(Struct, frozen=True):
    """How a candle becomes prices: when (ms after its opening: low, high, close), and the spread laid around them."""

    times: tuple[int, int, int]
    down: float  # bid = price x down
    up: float  # ask = price x up

    def mid(self, price: float) -> float:
        """Return the mid of the quote laid around `price`, by the same operations as that of a quote."""
        return (price * self.down + price * self.up) * 0.5


class Anchor(ABC):
    """Base of the anchors: buckets of time, warm-up, and what a checkpoint keeps."""

    __slots__ = ("buckets", "first", "last", "warm_buckets", "width_ms")

    def __init__(self, settings: AnchorSettings) -> None:
        self.buckets = settings.window_buckets
        self.width_ms = max(1, ms(settings.window_s) // self.buckets)
        warmup_s = settings.window_s if settings.warmup_s is None else settings.warmup_s
        self.warm_buckets = -(-ms(warmup_s) // self.width_ms)
        self.first = -1  # bucket of the first observation since the anchor began to form
        self.last = -1  # bucket of the latest observation

    @abstractmethod
    def value(self, now_ms: int) -> float:
        """Return the anchor price before the observation at `now_ms`; 0.0 where it is not warm."""

    @abstractmethod
    def record(self, price: float, volume: float, now_ms: int) -> None:
        """Take the observation at `now_ms` into the window (`volume` in base, 0 where unknown)."""

    @abstractmethod
    def ceiling(self) -> float:
        """Return the lowest C such that coming prices below C' >= C cannot lift the anchor above C'."""

    def record_candle(self, shape: CandleShape, candle: Candle) -> None:
        """Take the four prices of a candle, exactly as if each had been recorded at its time."""
        start_ms, _, open_, high, low, close, volume = candle
        self.record(shape.mid(open_), 0.0, start_ms)
        self.record(shape.mid(low), 0.0, start_ms + shape.times[0])
        self.record(shape.mid(high), 0.0, start_ms + shape.times[1])
        self.record(shape.mid(close), volume, start_ms + shape.times[2])

    def record_trade(self, price: float, size: float, now_ms: int) -> None:
        """Take a public trade; only a volume-weighted anchor wants it."""
        del price, size, now_ms

    def warm_ms(self) -> int:
        """Return the time from which the anchor has a value, as far as can be told; 0 before the first price."""
        return (self.first + self.warm_buckets) * self.width_ms if self.first >= 0 else 0

    def reset(self) -> None:
        """Forget every price: the anchor forms anew."""
        self.first = self.last = -1

    def dump(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, JSON-able."""
        return {"width_ms": self.width_ms, "buckets": self.buckets, "first": self.first, "last": self.last}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take back what `dump` gave; return False, changing nothing, where it is of another window or kind."""
        if kept.get("kind") != type(self).__name__:
            return False
        if (kept.get("width_ms"), kept.get("buckets")) != (self.width_ms, self.buckets):
            return False
        self.first, self.last = int(kept["first"]), int(kept["last"])
        return True

    def _enter(self, bucket: int) -> None:
        """Note that an observation falls into `bucket`; after a gap of a whole window the anchor forms anew."""
        if bucket != self.last:
            if self.first < 0 or bucket - self.last > self.buckets:
                self.first = bucket
            self.last = bucket

    def _warm(self, bucket: int) -> bool:
        return self.first >= 0 and bucket - self.first >= self.warm_buckets and bucket - self.last <= self.buckets
