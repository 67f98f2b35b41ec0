"""Do the settings reach the engine by the event, and from the next decision on?"""

from __future__ import annotations

from decimal import Decimal

from tests.engine.hand import A, Hand, make_profile
from tradebot.domain import events as e
from tradebot.domain.facts import BuyBlocked, IntentOpened, ProfileTaken


def test_a_new_threshold_holds_from_the_next_price_and_facts_carry_the_new_generation() -> None:
    hand = Hand({"drop": {"threshold_bps": 500}}).start()
    hand.quote(A, 100.0)
    assert hand.quote(A, 98.0) == []
    facts = hand.feed(e.ProfileApplied(2, make_profile({"drop": {"threshold_bps": 150}}), hand.now))
    assert facts == [ProfileTaken(generation=2)]
    opened = [fact for fact in hand.quote(A, 98.0) if isinstance(fact, IntentOpened)]
    assert [one.generation for one in opened] == [2]


def test_a_stop_that_is_tightened_sells_at_the_next_price() -> None:
    once = {"max_per_symbol_quote": 100}
    hand = Hand({"exits": {"stop_loss_bps": 900}, "budget": once}).start()
    hand.bought(A, 99.0)
    assert hand.quote(A, 95.0) == []
    hand.feed(e.ProfileApplied(2, make_profile({"exits": {"stop_loss_bps": 300}, "budget": once}), hand.now))
    (opened,) = [fact for fact in hand.quote(A, 95.0) if isinstance(fact, IntentOpened)]
    assert opened.reason == "stop_loss"


def test_buying_switched_off_tells_the_drop_and_switched_on_buys_it() -> None:
    off, on = make_profile({"features": {"buying": False}}), make_profile()
    hand = Hand().start()
    hand.feed(e.ProfileApplied(2, off, hand.now))
    hand.quote(A, 100.0)
    assert [fact.gate for fact in hand.quote(A, 98.0) if isinstance(fact, BuyBlocked)] == ["features.buying"]
    hand.feed(e.ProfileApplied(3, on, hand.now))
    assert any(isinstance(fact, IntentOpened) for fact in hand.quote(A, 98.0))


def test_another_anchor_forms_anew_and_other_settings_leave_it_as_it_is() -> None:
    hand = Hand().start()
    hand.quote(A, 100.0)
    hand.feed(e.ProfileApplied(2, make_profile({"budget": {"per_trade_quote": 50}}), hand.now))
    (opened,) = [fact for fact in hand.quote(A, 99.0) if isinstance(fact, IntentOpened)]
    assert opened.quote_amount == Decimal(50)
    other = Hand().start()
    other.quote(A, 100.0)
    anchor = {"kind": "ema", "window_s": 600, "window_buckets": 60, "warmup_s": 0}
    other.feed(e.ProfileApplied(2, make_profile({"drop": {"anchor": anchor}}), other.now))
    assert other.quote(A, 90.0) == []
