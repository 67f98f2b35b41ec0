"""Which feeds do the tests of a feed swap begin with? One that says what the test says, and who hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from tests.runtime.profiles import profile
from tradebot.config.profile import Profile
from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen
from tradebot.domain.market import Instrument, instrument_from_price
from tradebot.ports import Clock, Feed
from tradebot.runtime.clock import WallClock
from tradebot.runtime.feeding import Hearing, MakeFeed, feed_for
from tradebot.runtime.swaps_feed import FeedSwap
from tradebot.venues.paper import PaperVenue

FOUR = profile(feed__synthetic__symbols=4, feed__synthetic__updates_per_s=200.0)
CALMER = profile(feed__synthetic__symbols=4, feed__synthetic__updates_per_s=100.0)


class Ear(Hearing):
    """Hears like the live shell, and notes it."""

    def __init__(self) -> None:
        self.published = 0
        self.heard: list[Event] = []
        self.faults: list[str] = []
        self.wells = 0
        self._changed = asyncio.Event()

    def publish(self, event: Event) -> None:
        self.published += 1
        self.heard.append(event)
        self._changed.set()

    def fault(self, what: str, error: Exception, *, back_off: bool = True) -> None:
        assert not back_off, "the feed waits by itself, the loop goes on"
        self.faults.append(f"{what}: {error}")
        self._changed.set()

    def well(self, source: str) -> None:
        self.wells += 1

    def symbols(self) -> set[str]:
        return {one.symbol for one in self.heard if isinstance(one, QuoteSeen | TradeSeen | BookSeen)}

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self._changed.clear()
                await self._changed.wait()


class Told:
    """A feed that publishes what the test says, numbered by its bid; told an error, it fails with it."""

    synthetic = True

    def __init__(self, symbols: Sequence[str] = ("A/USDT",)) -> None:
        self._symbols = symbols
        self._queue: asyncio.Queue[float | Exception | None] = asyncio.Queue()
        self.ran = 0
        self.stubborn = False

    def instruments(self) -> Sequence[Instrument]:
        return [instrument_from_price(name, 10.0, decimals=2, min_notional=Decimal(5)) for name in self._symbols]

    def say(self, what: float | Exception | None) -> None:
        self._queue.put_nowait(what)

    async def run(self, publish: Callable[[Event], None]) -> None:
        self.ran += 1
        while True:
            try:
                said = await self._queue.get()
            except asyncio.CancelledError:
                if self.stubborn:
                    continue
                raise
            self._queue.task_done()
            if isinstance(said, Exception):
                raise said
            if said is None:
                return
            publish(QuoteSeen(self._symbols[0], said, said, 1.0, 1.0, 0))

    async def idle(self) -> None:
        """Return once everything said was published."""
        async with asyncio.timeout(20):
            await self._queue.join()
        await asyncio.sleep(0)  # what it ended with is told in the loop's next turn


class Rig:
    """A feed swap with everything around it noted."""

    def __init__(self, make: MakeFeed, settings: Profile = FOUR) -> None:
        self.ear = Ear()
        self.held: set[str] = set()
        self.failed: list[BaseException] = []
        self.over = asyncio.Event()
        clock = WallClock()
        feed, instruments = feed_for(settings, (), make, clock)
        known = {one.symbol: one for one in instruments}
        self.venue = PaperVenue(settings.venue.paper, known, settings.market.quote, 1)
        self.swap = FeedSwap(
            settings, feed, instruments, make, self.ear, self.venue, self._held, clock, self._note_failed
        )

    def _held(self) -> Collection[str]:
        return self.held

    def _note_failed(self, _name: str, error: BaseException) -> None:
        self.failed.append(error)
        self.over.set()

    def bids(self) -> list[float]:
        return [event.bid for event in self.ear.heard if isinstance(event, QuoteSeen)]


def in_turn(*feeds: Feed) -> MakeFeed:
    """Return a maker that hands these feeds out one by one."""
    waiting = list(feeds)

    def make(_profile: Profile, _clock: Clock) -> Feed:
        return waiting.pop(0)

    return make
