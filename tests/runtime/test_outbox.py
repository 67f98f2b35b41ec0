"""Requests leave in order, only when their plan is durable, and never too late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryOrder, ReconcileOrders
from tradebot.domain.events import (
    BalancesUnavailable,
    Event,
    OrderAcknowledged,
    OutcomeUnknown,
    RequestNotSent,
    RequestSent,
)
from tradebot.domain.facts import Fact
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.ports import Due
from tradebot.runtime.outbox import NEVER_MS, Outbox


class StalledJournal:
    """A journal whose disk is as slow as the test wants."""

    def __init__(self) -> None:
        self.durable_seq = 0
        self.last = 0

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        self.last += len(facts)
        return self.last

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        raise NotImplementedError


class Wire:
    """What reached the venue, in order."""

    def __init__(self, error: Exception | None = None) -> None:
        self.requests: list[Command] = []
        self.error = error

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        if self.error is not None:
            raise self.error
        self.requests.append(command)
        if isinstance(command, PlaceOrder):
            return [(now_ms + 5, OrderAcknowledged(command.client_id, "v1", now_ms + 5))]
        return []

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        return []

    def watches(self, symbol: str) -> bool:
        return False


def place(client_id: str, send_by_ms: int = 1000) -> PlaceOrder:
    return PlaceOrder(
        client_id, "AAA/USDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, send_by_ms, Decimal(1), Decimal(2)
    )


def cancel(client_id: str) -> CancelOrder:
    return CancelOrder(client_id, "AAA/USDT")


def query(client_id: str) -> QueryOrder:
    return QueryOrder(client_id, "AAA/USDT")


def outbox(durable: int = 0) -> tuple[Outbox, Wire, StalledJournal]:
    journal, wire = StalledJournal(), Wire()
    journal.durable_seq = durable
    return Outbox(wire, journal), wire, journal


def test_a_place_leaves_at_once_when_its_plan_is_durable() -> None:
    box, wire, _ = outbox(durable=7)
    box.put([place("a")], 7, 10)
    assert wire.requests == [place("a")]
    assert box.news == [RequestSent("a", 10)]
    assert box.answers == [(15, OrderAcknowledged("a", "v1", 15))]


def test_a_place_waits_for_its_plan_to_be_durable() -> None:
    box, wire, journal = outbox()
    box.put([place("a")], 3, 10)
    journal.durable_seq = 2
    box.flush(20)
    assert wire.requests == []
    assert box.news == []
    journal.durable_seq = 3
    box.flush(30)
    assert wire.requests == [place("a")]
    assert box.news == [RequestSent("a", 30)]


def test_a_place_is_sent_at_its_deadline_and_not_a_millisecond_later() -> None:
    box, wire, journal = outbox()
    box.put([place("on time", send_by_ms=100), place("late", send_by_ms=99)], 3, 10)
    assert box.next_due_ms == 100
    journal.durable_seq = 3
    box.flush(100)
    assert wire.requests == [place("on time", send_by_ms=100)]
    assert box.news == [RequestSent("on time", 100), RequestNotSent("late", "TooLate", 100)]
    assert box.next_due_ms == NEVER_MS


def test_a_place_that_is_too_late_is_dropped_while_the_journal_still_stalls() -> None:
    box, wire, _ = outbox()
    box.put([place("a", send_by_ms=50)], 3, 10)
    box.flush(51)
    assert box.news == [RequestNotSent("a", "TooLate", 51)]
    assert wire.requests == []
    assert not box.waiting


def test_a_cancel_of_an_unsent_order_takes_it_back() -> None:
    box, wire, journal = outbox()
    box.put([place("a"), query("a"), cancel("a")], 3, 10)
    journal.durable_seq = 3
    box.flush(20)
    assert wire.requests == []
    assert box.news == [RequestNotSent("a", "NeverSent", 10)]


def test_a_query_never_overtakes_the_order_it_asks_for() -> None:
    box, wire, journal = outbox()
    box.put([place("a"), query("a"), QueryBalances(), query("b")], 3, 10)
    assert wire.requests == [QueryBalances(), query("b")]
    journal.durable_seq = 3
    box.flush(20)
    assert wire.requests[2:] == [place("a"), query("a")]


def test_everything_unsent_can_be_taken_back() -> None:
    box, wire, journal = outbox()
    box.put([place("a"), place("b")], 3, 10)
    box.withdraw("shutdown", 20)
    journal.durable_seq = 3
    box.flush(30)
    assert wire.requests == []
    assert box.news == [RequestNotSent("a", "shutdown", 20), RequestNotSent("b", "shutdown", 20)]


@pytest.mark.parametrize(
    ("command", "news"),
    [
        (place("a"), [RequestSent("a", 10), OutcomeUnknown("a", "place", "OSError: cut", 10)]),
        (cancel("a"), [OutcomeUnknown("a", "cancel", "OSError: cut", 10)]),
        (query("a"), [OutcomeUnknown("a", "query", "OSError: cut", 10)]),
        (QueryBalances(), [BalancesUnavailable("OSError: cut", 10)]),
        (
            ReconcileOrders((query("a"), query("b")), 1),
            [OutcomeUnknown("a", "query", "OSError: cut", 10), OutcomeUnknown("b", "query", "OSError: cut", 10)],
        ),
    ],
)
def test_a_venue_that_fails_leaves_the_outcome_unknown(command: Command, news: list[Event]) -> None:
    told: list[tuple[str, str]] = []
    box = Outbox(Wire(OSError("cut")), StalledJournal(), lambda what, error: told.append((what, str(error))))
    box.put([command], 0, 10)
    assert box.news == news
    assert told == [(f"venue: {type(command).__name__}", "cut")]


def test_a_venue_that_fails_without_a_supervisor_fails_the_caller() -> None:
    box = Outbox(Wire(OSError("cut")), StalledJournal())
    with pytest.raises(OSError, match="cut"):
        box.put([place("a")], 0, 10)


def test_orders_asked_for_together_are_asked_for_behind_their_own_request_where_it_has_not_left() -> None:
    box, wire, journal = outbox()
    journal.durable_seq = 0
    box.put([place("a")], 5, 10)
    box.put([ReconcileOrders((query("a"), query("b"), query("c")), 7)], 5, 10)
    assert wire.requests == [ReconcileOrders((query("b"), query("c")), 7)]
    box.put([ReconcileOrders((query("a"),), 7)], 5, 10)
    assert len(wire.requests) == 1
    journal.durable_seq = 5
    box.flush(11)
    assert wire.requests[1:] == [place("a"), query("a"), query("a")]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("query"), st.integers(0, 5)),
        st.tuples(st.just("durable"), st.integers(0, 3)),
        st.tuples(st.just("time"), st.integers(0, 80)),
    ),
    max_size=60,
)


def assert_nothing_overtook(requests: Sequence[Command], never: set[str]) -> None:
    seen = set(never)
    for request in requests:
        if isinstance(request, PlaceOrder):
            seen.add(request.client_id)
        elif isinstance(request, CancelOrder | QueryOrder):
            assert request.client_id in seen, f"{request} overtook its order"


@given(steps)
def test_no_request_overtakes_its_order_whatever_the_journal_does(script: list[tuple[str, int]]) -> None:
    box, wire, journal = outbox()
    now, seq, made = 0, 0, 0
    needs: dict[str, int] = {}
    deadline: dict[str, int] = {}
    alive: dict[int, str] = {}  # slot -> client id last placed there: an id is never used twice
    sent_when: dict[str, tuple[int, int]] = {}
    for kind, value in script:
        before = len(wire.requests)
        if kind == "place":
            seq, made = seq + 1, made + 1
            client_id = alive[value] = f"{value}-{made}"
            needs[client_id], deadline[client_id] = seq, now + 100
            box.put([place(client_id, deadline[client_id])], seq, now)
        elif kind in {"cancel", "query"}:
            if value in alive:
                box.put([cancel(alive[value]) if kind == "cancel" else query(alive[value])], seq, now)
        elif kind == "durable":
            journal.durable_seq = min(seq, journal.durable_seq + value)
            box.flush(now)
        else:
            now += value
            box.flush(now)
        for request in wire.requests[before:]:
            if isinstance(request, PlaceOrder):
                assert request.client_id not in sent_when
                sent_when[request.client_id] = (now, journal.durable_seq)
    never = {event.client_id for event in box.news if isinstance(event, RequestNotSent)}
    told_sent = [event.client_id for event in box.news if isinstance(event, RequestSent)]
    places = [request.client_id for request in wire.requests if isinstance(request, PlaceOrder)]
    assert told_sent == places == sorted(places, key=lambda client_id: needs[client_id])
    for client_id, (at, durable) in sent_when.items():
        assert durable >= needs[client_id], "sent before it was written"
        assert at <= deadline[client_id], "sent too late"
    assert set(needs) == never | set(places) | set(box.waiting)
    assert not never & set(places)
    assert_nothing_overtook(wire.requests, never)
