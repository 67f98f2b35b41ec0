"""Is an exchange asked for nothing while it wants no requests, and is trading never held back by reading?"""

from __future__ import annotations

from typing import get_args

import pytest

from tests.exchange.walls import Wall
from tradebot.exchange.budget import Budget, HeldBack, Priority, weight_of

MINUTE = 1_700_000_040_000 // 60_000 * 60_000


def limited(wall: Wall, limit: int = 6000) -> Budget:
    budget = Budget(wall)
    budget.note_limits(
        [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit},
            "something new",
        ]
    )
    return budget


def test_a_ban_stops_everything_until_it_ends() -> None:
    wall = Wall()
    budget = limited(wall)
    budget.note(418, {"Retry-After": "180"})
    for priority in get_args(Priority):
        with pytest.raises(HeldBack, match=r"banned by the exchange until [-0-9]{10} [:0-9]{8} UTC") as held:
            budget.admit(priority)
        assert held.value.until_ms == wall.now_ms() + 180_000
    wall.move_s(179.9)
    with pytest.raises(HeldBack):
        budget.admit("safety")
    wall.move_s(0.2)
    budget.admit("safety")
    assert budget.held_back == 5


def test_an_answer_that_was_under_way_does_not_shorten_a_ban() -> None:
    wall = Wall()
    budget = limited(wall)
    budget.note(418, {"retry-after": "600"})
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "10"})
    budget.note(429, {"Retry-After": "1"})
    wall.move_s(30)
    with pytest.raises(HeldBack):
        budget.admit("safety")


@pytest.mark.parametrize(
    ("status", "header", "wait_s"),
    [(429, "7", 7), (429, "", 5), (418, "", 120), (429, "soon", 5), (418, "inf", 120), (418, "9e9", 3 * 86_400)],
)
def test_the_exchange_says_how_long_to_wait_and_a_nonsense_is_a_default(
    status: int, header: str, wait_s: float
) -> None:
    wall = Wall()
    budget = Budget(wall)
    budget.note(status, {"Retry-After": header} if header else {})
    assert budget.closed_until_ms - wall.now_ms() == wait_s * 1000


def ask(budget: Budget, priority: Priority, weight: int = 1) -> bool:
    """Return whether a request may leave; it is answered at once, without a count."""
    try:
        ticket = budget.admit(priority, weight)
    except HeldBack:
        return False
    budget.done(ticket, answered=True)
    return True


@pytest.mark.parametrize(
    ("used", "may"),
    [
        (3599, {"safety", "exit", "poll", "entry"}),
        (3600, {"safety", "exit", "poll"}),
        (4799, {"safety", "exit", "poll"}),
        (4800, {"safety", "exit"}),
        (5999, {"safety", "exit"}),
        (6000, set()),
    ],
)
def test_buys_are_shed_first_then_what_only_looks_and_what_protects_has_all_of_the_limit(
    used: int, may: set[Priority]
) -> None:
    wall = Wall(MINUTE)
    budget = limited(wall)
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": str(used)})
    assert {priority for priority in get_args(Priority) if ask(budget, priority)} == may
    wall.move_s(60)
    assert all(ask(budget, priority) for priority in get_args(Priority))


def test_what_has_left_counts_until_it_is_answered_and_then_as_the_exchange_says() -> None:
    budget = limited(Wall(MINUTE), limit=100)
    tickets = [budget.admit("poll", 20) for _ in range(4)]
    with pytest.raises(HeldBack, match="80 of 100 request weight"):
        budget.admit("poll", 1)
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "5"})
    for ticket in tickets:
        budget.done(ticket, answered=True)
    assert budget.used == 5
    budget.done(budget.admit("poll", 20), answered=False)
    assert budget.used == 25, "what was not answered may have been counted"
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "7"})
    assert budget.used == 25, "an older answer"


def test_orders_are_counted_before_they_leave_and_given_back_as_the_exchange_says() -> None:
    wall = Wall(MINUTE)
    budget = limited(wall)
    tickets = [budget.admit("entry") for _ in range(60)]
    with pytest.raises(HeldBack, match="60 of 100 orders are used") as held:
        budget.admit("entry")
    assert held.value.until_ms == wall.now_ms() + 10_000
    assert budget.orders_spent_until_ms() == wall.now_ms() + 10_000
    tickets += [budget.admit("exit") for _ in range(40)]
    with pytest.raises(HeldBack, match="100 of 100 orders"):
        budget.admit("exit")
    assert ask(budget, "safety"), "a cancel is no order"
    for ticket in tickets:
        budget.done(ticket, answered=True)
    budget.note(200, {"X-MBX-ORDER-COUNT-10S": "3", "X-MBX-ORDER-COUNT-1D": "50"})
    assert budget.orders_spent_until_ms() == 0
    assert ask(budget, "entry"), "orders that were filled give their count back"


def test_a_day_of_orders_is_a_limit_too() -> None:
    wall = Wall(MINUTE)
    budget = limited(wall)
    budget.note_limits([{"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 1000}])
    budget.note(200, {"x-mbx-order-count-1d": "600"})
    with pytest.raises(HeldBack, match="600 of 1000 orders"):
        budget.admit("entry")
    budget.done(budget.admit("exit"), answered=True)
    wall.move_s(86_400)
    budget.admit("entry")


def test_too_many_orders_hold_back_orders_and_nothing_else() -> None:
    budget = limited(Wall(MINUTE))
    budget.note(429, {"Retry-After": "7"}, "-1015")
    assert {priority for priority in get_args(Priority) if ask(budget, priority)} == {"safety", "poll"}
    assert budget.closed_until_ms == 0


def test_an_order_that_the_address_may_not_send_is_not_counted_as_one() -> None:
    budget = limited(Wall(MINUTE), limit=100)
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "60"})
    for _ in range(200):
        assert not ask(budget, "entry")
    assert budget.orders_spent_until_ms() == 0


def test_requests_are_counted_where_the_exchange_limits_their_number() -> None:
    wall = Wall(MINUTE)
    budget = Budget(wall)
    budget.note_limits([{"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 10}])
    assert [ask(budget, "safety", 20) for _ in range(11)] == [True] * 10 + [False]
    wall.move_s(300)
    assert ask(budget, "safety")


def test_what_a_request_may_weigh_is_known_by_its_path() -> None:
    assert weight_of("http://127.0.0.1:1/api/v3/openOrders?timestamp=1&signature=a") == 80
    assert weight_of("http://127.0.0.1:1/api/v3/openOrders?symbol=BTCUSDT") == 6
    assert weight_of("https://api.binance.com/api/v3/order?x=1") == 4
    assert weight_of("https://elsewhere/else") == 1


def test_an_exchange_that_tells_no_weight_holds_nothing_back() -> None:
    budget = Budget(Wall())
    budget.note(200, {"X-Something": "1"})
    assert all(ask(budget, priority, 80) for priority in get_args(Priority) for _ in range(1000))
    assert budget.limit == 0
