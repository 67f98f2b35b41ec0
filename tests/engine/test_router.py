"""Does an order end only on the venue's evidence, and does what it left unfilled go on to the next step?"""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from tests.engine.hand import INSTRUMENTS, A, B, D, Hand, names
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryOrder
from tradebot.domain.market import Instrument
from tradebot.domain.orders import OrderState, OrderType, Side, TimeInForce


def test_an_order_is_planned_before_its_request_leaves() -> None:
    hand = Hand().start()
    hand.quote(A, 100)
    facts = hand.quote(A, 99)
    assert names(facts) == ["IntentOpened", "OrderPlanned", "OrderSent"]
    assert hand.last(PlaceOrder) == PlaceOrder(
        client_id="t-r1-1",
        symbol=A,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        send_by_ms=hand.now + 2_000,
        price=D("99.00"),
        amount=D("1.010"),
    )


def test_the_ladder_is_tried_in_order_and_then_the_buy_ends() -> None:
    hand = Hand().start()
    hand.drop()
    seen = []
    while hand.buys():
        order = hand.order()
        seen.append((order.tif, order.price, order.wait_ms))
        hand.closed(order, "expired")
    assert seen == [
        (TimeInForce.IOC, D("99.00"), 2_000),
        (TimeInForce.IOC, D("99.07"), 2_000),
        (TimeInForce.GTC, D("99.01"), 30_000),
    ]
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.outcome, ended.reason) == ("unfilled", "steps exhausted")
    assert hand.reserved == 0


def test_a_market_step_spends_the_quote_that_is_left() -> None:
    hand = Hand({"execution": {"steps": [{"tif": "IOC"}, {"type": "market"}]}}).start()
    order = hand.drop()
    hand.fill(order, "0.4")
    hand.closed(order, "expired")
    market = hand.last(PlaceOrder)
    assert (market.type, market.price, market.amount) == (OrderType.MARKET, D(0), D(0))
    assert market.quote_amount == D(100) - D("0.4") * 99


def test_a_market_buy_that_the_venue_limits_in_size_still_pays_no_more_than_it_may() -> None:
    small = msgspec.structs.replace(INSTRUMENTS[0], max_amount=D("0.5"))
    hand = Hand({"execution": {"steps": [{"type": "market"}]}}, instruments=[small]).start()
    market = hand.drop()
    assert (market.amount, market.quote_amount) == (D(0), D("49.5"))


def test_a_partial_fill_carries_over_to_the_next_step() -> None:
    hand = Hand().start()
    first = hand.drop()
    hand.fill(first, "0.3")
    hand.closed(first, "expired")
    second = hand.order()
    assert second.amount == D("0.709")  # (100 - 0.3 x 99) / 99.07, rounded down to the lot
    hand.fill(second)
    hand.closed(second, "filled")
    (ended,) = hand.told(f.IntentEnded)
    assert ended.outcome == "filled"
    assert ended.filled == D("1.009")
    assert ended.spent <= 100


def test_a_remainder_too_small_for_an_order_completes_the_buy() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.fill(order, "0.97")  # leaves 3.97 quote, and an order must be worth 5
    hand.closed(order, "expired")
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.outcome, len(hand.asked(PlaceOrder))) == ("filled", 1)


@pytest.mark.parametrize(
    ("step", "wait_ms"),
    [
        ({"tif": "IOC"}, 2_000),
        ({"tif": "GTC"}, 30_000),
        ({"tif": "FOK"}, 5_000),
        ({"type": "market"}, 5_000),
    ],
)
def test_the_wait_of_each_time_in_force_runs_from_the_moment_of_sending(step: dict[str, str], wait_ms: int) -> None:
    hand = Hand({"execution": {"steps": [step]}}).start()
    order = hand.drop()
    hand.ack(order)
    assert not hand.wait(wait_ms - 1)
    facts = hand.wait(1)
    assert names(facts) == ["OrderWaitEnded", "CancelAsked"]
    assert facts[0] == f.OrderWaitEnded(order.client_id, A, order.tif, wait_ms, D(0), generation=1)
    assert hand.last(CancelOrder).client_id == order.client_id


def test_a_wait_counts_from_sending_and_not_from_the_decision() -> None:
    hand = Hand({"execution": {"send_deadline_ms": 60_000}}).start()
    place = hand.decided()
    hand.wait(10_000)
    hand.feed(e.RequestSent(place.client_id, hand.now))
    assert not any(isinstance(fact, f.OrderWaitEnded) for fact in hand.wait(1_999))
    assert names(hand.wait(1)) == ["OrderWaitEnded", "CancelAsked"]


def test_a_wait_ends_though_the_sending_is_heard_of_some_time_after_it() -> None:
    hand = Hand().start()
    place = hand.decided()
    left_ms = hand.now
    hand.wait(2)
    hand.feed(e.RequestSent(place.client_id, left_ms))
    assert names(hand.wait(2_000)) == ["OrderWaitEnded", "CancelAsked"]


def test_a_cancel_ends_nothing_until_the_order_is_over_with_its_fills() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.wait(2_000)
    assert hand.buys()
    assert hand.reserved == D("100.2")
    assert not hand.closed(order, "canceled", filled=D("0.5"))[1:]  # a fill is missing: seen, and asked for
    assert hand.last(QueryOrder).client_id == order.client_id
    assert hand.order().client_id == order.client_id
    facts = hand.reported(order, "canceled", [hand.a_fill(order, "0.5")])
    assert names(facts)[:3] == ["OrderFilled", "PositionOpened", "OrderDone"]
    assert hand.order().client_id != order.client_id  # the next step works with what is left
    assert hand.order().amount < order.amount


def test_a_cancel_whose_end_is_not_told_is_verified() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.wait(2_000)
    assert not hand.asked(QueryOrder)
    hand.wait(5_000)
    assert hand.last(QueryOrder).client_id == order.client_id


def test_a_refused_cancel_is_a_question_and_no_end() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.wait(2_000)
    facts = hand.feed(e.CancelRefused(order.client_id, "-2011", "Unknown order sent.", hand.now))
    assert names(facts) == ["CancelFailed"]
    assert hand.last(QueryOrder).client_id == order.client_id
    assert hand.order().client_id == order.client_id


def test_a_venue_that_refuses_every_cancel_is_not_hammered() -> None:
    """The venue answers at once, and always the same: the order is open, but no cancel finds it."""
    hand = Hand().start()
    order = hand.drop()
    hand.wait(2_000)
    seen, until = 0, hand.now + 600_000
    while hand.now < until:
        while seen < len(hand.wire.asked):
            command = hand.wire.asked[seen]
            seen += 1
            if isinstance(command, CancelOrder):
                hand.feed(e.CancelRefused(order.client_id, "-2011", "Unknown order sent.", hand.now))
            elif isinstance(command, QueryOrder):
                hand.reported(order, "open")
            assert seen < 100, "an answer is followed by a request at once, again and again"
        hand.wait(max(1, min(hand.engine.next_due_ms, until) - hand.now))
    assert len(hand.asked(CancelOrder)) > 5


def test_a_venue_that_owes_fills_is_not_hammered() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.closed(order, "canceled", filled=D("0.5"))
    for asked in range(1, 6):
        assert len(hand.asked(QueryOrder)) == asked
        hand.reported(order, "canceled", [], filled=D("0.5"))  # a lagging answer: without the fill
        told_ms = hand.now
        while len(hand.asked(QueryOrder)) == asked:
            hand.wait(hand.engine.next_due_ms - hand.now)
        assert 2_000 <= hand.now - told_ms <= 60_000
    hand.reported(order, "canceled", [hand.a_fill(order, "0.5")])
    assert order.client_id not in hand.engine.state.orders


def test_a_refusal_tries_the_next_step() -> None:
    hand = Hand().start()
    order = hand.drop()
    facts = hand.refused(order)
    assert names(facts) == ["OrderRejected", "OrderPlanned", "OrderSent"]
    assert isinstance(facts[0], f.OrderRejected)
    assert (facts[0].code, facts[0].message, facts[0].level) == ("-2010", "no", "ERROR")


def test_an_unknown_order_keeps_its_budget_and_its_symbol_until_there_is_evidence() -> None:
    hand = Hand({"budget": {"max_positions": 2}}).start(quote=190)
    order = hand.drop()
    hand.unknown(order)
    for _ in range(50):
        hand.wait(30_000)
        hand.quote(A, 98)
        hand.quote(B, 100)
        hand.quote(B, 98)
        hand.not_found(order, conclusive=False)
    assert hand.order().state is OrderState.UNKNOWN
    assert hand.reserved == D("100.2")
    assert len(hand.asked(PlaceOrder)) == 1, "neither escalated, nor bought again, nor was its budget given away"
    hand.not_found(order, conclusive=True)
    assert hand.reserved == 0
    assert not hand.engine.state.orders


def test_an_unknown_order_is_asked_for_with_growing_and_bounded_pauses() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.unknown(order)
    times = []
    for _ in range(20):
        before = len(hand.asked(QueryOrder))
        hand.wait(hand.engine.next_due_ms - hand.now)
        if len(hand.asked(QueryOrder)) > before:
            times.append(hand.now)
            hand.not_found(order, conclusive=False)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] <= 4_000
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60_000


def test_an_unknown_order_that_turns_out_filled_is_booked_and_ends() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.unknown(order)
    hand.reported(order, "filled", [hand.a_fill(order)])
    assert hand.held() == order.amount
    assert not hand.engine.state.intents


def test_an_unknown_order_that_turns_out_open_waits_on_and_is_cancelled_in_time() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.unknown(order)
    hand.wait(1_000)
    hand.reported(order, "open")
    assert hand.order().state is OrderState.OPEN
    assert names(hand.wait(1_000)) == ["OrderWaitEnded", "CancelAsked"]


def test_an_unknown_order_that_is_to_be_ended_is_cancelled_once_it_is_acknowledged() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.unknown(order)
    hand.wait(2_000)
    assert not hand.asked(CancelOrder), "nobody knows of an order to cancel: it is asked for"
    hand.ack(order)
    assert hand.last(CancelOrder).client_id == order.client_id


def test_an_order_that_is_acknowledged_before_it_is_known_to_have_left_ends_too() -> None:
    """So it comes after a crash: the plan was durable, what was sent was not, and the venue's word comes late."""
    hand = Hand().start()
    place = hand.decided()
    hand.ack(place)
    assert names(hand.wait(2_000)) == ["OrderWaitEnded", "CancelAsked"]


def test_a_fill_is_booked_once_however_often_it_is_told() -> None:
    hand = Hand().start()
    order = hand.drop()
    fill = hand.a_fill(order, "0.5")
    hand.feed(fill)
    assert hand.feed(fill) == []
    hand.reported(order, "open", [fill])
    hand.reported(order, "canceled", [fill])
    assert hand.feed(fill) == []
    assert hand.held() == D("0.5")
    assert len(hand.told(f.OrderFilled)) == 1


def test_a_late_fill_of_an_ended_order_is_booked() -> None:
    hand = Hand({"execution": {"steps": [{"tif": "IOC"}]}}).start()
    order = hand.drop()
    hand.closed(order, "expired")
    assert not hand.engine.state.orders
    hand.fill(order, "0.2")
    assert hand.held() == D("0.2")
    assert hand.engine.state.ledger.cash == D(10_000) - D("0.2") * 99


def test_a_fill_of_an_order_that_is_not_ours_is_reported_and_not_booked() -> None:
    hand = Hand().start()
    order = hand.drop()
    stray = e.FillReported("someone-else-1", A, "t9", D(99), D(1), D(0), "USDT", maker=False, at_ms=hand.now)
    assert names(hand.feed(stray)) == ["StrayFillSeen"]
    assert hand.held() == 0
    assert hand.order().client_id == order.client_id


def test_a_request_that_never_left_ends_its_intent_and_frees_its_budget() -> None:
    hand = Hand().start()
    place = hand.decided()
    assert hand.reserved == D("100.2")
    facts = hand.feed(e.RequestNotSent(place.client_id, "TooLate", hand.now))
    assert names(facts) == ["OrderNeverSent", "IntentEnded"]
    assert hand.reserved == 0


def test_a_step_beyond_the_slippage_limit_is_skipped() -> None:
    hand = Hand({"execution": {"max_slippage_bps": 5}}).start()
    order = hand.drop()
    facts = hand.closed(order, "expired")
    assert names(facts) == ["OrderDone", "StepSkipped", "OrderPlanned", "OrderSent"]
    assert (hand.order().step, hand.order().price) == (2, D("99.01"))  # 8 bps are too many, 2 are not


def test_a_coarse_tick_is_no_excuse_to_pay_more_than_the_slippage_limit() -> None:
    coarse = Instrument(A, "AAA", "USDT", tick_size=D(1), amount_step=D("0.001"), min_notional=D(5))
    hand = Hand({"execution": {"max_slippage_bps": 30}}, instruments=(coarse,)).start()
    order = hand.drop()
    hand.quote(A, 100.0)  # a tick up is 101 bps
    facts = hand.closed(order, "expired")
    assert names(facts) == ["OrderDone", "StepSkipped", "StepSkipped", "IntentEnded"]


def test_a_step_is_skipped_while_the_spread_is_too_wide() -> None:
    hand = Hand().start()
    order = hand.drop()
    hand.quote(A, 98.5, 99.5)
    facts = hand.closed(order, "expired")
    assert names(facts) == ["OrderDone", "StepSkipped", "StepSkipped", "IntentEnded"]


def test_an_old_quote_is_not_escalated_on() -> None:
    hand = Hand({"market": {"stale_after_s": 1}}).start()
    order = hand.drop()
    hand.wait(2_000)
    hand.closed(order)
    (ended,) = hand.told(f.IntentEnded)
    assert (ended.reason, len(hand.asked(PlaceOrder))) == ("stale data", 1)


def test_a_late_fill_at_a_better_price_never_lets_the_buy_pay_more_than_it_may() -> None:
    hand = Hand().start()
    first = hand.drop()
    hand.fill(first, "0.6", price=D("98.50"))
    hand.closed(first, "expired")
    hand.fill(hand.order())
    hand.closed(hand.order(), "filled")
    paid = sum((fact.price * fact.amount for fact in hand.told(f.OrderFilled)), D(0))
    assert D(95) < paid <= D(100)
