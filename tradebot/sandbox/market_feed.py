"""Where does the sandbox's market come from? Asked by the server: the synthetic feed, or a recording played now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final, Protocol

import msgspec

from tradebot.config.sections.feed import RecordedFeed, SyntheticFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.feeds.candles import load_candles
from tradebot.feeds.files import recording_files
from tradebot.feeds.recorded_events import load_events
from tradebot.feeds.synthetic import MEAN_TRADE_SHARE
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.feeds.synthetic_path import PricePath
from tradebot.ports import Clock
from tradebot.sandbox.market import MINUTE_MS, PublicTrade, SymbolMarket
from tradebot.sandbox.market_candles import CandleEvents

MIN_NOTIONAL: Final = Decimal(5)
_STEP_MS: Final = 5_000
_MOST_AT_ONCE: Final = 1_000
_SHOWN: Final = 5


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
        self._steps = {one.symbol: one.amount_step for one in self._live.instruments()}

    def label(self) -> str:
        """Return how the feed is named to people."""
        return self._live.label()

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices."""
        return self._live.instruments()

    def past(self, market: SymbolMarket, pair: str, minutes: int, now_ms: int) -> None:
        """Lay the minutes before now under a symbol's candles: a trade every five seconds, as large as five seconds'.

        What was traded at a time, and its id, follow from the seed and the time alone, so a restart tells the same.
        """
        path = PricePath(self._settings, pair, self._seed)
        lots = float(1 / self._steps[pair])
        most = self._settings.depth_quote * MEAN_TRADE_SHARE * self._settings.trades_per_s * _STEP_MS / 1000 * lots
        first = now_ms - now_ms % MINUTE_MS - minutes * MINUTE_MS
        for open_ms in range(first, first + minutes * MINUTE_MS, MINUTE_MS):
            draw = Random(f"{self._seed}/{pair}/at {open_ms}").random  # noqa: S311  (a market, not a secret)
            for at_ms in range(open_ms, open_ms + MINUTE_MS, _STEP_MS):
                price = round(path.at(at_ms)[0], path.decimals)
                size = (int(most / price * 2.0 * draw()) + 1) / lots
                market.lay(PublicTrade(market.symbol, at_ms, price, size, draw() < 0.5, at_ms))

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

        Raises DataInvalid where it holds none of them, or only candles without volume, which have neither trades nor
        a book.
        """
        faster = f", {pace:g} times as fast" if pace != 1 else ""
        recording = _recorded(path, symbols or None, quote)
        silent = recording.silent if isinstance(recording, CandleEvents) else ()
        without = f", without a price, as no volume was recorded: {_some(silent)}" if silent else ""
        return cls(recording, f"recorded market ({path.name}{faster}{without})", clock, asyncio.sleep, pace)

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


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _recorded(path: Path, symbols: Sequence[str] | None, quote: str) -> Playable:
    """Return what a file or folder holds. Raises DataInvalid."""
    settings = RecordedFeed()
    if all(file.holds == "candles" for file in recording_files(path, symbols, quote)):
        candles = CandleEvents(load_candles(path, symbols, quote, None, None), settings)
        if candles.all_silent:
            raise DataInvalid(f"{path}: no candle has a volume, so nothing was traded and no price can be shown")
        return candles
    return load_events(path, symbols, quote, None, None, settings)
