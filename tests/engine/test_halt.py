"""Is nothing bought while an operator says so, and is everything sold when one wants nothing held?"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.engine.hand import INSTRUMENTS, A, B, D, Hand, merged, names
from tests.engine.test_exits import exit_reason, sell, with_exits
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder
from tradebot.domain.orders import Side
from tradebot.storage.checkpoint import assemble

QUIET = with_exits()


def pause(hand: Hand, who: str = "ana") -> list[f.Fact]:
    """Pause buying."""
    return hand.feed(e.PauseAsked(who, hand.now))


def resume(hand: Hand, who: str = "ana") -> list[f.Fact]:
    """Let buying go on."""
    return hand.feed(e.ResumeAsked(who, hand.now))


def flatten(hand: Hand, who: str = "ana") -> list[f.Fact]:
    """Sell everything off, with what is due at once."""
    return [*hand.feed(e.FlattenAsked(who, hand.now)), *hand.wait(0)]


def restarted(hand: Hand, settings: dict[str, Any], *, checkpoint: bool) -> Hand:
    """Return a new machine on the same journal, reconciled."""
    again = Hand(settings, journal=hand.journal, now_ms=hand.now + 1_000)
    kept = json.loads(assemble(hand.engine.core_picture(), [])) if checkpoint else None
    again.engine.restore(kept, hand.journal.read(kept["seq"] if kept else 0))
    again.feed(e.ProfileApplied(1, again.profile, again.now))
    again.feed(e.RunStarted("r2", again.now))
    for order in list(again.engine.state.orders.values()):
        again.reported(order, "open")
    again.balance(again.engine.state.ledger.cash)
    assert again.engine.state.trading
    return again


# -- pause ------------------------------------------------------------------------------------------


def test_nothing_is_bought_while_paused_and_the_drop_that_still_stands_is_bought_afterwards() -> None:
    hand = Hand().start()
    assert pause(hand) == [f.BuyingPaused("ana", generation=1)]
    assert pause(hand, "bob") == [], "it is paused already"
    hand.quote(A, 100.0)
    (blocked,) = hand.quote(A, 98.0)
    assert isinstance(blocked, f.BuyBlocked)
    assert (blocked.gate, blocked.value) == ("paused", "paused by ana")
    assert resume(hand, "bob") == [f.BuyingResumed("bob", generation=1)]
    assert resume(hand) == []
    assert "IntentOpened" in names(hand.quote(A, 98.0))


def test_a_pause_by_nobody_is_a_pause() -> None:
    hand = Hand().start()
    pause(hand, "")
    hand.quote(A, 100.0)
    assert names(hand.quote(A, 98.0)) == ["BuyBlocked"]


def test_a_buy_under_way_finishes_its_order_and_places_no_other_one() -> None:
    hand = Hand().start()
    order = hand.drop()
    assert names(pause(hand)) == ["BuyingPaused"], "its order is left alone"
    hand.fill(order, "0.3")
    hand.closed(order, "expired")
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.outcome, ended.reason) == ("partial", "paused by ana")
    assert len(hand.asked(PlaceOrder)) == 1


def test_exits_go_on_while_paused() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A)
    pause(hand)
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss"
    sell(hand)
    assert not hand.engine.state.ledger.positions
    assert hand.engine.state.paused == "ana"


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_pause_survives_a_restart(*, checkpoint: bool) -> None:
    hand = Hand().start()
    pause(hand)
    again = restarted(hand, {}, checkpoint=checkpoint)
    assert again.engine.state.paused == "ana"
    again.quote(A, 100.0)
    assert names(again.quote(A, 98.0)) == ["BuyBlocked"]


# -- flatten ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exits", [True, False])
def test_every_position_is_sold_at_once_whatever_the_exit_rules_say(*, exits: bool) -> None:
    hand = Hand(merged(QUIET, {"features": {"exits": exits}})).start()
    hand.bought(A)
    hand.bought(B)
    facts = flatten(hand)
    assert names(facts)[:2] == ["BuyingPaused", "FlattenBegun"]
    assert hand.told(f.FlattenBegun) == [f.FlattenBegun("ana", (A, B), generation=1)]
    assert [(intent.symbol, intent.reason) for intent in hand.sells()] == [(A, "flatten"), (B, "flatten")]
    for order in list(hand.engine.state.orders.values()):
        hand.fill(order)
        hand.closed(order, "filled")
    assert [closed.reason for closed in hand.told(f.PositionClosed)] == ["flatten", "flatten"]
    assert hand.told(f.FlattenDone) == [f.FlattenDone(generation=1)]
    assert not hand.engine.state.flattening
    assert hand.engine.state.paused == "ana", "nothing is bought until it is resumed"


def test_with_nothing_held_it_is_done_at_once() -> None:
    hand = Hand().start()
    assert names(flatten(hand)) == ["BuyingPaused", "FlattenBegun", "FlattenDone"]
    assert names(flatten(hand)) == ["FlattenBegun", "FlattenDone"], "paused it stays"


def test_a_buy_under_way_is_cancelled_and_what_it_got_is_sold() -> None:
    hand = Hand(QUIET).start()
    order = hand.drop()
    hand.ack(order)
    flatten(hand)
    assert hand.last(CancelOrder).client_id == order.client_id
    assert not hand.told(f.FlattenDone)
    hand.fill(order, "0.4")
    facts = [*hand.closed(order, "canceled"), *hand.wait(0)]
    assert hand.told(f.IntentEnded)[0].reason == "flatten"
    assert exit_reason(facts) == "flatten", "no quote is waited for"
    sell(hand)
    assert len(hand.told(f.FlattenDone)) == 1


def test_what_could_not_be_sold_is_tried_again_after_the_interval() -> None:
    hand = Hand(with_exits(check_interval_s=7, steps=[{"tif": "IOC"}])).start()
    hand.bought(A)
    flatten(hand)
    hand.fill(hand.order(), "0.4")
    hand.closed(hand.order(), "expired")
    hand.wait(6_999)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "flatten"
    sell(hand)
    assert len(hand.told(f.FlattenDone)) == 1


def test_an_exit_under_way_goes_on_and_counts() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    order = hand.order()
    flatten(hand)
    assert not hand.asked(CancelOrder)
    assert hand.order() == order
    sell(hand)
    assert hand.told(f.PositionClosed)[0].reason == "stop_loss"
    assert len(hand.told(f.FlattenDone)) == 1


def test_a_fill_that_comes_late_is_sold_at_the_next_price() -> None:
    hand = Hand(QUIET).start()
    order = hand.drop(A)
    hand.bought(B)
    hand.quote(A, 99.0)
    flatten(hand)
    hand.closed(order, "canceled")
    hand.fill(order, "0.5")
    assert not [intent for intent in hand.sells() if intent.symbol == A]
    assert exit_reason(hand.quote(A, 99.5)) == "flatten"


def test_a_position_too_small_to_sell_becomes_dust_and_does_not_hold_it_up() -> None:
    hand = Hand(QUIET).start()
    hand.bought(A)
    hand.quote(A, 1.0)  # worth 1.01, and an order must be worth 5
    flatten(hand)
    (closed,) = hand.told(f.PositionClosed)
    assert (closed.reason, closed.dust) == ("unsellable", D("1.010"))
    assert len(hand.told(f.FlattenDone)) == 1


def test_resuming_ends_it_and_what_is_held_stays() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A)
    flatten(hand)
    order = hand.order()
    facts = resume(hand)
    assert facts[0] == f.BuyingResumed("ana", kept=(A,), generation=1)
    assert hand.last(CancelOrder).client_id == order.client_id
    hand.closed(order, "canceled")
    assert hand.told(f.IntentEnded)[-1].reason == "resumed"
    hand.wait(60_000)
    assert not hand.sells()
    assert hand.held() == D("1.010")
    assert not hand.told(f.FlattenDone)
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss", "the declared rules hold again"


def test_a_time_stop_that_passed_meanwhile_is_due_when_it_is_resumed() -> None:
    hand = Hand(with_exits(max_hold_s=10, check_interval_s=3_600, steps=[{"tif": "IOC"}])).start()
    hand.bought(A)
    flatten(hand)
    hand.closed(hand.order(), "expired")
    hand.wait(20_000)
    assert not hand.sells()
    assert exit_reason([*resume(hand), *hand.wait(0)]) == "time_stop"


@pytest.mark.parametrize("checkpoint", [True, False])
def test_it_goes_on_after_a_restart(*, checkpoint: bool) -> None:
    hand = Hand(QUIET).start()
    hand.bought(A)
    hand.drop(B)
    hand.feed(e.FlattenAsked("ana", hand.now))
    again = restarted(hand, QUIET, checkpoint=checkpoint)
    buy = again.order()
    assert any(command.client_id == buy.client_id for command in again.asked(CancelOrder))
    again.closed(buy, "canceled")
    assert exit_reason([*again.quote(A, 99.0), *again.wait(0)]) == "flatten"
    sell(again)
    assert len(again.told(f.FlattenDone)) == 1


def test_a_buy_is_ended_after_a_restart_that_lost_its_cancel() -> None:
    hand = Hand(QUIET).start()
    order = hand.drop()
    hand.ack(order)
    hand.feed(e.FlattenAsked("ana", hand.now))
    rows = list(hand.journal.read(0))
    begun = next(seq for seq, _, fact in rows if isinstance(fact, f.FlattenBegun))
    again = Hand(QUIET, now_ms=hand.now + 1_000)
    for _, at_ms, fact in rows[:begun]:
        again.journal.append([fact], at_ms)
    again.engine.restore(None, again.journal.read(0))
    again.feed(e.ProfileApplied(1, again.profile, again.now))
    again.feed(e.RunStarted("r2", again.now))
    again.reported(order, "open")
    assert not again.asked(CancelOrder)
    again.balance(10_000)
    assert again.last(CancelOrder).client_id == order.client_id
    again.closed(order, "canceled")
    assert len(again.told(f.FlattenDone)) == 1


def test_a_new_generation_does_not_end_it() -> None:
    hand = Hand(QUIET).start()
    hand.bought(A)
    flatten(hand)
    hand.closed(hand.order(), "expired")
    hand.feed(e.ProfileApplied(2, hand.profile, hand.now))
    while hand.sells():
        hand.closed(hand.order(), "expired")
    assert exit_reason(hand.wait(1_000)) == "flatten"


def test_nothing_more_is_sold_once_the_bot_ends() -> None:
    hand = Hand(with_exits(steps=[{"tif": "IOC"}])).start()
    hand.bought(A)
    flatten(hand)
    hand.feed(e.ShutdownRequested("wait", "signal", hand.now))
    hand.closed(hand.order(), "expired")
    hand.wait(60_000)
    assert not hand.sells()
    assert len([place for place in hand.asked(PlaceOrder) if place.side is Side.SELL]) == 1


def test_a_picture_from_before_there_was_a_pause_is_understood() -> None:
    hand = Hand().start()
    document = json.loads(assemble(hand.engine.core_picture(), []))
    for key in ("paused", "flattening"):
        del document["state"][key]
    again = Hand(journal=hand.journal)
    again.engine.restore(document, hand.journal.read(document["seq"]))
    assert (again.engine.state.paused, again.engine.state.flattening) == ("", False)


def test_a_symbol_that_sells_in_several_orders_is_done_after_the_last() -> None:
    small = msgspec.structs.replace(INSTRUMENTS[0], max_amount=D("0.6"))
    hand = Hand(with_exits(steps=[{"tif": "IOC"}]), instruments=[small]).start()
    while hand.held() < 1:
        if not hand.buys():
            hand.drop()
        hand.fill(hand.order())
        hand.closed(hand.order(), "filled")
    flatten(hand)
    sell(hand)
    assert not hand.told(f.FlattenDone)
    hand.wait(1_000)
    sell(hand)
    assert len(hand.told(f.FlattenDone)) == 1
