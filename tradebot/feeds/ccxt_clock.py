"""How far is our clock from the exchange's while its prices are listened to? Asked by the feed, for times of trades."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from tradebot.exchange.budget import HeldBack
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.ports import Clock, Log

GAUGE: Final = "clock_offset_ms"
_FIRST_SAMPLES: Final = 3


class FeedClock:
    """What our clock is minus the exchange's: measured at the start, and all the time by `keep`.

    It is told to `gauge` (name, value in ms) after each measurement, and in the log where it reaches `warn_ms`, once
    until it is below again.
    """

    def __init__(
        self,
        exchange: str,
        clock: Clock,
        log: Log,
        gauge: Callable[[str, float], None],
        *,
        interval_s: float,
        warn_ms: int,
    ) -> None:
        self._name = exchange
        self._log = log
        self._gauge = gauge
        self._interval_s = interval_s
        self._warn_ms = warn_ms
        self._asked: Any = None
        self._offset = ClockOffset(self._ask, clock)
        self._off = self._unknown = False

    def offset_ms(self) -> int:
        """Return our clock minus the exchange's, by the sample with the shortest way."""
        return self._offset.offset_ms

    async def begin(self, exchange: Any) -> None:
        """Measure for the first time, by an instance of ccxt. Raises what asking raises."""
        self._asked = exchange
        await self._offset.measure(_FIRST_SAMPLES)
        self._judge()

    async def keep(self, exchange: Any) -> None:
        """Measure every interval, until cancelled; what was measured stays in use where the exchange is silent."""
        self._asked = exchange
        errors = (import_module("ccxt").BaseError, HeldBack)
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._offset.measure()
            except errors as error:
                self._lost(error)
            else:
                self._unknown = False
                self._judge()

    async def _ask(self) -> int:
        return int(await self._asked.fetch_time())

    def _judge(self) -> None:
        offset_ms = self.offset_ms()
        self._gauge(GAUGE, offset_ms)
        off = abs(offset_ms) >= self._warn_ms
        if off == self._off:
            return
        self._off = off
        where = (
            f"this machine's clock is {abs(offset_ms)} ms {'ahead of' if offset_ms > 0 else 'behind'} {self._name}'s"
        )
        if off:
            self._log.emit("system", "WARNING", "FEED_CLOCK_OFF", f"{where}: set it right", offset_ms=offset_ms)
        else:
            self._log.emit("system", "INFO", "FEED_CLOCK_RIGHT", f"{where}, near enough again", offset_ms=offset_ms)

    def _lost(self, error: Exception) -> None:
        if not self._unknown:
            self._unknown = True
            text = f"{self._name} does not tell its time ({type(error).__name__}): the last difference stays in use"
            self._log.emit("system", "WARNING", "FEED_CLOCK_UNKNOWN", text)
