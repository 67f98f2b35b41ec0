"""Which price is a drop measured from? Asked by the drop signal, once an observation.

Windows are by time, in buckets of `window_s / window_buckets`: an old price leaves with its bucket, across
gaps too. The current observation is excluded: `value` is asked before `record`. Each kind also tells a
`ceiling`: as long as every coming price stays below some C >= ceiling, the anchor cannot rise above C.
Signals are floats, with + - * / only. Both `value` and `record` first let old buckets go, so the order of
float operations does not depend on how often `value` is asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from msgspec import Struct

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.domain.numbers import ms

DAY_MS = 86_400_000

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

    def reset(self) -> None:
        """Forget every price: the anchor forms anew."""
        self.first = self.last = -1

    def dump(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, JSON-able."""
        return {"width_ms": self.width_ms, "first": self.first, "last": self.last}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take back what `dump` gave; return False, changing nothing, where it is of another window or kind."""
        if kept.get("kind") != type(self).__name__ or kept.get("width_ms") != self.width_ms:
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
        price = (candle[3] * shape.down + candle[3] * shape.up) * 0.5  # as `shape.mid`, and below as `record`
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
        return {"kind": "SessionHigh", **super().dump(), "session": self._session, "high": self._high}

    def load(self, kept: dict[str, Any]) -> bool:
        """Take a session back."""
        if not super().load(kept):
            return False
        self._session, self._high = int(kept["session"]), float(kept["high"])
        return True


class Vwap(Anchor):
    """The volume-weighted average price of the window; a candle's volume counts at its close."""

    __slots__ = ("_expired", "_sums", "_value", "_volume")

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(settings)
        self._sums: deque[list[float]] = deque()  # [bucket, price x volume, volume, highest price]
        self._value = self._volume = 0.0
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
        self._value = self._volume = 0.0

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

    def _expire(self, bucket: int) -> None:
        oldest = bucket - self.buckets
        while self._sums and self._sums[0][0] < oldest:
            _, worth, volume, _ = self._sums.popleft()
            self._value -= worth
            self._volume -= volume
            self._expired += 1
            if self._expired >= self.buckets or not self._sums:
                self._total()  # subtracting for ever would let rounding grow

    def _total(self) -> None:
        self._value = self._volume = 0.0
        for _, worth, volume, _ in self._sums:
            self._value += worth
            self._volume += volume
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
        if self._price and bucket != self.last:
            if bucket - self.last > self.buckets:
                self._ema = 0.0
            elif self._ema:
                self._ema += self._weight * (self._price - self._ema)
            else:
                self._ema = self._price
            self._price = 0.0


KINDS: dict[str, type[Anchor]] = {
    "rolling_high": RollingHigh,
    "session_high": SessionHigh,
    "vwap": Vwap,
    "ema": Ema,
}


def make_anchor(settings: AnchorSettings) -> Anchor:
    """Return a new, cold anchor of the declared kind."""
    return KINDS[settings.kind](settings)
