"""Is a position sold exactly when a rule says so, whatever stands in the way of buying?"""

from __future__ import annotations

from typing import Any

import msgspec

from tests.engine.hand import INSTRUMENTS, A, D, Hand, merged, names
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder
from tradebot.domain.orders import OrderType, Side, TimeInForce

OFF = {"take_profit_bps": "off", "stop_loss_bps": "off", "max_hold_s": "off"}


def with_exits(**rules: Any) -> dict[str, Any]:
    """Return settings with these exit rules and no others."""
    return {"exits": OFF | rules, "budget": {"max_per_symbol_quote": 150}}


def exit_reason(facts: list[f.Fact]) -> str:
    """Return why an exit was opened, "" where none was."""
    return next((fact.reason for fact in facts if isinstance(fact, f.IntentOpened) and fact.side is Side.SELL), "")


def sell(hand: Hand) -> list[f.Fact]:
    """Fill the sell order that was sent last, whole."""
    order = hand.last(PlaceOrder)
    assert order.side is Side.SELL
    return [*hand.fill(order), *hand.closed(order, "filled")]


# -- the rules ----------------------------------------------------------------------------------------


def test_a_target_is_reached_by_the_bid_and_measured_from_the_price_paid() -> None:
    hand = Hand(with_exits(take_profit_bps=200)).start()
    hand.bought(A, 99.0)
    assert not hand.quote(A, 100.97, 101.5)
    assert exit_reason(hand.quote(A, 100.98, 101.5)) == "take_profit"
    place = hand.last(PlaceOrder)
    assert (place.side, place.type, place.tif) == (Side.SELL, OrderType.LIMIT, TimeInForce.IOC)
    assert (place.price, place.amount) == (D("100.98"), hand.held())
    facts = sell(hand)
    (closed,) = [fact for fact in facts if isinstance(fact, f.PositionClosed)]
    assert closed.pnl == D("1.010") * (D("100.98") - 99)
    assert hand.engine.state.ledger.cash == D(10_000) + closed.pnl


def test_a_stop_is_reached_by_the_bid() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A, 100.0, 102)
    assert not hand.quote(A, 95.01)
    assert exit_reason(hand.quote(A, 95.0)) == "stop_loss"


def test_a_stop_stands_before_a_trailing_stop_and_a_target_before_time() -> None:
    hand = Hand(with_exits(stop_loss_bps=100, trailing={"activate_bps": 50, "distance_bps": 10})).start()
    hand.bought(A, 100.0, 102)
    hand.quote(A, 100.6)
    assert exit_reason(hand.quote(A, 98.0)) == "stop_loss"
    late = Hand(with_exits(take_profit_bps=100, max_hold_s=10) | {"market": {"stale_after_s": 1}}).start()
    late.bought(A, 100.0, 102)
    late.wait(9_999)
    assert exit_reason(late.quote(A, 101.0)) == "take_profit"


def test_a_trailing_stop_arms_follows_and_fires() -> None:
    hand = Hand(with_exits(trailing={"activate_bps": 100, "distance_bps": 50})).start()
    hand.bought(A, 100.0, 102)
    assert not hand.quote(A, 100.99)
    assert not hand.quote(A, 99.5), "not armed yet"
    assert hand.quote(A, 101.0) == [f.TrailingArmed(A, 101.0, generation=1)]
    assert not hand.quote(A, 104.0), "it follows"
    assert not hand.quote(A, 103.49)
    assert not hand.quote(A, 103.9), "never down"
    assert exit_reason(hand.quote(A, 103.48)) == "trailing_stop"


def test_a_time_stop_fires_at_its_deadline_without_any_quote() -> None:
    hand = Hand(with_exits(max_hold_s=3_600)).start()
    hand.bought(A)
    hand.wait(3_599_999)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "time_stop"
    assert hand.last(PlaceOrder).side is Side.SELL


def test_the_levels_follow_the_average_of_two_lots() -> None:
    hand = Hand(merged(with_exits(take_profit_bps=100), {"budget": {"max_per_symbol_quote": 250}})).start()
    hand.bought(A, 100.0, 102)
    hand.bought(A, 90.0, 90.0)
    position = hand.engine.state.ledger.positions[A]
    entry = float(position.entry_price)
    assert 94 < entry < 95
    hand.wait(600_000)  # the highs leave the window
    assert not hand.quote(A, entry * 1.0099)
    assert exit_reason(hand.quote(A, entry * 1.0101)) == "take_profit"
    assert hand.last(PlaceOrder).amount == position.amount


def test_with_exits_off_a_position_stays() -> None:
    hand = Hand(
        {"features": {"exits": False}, "exits": {"max_hold_s": 10}, "budget": {"max_per_symbol_quote": 150}}
    ).start()
    hand.bought(A)
    for bid in (1.0, 1_000.0):
        hand.quote(A, bid)
    hand.wait(3_600_000)
    assert not hand.sells()
    assert hand.held() == D("1.010")


# -- what never stops an exit -------------------------------------------------------------------------


def test_no_guard_of_a_buy_stops_an_exit() -> None:
    hand = Hand(merged(with_exits(stop_loss_bps=500), {"market": {"stale_after_s": 1}, "features": {}})).start()
    hand.bought(A)
    hand.balance(0)  # nothing can be bought
    facts = hand.quote(A, 90.0, 120.0)  # and the spread is enormous
    assert exit_reason(facts) == "stop_loss"
    order = hand.order()
    hand.wait(60_000)  # the quote is old
    hand.closed(order, "expired")
    assert hand.order().step == 1, "the next step of the exit is tried all the same"


def test_a_partly_filled_buy_is_cancelled_before_its_position_is_sold() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    order = hand.drop(A)
    hand.fill(order, "0.5")
    hand.quote(A, 90.0)
    assert not hand.sells()
    assert hand.last(CancelOrder).client_id == order.client_id
    assert len(hand.asked(PlaceOrder)) == 1
    facts = hand.closed(order, "canceled")
    ended = next(fact for fact in facts if isinstance(fact, f.IntentEnded))
    assert (ended.outcome, ended.reason) == ("partial", "exit")
    assert hand.reserved == 0
    assert exit_reason([*facts, *hand.wait(0)]) == "stop_loss", "no quote is waited for"
    assert hand.last(PlaceOrder).amount == D("0.5")


def test_an_exit_waits_for_a_buy_of_its_symbol_only_as_long_as_that_lives() -> None:
    hand = Hand(merged(with_exits(max_hold_s=5), {"budget": {"max_per_symbol_quote": 250}})).start()
    hand.bought(A)
    again = hand.drop(A, 98.0)
    hand.wait(5_000)
    assert any(command.client_id == again.client_id for command in hand.asked(CancelOrder))
    facts = [*hand.closed(again, "canceled"), *hand.wait(0)]
    assert exit_reason(facts) == "time_stop"


# -- what an exit leaves ------------------------------------------------------------------------------


def test_what_is_too_small_to_sell_becomes_dust_and_the_trade_is_closed() -> None:
    hand = Hand(with_exits(take_profit_bps=100)).start()
    hand.bought(A)
    hand.quote(A, 101)
    place = hand.last(PlaceOrder)
    hand.fill(place, "0.98")  # 0.03 are left, worth 3.03, and an order must be worth 5
    facts = hand.closed(place, "expired")
    (closed,) = [fact for fact in facts if isinstance(fact, f.PositionClosed)]
    assert closed.dust == D("0.030")
    assert closed.pnl == D("0.98") * 101 - D("1.01") * 99
    ledger = hand.engine.state.ledger
    assert (ledger.positions, ledger.dust) == ({}, {A: D("0.030")})


def test_a_buy_that_got_too_little_to_ever_sell_is_closed_as_unsellable() -> None:
    hand = Hand({"execution": {"steps": [{"tif": "IOC"}]}}).start()
    place = hand.drop()
    hand.fill(place, "0.05")
    facts = hand.closed(place, "expired")
    (closed,) = [fact for fact in facts if isinstance(fact, f.PositionClosed)]
    assert (closed.reason, closed.dust) == ("unsellable", D("0.05"))


def test_an_exit_that_could_not_sell_everything_is_tried_again_after_its_interval() -> None:
    hand = Hand(with_exits(stop_loss_bps=500, check_interval_s=7, steps=[{"tif": "IOC"}])).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    hand.fill(hand.last(PlaceOrder), "0.4")
    hand.closed(hand.last(PlaceOrder), "expired")
    assert not hand.sells()
    assert not hand.quote(A, 89.0), "not before the interval is over"
    hand.wait(6_999)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "stop_loss"
    assert hand.last(PlaceOrder).amount == D("0.610")
    sell(hand)
    assert not hand.engine.state.ledger.positions


def test_an_exit_that_is_not_wanted_any_more_is_not_tried_again() -> None:
    hand = Hand(with_exits(stop_loss_bps=500, check_interval_s=7, steps=[{"tif": "IOC"}])).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    hand.closed(hand.last(PlaceOrder), "expired")
    hand.quote(A, 98.9)
    hand.wait(60_000)
    assert not hand.sells()
    assert exit_reason(hand.quote(A, 94.0)) == "stop_loss"


def test_an_exit_escalates_to_a_market_order() -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    hand.closed(hand.order(), "expired")
    assert hand.order().price == D("89.82")
    hand.closed(hand.order(), "expired")
    assert (hand.order().type, hand.order().amount) == (OrderType.MARKET, D("1.010"))


def test_a_large_position_is_sold_in_orders_that_the_venue_takes() -> None:
    small = msgspec.structs.replace(INSTRUMENTS[0], max_amount=D("0.4"))
    hand = Hand(with_exits(stop_loss_bps=500, steps=[{"tif": "IOC"}]), instruments=[small]).start()
    while hand.held() < 1:
        if not hand.buys():
            hand.drop()
        hand.fill(hand.order())
        hand.closed(hand.order(), "filled")
    hand.quote(A, 90.0)
    for _ in range(10):
        if hand.sells():
            assert hand.last(PlaceOrder).amount <= D("0.4")
            sell(hand)
        hand.wait(1_000)
    assert not hand.engine.state.ledger.positions


def test_what_is_due_after_a_restart_is_sold_at_the_first_price() -> None:
    """A restart in which the price is already below the stop; nothing of the symbol is under way."""
    first = Hand(with_exits(stop_loss_bps=500)).start()
    first.bought(A)
    hand = Hand(with_exits(stop_loss_bps=500), journal=first.journal, now_ms=first.now + 1_000)
    hand.engine.restore(None, first.journal.read(0))
    assert not hand.quote(A, 90.0), "no run has begun"
    hand.feed(e.ProfileApplied(1, hand.profile, hand.now))
    hand.feed(e.RunStarted("r2", hand.now))
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss"
    assert "RecoveryCompleted" in names(hand.balance(hand.engine.state.ledger.cash))
