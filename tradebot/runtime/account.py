"""How does the paper account survive? Asked by wiring: a venue whose every change is stored before it is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from tradebot.domain.account import AccountDelta, AccountImage
from tradebot.domain.commands import Command
from tradebot.domain.events import Event
from tradebot.domain.inventory import OpenOrder
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO
from tradebot.ports import Due, Venue
from tradebot.venues.account import LIVE


class TimedVenue(Venue, Protocol):
    """A venue where something may come due without a request or a market event."""

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do."""
        ...

    def advance(self, now_ms: int) -> list[Due]:
        """Do what has come due; return what follows for own orders."""
        ...


class Account(TimedVenue, Protocol):
    """A simulated venue that tells what changed in its account."""

    def add_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Take orders in these symbols from here on."""
        ...

    def take_delta(self) -> AccountDelta | None:
        """Return what changed since the last call, or None."""
        ...

    def image(self) -> AccountImage:
        """Return a copy of the account."""
        ...


class StoredAccount:
    """A simulated venue in front of its store: no answer is given before what it tells is stored.

    Where storing fails, StorageFailed is raised, the answers are held, and the next call tries again first.
    """

    def __init__(self, venue: Account, save: Callable[[AccountDelta], None]) -> None:
        self._venue = venue
        self._save = save
        self._unsaved: deque[AccountDelta] = deque()
        self._held: list[Due] = []

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Take a command. Raises StorageFailed; the command has had its effect, its answers follow."""
        return self._stored(self._venue.submit(command, now_ms))

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        """Observe the market. Raises StorageFailed; the answers follow."""
        return self._stored(self._venue.on_market(event, now_ms))

    def watches(self, symbol: str) -> bool:
        """Whether a market event of `symbol` could change anything here."""
        return self._venue.watches(symbol)

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do: at once while something waits to be stored."""
        return 0 if self._unsaved else self._venue.next_due_ms

    def advance(self, now_ms: int) -> list[Due]:
        """Do what has come due. Raises StorageFailed; the answers follow."""
        return self._stored(self._venue.advance(now_ms))

    def add_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Take orders in these symbols from here on."""
        self._venue.add_instruments(instruments)

    def save(self) -> None:
        """Store what is not stored yet, before the end. Raises StorageFailed."""
        self._held = self._stored([])

    def image(self) -> AccountImage:
        """Return a copy of the account."""
        return self._venue.image()

    async def close_entries(self) -> None:
        """Return at once: what was taken in is at the venue, and nothing else is on its way."""

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return the orders that are open or on their way."""
        return tuple(
            OpenOrder(one.client_id, one.symbol, one.side.value, one.price, max(ZERO, one.amount - one.filled))
            for one in self._venue.image().orders.values()
            if one.status in LIVE
        )

    async def disarm(self, within_s: float) -> None:
        """Do nothing: there is no dead man's switch."""

    def _stored(self, answers: list[Due]) -> list[Due]:
        self._held += answers
        delta = self._venue.take_delta()
        if delta is not None:
            self._unsaved.append(delta)
        while self._unsaved:
            self._save(self._unsaved[0])
            self._unsaved.popleft()
        held, self._held = self._held, []
        return held
