"""Does an action of which nothing comes stop, alone and told once, and does what protects only grow rarer?"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.engine.hand import A, B, Hand, names
from tests.engine.test_exits import exit_reason, sell, with_exits
from tests.engine.test_halt import restarted
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, QueryOrder
from tradebot.domain.orders import NO_CONNECTION, Side
from tradebot.engine.exits import AWAY_PAUSE_MS
from tradebot.engine.fences import MOST_FAILURES, cause_of
from tradebot.runtime.fence_views import stopped_view

STOP = with_exits(stop_loss_bps=200)
FEW: dict[str, Any] = {"fences": {"failures": 3, "rearm_s": 100}}


def refuse(hand: Hand, message: str = "Insufficient balance.") -> None:
    """Refuse every order under way, and whatever follows."""
    while hand.engine.state.orders:
        hand.feed(e.OrderRefused(hand.order().client_id, "-2010", message, hand.now))


def rearm(hand: Hand, symbol: str = "") -> list[f.Fact]:
    """Let stopped actions be tried again."""
    return hand.feed(e.RearmAsked(symbol, "ana", hand.now))


def tripped(hand: Hand) -> list[f.BreakerTripped]:
    return hand.told(f.BreakerTripped)


def test_a_buy_that_is_refused_for_one_cause_again_and_again_stops_and_the_others_go_on() -> None:
    hand = Hand(FEW).start()
    hand.drop()
    refuse(hand)
    (trip,) = tripped(hand)
    until_ms = hand.now + 100_000
    assert trip == f.BreakerTripped("buy", A, "-2010 Insufficient balance.", 3, until_ms, generation=1)
    (blocked,) = hand.quote(A, 98.5)
    assert isinstance(blocked, f.BuyBlocked)
    assert (blocked.gate, blocked.value) == ("breaker", "-2010 Insufficient balance.")
    hand.drop(B)
    assert hand.quote(A, 98.4) == []
    assert len(tripped(hand)) == 1


def test_a_stopped_buy_ends_the_ladder_it_stands_on() -> None:
    hand = Hand({"fences": {"failures": 2}}).start()
    hand.drop()
    refuse(hand)
    assert len(hand.told(f.OrderPlanned)) == 2
    (ended,) = hand.told(f.IntentEnded)
    assert ended.reason.startswith("breaker: -2010")


def test_time_rearms_and_the_same_failure_stops_it_anew() -> None:
    hand = Hand(FEW).start()
    hand.drop()
    refuse(hand)
    assert hand.wait(99_999) == []
    assert hand.wait(1) == [f.BreakerRearmed("buy", A, "time", generation=1)]
    assert "IntentOpened" in names(hand.quote(A, 98.5))
    refuse(hand)
    assert len(tripped(hand)) == 2


def test_a_hand_rearms_one_symbol_or_all_of_them() -> None:
    hand = Hand(FEW).start()
    for symbol in (A, B):
        hand.drop(symbol)
        refuse(hand)
    assert rearm(hand, "XXX/USDT") == []
    assert rearm(hand, B) == [f.BreakerRearmed("buy", B, "ana", generation=1)]
    assert rearm(hand) == [f.BreakerRearmed("buy", A, "ana", generation=1)]
    assert rearm(hand) == []
    assert hand.wait(200_000) == [], "the deadlines of what was rearmed are nothing"


def test_another_cause_and_a_success_begin_the_count_anew_and_old_failures_do_not_count() -> None:
    hand = Hand({"fences": {"failures": 4, "failures_window_s": 60}}).start()
    hand.drop()
    refuse(hand)
    hand.drop()
    hand.feed(e.OrderRefused(hand.order().client_id, "-1013", "Filter failure: PRICE_FILTER", hand.now))
    assert tripped(hand) == []
    hand.closed(hand.order(), "expired")
    assert hand.engine.state.fences.troubles == {}
    hand.closed(hand.order(), "expired")
    hand.drop()
    refuse(hand)
    hand.wait(60_001)
    hand.drop()
    refuse(hand)
    assert tripped(hand) == []


def test_numbers_in_the_venues_words_do_not_make_another_cause() -> None:
    assert (
        cause_of("-1", "Too much: 12.5 of 1000") == cause_of("-1", "Too much: 7.25 of 1000") == "-1 Too much: #.# of #"
    )
    assert len(cause_of("-1", "x" * 500)) <= 120


def test_orders_that_never_reach_the_venue_are_failures_too() -> None:
    hand = Hand({"fences": {"failures": 2}, "execution": {"steps": [{"tif": "IOC"}]}}).start()
    for _ in range(2):
        order = hand.drop()
        hand.unknown(order)
        hand.not_found(order, conclusive=True)
    (trip,) = tripped(hand)
    assert trip.cause == "never reached the venue"


def test_an_exit_grows_rarer_is_told_as_an_error_and_is_never_given_up() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "rearm_s": 1_000, "exit_pause_max_s": 20}}).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    begun, tries = hand.now, []
    while hand.now < begun + 400_000:
        if hand.engine.state.orders:
            tries.append(hand.now)
            refuse(hand)
        hand.wait(max(1, hand.engine.next_due_ms - hand.now))
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 5_000
    assert set(pauses[5:]) == {20_000}
    (trip,) = tripped(hand)
    assert (trip.action, f.level_of(trip)) == ("exit", "ERROR")
    seq = hand.journal.last_seq
    hand.wait(20_000)
    sell(hand)
    assert "PositionClosed" in names([fact for _, _, fact in hand.journal.read(seq)])


def test_an_exit_that_goes_on_failing_is_told_again_after_its_time() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "rearm_s": 100, "exit_pause_max_s": 20}}).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    for _ in range(300):
        refuse(hand)
        hand.wait(1_000)
    assert len(tripped(hand)) == 3


def test_a_hand_lets_a_slowed_exit_be_tried_at_once() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "exit_pause_max_s": 600}}).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    for _ in range(60):
        refuse(hand)
        hand.wait(1_000)
    assert not hand.engine.state.orders
    rearm(hand, A)
    assert exit_reason(hand.wait(0)) == "stop_loss"


def slowed_exit(hand: Hand) -> None:
    """Let an exit fail until it is slowed."""
    hand.bought(A)
    hand.quote(A, 90.0)
    while not tripped(hand):
        refuse(hand)
        hand.wait(1_000)
    refuse(hand)


def test_a_success_ends_what_slows_an_exit_and_that_is_told() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "rearm_s": 10_000, "exit_pause_max_s": 20}}).start()
    slowed_exit(hand)
    while not hand.engine.state.orders:
        hand.wait(1_000)
    sell(hand)
    assert hand.told(f.BreakerRearmed) == [f.BreakerRearmed("exit", A, "its success", generation=1)]
    assert hand.engine.state.fences.troubles == {}


def test_the_return_of_the_venue_ends_what_slows_an_exit_and_it_is_tried_at_once() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "rearm_s": 10_000, "exit_pause_max_s": 600}}).start()
    hand.drop(B)
    refuse(hand)
    slowed_exit(hand)
    hand.feed(e.VenueStateSeen("down", "5 failures", 0, hand.now))
    hand.feed(e.VenueStateSeen("up", "it answers", 0, hand.now))
    assert hand.told(f.BreakerRearmed) == [f.BreakerRearmed("exit", A, "the venue's return", generation=1)]
    assert exit_reason(hand.wait(0)) == "stop_loss"
    assert list(hand.engine.state.fences.troubles) == [f"buy {B}"], "what the venue refused in good health stays"


def test_what_found_no_connection_is_no_failure_and_ends_the_attempt_without_its_further_steps() -> None:
    hand = Hand({**STOP, "fences": {"failures": 1}}).start()
    hand.bought(A)
    planned = len(hand.told(f.OrderPlanned))
    hand.quote(A, 90.0)
    hand.feed(e.OrderRefused(hand.order().client_id, NO_CONNECTION, "no connection to the exchange", hand.now))
    assert len(hand.told(f.OrderPlanned)) == planned + 1
    assert hand.told(f.IntentEnded)[-1].reason == "no connection"
    assert f.level_of(hand.told(f.OrderRejected)[-1]) == "WARNING"
    assert (tripped(hand), hand.engine.state.fences.troubles) == ([], {})


def test_an_exit_without_a_connection_is_tried_every_few_seconds_and_at_once_when_the_venue_is_back() -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    hand.feed(e.VenueStateSeen("down", "5 failures", 0, hand.now))
    hand.quote(A, 90.0)
    begun, tries = hand.now, []
    while hand.now < begun + 60_000:
        if hand.engine.state.orders:
            tries.append(hand.now - begun)
            hand.feed(e.OrderRefused(hand.order().client_id, NO_CONNECTION, "no connection", hand.now))
        hand.wait(max(1, hand.engine.next_due_ms - hand.now))
    assert tries == list(range(0, 60_000, AWAY_PAUSE_MS))
    hand.feed(e.OrderRefused(hand.order().client_id, NO_CONNECTION, "no connection", hand.now))
    hand.feed(e.VenueStateSeen("up", "it answers", 0, hand.now))
    assert exit_reason(hand.wait(0)) == "stop_loss"


def test_the_time_shown_of_a_slowed_exit_is_when_it_is_tried() -> None:
    hand = Hand({**STOP, "fences": {"failures": 3, "rearm_s": 10_000, "exit_pause_max_s": 600}}).start()
    slowed_exit(hand)
    (shown,) = stopped_view(hand.engine.state.fences, hand.engine.symbols)
    assert hand.now < shown.until_ms < hand.now + 600_000
    assert exit_reason(hand.wait(shown.until_ms - hand.now - 1)) == ""
    assert exit_reason(hand.wait(1)) == "stop_loss"


def test_a_cancel_that_keeps_being_refused_is_told_once_and_goes_on_rarely() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.ack(order)
    hand.wait(2_000)
    answered = 0
    while hand.now < hand.engine.state.orders[order.client_id].planned_ms + 800_000:
        while answered < len(hand.wire.asked):
            command = hand.wire.asked[answered]
            answered += 1
            if isinstance(command, CancelOrder):
                hand.feed(e.CancelRefused(order.client_id, "-2011", "Unknown order sent.", hand.now))
            elif isinstance(command, QueryOrder):
                hand.reported(order, "open")
        hand.wait(max(1, hand.engine.next_due_ms - hand.now))
    (trip,) = tripped(hand)
    assert (trip.action, f.level_of(trip)) == ("cancel", "ERROR")
    assert len(hand.asked(CancelOrder)) > 5


@pytest.mark.parametrize("checkpoint", [True, False])
def test_what_is_stopped_and_what_was_counted_survive_a_restart(*, checkpoint: bool) -> None:
    hand = Hand(FEW).start()
    hand.drop()
    refuse(hand)
    hand.quote(B, 100.0)
    hand.quote(B, 99.0)
    hand.refused(hand.order())
    again = restarted(hand, FEW, checkpoint=checkpoint)
    assert again.engine.state.fences.troubles == hand.engine.state.fences.troubles
    again.quote(A, 100.0)
    (blocked,) = again.quote(A, 98.5)
    assert isinstance(blocked, f.BuyBlocked)
    assert blocked.gate == "breaker"
    rearmed = [fact for fact in again.wait(100_000) if isinstance(fact, f.BreakerRearmed)]
    assert [(fact.symbol, fact.who) for fact in rearmed] == [(A, "time")]


def test_what_is_counted_is_bounded() -> None:
    hand = Hand({**STOP, "fences": {"failures": 100, "failures_window_s": 1}}).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    for _ in range(200):
        refuse(hand)
        hand.wait(1_000)
    (trouble,) = hand.engine.state.fences.troubles.values()
    assert len(trouble.times) == MOST_FAILURES
    assert [order.side for order in hand.engine.state.ended.values()][-1] is Side.SELL
