"""How far is our clock from the exchange's? The sample with the shortest way decides; asked by venue and feed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct

from tradebot.domain.venue_facts import ClockState
from tradebot.exchange.evidence import followed
from tradebot.ports import Clock

_KEPT: Final = 8
_BURST: Final = 3


class Sample(Struct, frozen=True):
    """One question for the time: how far ahead of the exchange our clock was, and how long question and answer took."""

    offset_ms: float
    rtt_ms: float

    def contradicts(self, other: Sample) -> bool:
        """Whether no one offset explains both: each is wrong by half its way at most."""
        return abs(self.offset_ms - other.offset_ms) > (self.rtt_ms + other.rtt_ms) / 2 + 1


def judged(offset_ms: int, warn_ms: int, most_ms: int) -> tuple[ClockState, int]:
    """Return how a clock that is so far off is judged, and the limit that says so."""
    if abs(offset_ms) > most_ms:
        return "wrong", most_ms
    return ("off" if abs(offset_ms) >= warn_ms else "right"), warn_ms


def _nobody() -> None:
    """Tell nobody."""


class ClockOffset:
    """Measures the difference from samples of the minimum round trip, and sets it on every instance it is given.

    A sample that contradicts the best one (a clock was set, here or there) makes all older ones void.
    """

    def __init__(self, ask: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self._instances: list[Any] = []
        self.known = False
        """Whether it was ever measured."""
        self.on_measured: Callable[[], None] = _nobody
        """Called after each measurement, whoever asked for it."""

    @property
    def offset_ms(self) -> int:
        """Our clock minus the exchange's."""
        best = self._best()
        return round(best.offset_ms) if best else 0

    @property
    def error_ms(self) -> float:
        """How far the offset may be off."""
        best = self._best()
        return best.rtt_ms / 2 if best else 0.0

    def apply_to(self, exchange: Any) -> None:
        """Let an instance of ccxt sign with the exchange's time, from here on."""
        self._instances.append(exchange)
        exchange.options["timeDifference"] = self.offset_ms

    def local_ms(self, exchange_ms: int, now_ms: int) -> int:
        """Return a time of the exchange on our clock, never later than `now_ms`; `now_ms` where it says none (0)."""
        return min(exchange_ms + self.offset_ms, now_ms) if exchange_ms > 0 else now_ms

    async def measure(self, samples: int = 1) -> None:
        """Ask for the time so often. Raises what asking raises; what is known stays known."""
        for _ in range(samples):
            self._take(await self._sample())
        for exchange in self._instances:
            exchange.options["timeDifference"] = self.offset_ms
        self.on_measured()

    async def measure_anew(self) -> None:
        """Forget what was measured and measure again, after the exchange refused a timestamp."""
        first = await self._sample()
        self._samples.clear()
        self._take(first)
        await self.measure(_BURST - 1)

    async def _sample(self) -> Sample:
        with followed() as trail:
            theirs_ms = await self._ask()
            rtt_ms = (time.monotonic() - trail.left_s) * 1000 if trail.left else 0.0
        return Sample(self._clock.now_ms() - rtt_ms / 2 - theirs_ms, rtt_ms)

    def _take(self, sample: Sample) -> None:
        best = self._best()
        if best is not None and sample.contradicts(best):
            self._samples.clear()
        self._samples.append(sample)
        self.known = True

    def _best(self) -> Sample | None:
        return min(self._samples, key=lambda sample: sample.rtt_ms, default=None)
