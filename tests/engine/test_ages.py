"""Is a buy that takes too long found, told and ended, and never ended by age where its order is UNKNOWN?"""

from __future__ import annotations

from typing import Any

from tests.engine.hand import A, D, Hand
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder

SLOW: dict[str, Any] = {
    "execution": {"wait_ms": {"IOC": 3_600_000, "GTC": 3_600_000}},
    "intents": {"max_age_s": 120, "check_interval_s": 30},
}


def stale(facts: list[f.Fact]) -> list[tuple[str, str]]:
    """Return (order state, action) of every stale intent that was told."""
    return [(fact.order_state, fact.action) for fact in facts if isinstance(fact, f.IntentStale)]


def test_an_open_buy_is_cancelled_and_verified_when_it_is_stale() -> None:
    hand = Hand(SLOW).start()
    order = hand.drop()
    hand.ack(order)
    assert not stale(hand.wait(149_999)), "120 s old at the check at 120 s, older at the one at 150 s"
    assert stale(hand.wait(1)) == [("open", "cancelled")]
    assert hand.last(CancelOrder).client_id == order.client_id
    assert hand.reserved == D("100.2"), "it ends with its order, not before"
    hand.fill(order, "0.2")
    hand.closed(order, "canceled")
    (ended,) = hand.told(f.IntentEnded)
    assert ended.outcome == "partial"
    assert ended.reason == "stale"
    assert hand.reserved == 0
    assert len(hand.asked(PlaceOrder)) == 1, "a stale buy is not escalated"


def test_a_buy_that_never_left_is_dropped_when_it_is_stale() -> None:
    hand = Hand(SLOW | {"execution": {"send_deadline_ms": 60_000}}).start()
    place = hand.decided()
    facts = hand.wait(150_000)
    assert stale(facts) == [("planned", "dropped")]
    assert hand.last(CancelOrder).client_id == place.client_id


def test_an_unknown_buy_is_reported_once_and_keeps_its_budget() -> None:
    hand = Hand(SLOW).start()
    order = hand.drop()
    hand.unknown(order)
    assert stale(hand.wait(150_000)) == [("unknown", "reported")]
    assert not stale(hand.wait(3_000_000))
    assert not hand.asked(CancelOrder)
    assert hand.reserved == D("100.2")
    hand.reported(order, "open")
    assert stale(hand.wait(30_000)) == []
    hand.reported(order, "canceled")
    assert hand.told(f.IntentEnded)[0].reason == "stale", "once it is known, it ends and is not escalated"
    assert hand.reserved == 0


def test_every_buy_is_looked_at_for_as_long_as_one_is_under_way() -> None:
    hand = Hand(SLOW).start()
    first = hand.drop(A)
    hand.unknown(first)
    hand.wait(200_000)
    second = hand.drop("BBB/USDT")
    hand.ack(second)
    assert stale(hand.wait(160_000)) == [("open", "cancelled")]


def test_no_deadline_is_left_where_nothing_is_under_way() -> None:
    hand = Hand().start()
    while not hand.told(f.IntentEnded):
        if not hand.buys():
            hand.drop()
        hand.closed(hand.order(), "expired")
    hand.wait(600_000)
    assert hand.engine.next_due_ms > hand.now + 10**9
    assert hand.dispatch.next_due_ms > hand.now + 10**9


def test_buys_never_pile_up() -> None:
    """Every symbol has one buy at a time, whatever its price does."""
    hand = Hand(SLOW).start()
    for number in range(50):
        for symbol in ("AAA/USDT", "BBB/USDT", "CCC/USDT"):
            hand.quote(symbol, 100.0 - number % 7)
        hand.wait(1_000)
    assert len(hand.buys()) == 3
