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
from tradebot.feeds.candles import load_candles
from tradebot.feeds.files import recording_files
from tradebot.feeds.recorded_events import load_events
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.feeds.synthetic_path import PricePath
from tradebot.ports import Clock
from tradebot.sandbox.market import MINUTE_MS, Candle, SymbolMarket
from tradebot.sandbox.market_candles import CandleEvents

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


class Playable(Protocol):
    """What was recorded: events in time order, the first of them at `first_ms`."""

    first_ms: int

    def instruments(self, min_notional: Decimal) -> Sequence[Instrument]:
        """Return the filters that the recorded prices suggest."""
        ...

    def events(self) -> Iterator[Event]:
        """Yield every event in time order; each call begins anew."""
        ...


class RecordedMarketFeed:
    """A recording, played from its beginning as if it were now; then the market stands.

    `pace` is how many times faster than recorded it is played.
    """

    def __init__(
        self,
        recording: Playable,
        name: str,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        pace: float = 1.0,
    ) -> None:
        self._recording = recording
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._pace = pace

    @classmethod
    def of(cls, path: Path, symbols: Sequence[str], quote: str, clock: Clock, pace: float = 1.0) -> RecordedMarketFeed:
        """Return the feed of a file or folder: of its trades, quotes and depth, or of its candles where it has no more.

        Raises DataInvalid where it holds none of them.
        """
        faster = f", {pace:g} times as fast" if pace != 1 else ""
        return cls(
            _recorded(path, symbols or None, quote),
            f"recorded market ({path.name}{faster})",
            clock,
            asyncio.sleep,
            pace,
        )

    def label(self) -> str:
        """Return how the feed is named to people."""
        return self._name

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices."""
        return self._recording.instruments(MIN_NOTIONAL)

    def past(self, market: SymbolMarket, pair: str, minutes: int, now_ms: int) -> None:
        """Lay nothing: what was before the recording is not known."""

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish every event at its distance from the first, by the pace; return after the last."""
        events = self._recording.events()
        begun_ms = self._clock.now_ms()
        for number, event in enumerate(events, 1):
            recorded_ms: int = getattr(event, "at_ms")  # noqa: B009 - every recorded event has it, not every event
            at_ms = begun_ms + round((recorded_ms - self._recording.first_ms) / self._pace)
            wait_ms = at_ms - self._clock.now_ms()
            if wait_ms > 0:
                await self._sleep(wait_ms / 1000)
            elif number % _MOST_AT_ONCE == 0:
                await self._sleep(0)
            publish(msgspec.structs.replace(event, at_ms=at_ms))


def _recorded(path: Path, symbols: Sequence[str] | None, quote: str) -> Playable:
    """Return what a file or folder holds. Raises DataInvalid."""
    settings = RecordedFeed()
    if all(file.holds == "candles" for file in recording_files(path, symbols, quote)):
        return CandleEvents(load_candles(path, symbols, quote, None, None), settings)
    return load_events(path, symbols, quote, None, None, settings)
