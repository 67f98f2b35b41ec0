"""Once the entries are closed no buy reaches the venue, whoever plans it, however events and gate race."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.engine.hand import A, B, D, Hand
from tests.runtime.telling import Told
from tests.runtime.test_live import Machine
from tests.runtime.test_outbox import StalledJournal, Wire, cancel, place, query
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryOrder
from tradebot.domain.events import Event, HealthChecked, OutcomeUnknown, RequestNotSent, RequestSent
from tradebot.domain.facts import EntriesClosed, Fact
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.entries_closed import WHY, ExitDoor, ExitOutbox, Sale
from tradebot.runtime.entries_closed import EntriesClosed as NoWayToBuy
from tradebot.runtime.outbox import Outbox

POLICIES: tuple[Literal["cancel", "leave", "wait"], ...] = ("cancel", "leave", "wait")


def sale(client_id: str) -> PlaceOrder:
    return structs.replace(place(client_id, 10**9), side=Side.SELL)


def buys(wire: Wire) -> list[str]:
    return [each.client_id for each in wire.requests if isinstance(each, PlaceOrder) and each.side is Side.BUY]


def sales(wire: Wire) -> list[str]:
    return [each.client_id for each in wire.requests if isinstance(each, PlaceOrder) and each.side is Side.SELL]


def test_a_sale_names_no_side_and_is_none_of_a_buy() -> None:
    assert Sale.of(place("b1")) is None
    sold = Sale.of(sale("s1"))
    assert sold is not None
    assert not hasattr(sold, "side")
    wire = Wire()
    ExitDoor(wire).sell(sold, 5)
    assert wire.requests == [sale("s1")], "what is sold is what was decided, to the last field"
    assert not [name for name in dir(ExitDoor) if name in {"place", "buy", "submit"}]


def test_a_door_without_a_way_to_buy_refuses_what_is_pushed_through_it_all_the_same() -> None:
    journal, wire = StalledJournal(), Wire()
    shut = ExitOutbox(Outbox(wire, journal), 0)
    with pytest.raises(NoWayToBuy):
        shut._submit(place("b1"), 0)
    assert wire.requests == []


def test_what_waits_for_the_journal_goes_on_where_it_sells_and_is_taken_back_where_it_buys() -> None:
    journal, wire = StalledJournal(), Wire()
    open_ = Outbox(wire, journal)
    open_.put([place("b1"), sale("s1"), query("s1")], 3, 0)
    assert wire.requests == []
    shut = ExitOutbox(open_, 7)
    assert shut.news == [RequestNotSent("b1", WHY, 7)]
    shut.news.clear()
    journal.durable_seq = 3
    open_.flush(8)
    shut.flush(8)
    assert wire.requests == [sale("s1"), query("s1")], "and nothing leaves from the old one"
    assert shut.news == [RequestSent("s1", 8)]
    shut.put([cancel("s1")], 3, 9)
    assert wire.requests[-1] == cancel("s1")


@dataclasses.dataclass(frozen=True)
class Step:
    """What happens: a number of the machine's commands, time for the journal, or the gate."""

    what: Literal["buy", "sell", "cancel", "durable", "poll", "gate"]


STEPS = st.lists(st.sampled_from([Step(what) for what in ("buy", "sell", "cancel", "durable", "poll", "gate")]))


@given(before=STEPS, after=STEPS, broken=st.booleans())
@settings(max_examples=300)
def test_no_buy_passes_a_closed_gate_though_the_machine_goes_on_buying(
    before: list[Step], after: list[Step], broken: bool
) -> None:
    """The machine here is wrong on purpose: it plans buys whenever it is asked, also in answer to the gate."""
    wire, journal = Wire(), StalledJournal()
    planned: dict[str, Side] = {}
    heard: list[Event] = []

    def decide(event: Event, now: int) -> tuple[list[Fact], list[Command]]:
        heard.append(event)
        if isinstance(event, RequestNotSent) and broken and len(planned) < 200:
            return plan("buy")
        if isinstance(event, HealthChecked):
            return plan(wanted.pop())
        return [], []

    def plan(what: str) -> tuple[list[Fact], list[Command]]:
        client_id = f"c{len(planned)}"
        if what == "cancel":
            return [], [cancel(next(iter(planned), "nobody"))]
        planned[client_id] = Side(what)
        order = place(client_id, 10**9) if what == "buy" else sale(client_id)
        return [EntriesClosed(reason="a fact that must be durable first")], [order]

    dispatch = Dispatch(Machine(decide), journal, Told(), Outbox(wire, journal))
    wanted: list[str] = []
    now = 0

    def do(step: Step) -> None:
        nonlocal now
        now += 1
        if step.what in {"buy", "sell", "cancel"}:
            wanted.append(step.what)
            dispatch.feed(HealthChecked(now), now)
        elif step.what == "durable":
            journal.durable_seq = journal.last
        elif step.what == "poll":
            dispatch.poll(now)
        else:
            dispatch.close_entries(now)

    for step in before:
        do(step)
    do(Step("gate"))
    passed = buys(wire)
    for step in (*after, Step("durable"), Step("poll")):
        do(step)
    assert buys(wire) == passed, "not one buy after the gate"
    refused = [event.client_id for event in heard if isinstance(event, RequestNotSent)]
    assert len(refused) == len(set(refused))
    bought = {name for name, side in planned.items() if side is Side.BUY}
    assert bought == set(passed) | (bought & set(refused)), "each is told its fate"
    cancelled = {each.client_id for each in wire.requests if isinstance(each, CancelOrder)} | set(refused)
    assert {name for name, side in planned.items() if side is Side.SELL} <= {*sales(wire), *cancelled}, "exits go on"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_price_drop_at_the_moment_of_the_shutdown_buys_nothing(policy: Literal["cancel", "leave", "wait"]) -> None:
    """HB#8075: new orders placed during the shutdown. The drop comes right before, with and right after the signal."""
    hand = Hand().start()
    first = hand.drop(A)
    hand.feed(e.ShutdownRequested(policy, "SIGTERM", hand.now))
    hand.dispatch.close_entries(hand.now)
    asked = len(hand.asked(PlaceOrder))
    hand.quote(B, 100.0)
    for _ in range(20):
        hand.quote(B, 80.0)
        hand.quote(A, 80.0)
        hand.wait(500)
    hand.closed(first, "expired")
    hand.wait(60_000)
    assert len(hand.asked(PlaceOrder)) == asked == 1
    assert not hand.told(f.PositionOpened)


def test_an_engine_that_is_not_told_of_the_end_can_still_not_buy() -> None:
    hand = Hand().start()
    hand.dispatch.close_entries(hand.now)
    hand.quote(A, 100.0)
    hand.wait(1_000)
    hand.quote(A, 80.0)
    assert hand.asked(PlaceOrder) == []
    ended = hand.told(f.IntentEnded)
    assert [(one.outcome, one.reason) for one in ended][:1] == [("never_sent", WHY)]
    assert hand.reserved == 0


def test_an_exit_under_way_goes_on_through_its_steps_where_orders_are_awaited() -> None:
    hand = Hand().start()
    bought = hand.drop(A)
    hand.ack(bought)
    hand.fill(bought, str(bought.amount))
    hand.closed(bought, "filled")
    hand.quote(A, 200.0)
    (sold,) = [each for each in hand.asked(PlaceOrder) if each.side is Side.SELL]
    hand.feed(e.ShutdownRequested("wait", "SIGTERM", hand.now))
    hand.dispatch.close_entries(hand.now)
    hand.ack(sold)
    hand.closed(sold, "expired")
    again = [each for each in hand.asked(PlaceOrder) if each.side is Side.SELL]
    assert len(again) == 2, "the next step of the exit"
    hand.ack(again[-1])
    hand.fill(again[-1], str(again[-1].amount))
    hand.closed(again[-1], "filled")
    assert not hand.engine.open_orders()


def test_an_error_of_the_venue_is_told_and_booked_as_before() -> None:
    journal, wire = StalledJournal(), Wire(OSError("cut"))
    faults: list[str] = []
    shut = ExitOutbox(Outbox(wire, journal, lambda what, _error: faults.append(what)), 0)
    shut.put([sale("s1")], 0, 1)
    assert faults == ["venue: PlaceOrder"]
    assert isinstance(shut.news[-1], OutcomeUnknown)


def test_the_fields_of_a_sale_are_all_an_order_has_but_its_side_and_its_quote_amount() -> None:
    ours = set(Sale.__struct_fields__)
    assert set(PlaceOrder.__struct_fields__) - ours == {"side", "quote_amount"}, "a sale is sized in base"
    example = Sale("s", A, OrderType.LIMIT, TimeInForce.IOC, 9, Decimal(1), D("0.5"))
    assert Sale.of(PlaceOrder(side=Side.SELL, **structs.asdict(example))) == example


def test_questions_and_cancels_pass() -> None:
    journal, wire = StalledJournal(), Wire()
    shut = ExitOutbox(Outbox(wire, journal), 0)
    asked: list[Command] = [cancel("x"), QueryOrder("x", "AAA/USDT")]
    shut.put(asked, 0, 0)
    assert wire.requests == asked
