"""The loop decides on the newest quote, loses nothing else, and survives what the world does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.runtime.telling import Told
from tradebot.config.sections.engine import Engine as Limits
from tradebot.domain.commands import CancelOrder, Command, QueryBalances
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import (
    BalancesReported,
    BalancesUnavailable,
    DeadlineReached,
    Event,
    HealthChecked,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.facts import EntriesClosed, Fact
from tradebot.ports import Due
from tradebot.runtime.clock import WallClock
from tradebot.runtime.dispatch import Dispatch, StateSuspect
from tradebot.runtime.live import LiveShell, TooManyErrors
from tradebot.runtime.outbox import NEVER_MS, Outbox

Script = Callable[[Event, int], tuple[list[Fact], list[Command]]]


class Machine:
    """Notes what it is told; answers as the test wants."""

    def __init__(self, script: Script = lambda event, now: ([], [])) -> None:
        self.next_due_ms = NEVER_MS
        self.told: list[Event] = []
        self.script = script

    def process(self, event: Event, now_ms: int) -> tuple[list[Fact], list[Command]]:
        self.told.append(event)
        return self.script(event, now_ms)


class Journal:
    """Everything is durable at once."""

    durable_seq = 0

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        self.durable_seq += len(facts)
        return self.durable_seq

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        return iter(())


class Venue:
    """Watches one symbol; its answers and errors are the test's."""

    next_due_ms = NEVER_MS

    def __init__(self, watched: str = "", answers: Sequence[Due] = (), fails: Sequence[bool] = ()) -> None:
        self.watched = watched
        self.answers = list(answers)
        self.fails = list(fails)
        self.saw: list[Event] = []

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        self._maybe_fail()
        return [(now_ms + delay, event) for delay, event in self.answers]

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        self.saw.append(event)
        self._maybe_fail()
        return []

    def watches(self, symbol: str) -> bool:
        return symbol == self.watched

    def advance(self, now_ms: int) -> list[Due]:
        return []

    def _maybe_fail(self) -> None:
        if self.fails and self.fails.pop(0):
            raise OSError("cut")


class Rig:
    """A shell with everything around it noted."""

    def __init__(self, machine: Machine, venue: Venue, **limits: Any) -> None:
        self.machine, self.venue, self.told = machine, venue, Told()
        outbox = Outbox(venue, Journal(), self._fault)
        self.dispatch = Dispatch(machine, Journal(), self.told, outbox)
        settings = Limits(error_backoff_s=limits.pop("error_backoff_s", 0.0), **limits)
        self.shell = LiveShell(self.dispatch, venue, WallClock(), settings, self.told, self.told)

    def _fault(self, what: str, error: Exception) -> None:
        self.shell.fault(what, error)

    def run(self, *events: Event, until: Callable[[], bool]) -> None:
        """Run the loop, publish `events`, stop when `until()`."""

        async def main() -> None:
            task = asyncio.create_task(self.shell.run())
            await asyncio.sleep(0)
            for event in events:
                self.shell.publish(event)
            await self.shell.until(until)
            self.shell.stop()
            await task

        asyncio.run(main())


def quote(symbol: str, bid: float = 1.0) -> QuoteSeen:
    return QuoteSeen(symbol, bid, bid, 1.0, 1.0, 0)


def trade(symbol: str) -> TradeSeen:
    return TradeSeen(symbol, 1.0, 1.0, True, 0)


def test_quotes_conflate_per_symbol_and_nothing_else_is_lost() -> None:
    rig = Rig(Machine(), Venue())
    events: list[Event] = [quote("A", 1), trade("A"), quote("B", 1), quote("A", 2), trade("A"), quote("A", 3)]
    rig.run(*events, until=lambda: len(rig.machine.told) == 4)
    assert rig.machine.told == [trade("A"), quote("B", 1), trade("A"), quote("A", 3)]
    assert rig.told.counts["quotes_conflated"] == 2


def test_a_feed_that_runs_ahead_works_the_queue_off_itself() -> None:
    rig = Rig(Machine(), Venue(), queue_limit=100)
    longest = 0

    async def main() -> None:
        nonlocal longest
        task = asyncio.create_task(rig.shell.run())
        await asyncio.sleep(0)
        for _ in range(1050):
            rig.shell.publish(trade("A"))
            longest = max(longest, len(rig.shell._queue))
        assert len(rig.machine.told) == 1000, "handled while the feed was still publishing"
        await rig.shell.until(lambda: len(rig.machine.told) == 1050)
        rig.shell.stop()
        await task

    asyncio.run(main())
    assert longest < 100


def test_the_venue_sees_the_market_before_the_machine_decides() -> None:
    seen_by_then: list[int] = []

    def script(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        seen_by_then.append(len(venue.saw))
        return [], []

    venue = Venue(watched="A")
    rig = Rig(Machine(script), venue)
    rig.run(quote("A"), quote("B"), trade("A"), until=lambda: len(seen_by_then) == 3)
    assert seen_by_then == [1, 1, 2]


def test_answers_come_at_their_time_and_in_its_order() -> None:
    early, late = BalancesReported({}, 1), BalancesReported({}, 2)
    machine = Machine(lambda event, now: ([], [QueryBalances()] if isinstance(event, QuoteSeen) else []))
    rig = Rig(machine, Venue(answers=[(30, late), (10, early)]), loop_sleep_s=50.0)
    rig.run(quote("A"), until=lambda: len(machine.told) == 3)
    assert machine.told == [quote("A"), early, late]


def test_a_deadline_is_told_when_it_is_due_although_nothing_happens() -> None:
    def script(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        machine.next_due_ms = now + 20 if isinstance(event, QuoteSeen) else NEVER_MS
        return [], []

    machine = Machine(script)
    rig = Rig(machine, Venue(), loop_sleep_s=50.0)
    rig.run(quote("A"), until=lambda: len(machine.told) == 2)
    assert isinstance(machine.told[1], DeadlineReached)


def test_a_machine_that_fails_ends_the_loop() -> None:
    def script(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        raise ZeroDivisionError("of nothing")

    rig = Rig(Machine(script), Venue())
    with pytest.raises(StateSuspect, match="QuoteSeen: ZeroDivisionError: of nothing"):
        rig.run(quote("A"), quote("B"), until=lambda: False)
    assert len(rig.machine.told) == 1, "nothing is decided on a suspect state"


def test_a_journal_that_cannot_take_facts_ends_the_loop() -> None:
    machine = Machine(lambda event, now: ([EntriesClosed("test")], []))
    rig = Rig(machine, Venue())

    def refuses(facts: Sequence[Fact], now_ms: int) -> int:
        raise StorageFailed("the journal is closed")

    rig.dispatch._journal.append = refuses  # type: ignore[method-assign]
    with pytest.raises(StorageFailed, match="the journal is closed"):
        rig.run(quote("A"), until=lambda: False)


def test_an_error_of_the_venue_is_told_and_the_loop_goes_on() -> None:
    rig = Rig(Machine(), Venue(watched="A", fails=[True, True]))
    rig.run(quote("A", 1), trade("A"), quote("A", 2), trade("B"), until=lambda: len(rig.machine.told) == 3)
    errors = [text for kind, text in rig.told.records if kind == "ENGINE_LOOP_ERROR"]
    assert errors == ["venue: market: OSError: cut"] * 2
    assert rig.told.counts["loop_errors"] == 2


def test_errors_in_a_row_are_a_crash_and_a_success_breaks_the_row() -> None:
    machine = Machine()
    fails = [True, True, False, True, True, True]
    rig = Rig(machine, Venue(watched="A", fails=fails), max_consecutive_errors=3)
    with pytest.raises(TooManyErrors, match="3 errors in a row"):
        rig.run(*[trade("A")] * 9, until=lambda: False)
    assert len(rig.venue.saw) == 6


def test_a_request_that_fails_becomes_an_unknown_outcome() -> None:
    machine = Machine(lambda event, now: ([], [QueryBalances()] if isinstance(event, QuoteSeen) else []))
    rig = Rig(machine, Venue(fails=[True]))
    rig.run(quote("A"), until=lambda: len(machine.told) == 2)
    assert isinstance(machine.told[1], BalancesUnavailable)
    assert rig.told.kinds().count("ENGINE_LOOP_ERROR") == 1


def test_after_an_error_the_loop_backs_off_but_obeys_at_once() -> None:
    machine = Machine()
    rig = Rig(machine, Venue(watched="A", fails=[True]), error_backoff_s=500.0)

    async def main() -> None:
        task = asyncio.create_task(rig.shell.run())
        await asyncio.sleep(0)
        rig.shell.publish(trade("A"))
        await rig.shell.until(lambda: len(machine.told) == 1)
        rig.shell.publish(trade("B"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(machine.told) == 1, "it waits"
        rig.shell.inject(HealthChecked(1))
        assert machine.told[1:] == [HealthChecked(1)]
        rig.shell.stop()
        await task

    asyncio.run(main())


def test_a_slow_cycle_is_reported() -> None:
    def script(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        total = sum(range(2000))
        assert total
        return [], []

    rig = Rig(Machine(script), Venue(), slow_cycle_s=1e-9)
    rig.run(quote("A"), until=lambda: len(rig.machine.told) == 1)
    assert "ENGINE_SLOW_CYCLE" in rig.told.kinds()
    assert rig.told.counts["cycle_ms"] == 1


class Repeats:
    """A chore that fails as often as the test wants, then makes an event."""

    name = "chore"
    next_due_ms = 0

    def __init__(self, errors: int) -> None:
        self.errors = errors

    def run(self, now_ms: int) -> Event | None:
        if self.errors:
            self.errors -= 1
            raise OSError("no space")
        self.next_due_ms = NEVER_MS
        return HealthChecked(now_ms)


def test_a_chore_runs_between_cycles_and_may_fail() -> None:
    rig = Rig(Machine(), Venue())
    rig.shell.add_chore(Repeats(errors=2))
    rig.run(until=lambda: bool(rig.machine.told))
    assert isinstance(rig.machine.told[0], HealthChecked)
    assert rig.told.kinds().count("ENGINE_LOOP_ERROR") == 2


def test_a_cancel_that_is_decided_reaches_the_venue() -> None:
    machine = Machine(lambda event, now: ([EntriesClosed("x")], [CancelOrder("a", "A")]))
    rig = Rig(machine, Venue())
    rig.run(trade("A"), until=lambda: rig.dispatch.outbox.sent == 1)
    assert rig.told.facts == [EntriesClosed("x")]
