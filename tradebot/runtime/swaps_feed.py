"""How does the bot come from one feed to another without missing or doubling an event? Asked by the reload.

Concerned: `feed.synthetic.*`, `market.symbols`. The wait after a fault (`engine.error_backoff_s`) is told by `retune`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from tradebot.config.profile import Profile
from tradebot.domain.market import Instrument
from tradebot.ports import Clock, Feed
from tradebot.runtime.component import Failed, in_thread
from tradebot.runtime.feeding import NAME, Hearing, MakeFeed, Patience, Watched, feed_for, prepare
from tradebot.runtime.swapping import CannotBuild, Staged

Held = Callable[[], Collection[str]]
"""Returns the symbols that are held or have something under way: they want prices as long as that is so."""


class Listing(Protocol):
    """Who takes orders in new symbols: the venue."""

    def add_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Take orders in these symbols from here on."""
        ...


class FeedSwap:
    """The feed of a run: a `ports.Component` (its supervised task) and a `Swappable`.

    A new feed runs beside the old one, its events held back, until it has published one (or has nothing to publish);
    at the swap the gate turns: from then on the new one is heard and the old one is not. What neither was heard to
    say is told again by the next event of the symbol, since a market event stands for itself.
    """

    name = NAME

    def __init__(
        self,
        profile: Profile,
        feed: Feed,
        instruments: tuple[Instrument, ...],
        make: MakeFeed,
        hearing: Hearing,
        venue: Listing,
        held: Held,
        clock: Clock,
        failed: Failed,
    ) -> None:
        self._make = make
        self._hearing = hearing
        self._venue = venue
        self._held = held
        self._clock = clock
        self._failed = failed
        self._patience = Patience(profile.engine.error_backoff_s)
        self._priceless: frozenset[str] = frozenset()  # held, and asked for in vain: delisted
        self.current = self._watched(feed, instruments)
        """The feed that is heard."""
        self.current.let_through()

    async def start(self) -> None:
        """Run the feed."""
        await self.current.start()

    async def stop(self) -> None:
        """End the feed."""
        await self.current.stop()

    def retune(self, error_backoff_s: float) -> None:
        """Wait so long after a fault from here on, a wait under way included."""
        self._patience.retune(error_backoff_s)

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key.startswith("feed.synthetic.") or key == "market.symbols" for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Build, run and prove the feed that `new` asks for; it prices what is held, too.

        Raises CannotBuild where it cannot be made, has no symbol, fails, or publishes nothing for half of
        `reload.build_timeout_s`.
        """
        begun, held, limit_s = time.monotonic(), frozenset(self._held()), old.reload.build_timeout_s / 2

        def build() -> tuple[Feed, tuple[Instrument, ...]]:
            found = feed_for(new, held, self._make, self._clock)
            prepare(found[0], 0.8 * limit_s)
            return found

        try:
            feed, instruments = await in_thread("tradebot-feed-build", build)
        except Exception as error:  # whatever foreign making it meets
            raise CannotBuild(f"the feed cannot be made: {error}") from error
        if not instruments:
            raise CannotBuild("there is no symbol to watch: the feed has none in the quote currency")
        unknown = set(new.market.symbols) - set(old.market.symbols) - {one.symbol for one in instruments}
        if unknown:
            raise CannotBuild(f"the feed does not know {', '.join(sorted(unknown))}")
        made = self._watched(feed, instruments)
        self._priceless = held - made.priced
        await made.start()
        try:
            await made.prove(self._clock, limit_s)
        except BaseException as error:
            await made.stop(old.reload.drain_timeout_s)
            if not isinstance(error, Exception):
                raise
            raise CannotBuild(f"the new feed does not work: {error}") from error
        return StagedFeed(self, made, old, new, time.monotonic() - begun)

    def turn(self, to: Watched) -> None:
        """Hear `to` instead of the present feed."""
        self.current.hold_back()
        to.let_through()
        self.current = to

    def admit(self, made: Watched) -> None:
        """Let the venue know the symbols of `made`.

        Raises CannotBuild where `made` failed since it was proven, or does not price all that is held.
        """
        if made.unwell is not None:
            raise CannotBuild(f"the new feed failed: {made.unwell}")
        late = sorted(set(self._held()) - made.priced - self._priceless)
        if late:
            raise CannotBuild(f"{', '.join(late)}: bought while the edit was prepared, and not priced by the new feed")
        self._venue.add_instruments(made.instruments)

    def _watched(self, feed: Feed, instruments: tuple[Instrument, ...]) -> Watched:
        return Watched(feed, instruments, self._hearing, self._patience, self._failed)


class StagedFeed:
    """The share of the feed. `instruments` are the symbols the new profile watches.

    One that leaves while it is held is not among them, but is priced: the engine keeps it until it is sold.
    """

    name = NAME

    def __init__(self, swap: FeedSwap, made: Watched, old: Profile, new: Profile, took_s: float) -> None:
        self.instruments: tuple[Instrument, ...] | None = made.instruments
        self.effect = f"new feed of {len(made.priced)} symbols, built in {took_s:.2f} s"
        self._swap = swap
        self._before = swap.current
        self._made = made
        self._old = old
        self._new = new

    def commit(self) -> None:
        """Hear the new feed. Raises CannotBuild where a symbol was bought meanwhile that it does not price."""
        self._swap.admit(self._made)
        self._swap.turn(self._made)

    def revert(self) -> None:
        """Hear the old feed again; the venue goes on to know the new symbols."""
        if self._swap.current is self._made:
            self._swap.turn(self._before)

    async def retire(self) -> None:
        """End the old feed. Raises TimeoutError beyond `reload.drain_timeout_s`."""
        await self._before.stop(self._new.reload.drain_timeout_s)

    async def discard(self) -> None:
        """End the new feed. Raises TimeoutError."""
        await self._made.stop(self._old.reload.drain_timeout_s)
