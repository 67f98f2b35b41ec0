"""Is our clock's difference known all the time, and told when it matters?"""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt  # type: ignore[import-untyped]
import pytest

from tests.exchange.little_exchange import in_loop
from tests.feeds.loopback import Heard
from tests.venues.ccxt_kit import WallClock
from tradebot.feeds.ccxt_clock import GAUGE, FeedClock


class Exchange:
    """Tells the time as a test wants it."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self.behind_ms = 0
        self.silent = False
        self.asked = 0
        self.was_asked = asyncio.Event()

    async def fetch_time(self) -> int:
        self.asked += 1
        self.was_asked.set()
        if self.silent:
            raise ccxt.NetworkError("no answer")
        return self._clock.now_ms() - self.behind_ms


class Bench:
    """A clock that is kept every millisecond, and what it told."""

    def __init__(self) -> None:
        wall = WallClock()
        self.exchange = Exchange(wall)
        self.heard = Heard()
        self.gauges: list[tuple[str, float]] = []
        self.clock = FeedClock("binance", wall, self.heard, self.gauge, interval_s=0.001, warn_ms=250)

    def gauge(self, name: str, value: float) -> None:
        self.gauges.append((name, value))

    async def asked(self, more: int) -> None:
        """Return after so many more questions for the time."""
        wanted = self.exchange.asked + more
        while self.exchange.asked < wanted:
            self.exchange.was_asked.clear()
            await self.exchange.was_asked.wait()


async def keeping(bench: Bench) -> asyncio.Task[Any]:
    await bench.clock.begin(bench.exchange)
    return asyncio.create_task(bench.clock.keep(bench.exchange))


@in_loop
async def test_the_difference_follows_a_clock_that_was_set_and_is_told_once_an_episode() -> None:
    bench = Bench()
    task = await keeping(bench)
    assert abs(bench.clock.offset_ms()) <= 1
    for _ in range(2):
        bench.exchange.behind_ms = 400
        await bench.asked(12)
        assert abs(bench.clock.offset_ms() - 400) <= 1
        name, value = bench.gauges[-1]
        assert name == GAUGE
        assert abs(value - 400) <= 1
        bench.exchange.behind_ms = -200
        await bench.asked(12)
        assert abs(bench.clock.offset_ms() + 200) <= 1
    assert bench.heard.kinds() == ["FEED_CLOCK_OFF", "FEED_CLOCK_RIGHT"] * 2
    assert "ms ahead of binance's: set it right" in bench.heard.records[0][1]
    task.cancel()


@in_loop
async def test_an_exchange_that_does_not_tell_its_time_leaves_the_last_difference_and_is_told_once() -> None:
    bench = Bench()
    bench.exchange.behind_ms = 100
    task = await keeping(bench)
    bench.exchange.silent = True
    await bench.asked(10)
    assert bench.heard.kinds() == ["FEED_CLOCK_UNKNOWN"]
    assert abs(bench.clock.offset_ms() - 100) <= 1
    bench.exchange.silent = False
    await bench.asked(3)
    bench.exchange.silent = True
    await bench.asked(3)
    assert bench.heard.kinds() == ["FEED_CLOCK_UNKNOWN"] * 2
    task.cancel()


@in_loop
async def test_a_start_that_learns_no_time_fails() -> None:
    bench = Bench()
    bench.exchange.silent = True
    with pytest.raises(ccxt.NetworkError):
        await bench.clock.begin(bench.exchange)
