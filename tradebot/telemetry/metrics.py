"""How often, how much, how long? Asked by the metrics summary and the report, told by whoever does the work."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from decimal import Decimal
from threading import Lock
from typing import Any

BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)
"""Upper bounds of every histogram's buckets, part of the summary's format; observations are milliseconds."""

Key = tuple[str, tuple[tuple[str, str], ...]]


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
