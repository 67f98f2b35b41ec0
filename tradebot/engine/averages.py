"""What was the price on average? The anchors that are averages; asked by the drop signal, once an observation."""

from __future__ import annotations

from collections import deque
from typing import Any

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.engine.window import Anchor, Candle, CandleShape

THIN = 1024.0
"""So many times less than there was: what is left is added up anew. Bounds the rounding, not a setting."""


class Vwap(Anchor):
    """The volume-weighted average price of the window; a candle's volume counts at its close."""

    __slots__ = ("_expired", "_most_value", "_most_volume", "_sums", "_value", "_volume")

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(settings)
        self._sums: deque[list[float]] = deque()  # [bucket, price x volume, volume, highest price]
        self._value = self._volume = 0.0
        self._most_value = self._most_volume = 0.0  # the largest of each since they were last added up
        self._expired = 0

    def value(self, now_ms: int) -> float:
        """Return the average, 0.0 where nothing was traded in the window."""
        bucket = now_ms // self.width_ms
        self._expire(bucket)
        if self._volume <= 0.0 or not self._sums or not self._warm(bucket):
            return 0.0
        return self._value / self._volume

    def record(self, price: float, volume: float, now_ms: int) -> None:
        """Take a price with the volume traded at it."""
        bucket = now_ms // self.width_ms
        self._enter(bucket)
        self._expire(bucket)
        if volume > 0.0:
            self._add(bucket, price, volume)

    def record_trade(self, price: float, size: float, now_ms: int) -> None:
        """Take a public trade."""
        self.record(price, size, now_ms)

    def record_candle(self, shape: CandleShape, candle: Candle) -> None:
        """Take a candle: its volume counts at its close, the other prices carry none."""
        start_ms = candle[0]
        if start_ms // self.width_ms == (start_ms + shape.times[2]) // self.width_ms:
            self.record(shape.mid(candle[5]), candle[6], start_ms)
        else:
            super().record_candle(shape, candle)

    def ceiling(self) -> float:
        """Return the highest price in the window: no average of it and lower prices is above."""
        return max((sums[3] for sums in self._sums), default=0.0)

    def reset(self) -> None:
        """Forget every trade."""
        super().reset()
        self._sums.clear()
        self._total()

    def dump(self) -> dict[str, Any]:
        """Return the buckets' sums."""
        return {"kind": "Vwap", **super().dump(), "sums": [list(sums) for sums in self._sums]}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take the buckets' sums back."""
        if not super().load(kept):
            return False
        self._sums = deque([float(part) for part in sums] for sums in kept["sums"])
        self._total()
        return True

    def _add(self, bucket: int, price: float, volume: float) -> None:
        worth = price * volume
        if self._sums and self._sums[-1][0] == bucket:
            sums = self._sums[-1]
            sums[1] += worth
            sums[2] += volume
            sums[3] = max(sums[3], price)
        else:
            self._sums.append([bucket, worth, volume, price])
        self._value += worth
        self._volume += volume
        self._most_value = max(self._most_value, self._value)
        self._most_volume = max(self._most_volume, self._volume)

    def _expire(self, bucket: int) -> None:
        oldest = bucket - self.buckets
        while self._sums and self._sums[0][0] < oldest:
            _, worth, volume, _ = self._sums.popleft()
            self._value -= worth
            self._volume -= volume
            self._expired += 1
            thin = self._value * THIN < self._most_value or self._volume * THIN < self._most_volume
            if thin or self._expired >= self.buckets or not self._sums:
                self._total()  # subtracting for ever, or much from little, would let rounding grow

    def _total(self) -> None:
        self._value = self._volume = 0.0
        for _, worth, volume, _ in self._sums:
            self._value += worth
            self._volume += volume
        self._most_value, self._most_volume = self._value, self._volume
        self._expired = 0


class Ema(Anchor):
    """The exponential average of the buckets' last prices, with weight 2 / (buckets + 1) for the newest."""

    __slots__ = ("_ema", "_price", "_weight")

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(settings)
        self._weight = 2.0 / (self.buckets + 1)
        self._ema = 0.0
        self._price = 0.0  # last price of the bucket under way

    def value(self, now_ms: int) -> float:
        """Return the average of the buckets that are over."""
        bucket = now_ms // self.width_ms
        self._close(bucket)
        return self._ema if self._warm(bucket) else 0.0

    def record(self, price: float, volume: float, now_ms: int) -> None:
        """Take a price as the last of its bucket so far."""
        bucket = now_ms // self.width_ms
        if bucket != self.last:
            self._close(bucket)
            self._enter(bucket)
        self._price = price

    def record_candle(self, shape: CandleShape, candle: Candle) -> None:
        """Take a candle: its close is the last price while it lies in one bucket."""
        start_ms = candle[0]
        if start_ms // self.width_ms == (start_ms + shape.times[2]) // self.width_ms:
            self.record(shape.mid(candle[5]), candle[6], start_ms)
        else:
            super().record_candle(shape, candle)

    def ceiling(self) -> float:
        """Return the higher of the average and the price under way."""
        return max(self._ema, self._price)

    def reset(self) -> None:
        """Forget the average."""
        super().reset()
        self._ema = self._price = 0.0

    def dump(self) -> dict[str, Any]:
        """Return the average and the price under way."""
        return {"kind": "Ema", **super().dump(), "ema": self._ema, "price": self._price}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take the average back."""
        if not super().load(kept):
            return False
        self._ema, self._price = float(kept["ema"]), float(kept["price"])
        return True

    def _close(self, bucket: int) -> None:
        """Take the price under way into the average once its bucket is over (again and again is harmless)."""
        if bucket == self.last:
            return
        if bucket - self.last > self.buckets:
            self._ema = 0.0
        elif self._price:
            self._ema = self._ema + self._weight * (self._price - self._ema) if self._ema else self._price
        self._price = 0.0
