"""What does the engine do with what is under way when the bot ends, by each policy?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.hand import A, B, D, Hand, names
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder


def shut(hand: Hand, policy: Any) -> list[f.Fact]:
    """Begin the shutdown."""
    return hand.feed(e.ShutdownRequested(policy, "signal", hand.now))


def test_cancel_ends_every_order_verified() -> None:
    hand = Hand().start()
    order = hand.drop(A)
    hand.ack(order)
    assert names(shut(hand, "cancel")) == ["EntriesClosed", "CancelAsked"]
    assert hand.last(CancelOrder).client_id == order.client_id
    assert hand.engine.open_orders() == [order.client_id]
    hand.fill(order, "0.3")
    hand.closed(order, "canceled")
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.outcome, ended.reason) == ("partial", "shutdown")
    assert not hand.engine.open_orders()
    assert hand.reserved == 0
    assert len(hand.asked(PlaceOrder)) == 1, "nothing is escalated any more"


def test_cancel_asks_for_an_unknown_order_and_cancels_it_where_it_is_found() -> None:
    hand = Hand().start()
    order = hand.drop(A)
    hand.unknown(order)
    shut(hand, "cancel")
    assert not hand.asked(CancelOrder)
    hand.reported(order, "open")
    assert hand.last(CancelOrder).client_id == order.client_id
    hand.closed(order, "canceled")
    assert not hand.engine.state.intents


@pytest.mark.parametrize("policy", ["leave", "wait"])
def test_leave_and_wait_cancel_nothing_by_themselves(policy: str) -> None:
    hand = Hand().start()
    order = hand.drop(A)
    hand.ack(order)
    assert names(shut(hand, policy)) == ["EntriesClosed"]
    assert hand.engine.open_orders() == [order.client_id]
    hand.wait(1_999)
    assert not hand.asked(CancelOrder)


def test_wait_ends_an_order_when_its_own_wait_is_over_and_tries_no_further_step() -> None:
    hand = Hand().start()
    order = hand.drop(A)
    shut(hand, "wait")
    hand.wait(2_000)
    assert hand.last(CancelOrder).client_id == order.client_id
    hand.closed(order, "canceled")
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.outcome, ended.reason) == ("unfilled", "entries closed")
    assert len(hand.asked(PlaceOrder)) == 1


def test_an_exit_under_way_is_waited_for_through_its_ladder() -> None:
    hand = Hand({"exits": {"stop_loss_bps": 500}}).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    shut(hand, "wait")
    first = hand.order()
    hand.closed(first, "expired")
    assert hand.order().step == 1
    hand.fill(hand.order())
    hand.closed(hand.order(), "filled")
    assert not hand.engine.state.ledger.positions


@pytest.mark.parametrize("policy", ["cancel", "leave", "wait"])
def test_no_buy_and_no_exit_begins_any_more(policy: str) -> None:
    hand = Hand().start()
    hand.bought(A)
    shut(hand, policy)
    hand.quote(A, 50.0)
    hand.quote(B, 100.0)
    hand.quote(B, 50.0)
    hand.wait(600_000)
    assert not hand.engine.state.intents
    assert len(hand.asked(PlaceOrder)) == 1


def test_entries_are_closed_once_and_open_again_with_the_next_run() -> None:
    hand = Hand().start()
    shut(hand, "leave")
    assert shut(hand, "cancel") == []
    assert len(hand.told(f.EntriesClosed)) == 1
    hand.feed(e.RunStarted("r2", hand.now))
    hand.balance(10_000)
    hand.quote(A, 100.0)
    assert "IntentOpened" in names(hand.quote(A, 99.0))
    assert hand.last(PlaceOrder).client_id == "t-r2-1"
    assert hand.last(PlaceOrder).amount == D("1.010")


def test_a_cancel_under_way_is_not_sent_again() -> None:
    hand = Hand().start()
    hand.drop(A)
    hand.wait(2_000)
    assert names(shut(hand, "cancel")) == ["EntriesClosed", "CancelAsked"]
    assert len(hand.asked(CancelOrder)) == 1


def test_the_first_reason_that_ends_a_buy_is_the_one_that_is_told() -> None:
    hand = Hand({"exits": {"stop_loss_bps": 500}}).start()
    order = hand.drop(A)
    hand.fill(order, "0.5")
    hand.quote(A, 90.0)
    shut(hand, "cancel")
    hand.closed(order, "canceled")
    assert hand.told(f.IntentEnded)[0].reason == "exit"
