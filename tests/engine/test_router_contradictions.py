"""Does the router keep its books where a venue contradicts itself: answers in any order, of any order, true or not?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.hand import A, D, Hand
from tradebot.domain import events as e
from tradebot.domain.facts import OrderFilled
from tradebot.domain.orders import Order

SPANS = (0, 1, 500, 1_000, 2_001, 5_000, 30_000, 61_000)


def part(order: Order, value: int) -> Decimal:
    """Return a part of what is left of an order, in lots."""
    left = (order.amount or order.quote_amount / 99) - order.filled
    return max(D(0), (left * value / 11).quantize(D("0.001"), "ROUND_DOWN"))


def fill(hand: Hand, order: Order, value: int, times: int = 1) -> None:
    """Fill a part of an order, and tell it this often."""
    if amount := part(order, value):
        one = hand.a_fill(order, amount, price=order.price or D(99))
        for _ in range(times):
            hand.feed(one)


def report(hand: Hand, order: Order, value: int) -> None:
    """Report an order as over, with a further fill."""
    amount = part(order, value)
    fills = [hand.a_fill(order, amount, price=order.price or D(99))] if amount else []
    hand.reported(order, ("canceled", "expired", "filled")[value % 3], fills, order.filled + amount)


def stray(hand: Hand, order: Order, value: int) -> None:
    """Tell a fill of an order that this journal does not hold."""
    hand.feed(e.FillReported("t-r0-1", order.symbol, f"s{value}", D(99), D(1), D(0), "USDT", False, hand.now))


ANSWERS: dict[str, Callable[[Hand, Order, int], object]] = {
    "acknowledged": lambda hand, order, _: hand.ack(order),
    "refused": lambda hand, order, _: hand.refused(order),
    "filled": fill,
    "filled, told twice": lambda hand, order, value: fill(hand, order, value, times=2),
    "canceled": lambda hand, order, _: hand.closed(order, "canceled"),
    "expired": lambda hand, order, _: hand.closed(order, "expired"),
    "over": lambda hand, order, _: hand.closed(order, "filled"),
    "over with more": lambda hand, order, _: hand.closed(order, "canceled", filled=order.filled + D("0.001")),
    "rejected": lambda hand, order, _: hand.closed(order, "rejected"),
    "cancel refused": lambda hand, order, _: hand.feed(e.CancelRefused(order.client_id, "-2011", "no", hand.now)),
    "place unknown": lambda hand, order, _: hand.unknown(order, "place"),
    "cancel unknown": lambda hand, order, _: hand.unknown(order, "cancel"),
    "query unknown": lambda hand, order, _: hand.unknown(order, "query"),
    "found open": lambda hand, order, _: hand.reported(order, "open"),
    "found pending": lambda hand, order, _: hand.reported(order, "pending"),
    "found rejected": lambda hand, order, _: hand.reported(order, "rejected"),
    "found over": report,
    "absent": lambda hand, order, _: hand.not_found(order, conclusive=True),
    "not found": lambda hand, order, _: hand.not_found(order, conclusive=False),
    "sent": lambda hand, order, _: hand.feed(e.RequestSent(order.client_id, hand.now)),
    "not sent": lambda hand, order, _: hand.feed(e.RequestNotSent(order.client_id, "TooLate", hand.now)),
    "time": lambda hand, _, value: hand.wait(SPANS[value % len(SPANS)]),
    "stray": stray,
}

scripts = st.lists(
    st.tuples(st.sampled_from(sorted(ANSWERS)), st.integers(0, 11), st.integers(0, 11)), min_size=1, max_size=60
)


@settings(max_examples=300)
@given(scripts)
def test_contradictions_neither_break_the_machine_nor_leak_a_reservation(script: list[tuple[str, int, int]]) -> None:
    """Buys alone: a sale of what is not held is no news but a broken ledger, and ends the run."""
    steps = [{"tif": "IOC"}, {"tif": "GTC"}, {"type": "market"}]
    hand = Hand({"features": {"exits": False}, "execution": {"steps": steps}}).start()
    for answer, pick, value in script:
        if not hand.buys():
            hand.quote(A, 100)
            hand.quote(A, 99)
        orders = [*hand.engine.state.orders.values(), *hand.engine.state.ended.values()]
        ANSWERS[answer](hand, orders[pick % len(orders)], value)
        for intent in hand.buys():
            assert intent.reserved == D("100.2")
            assert hand.reserved == max(D(0), intent.reserved - intent.spent)
        assert hand.buys() or hand.reserved == 0
        assert len(hand.engine.state.orders) <= 1
    booked = [fact.trade_id for fact in hand.told(OrderFilled)]
    assert len(booked) == len(set(booked))
    for _ in range(len(steps)):
        for order in list(hand.engine.state.orders.values()):
            hand.closed(order, "expired")
    assert not hand.engine.state.intents
    assert hand.reserved == 0
