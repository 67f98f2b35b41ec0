"""Is nothing bought while the venue is not fit or the clock is wrong, and do exits go on as far as they can?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.hand import A, B, D, Hand, names
from tests.engine.test_exits import exit_reason, with_exits
from tests.engine.test_halt import restarted
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryOrder
from tradebot.domain.orders import HELD_BACK, OrderState, Side
from tradebot.domain.venue_facts import loudness

STOP = with_exits(stop_loss_bps=200)


def seen(hand: Hand, state: Any, reason: str = "HTTP 502", until_ms: int = 0) -> list[f.Fact]:
    """Let the venue be in a state."""
    return hand.feed(e.VenueStateSeen(state, reason, until_ms, hand.now))


def clock(hand: Hand, state: Any, offset_ms: int) -> list[f.Fact]:
    """Let the clock be judged."""
    return hand.feed(e.ClockSeen(state, offset_ms, 1_000, hand.now))


@pytest.mark.parametrize("state", ["degraded", "down", "banned", "maintenance"])
def test_no_buy_is_opened_unless_the_venue_is_up_and_the_drop_that_still_stands_is_bought_then(state: Any) -> None:
    hand = Hand().start()
    (changed,) = seen(hand, state)
    assert changed == f.VenueStateChanged(state, "up", "HTTP 502", generation=1)
    assert seen(hand, state, "another word") == [], "told once per change"
    hand.quote(A, 100.0)
    (blocked,) = hand.quote(A, 98.0)
    assert isinstance(blocked, f.BuyBlocked)
    assert (blocked.gate, blocked.value, blocked.limit) == ("venue", f"{state}: HTTP 502", "up")
    assert hand.quote(A, 97.9) == [], "told once"
    assert names(seen(hand, "up", "answers")) == ["VenueStateChanged"]
    assert "IntentOpened" in names(hand.quote(A, 97.9))


def test_a_profile_may_buy_while_the_venue_answers_badly_and_never_while_it_does_not() -> None:
    hand = Hand({"fences": {"buy_when_degraded": True}}).start()
    seen(hand, "degraded")
    hand.drop(A)
    seen(hand, "down")
    hand.quote(B, 100.0)
    (blocked,) = hand.quote(B, 98.0)
    assert isinstance(blocked, f.BuyBlocked)
    assert blocked.gate == "venue"


def test_a_buy_under_way_places_no_further_order_while_the_venue_is_not_up() -> None:
    hand = Hand().start()
    order = hand.drop()
    seen(hand, "degraded")
    assert names(hand.closed(order, "expired")) == ["OrderDone", "IntentEnded"]
    (ended,) = hand.told(f.IntentEnded)
    assert ended.reason == "venue: degraded: HTTP 502"


@pytest.mark.parametrize("state", ["degraded", "down", "maintenance"])
def test_an_exit_is_tried_whatever_the_venue_seems_to_be(state: Any) -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    seen(hand, state)
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss"


def test_an_exit_waits_for_the_end_of_a_ban_and_is_tried_at_that_moment() -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    until_ms = hand.now + 120_000
    seen(hand, "banned", "banned", until_ms)
    assert hand.quote(A, 90.0) == []
    assert exit_reason(hand.wait(119_999)) == ""
    assert exit_reason(hand.wait(1)) == "stop_loss"


def test_an_exit_that_waits_is_tried_as_soon_as_the_venue_is_up_again() -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    seen(hand, "banned", "banned", hand.now + 120_000)
    hand.quote(A, 90.0)
    seen(hand, "up", "answers")
    assert exit_reason(hand.wait(0)) == "stop_loss"


def test_a_longer_ban_is_told_and_waited_for() -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    seen(hand, "banned", "banned", hand.now + 1_000)
    hand.quote(A, 90.0)
    (longer,) = seen(hand, "banned", "banned", hand.now + 5_000)
    assert isinstance(longer, f.VenueStateChanged)
    assert exit_reason(hand.wait(4_999)) == ""
    assert exit_reason(hand.wait(1)) == "stop_loss"


def test_orders_in_doubt_are_not_asked_for_during_a_ban_and_at_once_afterwards() -> None:
    hand = Hand({"execution": {"wait_ms": {"IOC": 3_600_000}}}).start()
    order = hand.drop()
    hand.unknown(order)
    seen(hand, "banned", "banned", hand.now + 60_000)
    asked = len(hand.asked(QueryOrder))
    hand.wait(59_999)
    assert len(hand.asked(QueryOrder)) <= asked + 1, "one was planned before the ban"
    asked = len(hand.asked(QueryOrder))
    seen(hand, "up", "answers")
    assert len(hand.asked(QueryOrder)) == asked + 1
    assert hand.order().state is OrderState.UNKNOWN
    assert not [place for place in hand.asked(PlaceOrder) if place.client_id != order.client_id], (
        "nothing is sent again"
    )


def test_an_order_in_doubt_before_a_ban_is_asked_for_at_its_end_though_the_venue_is_not_up_yet() -> None:
    hand = Hand({"execution": {"wait_ms": {"IOC": 3_600_000}}}).start()
    order = hand.drop()
    hand.unknown(order)
    seen(hand, "banned", "banned", hand.now + 60_000)
    hand.wait(59_999)
    asked = len(hand.asked(QueryOrder))
    seen(hand, "degraded", "orders cannot be compared")
    hand.wait(1)
    assert len(hand.asked(QueryOrder)) == asked + 1


def test_queries_that_fail_back_off() -> None:
    hand = Hand({"execution": {"wait_ms": {"IOC": 3_600_000}}}).start()
    order = hand.drop()
    hand.unknown(order)
    until = hand.now + 600_000
    answered = 0
    while hand.now < until:
        hand.wait(max(1, min(hand.engine.next_due_ms, until) - hand.now))
        while answered < len(hand.asked(QueryOrder)):
            answered += 1
            hand.unknown(order, "query")
    assert 8 <= answered < 25


def test_a_wait_that_ends_while_the_venue_is_down_is_a_cancel_that_is_asked_for_again_on_return() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.ack(order)
    seen(hand, "down")
    hand.wait(2_000)
    assert hand.last(CancelOrder).client_id == order.client_id
    hand.unknown(order, "cancel")
    asked = len(hand.asked(QueryOrder))
    seen(hand, "up", "answers")
    assert len(hand.asked(QueryOrder)) == asked + 1
    cancels = len(hand.asked(CancelOrder))
    hand.reported(order, "open")
    assert len(hand.asked(CancelOrder)) == cancels + 1


def test_a_wrong_clock_stops_buying_and_only_that_and_a_warning_stops_nothing() -> None:
    hand = Hand(STOP).start()
    hand.bought(B)
    (warned,) = clock(hand, "off", 300)
    assert warned == f.ClockJudged("off", "right", 300, 1_000, generation=1)
    hand.drop(A, high=100.0)
    hand.refused(hand.order())
    while hand.engine.state.orders:
        hand.refused(hand.order())
    clock(hand, "wrong", -1_200)
    assert clock(hand, "wrong", -1_300) == [], "told once"
    (blocked,) = [fact for fact in hand.quote(A, 98.0) if isinstance(fact, f.BuyBlocked)]
    assert (blocked.gate, blocked.value, blocked.limit) == ("clock", "-1200 ms off", "< 1000 ms")
    assert exit_reason(hand.quote(B, 90.0)) == "stop_loss"
    clock(hand, "right", 3)
    assert "IntentOpened" in names(hand.quote(A, 98.0))


@pytest.mark.parametrize("checkpoint", [True, False])
def test_what_was_known_of_the_venue_is_known_after_a_restart_until_it_tells_anew(*, checkpoint: bool) -> None:
    hand = Hand().start()
    seen(hand, "down", "refused")
    clock(hand, "wrong", 2_000)
    hand.feed(e.SymbolStatusSeen(A, tradable=False, reason="BREAK", at_ms=hand.now))
    again = restarted(hand, {}, checkpoint=checkpoint)
    fences = again.engine.state.fences
    assert (fences.venue.state, fences.venue.reason, fences.clock.state) == ("down", "refused", "wrong")
    assert fences.quarantine[A].reason == "BREAK"
    assert fences == hand.engine.state.fences
    assert names(seen(again, "up", "answers")) == ["VenueStateChanged"]


def test_an_order_that_our_own_budget_held_back_ends_its_intent_and_is_no_failure() -> None:
    hand = Hand().start()
    for _ in range(10):
        order = hand.drop()
        facts = hand.feed(e.OrderRefused(order.client_id, HELD_BACK, "100 of 100 orders in 10 s", hand.now))
        assert names(facts) == ["OrderRejected", "IntentEnded"]
        assert f.level_of(facts[0]) == "WARNING"
    assert hand.told(f.BreakerTripped) == []
    assert hand.reserved == 0
    (ended, *_) = hand.told(f.IntentEnded)
    assert (ended.outcome, ended.reason) == ("unfilled", "held back")


# -- a symbol that is not traded ----------------------------------------------------------------------


def halted(hand: Hand, symbol: str = A, *, tradable: bool = False) -> list[f.Fact]:
    """Let a symbol be halted, or traded again."""
    return hand.feed(e.SymbolStatusSeen(symbol, tradable, "TRADING" if tradable else "BREAK", hand.now))


def test_a_halted_symbol_is_not_bought_and_the_others_are() -> None:
    hand = Hand().start()
    assert halted(hand) == [f.SymbolQuarantined(A, "BREAK", generation=1)]
    assert halted(hand) == []
    hand.quote(A, 100.0)
    (blocked,) = hand.quote(A, 98.0)
    assert isinstance(blocked, f.BuyBlocked)
    assert (blocked.gate, blocked.value) == ("quarantine", "BREAK")
    hand.drop(B)
    assert halted(hand, tradable=True) == [f.SymbolReleased(A, "TRADING", generation=1)]
    assert halted(hand, tradable=True) == []
    assert "IntentOpened" in names(hand.quote(A, 98.0))


def test_a_symbol_that_is_not_watched_is_nobodys_business() -> None:
    assert halted(Hand().start(), "XXX/USDT") == []


def test_the_exit_of_a_halted_symbol_is_tried_slowly_and_at_once_when_it_is_traded_again() -> None:
    hand = Hand(STOP).start()
    hand.bought(A)
    halted(hand)
    hand.quote(A, 90.0)
    while hand.engine.state.orders:
        hand.refused(hand.order())
    sold = [place for place in hand.asked(PlaceOrder) if place.side is Side.SELL]
    assert exit_reason(hand.wait(59_999)) == ""
    assert exit_reason(hand.wait(1)) == "stop_loss"
    while hand.engine.state.orders:
        hand.refused(hand.order())
    halted(hand, tradable=True)
    assert exit_reason(hand.wait(0)) == "stop_loss"
    assert len([place for place in hand.asked(PlaceOrder) if place.side is Side.SELL]) > len(sold)
    assert hand.held() > 0


def test_every_fact_of_the_fences_is_as_loud_as_what_it_tells() -> None:
    assert loudness(f.VenueStateChanged("up", "down", "")) == "INFO"
    assert loudness(f.VenueStateChanged("degraded", "up", "")) == "WARNING"
    assert loudness(f.VenueStateChanged("banned", "up", "")) == "ERROR"
    assert loudness(f.ClockJudged("wrong", "off", 1, 1)) == "ERROR"
    assert loudness(f.BreakerTripped("exit", A, "", 1, 1)) == "ERROR"
    assert loudness(f.BreakerTripped("buy", A, "", 1, 1)) == "WARNING"


def test_a_checkpoint_of_before_there_were_fences_is_taken() -> None:
    hand = Hand().start()
    kept = json.loads(hand.engine.core_picture())
    del kept["state"]["fences"]
    again = Hand()
    again.engine.restore(kept, [])
    assert again.engine.state.fences.venue.state == "up"
    assert again.engine.state.ledger.cash == D(10_000)
