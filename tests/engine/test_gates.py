"""Is a drop bought exactly where the profile says, and is what stops it told once?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.hand import INSTRUMENTS, A, B, C, D, Hand, names
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import PlaceOrder, QueryBalances
from tradebot.domain.orders import Side


def bought(facts: list[f.Fact]) -> bool:
    """Return whether a buy was opened."""
    return any(isinstance(fact, f.IntentOpened) and fact.side is Side.BUY for fact in facts)


def gates(hand: Hand, symbol: str = A) -> list[str]:
    """Return the gates told so far."""
    return [fact.gate for fact in hand.told(f.BuyBlocked) if fact.symbol == symbol]


# -- the signal -------------------------------------------------------------------------------------


def test_a_drop_to_the_threshold_is_bought_and_one_above_it_is_not() -> None:
    hand = Hand().start()
    hand.quote(A, 100)
    assert not hand.quote(A, 99.01)
    (intent, *_) = hand.quote(A, 99.0)
    assert isinstance(intent, f.IntentOpened)
    assert (intent.reason, intent.signal_price, intent.anchor_price) == ("drop", D("99.0"), D("100.0"))
    assert (intent.quote_amount, intent.reserved) == (D(100), D("100.2"))


def test_a_symbol_has_its_own_threshold() -> None:
    hand = Hand({"drop": {"symbol": {B: {"threshold_bps": 300}}}}).start()
    for symbol in (A, B):
        hand.quote(symbol, 100)
    assert bought(hand.quote(A, 98.5))
    assert not hand.quote(B, 98.5)
    assert bought(hand.quote(B, 97.0))


def test_nothing_is_bought_before_the_anchor_is_warm() -> None:
    hand = Hand({"drop": {"anchor": {"warmup_s": 60}}}).start()
    hand.quote(A, 100)
    hand.wait(59_999)
    assert not hand.quote(A, 90)
    hand.wait(1)
    assert bought(hand.quote(A, 90))


def test_a_confirmed_drop_has_stayed_below_its_trigger_and_a_recovery_begins_it_anew() -> None:
    hand = Hand({"drop": {"confirm_s": 10}}).start()
    hand.quote(A, 100)
    assert names(hand.quote(A, 98)) == ["BuyBlocked"]
    hand.wait(9_999)
    assert not hand.quote(A, 98)
    assert not hand.quote(A, 99.5), "recovered"
    hand.wait(1)
    assert not bought(hand.quote(A, 98))
    hand.wait(9_999)
    assert not hand.quote(A, 98)
    hand.wait(1)
    assert bought(hand.quote(A, 98))
    assert gates(hand) == ["drop.confirm_s"], "told once, however often it was looked at"


def test_a_confirmation_does_not_run_while_another_gate_is_shut() -> None:
    hand = Hand({"drop": {"confirm_s": 10}}).start(quote=300)
    hand.quote(A, 100)
    hand.quote(A, 98)
    hand.wait(9_000)
    hand.balance(50)
    hand.quote(A, 98)
    hand.balance(300)
    hand.wait(5_000)
    assert not bought(hand.quote(A, 98)), "it begins anew when the budget is there again"
    hand.wait(10_000)
    assert bought(hand.quote(A, 98))


def test_a_symbol_cools_down_after_its_position_is_closed() -> None:
    hand = Hand({"drop": {"cooldown_s": 60}}).start()
    hand.bought(A)
    hand.quote(A, 101)
    sell = hand.last(PlaceOrder)
    hand.fill(sell)
    hand.closed(sell, "filled")
    assert hand.told(f.PositionClosed)[0].reason == "take_profit"
    hand.wait(59_999)
    assert not hand.quote(A, 95)
    hand.wait(1)
    assert bought(hand.quote(A, 95))


def test_two_buys_of_a_symbol_are_apart_by_the_debounce() -> None:
    hand = Hand({"drop": {"debounce_s": 60}, "exits": {"stop_loss_bps": "off"}}).start()
    hand.bought(A)
    hand.wait(59_999)
    assert not hand.quote(A, 98)
    hand.wait(1)
    assert bought(hand.quote(A, 98))


def sold(hand: Hand, bid: float) -> str:
    """Let an exit of A sell at a bid; return why."""
    hand.quote(A, bid)
    sell = hand.last(PlaceOrder)
    assert sell.side is Side.SELL
    hand.fill(sell)
    hand.closed(sell, "filled")
    return hand.told(f.PositionClosed)[-1].reason


@pytest.mark.parametrize(
    ("rearm", "bid", "reason", "again"),
    [
        (True, 93.0, "stop_loss", False),
        (False, 93.0, "stop_loss", True),
        (True, 101.0, "take_profit", True),
    ],
)
def test_only_a_stop_loss_lets_the_anchor_form_anew(*, rearm: bool, bid: float, reason: str, again: bool) -> None:
    hand = Hand({"drop": {"rearm": rearm}}).start()
    hand.bought(A)
    assert sold(hand, bid) == reason
    hand.wait(1_000)
    assert bought(hand.quote(A, 92.5)) is again, "92.5 is a drop from 100, and none from prices after the stop"
    if not again:
        hand.quote(A, 94)
        assert bought(hand.quote(A, 93.0)), "a drop from the new anchor, 94"


# -- the gates --------------------------------------------------------------------------------------


def test_a_wide_spread_is_not_bought() -> None:
    hand = Hand().start()
    hand.quote(A, 100)
    assert names(hand.quote(A, 98, 98.3)) == ["BuyBlocked"]
    assert not hand.quote(A, 97.9, 98.2)
    assert gates(hand) == ["execution.max_spread_bps"]
    assert bought(hand.quote(A, 98, 98.1))


def test_no_more_positions_than_allowed_counting_buys_under_way() -> None:
    hand = Hand({"budget": {"max_positions": 2}}).start()
    hand.bought(A)
    hand.drop(B)
    for _ in range(3):
        hand.quote(C, 100)
        assert not bought(hand.quote(C, 99))
    assert gates(hand, C) == ["budget.max_positions"]
    hand.unknown(hand.order())
    hand.not_found(hand.order(), conclusive=True)  # B ends at nothing: its place is free
    while hand.buys():
        hand.closed(hand.order(), "expired")
    assert bought(hand.quote(C, 99))


def test_a_held_symbol_is_bought_again_until_its_own_cap() -> None:
    hand = Hand(
        {"budget": {"max_positions": 1, "max_per_symbol_quote": 250}, "exits": {"stop_loss_bps": "off"}}
    ).start()
    hand.bought(A)
    hand.bought(A, 98.0)
    assert not hand.quote(A, 97)
    cost = hand.engine.state.ledger.positions[A].cost
    assert D(190) < cost < D(200)
    assert len(hand.engine.state.ledger.positions[A].lots) == 2


def test_total_exposure_counts_positions_and_what_buys_have_reserved() -> None:
    hand = Hand({"budget": {"max_exposure_quote": 300}}).start()
    hand.bought(A)
    hand.drop(B)
    hand.quote(C, 100)
    assert not bought(hand.quote(C, 99))
    assert gates(hand, C) == ["budget.max_exposure_quote"]


def test_budget_is_not_promised_twice() -> None:
    hand = Hand().start(quote=200)  # a buy of 100 sets 100.2 aside
    hand.drop(A)
    hand.quote(B, 100)
    assert not bought(hand.quote(B, 99))
    assert gates(hand, B) == ["budget"]
    while hand.buys():
        hand.closed(hand.order(), "expired")
    assert hand.reserved == 0
    assert bought(hand.quote(B, 99))


def test_what_is_to_be_kept_free_is_never_spent() -> None:
    hand = Hand({"budget": {"keep_free_quote": 50}}).start(quote=150)
    hand.quote(A, 100)
    assert not bought(hand.quote(A, 99))
    assert gates(hand) == ["budget"]
    hand.balance(D("150.2"))  # the venue holds more than the ledger knows of: it is not ours to spend
    assert not bought(hand.quote(A, 99))


def test_money_that_left_the_account_is_not_spent() -> None:
    hand = Hand().start(quote=1_000)
    hand.balance(100)
    hand.quote(A, 100)
    assert not bought(hand.quote(A, 99))
    assert gates(hand) == ["budget"]


def test_a_sale_that_crosses_a_balance_answer_is_not_forgotten() -> None:
    """The answer tells of the time before the sale; once all is asked again, the proceeds can be spent."""
    hand = Hand({"budget": {"refresh_interval_s": 30}}).start(quote=101)
    hand.bought(A)
    hand.wait(30_000)  # the balance is asked for after the buy
    hand.quote(A, 101)
    sell = hand.last(PlaceOrder)
    hand.fill(sell)
    hand.closed(sell, "filled")
    hand.balance(D(101) - D("1.01") * 99)  # composed before the sale
    asked = len(hand.asked(QueryBalances))
    hand.wait(30_000)
    assert len(hand.asked(QueryBalances)) == asked + 1
    hand.balance(hand.engine.state.ledger.cash)
    hand.quote(A, 103)
    assert bought(hand.quote(A, 101))


@pytest.mark.parametrize(
    ("filters", "gate"),
    [
        ({"min_notional": D("100.01")}, "NOTIONAL"),
        ({"min_amount": D("1.02")}, "LOT_SIZE"),
        ({"amount_step": D(2)}, "LOT_SIZE"),
    ],
)
def test_what_the_venue_would_not_take_is_not_bought(filters: dict[str, Any], gate: str) -> None:
    hand = Hand(instruments=[msgspec.structs.replace(INSTRUMENTS[0], **filters)]).start()
    hand.quote(A, 100)
    assert not bought(hand.quote(A, 99))
    assert gates(hand) == [gate]


def test_what_stops_a_buy_is_told_when_it_changes() -> None:
    hand = Hand().start()
    hand.quote(A, 100)
    for bid, ask in ((98, 98.5), (98, 98.4), (97, 97.6)):
        hand.quote(A, bid, ask)
    assert gates(hand) == ["execution.max_spread_bps"]
    hand.balance(50)
    for bid in (97, 96, 97):
        hand.quote(A, bid)
    assert gates(hand) == ["execution.max_spread_bps", "budget"]
    blocked = hand.told(f.BuyBlocked)[-1]
    assert (blocked.price, blocked.anchor, blocked.value, blocked.limit) == (97.0, 100.0, "50", ">= 100.200")


def test_what_stops_a_buy_is_told_anew_after_the_symbol_was_bought() -> None:
    hand = Hand({"exits": {"stop_loss_bps": "off"}}).start()
    hand.quote(A, 100)
    hand.quote(A, 98, 98.5)
    hand.bought(A, 98.0)
    hand.quote(A, 97, 97.5)
    assert gates(hand) == ["execution.max_spread_bps", "execution.max_spread_bps"]


# -- never ------------------------------------------------------------------------------------------


def test_nothing_is_bought_before_the_venue_has_answered() -> None:
    hand = Hand()
    hand.feed(e.ProfileApplied(1, hand.profile, hand.now))
    hand.feed(e.RunStarted("r1", hand.now))
    hand.quote(A, 100)
    assert not bought(hand.quote(A, 99))
    assert gates(hand) == ["reconciled"]
    hand.balance(1_000)
    assert bought(hand.quote(A, 99))


def test_nothing_is_bought_once_the_entries_are_closed() -> None:
    hand = Hand().start()
    hand.feed(e.ShutdownRequested("leave", "the end", hand.now))
    hand.quote(A, 100)
    assert not bought(hand.quote(A, 99))
    assert gates(hand) == ["entries"]


def test_with_buying_off_every_drop_is_told_and_none_is_bought() -> None:
    hand = Hand({"features": {"buying": False}}).start()
    for symbol in (A, B):
        hand.quote(symbol, 100)
        assert names(hand.quote(symbol, 99)) == ["BuyBlocked"]
    assert gates(hand, A) == gates(hand, B) == ["features.buying"]
    assert not hand.asked(PlaceOrder)


def test_only_closes_are_decided_on_where_the_profile_says_so() -> None:
    hand = Hand({"market": {"decide_on": "candle_close"}}).start()
    hand.feed(e.QuoteSeen(A, 100.0, 100.0, 1.0, 1.0, hand.now, closes=True))
    hand.quote(A, 200)
    assert not hand.quote(A, 90), "no close"
    assert not hand.feed(e.QuoteSeen(A, 99.5, 99.5, 1.0, 1.0, hand.now, closes=True)), "200 was no close"
    assert bought(hand.feed(e.QuoteSeen(A, 99.0, 99.0, 1.0, 1.0, hand.now, closes=True)))


def test_stale_symbols_are_told_when_the_set_changes() -> None:
    hand = Hand({"market": {"stale_after_s": 3}}).start()
    hand.quote(A, 100)
    hand.quote(B, 100)
    hand.quote(C, 100)
    hand.wait(3_001)
    hand.quote(C, 100)
    facts = hand.feed(e.HealthChecked(hand.now))
    assert facts == [f.StaleDataSeen((A, B), generation=1)]
    assert hand.feed(e.HealthChecked(hand.now)) == []
    hand.quote(A, 100)
    assert hand.feed(e.HealthChecked(hand.now)) == [f.StaleDataSeen((B,), generation=1)]
    quiet = Hand({"features": {"stale_warnings": False}}).start()
    quiet.wait(60_000)
    assert quiet.feed(e.HealthChecked(quiet.now)) == []
