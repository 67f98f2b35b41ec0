"""Does a request wait for nothing that is only told of it, and is all of that told before the next event?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.runtime.telling import Told
from tests.runtime.test_live import Journal, Machine, Venue, quote
from tests.runtime.test_outbox import StalledJournal, Wire, place
from tests.storage.journals import planned
from tradebot.config.sections.engine import Engine as Limits
from tradebot.domain.commands import Command, PlaceOrder, QueryBalances
from tradebot.domain.events import Event, OrderAcknowledged, QuoteSeen, RequestNotSent, RequestSent
from tradebot.domain.facts import Fact
from tradebot.ports import Due
from tradebot.runtime.clock import WallClock
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.live import LiveShell
from tradebot.runtime.outbox import Outbox


def buying(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
    """Plan one order at each quote; note each request that left."""
    if isinstance(event, QuoteSeen):
        return [planned(event.symbol)], [place(event.symbol, 2**61)]
    return [planned(f"{type(event).__name__} {getattr(event, 'client_id', '')}")], []


def ids(facts: Sequence[Fact]) -> list[str]:
    return [str(getattr(fact, "client_id", "")) for fact in facts]


def dispatch() -> tuple[Dispatch, Machine, Wire, Told]:
    machine, wire, told, journal = Machine(buying), Wire(), Told(), Journal()
    return Dispatch(machine, journal, told, Outbox(wire, journal)), machine, wire, told


def test_a_request_leaves_before_its_facts_are_told() -> None:
    one, machine, wire, told = dispatch()
    assert list(one.feed(quote("a"), 10, later=True)) == []
    assert wire.requests == [place("a", 2**61)]
    assert told.facts == []
    assert machine.told == [quote("a")]
    assert one.owing
    assert list(one.settle(11)) == [(15, OrderAcknowledged("a", "v1", 15))]
    assert ids(told.facts) == ["a", "RequestSent a"]
    assert machine.told[1:] == [RequestSent("a", 10)]
    assert not one.owing


def test_what_is_owed_is_told_before_the_next_event() -> None:
    one, machine, _, told = dispatch()
    one.feed(quote("a"), 10, later=True)
    answers = one.feed(quote("b"), 12)
    assert [getattr(event, "client_id", "quote") for event in machine.told] == ["quote", "a", "quote", "b"]
    assert ids(told.facts) == ["a", "RequestSent a", "b", "RequestSent b"]
    assert [due for due, _ in answers] == [15, 17], "no answer is lost on the way"


def test_what_is_owed_is_told_where_everything_that_waits_is_taken_back() -> None:
    for end in ("withdraw", "close", "unsound"):
        one, machine, _, told = dispatch()
        one.feed(quote("a"), 10, later=True)
        if end == "withdraw":
            one.withdraw("ended", 11)
        else:
            one.close_entries(11, sound=end == "close")
        assert ids(told.facts)[:1] == ["a"]
        assert (RequestSent("a", 10) in machine.told) is (end != "unsound"), end


def test_what_became_durable_leaves_first_too() -> None:
    machine, wire, told, journal = Machine(buying), Wire(), Told(), StalledJournal()
    one = Dispatch(machine, journal, told, Outbox(wire, journal))
    one.feed(quote("a"), 10, later=True)
    assert ids(told.facts) == ["a"], "nothing has left: nothing is owed"
    journal.durable_seq = 1
    one.poll(12, later=True)
    assert wire.requests == [place("a", 2**61)]
    assert machine.told == [quote("a")]
    one.settle(12)
    assert machine.told[1:] == [RequestSent("a", 12)]


def test_a_request_that_did_not_leave_is_told_at_once() -> None:
    machine, told, journal = Machine(buying), Told(), StalledJournal()
    one = Dispatch(machine, journal, told, Outbox(Wire(), journal))
    one.feed(quote("a"), 10, later=True)
    one.withdraw("ended", 11)
    assert machine.told[1:] == [RequestNotSent("a", "ended", 11)]
    assert not one.owing


class Sending(Venue):
    """Begins a task for each request, as a remote venue does; notes what was told by then."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told
        self.begun: list[tuple[str, int, int]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.machine: Machine | None = None

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        self._tasks.append(asyncio.get_running_loop().create_task(self._begin(command)))
        return []

    async def _begin(self, command: Command) -> None:
        assert self.machine is not None
        name = command.client_id if isinstance(command, PlaceOrder) else type(command).__name__
        self.begun.append((name, len(self._told.facts), len(self.machine.told)))


def test_in_the_loop_each_request_begins_before_anything_is_told_and_before_the_next_price() -> None:
    told, journal = Told(), Journal()
    venue, machine = Sending(told), Machine(buying)
    venue.machine = machine
    shell = LiveShell(
        Dispatch(machine, journal, told, Outbox(venue, journal)),
        venue,
        WallClock(),
        Limits(loop_sleep_s=50),
        told,
        told,
    )

    async def main() -> None:
        running = asyncio.create_task(shell.run())
        await asyncio.sleep(0)
        for symbol in ("a", "b"):
            shell.publish(quote(symbol))
        await shell.until(lambda: len(machine.told) == 4)
        shell.stop()
        await running

    asyncio.run(main())
    assert venue.begun == [("a", 0, 1), ("b", 2, 3)]
    assert ids(told.facts) == ["a", "RequestSent a", "b", "RequestSent b"]


def test_a_loop_that_is_told_to_end_still_tells_what_left() -> None:
    told, journal = Told(), Journal()
    venue = Sending(told)

    def script(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        shell.stop()
        return buying(event, now) if isinstance(event, QuoteSeen | RequestSent) else ([], [QueryBalances()])

    machine = venue.machine = Machine(script)
    shell = LiveShell(
        Dispatch(machine, journal, told, Outbox(venue, journal)),
        venue,
        WallClock(),
        Limits(loop_sleep_s=50),
        told,
        told,
    )

    async def main() -> None:
        running = asyncio.create_task(shell.run())
        await asyncio.sleep(0)
        shell.publish(quote("a"))
        await running
        await asyncio.sleep(0)

    asyncio.run(main())
    assert ids(told.facts) == ["a", "RequestSent a"]


class Chore:
    """Has one event for the machine, once."""

    name, next_due_ms = "chore", 0

    def run(self, now_ms: int) -> Event | None:
        self.next_due_ms = 2**62
        return quote("a")


def test_what_a_chore_led_to_is_told_without_another_event() -> None:
    told, journal = Told(), Journal()
    venue, machine = Sending(told), Machine(buying)
    venue.machine = machine
    shell = LiveShell(
        Dispatch(machine, journal, told, Outbox(venue, journal)),
        venue,
        WallClock(),
        Limits(loop_sleep_s=50),
        told,
        told,
    )
    shell.add_chore(Chore())

    async def main() -> None:
        async with asyncio.timeout(20):
            running = asyncio.create_task(shell.run())
            await shell.until(lambda: len(machine.told) == 2)
            shell.stop()
            await running

    asyncio.run(main())
    assert venue.begun == [("a", 0, 1)]
    assert ids(told.facts) == ["a", "RequestSent a"]
