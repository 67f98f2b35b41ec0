"""Which candles are missing, of one symbol and of all? Asked by recorded candles, for reports and replays."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Gap(NamedTuple):
    """Candles that are missing in a row: opens from `from_ms` on, before `to_ms`; `missing` counts them."""

    from_ms: int
    to_ms: int
    missing: int


def gaps_of(ts: array[int], interval_ms: int) -> tuple[Gap, ...]:
    """Return the gaps between the candles that open at `ts` (strictly increasing, on the interval's grid)."""
    if not ts or (ts[-1] - ts[0]) // interval_ms + 1 == len(ts):
        return ()
    return tuple(
        _gap(before + interval_ms, after, interval_ms)
        for before, after in pairwise(ts)
        if after - before != interval_ms
    )


def outages_of(columns: Sequence[array[int]], interval_ms: int) -> tuple[Gap, ...]:
    """Return the stretches in which no symbol has a candle, between the first and the last candle of all."""
    first = min(ts[0] for ts in columns)
    end = max(ts[-1] for ts in columns) + interval_ms
    silent = [(first, end)]
    for ts in columns:
        between = [(gap.from_ms, gap.to_ms) for gap in gaps_of(ts, interval_ms)]
        silent = _common(silent, [(first, ts[0]), *between, (ts[-1] + interval_ms, end)])
    return tuple(_gap(start, stop, interval_ms) for start, stop in silent)


def _gap(start: int, stop: int, interval_ms: int) -> Gap:
    return Gap(start, stop, (stop - start) // interval_ms)


def _common(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what two sorted lists of half-open stretches share."""
    shared: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start = max(one[i][0], other[j][0])
        stop = min(one[i][1], other[j][1])
        if start < stop:
            shared.append((start, stop))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return shared
