"""What does the inside need from the world? Protocols; each is met by a real part and a null or simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

from tradebot.domain.account import AccountDelta
from tradebot.domain.commands import Command
from tradebot.domain.errors import TradebotError
from tradebot.domain.events import Event
from tradebot.domain.facts import Fact, Level, Stream
from tradebot.domain.market import Instrument
from tradebot.domain.views import (
    ComparedView,
    Done,
    DriftAction,
    DriftView,
    GenerationView,
    OutcomeView,
    Snapshot,
    StatusView,
    SwitchView,
)

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


class NotNow(TradebotError):
    """What was asked cannot be done at present; the text says why."""


class Operator(Protocol):
    """What a person or a program may ask of the running bot. `who` names them in the history and the logs.

    All of it is called in the loop's thread and answers quickly; what waits is a coroutine.
    """

    def status(self) -> StatusView:
        """Return how the run is going."""
        ...

    def snapshot(self) -> Snapshot:
        """Return everything that is shown of the run."""
        ...

    def features(self) -> Sequence[SwitchView]:
        """Return every toggle."""
        ...

    def listen(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        """Hand every log record from here on to `tell`, as one JSON line, from any thread; return what ends it."""
        ...

    async def reload(self, *, confirm: bool, who: str, shown: str = "") -> OutcomeView:
        """Read the profile again; with `confirm`, what waits for it is applied.

        `shown` is the beginning of the digest of the text that was seen: another one goes on waiting.
        """
        ...

    async def rollback(self, number: int | None, *, who: str) -> OutcomeView:
        """Bring generation `number` back, files and all; None means the one before. Raises NotNow."""
        ...

    async def switch(self, feature: str, on: bool | None, *, who: str) -> OutcomeView:
        """Set a toggle over the profile, None clears what was set. Raises NotNow for an unknown one."""
        ...

    async def history(self, limit: int) -> Sequence[GenerationView]:
        """Return the latest generations, newest first."""
        ...

    def pause(self, *, who: str) -> Done:
        """Buy nothing until resumed. Raises NotNow."""
        ...

    def resume(self, *, who: str) -> Done:
        """Buy again. Raises NotNow."""
        ...

    def rearm(self, symbol: str, *, who: str) -> Done:
        """Let stopped actions of a symbol be tried again, of every symbol where it is "". Raises NotNow."""
        ...

    def drift(self) -> Sequence[DriftView]:
        """Return where the account differs from the ledger."""
        ...

    async def compare_drift(self) -> ComparedView:
        """Compare the account with the ledger now; return what differs, and where that could not be done why."""
        ...

    def settle_drift(self, what: str, action: DriftAction, price: Decimal | None, *, who: str) -> Done:
        """Let a difference of a symbol or asset be adopted, ignored or closed. Raises NotNow."""
        ...

    def flatten(self, *, who: str) -> Done:
        """Pause, end every buy under way and sell every position. Raises NotNow."""
        ...

    def stop(self, *, who: str) -> Done:
        """End the run cleanly."""
        ...
