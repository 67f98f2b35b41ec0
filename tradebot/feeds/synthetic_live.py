"""How does the synthetic market run in real time? Asked by the wiring of paper runs; it is a `ports.Feed`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal

from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ms
from tradebot.feeds.synthetic import SyntheticMarket
from tradebot.ports import Clock


class SyntheticLive:
    """The embedded market, paced by the clock. Every event carries the moment it happened, never a later one."""

    synthetic = True

    def __init__(
        self,
        settings: SyntheticFeed,
        symbols: Sequence[str],
        quote: str,
        seed: int,
        *,
        min_notional: Decimal,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pace_ms = settings.pace_ms
        self._catch_up_ms = ms(settings.catch_up_s)
        self._clock = clock
        self._sleep = sleep
        self._market = SyntheticMarket(settings, symbols, quote, seed, clock.now_ms())
        self._instruments = self._market.instruments(min_notional)

    def label(self) -> str:
        """Return how every view names this feed."""
        return self._market.label()

    def instruments(self) -> Sequence[Instrument]:
        """Return the synthetic symbols and their filters."""
        return self._instruments

    def prepare(self) -> Iterator[str]:
        """Compute the present prices one symbol at a time, yielding its name: before `run`, from any thread."""
        return self._market.prepare(self._clock.now_ms())

    @property
    def next_ms(self) -> int:
        """When the next event happens: until then there is nothing to publish."""
        return self._market.next_ms

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish what happens until cancelled.

        After a stall (a busy loop, a suspended machine) at most `catch_up_s` of the market is made up for, in pieces
        of `pace_ms`: between them others have their turn, however many symbols there are.
        """
        while True:
            now = self._clock.now_ms()
            if now - self._market.next_ms > self._catch_up_ms:
                self._market.skip_to(now - self._catch_up_ms)
            until = min(now, self._market.next_ms + self._pace_ms)
            for event in self._market.next_events(until):
                publish(event)
            behind = until < now
            await self._sleep(0 if behind else max(self._pace_ms, self._market.next_ms - now) / 1000)
