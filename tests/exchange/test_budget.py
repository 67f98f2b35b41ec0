"""Is an exchange asked for nothing while it wants no requests, and is trading never held back by reading?"""

from __future__ import annotations

import pytest

from tests.exchange.walls import Wall
from tradebot.exchange.budget import Budget, HeldBack


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
    for urgent in (True, False):
        with pytest.raises(HeldBack, match=r"banned by the exchange for 180\.0 s more") as held:
            budget.admit(urgent=urgent)
        assert held.value.until_ms == wall.now_ms() + 180_000
    wall.move_s(179.9)
    with pytest.raises(HeldBack):
        budget.admit(urgent=True)
    wall.move_s(0.2)
    budget.admit(urgent=True)
    assert budget.held_back == 3


def test_an_answer_that_was_under_way_does_not_shorten_a_ban() -> None:
    wall = Wall()
    budget = limited(wall)
    budget.note(418, {"retry-after": "600"})
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "10"})
    budget.note(429, {"Retry-After": "1"})
    wall.move_s(30)
    with pytest.raises(HeldBack):
        budget.admit(urgent=True)


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


def test_reading_waits_for_the_next_minute_before_trading_is_short_of_weight() -> None:
    wall = Wall(1_700_000_000_000 // 60_000 * 60_000)
    budget = limited(wall)
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "4799"})
    budget.admit(urgent=False)
    budget.note(200, {"X-MBX-USED-WEIGHT-1M": "4800"})
    with pytest.raises(HeldBack, match="4800 of 6000"):
        budget.admit(urgent=False)
    budget.admit(urgent=True)
    wall.move_s(60)
    budget.admit(urgent=False)


def test_an_exchange_that_tells_no_weight_holds_nothing_back() -> None:
    budget = Budget(Wall())
    budget.note(200, {"X-Something": "1"})
    budget.admit(urgent=False)
    assert budget.limit == 0
