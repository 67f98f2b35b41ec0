"""Where does the sandbox's market come from? Asked by the server: the synthetic feed, or a recording played now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tradebot.config.sections.feed import RecordedFeed, SyntheticFeed
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.feeds.recorded_events import EventRecording, load_events
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.feeds.synthetic_path import PricePath
from tradebot.ports import Clock
from tradebot.sandbox.market import MINUTE_MS, Candle, SymbolMarket

MIN_NOTIONAL: Final = Decimal(5)
_STEP_MS: Final = 5_000
_MOST_AT_ONCE: Final = 1_000


class MarketFeed(Protocol):
    """A feed with its name, and the prices it had before it began, where it knows them."""

    def label(self) -> str:
        """Return how the feed is named to people."""
        ...

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices."""
        ...

    def past(self, market: SymbolMarket, pair: str, minutes: int, now_ms: int) -> None:
        """Lay the minutes before now under a symbol's candles."""
        ...

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish market events until cancelled, or until there are no more."""
        ...


class SyntheticMarketFeed:
    """The embedded, seeded market in real time; nothing of it is real."""

    def __init__(self, symbols: Sequence[str], quote: str, seed: int, settings: SyntheticFeed, clock: Clock) -> None:
        self._settings = settings
        self._seed = seed
        self._live = SyntheticLive(settings, symbols, quote, seed, min_notional=MIN_NOTIONAL, clock=clock)

    def label(self) -> str:
        """Return how the feed is named to people."""
        return self._live.label()

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices."""
        return self._live.instruments()

    def past(self, market: SymbolMarket, pair: str, minutes: int, now_ms: int) -> None:
        """Lay the minutes before now under a symbol's candles: prices of the path, without any trade."""
        path = PricePath(self._settings, pair, self._seed)
        first = now_ms - now_ms % MINUTE_MS - minutes * MINUTE_MS
        for open_ms in range(first, first + minutes * MINUTE_MS, MINUTE_MS):
            prices = [round(path.at(at)[0], path.decimals) for at in range(open_ms, open_ms + MINUTE_MS, _STEP_MS)]
            market.minutes.append(Candle(open_ms, prices[0], max(prices), min(prices), prices[-1]))

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish until cancelled."""
        await self._live.run(publish)


class RecordedMarketFeed:
    """Recorded trades, quotes and books, played from their beginning as if it were now; then the market stands."""

    def __init__(
        self, recording: EventRecording, name: str, clock: Clock, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._recording = recording
        self._name = name
        self._clock = clock
        self._sleep = sleep

    @classmethod
    def of(cls, path: Path, symbols: Sequence[str], quote: str, clock: Clock) -> RecordedMarketFeed:
        """Return the feed of a file or folder. Raises DataInvalid where it holds no trades, quotes or depth."""
        recording = load_events(path, symbols or None, quote, None, None, RecordedFeed())
        return cls(recording, f"recorded market ({path.name})", clock, asyncio.sleep)

    def label(self) -> str:
        """Return how the feed is named to people."""
        return self._name

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices."""
        return self._recording.instruments(MIN_NOTIONAL)

    def past(self, market: SymbolMarket, pair: str, minutes: int, now_ms: int) -> None:
        """Lay nothing: what was before the recording is not known."""

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish every event at its distance from the first; return after the last."""
        events: Iterator[Event] = self._recording.events()
        shift = self._clock.now_ms() - self._recording.first_ms
        for number, event in enumerate(events, 1):
            at_ms: int = getattr(event, "at_ms") + shift  # noqa: B009 - every recorded event has it, not every event
            wait_ms = at_ms - self._clock.now_ms()
            if wait_ms > 0:
                await self._sleep(wait_ms / 1000)
            elif number % _MOST_AT_ONCE == 0:
                await self._sleep(0)
            publish(msgspec.structs.replace(event, at_ms=at_ms))
