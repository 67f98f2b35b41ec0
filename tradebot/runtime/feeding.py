"""How does one feed run under supervision, and who hears it? Asked by the feed swap, which holds one or two of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol, runtime_checkable

from tradebot.config.profile import Profile
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.ports import Clock, Feed
from tradebot.runtime.component import Failed, TaskPart, stop_within
from tradebot.runtime.instruments import listed

NAME = "market_data"

MakeFeed = Callable[[Profile, Clock], Feed]
"""Makes the feed a profile names. Raises CannotStart."""


class Hearing(Protocol):
    """Who hears a feed, and is told of its faults: the live shell."""

    published: int

    def publish(self, event: Event) -> None:
        """Take an event."""
        ...

    def fault(self, what: str, error: Exception, *, back_off: bool = True) -> None:
        """Take note of a fault."""
        ...

    def well(self, source: str) -> None:
        """Take note that `source` works."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A feed that knows when it has something to publish."""

    @property
    def next_ms(self) -> int:
        """When the next event happens."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A feed whose first events cost more than the later ones, unless it was prepared."""

    def prepare(self) -> Iterator[str]:
        """Prepare one symbol after the other, yielding its name."""
        ...


class Silent(Exception):
    """A feed was begun and published nothing."""


class Patience:
    """The wait after a fault: changed while it lasts, too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Wait, from now, as long as is said by then."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while (left_s := begun + self.seconds - loop.time()) > 0:
            try:
                await asyncio.wait_for(self._changed.wait(), left_s)
            except TimeoutError:
                return
            self._changed.clear()

    def retune(self, seconds: float) -> None:
        """Wait so long from here on, the wait under way included."""
        self.seconds = seconds
        self._changed.set()


class NoFeed:
    """A feed that is over: prices nothing, publishes nothing."""

    synthetic = False

    def instruments(self) -> Sequence[Instrument]:
        """Return no symbol."""
        return ()

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Return at once."""


NO_FEED = NoFeed()


class Watched:
    """One feed, the instruments it is watched with, and its task; held back until it is let through.

    `instruments` are the symbols the profile asks for, `priced` the names of all it prices.
    """

    def __init__(
        self, feed: Feed, instruments: tuple[Instrument, ...], hearing: Hearing, patience: Patience, failed: Failed
    ) -> None:
        self.feed = feed
        self.instruments = instruments
        self.priced = frozenset(one.symbol for one in feed.instruments())
        self._hearing = hearing
        self._patience = patience
        self._failed = failed
        self._through = self._proven = False
        self._hear: Callable[[Event], None] = self._hold
        self._first = asyncio.Event()
        self._part = TaskPart(NAME, self._main, self._ended)
        self._over: BaseException | None = None
        self.unwell: BaseException | None = None
        """What it failed with while nobody heard it."""

    def let_through(self) -> None:
        """Let its events be heard from here on, and its faults; that it has ended meanwhile is told at once."""
        self._through = self._proven = True
        self._hear = self._hearing.publish
        if self._over is not None:
            self._failed(NAME, self._over)

    def hold_back(self) -> None:
        """Let its events be lost from here on."""
        self._through, self._hear = False, self._hold

    async def start(self) -> None:
        """Run the feed until it is stopped."""
        await self._part.start()

    async def stop(self, limit_s: float | None = None) -> None:
        """End the feed and let go of it, for good. Raises TimeoutError where it has not ended within `limit_s`."""
        if limit_s is None:
            await self._part.stop()
        else:
            await stop_within(self._part, limit_s)
        self.feed = NO_FEED  # at once: the collector of cycles, of which this is one, comes by very late

    async def prove(self, clock: Clock, limit_s: float) -> None:
        """Return once it has published, or has nothing to publish within `limit_s`.

        Raises Silent where it had, and what the feed raises.
        """
        feed = self.feed
        if not isinstance(feed, Paced) or feed.next_ms <= clock.now_ms() + limit_s * 1000:
            try:
                await asyncio.wait_for(self._first.wait(), limit_s)
            except TimeoutError:
                raise Silent(f"it published nothing within {limit_s:g} s") from None
        if self._over is not None:
            raise self._over
        self._proven = True

    def _publish(self, event: Event) -> None:
        self._hear(event)

    def _hold(self, _event: Event) -> None:
        self._first.set()

    def _ended(self, name: str, error: BaseException) -> None:
        """Tell that it ended by itself: to who proves it, or, once it is heard, to who supervises the run."""
        self._over = self.unwell = error
        self._first.set()
        if self._through:
            self._failed(name, error)

    async def _main(self) -> None:
        """Run the feed; after an error, back off and run it again. Raises the error until it is proven."""
        while True:
            published = self._hearing.published
            try:
                await self.feed.run(self._publish)
            except Exception as error:  # the supervision border of the feed: told, and tried again
                if not self._proven:
                    raise
                self._fault(error, self._hearing.published != published)
                await self._patience.wait()
            else:
                return

    def _fault(self, error: Exception, published: bool) -> None:
        if not self._through:
            self.unwell = error
            return
        if published:
            self._hearing.well(NAME)
        self._hearing.fault(NAME, error, back_off=False)


def feed_for(
    profile: Profile, also: Collection[str], make: MakeFeed, clock: Clock
) -> tuple[Feed, tuple[Instrument, ...]]:
    """Return the feed a profile asks for, which prices the symbols `also` too, and the instruments the profile watches.

    `also` are those still held or under way: they are priced and not among the instruments. Raises CannotStart.
    """
    feed = make(profile, clock)
    instruments = listed(profile.venue.paper, feed.instruments())
    names = [one.symbol for one in instruments]
    missing = sorted(set(also) - set(names))
    if missing:
        market = profile.market.model_copy(update={"symbols": (*names, *missing)})
        feed = make(profile.model_copy(update={"market": market}), clock)
    return feed, instruments


def prepare(feed: Feed, limit_s: float) -> None:
    """Prepare as many symbols of `feed` as there is time for, in a thread that gives way to the loop after each."""
    if isinstance(feed, Preparing):
        end = time.monotonic() + limit_s
        for _ in feed.prepare():
            if time.monotonic() >= end:
                return
            time.sleep(0)
