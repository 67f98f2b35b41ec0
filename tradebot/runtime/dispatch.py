"""What becomes of one event? Asked by both shells, for every event: decide, write down, tell, send.

One event goes through the machine; its facts go to the journal and the recorder, its commands to the outbox.
What the outbox has to say (sent, not sent) is processed before any other event: at once, or where a request has just
left and the shell says so, a little later, so that the request is not kept waiting by what is told of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from tradebot.domain.commands import Command
from tradebot.domain.errors import TradebotError
from tradebot.domain.events import Event
from tradebot.domain.facts import Fact
from tradebot.ports import Due, Journal, Recorder
from tradebot.runtime.entries_closed import ExitOutbox
from tradebot.runtime.outbox import Outbox

NOTHING: Sequence[Due] = ()


class Machine(Protocol):
    """What a shell needs of the engine."""

    @property
    def next_due_ms(self) -> int:
        """When it wants to hear `DeadlineReached`."""
        ...

    def process(self, event: Event, now_ms: int) -> tuple[list[Fact], list[Command]]:
        """Take one event; return what happened and what is to be done."""
        ...


class StateSuspect(TradebotError):
    """The machine failed inside an event: its state is not to be trusted, the run must end and recover."""


class Dispatch:
    """Takes events to the machine and what comes of them to the world."""

    __slots__ = ("_journal", "_now_ms", "_process", "_recorder", "_untold", "machine", "outbox", "owing", "seq")

    def __init__(self, machine: Machine, journal: Journal, recorder: Recorder, outbox: Outbox) -> None:
        self.machine = machine
        self.outbox: Outbox = outbox
        self._process = machine.process
        self._journal = journal
        self._recorder = recorder
        self._now_ms = 0
        self._untold: tuple[list[Fact], int, int] | None = None
        self.owing = False
        """Whether `settle` has something to do."""
        self.seq = journal.durable_seq
        """Seq of the last fact handed to the journal."""

    @property
    def next_due_ms(self) -> int:
        """When something is due here without an event from outside: a deadline, or a request growing too late."""
        return min(self.machine.next_due_ms, self.outbox.next_due_ms)

    def feed(self, event: Event, now_ms: int, *, later: bool = False) -> Sequence[Due]:
        """Process one event at `now_ms`; return what the venue will answer, and when.

        With `later`, what is to be told of requests that left is left to `settle`, which the caller has to call soon.
        Raises StateSuspect when the machine fails, StorageFailed when the journal cannot take the facts.
        """
        if self.owing:
            return [*self.settle(now_ms), *self.feed(event, now_ms, later=later)]
        if now_ms < self._now_ms:
            now_ms = self._now_ms  # an answer that was due before what has happened since: time never goes back
        else:
            self._now_ms = now_ms
        try:  # as `_decide`, without a call: most events decide nothing
            facts, commands = self._process(event, now_ms)
        except Exception as error:
            raise _suspect(event, error) from error
        if not facts and not commands:
            return NOTHING
        if later and commands:
            return NOTHING if self._carry_out_first(facts, commands, now_ms) else self._settle(now_ms)
        self._carry_out(facts, commands, now_ms)
        return self._settle(now_ms) if commands else NOTHING

    def poll(self, now_ms: int, *, later: bool = False) -> Sequence[Due]:
        """Send what has become durable and drop what has become too late; return the venue's answers, as `feed`."""
        due = self.settle(now_ms) if self.owing else NOTHING
        if not self.outbox.waiting:
            return due
        sent = self.outbox.sent
        self.outbox.flush(now_ms)
        self.owing = later and self.outbox.sent != sent
        return due if self.owing else [*due, *self._settle(now_ms)]

    def settle(self, now_ms: int) -> Sequence[Due]:
        """Tell what is owed of requests that left; return what the venue will answer, and when. Raises as `feed`."""
        self.owing = False
        self._tell()
        return self._settle(max(now_ms, self._now_ms))

    def close_entries(self, now_ms: int, *, sound: bool = True) -> Sequence[Due]:
        """Swap the outbox for one that has no way to buy; buys that have not left are taken back.

        A machine that is not `sound` is not told.
        """
        self._tell()
        self.outbox = ExitOutbox(self.outbox, now_ms)
        return self.settle(now_ms) if sound else NOTHING

    def withdraw(self, reason: str, now_ms: int) -> Sequence[Due]:
        """Take back every order that has not left, and let the machine know."""
        self.outbox.withdraw(reason, now_ms)
        return self.settle(now_ms)

    def _decide(self, event: Event, now_ms: int) -> tuple[list[Fact], list[Command]]:
        try:
            return self._process(event, now_ms)
        except Exception as error:
            raise _suspect(event, error) from error

    def _carry_out(self, facts: list[Fact], commands: list[Command], now_ms: int) -> None:
        if facts:
            self.seq = self._journal.append(facts, now_ms)
            self._recorder.record(facts, now_ms, self.seq)
        if commands:
            self.outbox.put(commands, self.seq, now_ms)

    def _carry_out_first(self, facts: list[Fact], commands: list[Command], now_ms: int) -> bool:
        """Let the commands leave before anybody but the journal hears of the facts; return whether that is owed."""
        if facts:
            self.seq = self._journal.append(facts, now_ms)
            self._untold = facts, now_ms, self.seq
        sent = self.outbox.sent
        self.outbox.put(commands, self.seq, now_ms)
        self.owing = self.outbox.sent != sent
        if not self.owing:
            self._tell()
        return self.owing

    def _tell(self) -> None:
        if self._untold is not None:
            facts, at_ms, seq = self._untold
            self._untold = None
            self._recorder.record(facts, at_ms, seq)

    def _settle(self, now_ms: int) -> Sequence[Due]:
        """Process the outbox's own news until there is none; return the venue's answers."""
        outbox = self.outbox
        pending: deque[Event] = deque()
        while outbox.news or pending:
            pending.extend(outbox.news)
            outbox.news.clear()
            self._carry_out(*self._decide(pending.popleft(), now_ms), now_ms)
        if not outbox.answers:
            return NOTHING
        answers = outbox.answers
        outbox.answers = []
        return answers


def _suspect(event: Event, error: Exception) -> StateSuspect:
    return StateSuspect(f"{type(event).__name__}: {type(error).__name__}: {error}")
