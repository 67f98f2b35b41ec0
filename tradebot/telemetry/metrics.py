"""How often, how much, how long? Asked by the metrics summary and the report, told by whoever does the work."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from threading import Lock
from typing import Any, Protocol

BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)
"""Upper bounds of every histogram's buckets, part of the summary's format; observations are milliseconds."""

Key = tuple[str, tuple[tuple[str, str], ...]]


class Count(Protocol):
    """Adds to a counter."""

    def __call__(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add `amount`, also to the counter of the labels."""
        ...


class Observe(Protocol):
    """Adds to a histogram."""

    def __call__(self, name: str, value_ms: float, /, **labels: str) -> None:
        """Add one observation in milliseconds, also to the histogram of the labels."""
        ...


class Gauge(Protocol):
    """Sets a gauge."""

    def __call__(self, name: str, value: float | Decimal, /, **labels: str) -> None:
        """Set it."""
        ...


Before = dict["_Histogram", tuple[int, "deque[float]"]]
"""By histogram: how many observations it had and the latest of them, before another number of them was kept."""


class Metrics:
    """Counters, gauges and histograms in memory; any thread may tell, none is started here.

    A labelled count also counts under its plain name, so `orders_sent` is always the total.
    """

    def __init__(self, observations_kept: int) -> None:
        self._observations_kept = observations_kept
        self._lock = Lock()
        self._counters: dict[Key, int | float] = {}
        self._gauges: dict[Key, int | float] = {}
        self._histograms: dict[Key, _Histogram] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add `amount` to the counter, and to that of its labels."""
        with self._lock:
            counters = self._counters
            counters[name, ()] = counters.get((name, ()), 0) + amount
            if labels:
                key = (name, tuple(sorted(labels.items())))
                counters[key] = counters.get(key, 0) + amount

    def declare(self, *names: str) -> None:
        """Show these counters from the start, at zero."""
        with self._lock:
            for name in names:
                self._counters.setdefault((name, ()), 0)

    def gauge(self, name: str, value: float | Decimal, /, **labels: str) -> None:
        """Set the gauge to `value`."""
        number = float(value) if isinstance(value, Decimal) else value
        with self._lock:
            self._gauges[name, tuple(sorted(labels.items()))] = number

    def peak(self, name: str, value: float) -> None:
        """Raise the gauge to `value` where it is lower."""
        with self._lock:
            if value > self._gauges.get((name, ()), -math.inf):
                self._gauges[name, ()] = value

    def observe(self, name: str, value_ms: float, /, **labels: str) -> None:
        """Add one observation, in milliseconds, to the histogram and to that of its labels."""
        with self._lock:
            self._histogram((name, ())).add(value_ms)
            if labels:
                self._histogram((name, tuple(sorted(labels.items())))).add(value_ms)

    def keep(self, observations: int) -> Before:
        """Keep so many of the latest observations of each histogram from here on; return what `restore` takes."""
        with self._lock:
            self._observations_kept = observations
            before = {one: (one.count, one.latest) for one in self._histograms.values()}
            for one in before:
                one.latest = deque(one.latest, maxlen=observations)
            return before

    def restore(self, observations: int, before: Before) -> None:
        """Keep as many as before again, those that `keep` let go of included."""
        with self._lock:
            self._observations_kept = observations
            for one in self._histograms.values():
                count, latest = before.get(one, (0, deque(maxlen=observations)))
                since = list(one.latest)[max(0, len(one.latest) - (one.count - count)) :] if one.count > count else []
                latest.extend(since)
                one.latest = latest

    def value(self, name: str, **labels: str) -> int | float:
        """Return a counter's or gauge's present value, 0 where nothing was told."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            return self._counters.get(key, self._gauges.get(key, 0))

    def snapshot(self) -> dict[str, Any]:
        """Return `counters`, `gauges` and `histograms` by name, labels written as `name{symbol="BTC/USDT"}`."""
        with self._lock:
            return {
                "counters": {_text(key): self._counters[key] for key in sorted(self._counters)},
                "gauges": {_text(key): self._gauges[key] for key in sorted(self._gauges)},
                "histograms": {_text(key): self._histograms[key].snapshot() for key in sorted(self._histograms)},
            }

    def _histogram(self, key: Key) -> _Histogram:
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = _Histogram(self._observations_kept)
        return found


class NoMetrics(Metrics):
    """Metrics switched off: nothing is counted, the snapshot is empty, and no summary is written."""

    def __init__(self) -> None:
        super().__init__(observations_kept=1)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Count nothing."""

    def declare(self, *names: str) -> None:
        """Show nothing."""

    def gauge(self, name: str, value: float | Decimal, /, **labels: str) -> None:
        """Set nothing."""

    def peak(self, name: str, value: float) -> None:
        """Raise nothing."""

    def observe(self, name: str, value_ms: float, /, **labels: str) -> None:
        """Observe nothing."""


class SwitchedMetrics:
    """What everybody counts with: one object, whose inside may be changed for another while the bot runs.

    Counting is a call of the inside's own method: `count`, `observe`, `gauge` and `peak` are to be looked up each time.
    """

    count: Count
    observe: Observe
    gauge: Gauge
    peak: Callable[[str, float], None]

    def __init__(self, inside: Metrics) -> None:
        self._declared: dict[str, None] = {}
        self._tellers: list[Callable[[], None]] = []
        self.turn_to(inside)

    def turn_to(self, inside: Metrics) -> None:
        """Count in `inside` from here on: with it, what was declared is shown, and gauges are told anew."""
        inside.declare(*self._declared)
        self.inside = inside
        self.count, self.observe = inside.count, inside.observe
        self.gauge, self.peak = inside.gauge, inside.peak
        for tell in self._tellers:
            tell()

    def on_turn(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the inside was changed: it sets gauges that stand for what is so at the time."""
        self._tellers.append(tell)

    def declare(self, *names: str) -> None:
        """Show these counters from the start, at zero, also in what is counted in later."""
        self._declared.update(dict.fromkeys(names))
        self.inside.declare(*names)

    def value(self, name: str, **labels: str) -> int | float:
        """Return a counter's or gauge's present value, 0 where nothing was told."""
        return self.inside.value(name, **labels)

    def snapshot(self) -> dict[str, Any]:
        """Return `counters`, `gauges` and `histograms` by name."""
        return self.inside.snapshot()


class _Histogram:
    """Fixed buckets for ever, and the latest observations for percentiles."""

    __slots__ = ("buckets", "count", "highest", "latest", "lowest", "total")

    def __init__(self, kept: int) -> None:
        self.buckets = [0] * (len(BUCKETS_MS) + 1)
        self.count = 0
        self.total = 0.0
        self.lowest = math.inf
        self.highest = -math.inf
        self.latest: deque[float] = deque(maxlen=kept)

    def add(self, value: float) -> None:
        self.buckets[bisect_left(BUCKETS_MS, value)] += 1
        self.count += 1
        self.total += value
        self.lowest = min(self.lowest, value)
        self.highest = max(self.highest, value)
        self.latest.append(value)

    def snapshot(self) -> dict[str, Any]:
        ordered = sorted(self.latest)
        bounds = [str(bound) for bound in BUCKETS_MS] + ["inf"]
        return {
            "count": self.count,
            "sum": self.total,
            "min": self.lowest,
            "max": self.highest,
            "p50": _percentile(ordered, 50),
            "p95": _percentile(ordered, 95),
            "p99": _percentile(ordered, 99),
            "buckets": {bound: number for bound, number in zip(bounds, self.buckets, strict=True) if number},
        }


def _percentile(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile of a non-empty sorted list."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _text(key: Key) -> str:
    name, labels = key
    inside = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{name}{{{inside}}}" if labels else name
