"""Is an order known for ours by its id alone, and one of an instance whose name begins like ours never?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venues.ccxt_kit import WallClock
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.parsing import SeenOrder
from tradebot.venues.ccxt_orders import OwnOrders, run_of


async def _no_time() -> int:
    return 0


@pytest.mark.parametrize(
    ("client_id", "run"),
    [
        ("a-k3x-1", "k3x"),
        ("a-k3x-120", "k3x"),
        ("a-b-k3x-1", ""),
        ("a-k3x", ""),
        ("a-", ""),
        ("ab-k3x-1", ""),
        ("a-k3x-1x", ""),
        ("x-TKT5PX2F1", ""),
        ("", ""),
    ],
)
def test_ours_is_the_instance_a_run_and_a_number(client_id: str, run: str) -> None:
    assert run_of(client_id, "a-") == run
    owned = OwnOrders(ClockOffset(_no_time, WallClock()), "a-")
    assert owned.owns(client_id) == (run != "")


def test_an_order_that_was_seen_is_not_gone_by_a_refusal_that_comes_after_it() -> None:
    owned = OwnOrders(ClockOffset(_no_time, WallClock()), "a-")
    seen = SeenOrder("28", "a-k3x-1", "A/B", "open", Decimal(0), (), 0)
    owned.take(seen, "a-k3x-1", 0, "")
    owned.gone(owned.know("a-k3x-1", "A/B"))
    assert [order.client_id for order in owned.live()] == ["a-k3x-1"]
    owned.gone(owned.know("a-k3x-2", "A/B"))
    assert [order.client_id for order in owned.live()] == ["a-k3x-1"]


def test_an_instance_whose_name_goes_on_knows_its_own() -> None:
    assert run_of("a-b-k3x-7", "a-b-") == "k3x"
    assert run_of("a-k3x-7", "a-b-") == ""
