"""What does the inside need from the world? Protocols; each is met by a real part and a null or simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tradebot.domain.account import AccountDelta
from tradebot.domain.commands import Command
from tradebot.domain.events import Event
from tradebot.domain.facts import Fact, Level, Stream
from tradebot.domain.market import Instrument

Due = tuple[int, Event]
"""An event and the time (ms) at which it happens."""


class Clock(Protocol):
    """Where `now` comes from: integer milliseconds UTC, never going back."""

    def now_ms(self) -> int:
        """Return the present."""
        ...


class Venue(Protocol):
    """Where orders go. Answers are events with the time they arrive; nothing blocks."""

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Take a command at `now_ms`; return what will be answered, and when."""
        ...

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        """Observe the market (paper fills against it); return what follows for own orders."""
        ...

    def watches(self, symbol: str) -> bool:
        """Whether a market event of `symbol` could change anything here (an order open or in flight)."""
        ...


class SimulatedVenue(Venue, Protocol):
    """A venue that lives in this process: its shell wakes it in time and stores its account."""

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do without any market event (far away where nothing has)."""
        ...

    def advance(self, now_ms: int) -> list[Due]:
        """Let what arrived by `now_ms` and needs no market event take effect; return what is answered."""
        ...

    def take_delta(self) -> AccountDelta | None:
        """Return what changed in the account since the last call, to be durable before any answer is delivered."""
        ...


class Feed(Protocol):
    """Where prices come from, for the live shell. `synthetic` says so everywhere it is shown."""

    synthetic: bool

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it can price, with what it knows of their filters."""
        ...

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish market events until cancelled."""
        ...


class Journal(Protocol):
    """Where facts become durable, in order. `seq` counts from 1 without holes."""

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        """Queue `facts`; return the seq of the last one."""
        ...

    @property
    def durable_seq(self) -> int:
        """The last seq that survives a crash."""
        ...

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        """Yield (seq, time, fact) of everything after `after_seq`."""
        ...


class Recorder(Protocol):
    """Who is told of facts: logs and metrics."""

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        """Tell `facts`; never blocks and never raises. `last_seq` is the seq of the last one, 0 if unknown."""
        ...


class Log(Protocol):
    """Who is told what is not a fact: components, configuration, performance."""

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Tell one record, from any thread; never blocks and never raises. `fields` are not changed afterwards."""
        ...


class Component(Protocol):
    """A part with a life of its own, registered with the coordinator."""

    name: str

    async def start(self) -> None:
        """Begin; return when it works, raise when it cannot."""
        ...

    async def stop(self) -> None:
        """End cleanly; harmless when called twice."""
        ...
