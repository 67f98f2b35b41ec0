"""Does everything that stands on a setting follow a new generation at once, and does no stale deadline act?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.hand import A, D, Hand, make_profile, merged, names
from tests.engine.test_exits import exit_reason, sell, with_exits
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import PlaceOrder, QueryBalances, QueryOrder
from tradebot.domain.orders import OrderType

HOUR_MS = 3_600_000
SLOW: dict[str, Any] = {"execution": {"wait_ms": {"IOC": HOUR_MS, "GTC": HOUR_MS}}}


def apply(hand: Hand, settings: dict[str, Any], generation: int = 2) -> list[f.Fact]:
    """Apply settings as a generation."""
    return hand.feed(e.ProfileApplied(generation, make_profile(settings), hand.now))


def due_exactly(hand: Hand, asked: Any, span_ms: int) -> None:
    """Fail unless the next command of a kind leaves after exactly so long."""
    before = len(hand.asked(asked))
    hand.wait(span_ms - 1)
    assert len(hand.asked(asked)) == before, "too early"
    hand.wait(1)
    assert len(hand.asked(asked)) == before + 1


# -- deadlines, shortened and lengthened, 1 s after they were set -------------------------------------


@pytest.mark.parametrize("new_s", [5, 90])
def test_the_balance_is_asked_for_by_the_new_interval(new_s: int) -> None:
    hand = Hand({"budget": {"refresh_interval_s": 30}}).start()
    hand.bought(A)
    hand.wait(1_000)
    apply(hand, {"budget": {"refresh_interval_s": new_s}})
    due_exactly(hand, QueryBalances, new_s * 1_000 - 1_000)


def test_an_interval_that_is_over_by_the_new_setting_is_over_now() -> None:
    hand = Hand({"budget": {"refresh_interval_s": 30}}).start()
    hand.bought(A)
    hand.wait(20_000)
    apply(hand, {"budget": {"refresh_interval_s": 5}})
    asked = len(hand.asked(QueryBalances))
    hand.wait(0)
    assert len(hand.asked(QueryBalances)) == asked + 1


@pytest.mark.parametrize("new_s", [2, 60])
def test_an_answer_is_awaited_by_the_new_limit(new_s: int) -> None:
    hand = Hand({"budget": {"refresh_timeout_s": 5, "refresh_interval_s": 3_600}})
    hand.feed(e.ProfileApplied(1, hand.profile, hand.now))
    hand.feed(e.RunStarted("r1", hand.now))
    hand.wait(1_000)
    apply(hand, {"budget": {"refresh_timeout_s": new_s, "refresh_interval_s": 3_600}})
    assert not hand.wait(new_s * 1_000 - 1_001)
    assert names(hand.wait(1)) == ["BalanceRefreshFailed"]


@pytest.mark.parametrize("new_ms", [1_500, 30_000])
def test_a_doubted_order_is_asked_for_by_the_new_interval(new_ms: int) -> None:
    hand = Hand(merged(SLOW, {"execution": {"query_interval_ms": 4_000}})).start()
    hand.unknown(hand.drop())
    hand.wait(1_000)
    apply(hand, merged(SLOW, {"execution": {"query_interval_ms": new_ms}}))
    due_exactly(hand, QueryOrder, new_ms - 1_000)


@pytest.mark.parametrize("most_ms", [8_000, 60_000])
def test_an_old_doubt_is_asked_for_by_the_new_longest_interval(most_ms: int) -> None:
    first = {"query_interval_ms": 20_000, "query_max_interval_ms": 20_000}
    hand = Hand(merged(SLOW, {"execution": first})).start()
    hand.unknown(hand.drop())
    hand.wait(20_000)  # asked for once; the next pause is as long as the doubt is old, bounded
    hand.wait(1_000)
    apply(hand, merged(SLOW, {"execution": {"query_interval_ms": 1_000, "query_max_interval_ms": most_ms}}))
    due_exactly(hand, QueryOrder, min(20_000, most_ms) - 1_000)


@pytest.mark.parametrize("new_ms", [2_000, 50_000])
def test_the_end_of_a_cancel_is_awaited_by_the_new_limit(new_ms: int) -> None:
    hand = Hand({"execution": {"cancel_wait_ms": 5_000}}).start()
    hand.ack(hand.drop())
    hand.wait(3_000)  # cancelled after 2 s
    apply(hand, {"execution": {"cancel_wait_ms": new_ms}})
    due_exactly(hand, QueryOrder, new_ms - 1_000)


@pytest.mark.parametrize("new_s", [10, 100])
def test_old_buys_are_looked_for_by_the_new_interval(new_s: int) -> None:
    slow = merged(SLOW, {"intents": {"max_age_s": 5}})
    hand = Hand(merged(slow, {"intents": {"check_interval_s": 30}})).start()
    hand.ack(hand.drop())
    hand.wait(6_000)
    apply(hand, merged(slow, {"intents": {"check_interval_s": new_s}}))
    assert not hand.wait(new_s * 1_000 - 6_001)
    assert "IntentStale" in names(hand.wait(1))


@pytest.mark.parametrize(("new_s", "stale"), [(20, True), (60, False)])
def test_a_buy_is_old_by_the_new_age(new_s: int, *, stale: bool) -> None:
    slow = merged(SLOW, {"intents": {"check_interval_s": 30}})
    hand = Hand(merged(slow, {"intents": {"max_age_s": 25 if not stale else 60}})).start()
    hand.ack(hand.drop())
    apply(hand, merged(slow, {"intents": {"max_age_s": new_s}}))
    assert ("IntentStale" in names(hand.wait(30_000))) is stale


@pytest.mark.parametrize("new_s", [30, 600])
def test_a_time_stop_comes_by_the_new_limit(new_s: int) -> None:
    hand = Hand(with_exits(max_hold_s=60)).start()
    hand.bought(A)
    hand.wait(1_000)
    apply(hand, with_exits(max_hold_s=new_s))
    hand.wait(new_s * 1_000 - 1_001)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "time_stop"


def test_an_edit_of_something_else_leaves_every_deadline_as_it_is() -> None:
    hand = Hand(with_exits(max_hold_s=60)).start()
    hand.bought(A)
    hand.wait(1_000)
    apply(hand, merged(with_exits(max_hold_s=60), {"drop": {"threshold_bps": 300}}))
    hand.wait(58_999)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "time_stop", "without any price"


def test_a_time_stop_that_is_over_by_the_new_limit_needs_no_price() -> None:
    hand = Hand(with_exits(max_hold_s=600)).start()
    hand.bought(A)
    hand.wait(100_000)
    apply(hand, with_exits(max_hold_s=60))
    assert exit_reason(hand.wait(0)) == "time_stop"


@pytest.mark.parametrize("new_s", [3, 60])
def test_the_next_attempt_to_sell_comes_by_the_new_interval(new_s: int) -> None:
    once = {"stop_loss_bps": 500, "steps": [{"tif": "IOC"}]}
    hand = Hand(with_exits(**once, check_interval_s=10)).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    hand.closed(hand.order(), "expired")
    hand.wait(1_000)
    apply(hand, with_exits(**once, check_interval_s=new_s))
    hand.wait(new_s * 1_000 - 1_001)
    assert not hand.sells()
    assert exit_reason(hand.wait(1)) == "stop_loss"


@pytest.mark.parametrize(("key", "held"), [("cooldown_s", False), ("debounce_s", True)])
@pytest.mark.parametrize("new_s", [30, 600])
def test_a_symbol_rests_by_the_new_wait(key: str, new_s: int, *, held: bool) -> None:
    base = {"exits": {"stop_loss_bps": "off"}, "budget": {"max_per_symbol_quote": 1_000}}
    hand = Hand(merged(base, {"drop": {key: 60}})).start()
    hand.bought(A)
    if not held:
        hand.quote(A, 101.0)
        sell(hand)
    hand.wait(1_000)
    apply(hand, merged(base, {"drop": {key: new_s}}))
    hand.wait(new_s * 1_000 - 1_001)
    hand.quote(A, 99.9)
    assert not hand.quote(A, 98.0)
    hand.wait(1)
    assert "IntentOpened" in names(hand.quote(A, 98.0))


def test_edits_by_the_thousand_leave_no_deadlines_behind() -> None:
    hand = Hand(with_exits(max_hold_s=600)).start()
    hand.bought(A)
    hand.unknown(hand.drop("BBB/USDT"))
    profiles = [make_profile(with_exits(max_hold_s=limit_s)) for limit_s in (500, 700)]
    for number in range(1_000):
        hand.engine.process(e.ProfileApplied(number + 2, profiles[number % 2], hand.now), hand.now)
    assert len(hand.engine.desk._deadlines) < 10


# -- what was decided before ------------------------------------------------------------------------


def test_an_order_keeps_the_wait_and_the_generation_it_was_placed_with() -> None:
    hand = Hand({"execution": {"wait_ms": {"IOC": 2_000}}}).start()
    order = hand.drop()
    apply(hand, {"execution": {"wait_ms": {"IOC": 50_000}}})
    hand.ack(order)
    assert not hand.wait(1_999)
    (ended, _) = hand.wait(1)
    assert isinstance(ended, f.OrderWaitEnded)
    assert ended.generation == 1
    hand.fill(order, "0.3")
    hand.closed(order, "canceled")
    assert {fact.generation for fact in hand.told(f.OrderFilled) + hand.told(f.OrderDone)} == {1}
    assert hand.order().generation == 2
    assert hand.order().wait_ms == 50_000
    hand.feed(e.RequestSent(hand.order().client_id, hand.now))
    assert hand.told(f.OrderSent)[-1].generation == 2


@pytest.mark.parametrize(
    ("steps", "planned"),
    [
        ([{"tif": "IOC"}], None),
        ([{"tif": "GTC"}, {"type": "market"}], "market"),
        ([{"tif": "IOC"}, {"tif": "FOK", "offset_bps": 3}, {"type": "market"}], "FOK"),
        ([{"tif": "PO", "offset_bps": -5}, {"tif": "GTC"}, {"tif": "GTC"}, {"tif": "GTC"}], "GTC"),
    ],
)
def test_a_buy_under_way_goes_on_with_whatever_ladder_is_in_force(
    steps: list[dict[str, Any]], planned: str | None
) -> None:
    hand = Hand().start()
    order = hand.drop()
    apply(hand, {"execution": {"steps": steps}})
    hand.closed(order, "expired")
    if planned is None:
        assert hand.told(f.IntentEnded)[0].reason == "steps exhausted"
        return
    second = hand.order()
    kind = second.type.value if second.type is OrderType.MARKET else second.tif.value
    assert (second.step, kind) == (1, planned)
    while hand.buys():
        hand.closed(hand.order(), "expired")
    assert len(hand.asked(PlaceOrder)) == len(steps)


@pytest.mark.parametrize("steps", [[{"tif": "IOC"}], [{"type": "market"}], [{"tif": "GTC"}] * 5])
def test_an_exit_under_way_goes_on_with_whatever_ladder_is_in_force(steps: list[dict[str, Any]]) -> None:
    hand = Hand(with_exits(stop_loss_bps=500)).start()
    hand.bought(A)
    hand.quote(A, 90.0)
    apply(hand, with_exits(stop_loss_bps=500, steps=steps))
    for _ in range(len(steps)):
        hand.closed(hand.order(), "expired")
        if not hand.sells():
            break
    assert hand.told(f.IntentEnded)[-1].reason == "steps exhausted"
    assert exit_reason(hand.wait(1_000)) == "stop_loss", "what is left is tried again"
    sell(hand)
    assert not hand.engine.state.ledger.positions


def test_buying_switched_off_lets_a_buy_finish_its_order_and_place_no_other() -> None:
    hand = Hand().start()
    order = hand.drop()
    apply(hand, {"features": {"buying": False}})
    hand.fill(order, "0.3")
    hand.closed(order, "expired")
    assert hand.told(f.IntentEnded)[0].reason == "buying off"
    assert hand.held() == D("0.3")


def test_a_trailing_stop_that_is_switched_off_forgets_its_high() -> None:
    trailing = {"activate_bps": 100, "distance_bps": 50}
    hand = Hand(with_exits(trailing=trailing)).start()
    hand.bought(A, 100.0, 102)
    hand.quote(A, 104.0)
    apply(hand, with_exits())
    apply(hand, with_exits(trailing=trailing), 3)
    assert not hand.quote(A, 100.5), "below the stop of the high before, and never armed since"
    hand.quote(A, 101.0)
    assert exit_reason(hand.quote(A, 100.4)) == "trailing_stop"


def test_a_confirmation_begins_anew_with_another_anchor() -> None:
    anchor = {"kind": "ema", "window_s": 60, "window_buckets": 6, "warmup_s": 0}
    hand = Hand({"drop": {"confirm_s": 10}}).start()
    hand.quote(A, 100.0)
    hand.quote(A, 98.0)
    hand.wait(9_000)
    apply(hand, {"drop": {"confirm_s": 10, "anchor": anchor}})
    hand.quote(A, 100.0)
    hand.wait(10_000)
    assert names(hand.quote(A, 98.0)) == []
    hand.wait(10_000)
    assert "IntentOpened" in names(hand.quote(A, 98.0))


def test_stale_symbols_that_were_told_are_not_told_again_by_every_edit() -> None:
    hand = Hand({"market": {"stale_after_s": 3}}).start()
    hand.wait(60_000)
    assert hand.feed(e.HealthChecked(hand.now))
    apply(hand, {"market": {"stale_after_s": 3}, "drop": {"threshold_bps": 300}})
    assert not hand.feed(e.HealthChecked(hand.now))
    apply(hand, {"market": {"stale_after_s": 3}, "features": {"stale_warnings": False}}, 3)
    apply(hand, {"market": {"stale_after_s": 3}}, 4)
    assert names(hand.feed(e.HealthChecked(hand.now))) == ["StaleDataSeen"]
