"""What is left is against the policy where an order is open, its end is not known, or the venue could not be asked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from tradebot.domain.inventory import Inventory, OpenOrder

OPEN = OpenOrder("t-1-1", "BTC/USDT", "buy", Decimal("50000.10"), Decimal("0.002"))
CLEAN = Inventory("cancel", verified=True)


def test_nothing_left_and_said_by_the_venue_is_as_the_policy_says() -> None:
    assert CLEAN.breach == ""
    assert CLEAN.left == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"orders": (OPEN,)}, "1 order open at the venue"),
        ({"orders": (OPEN, OPEN)}, "2 orders open at the venue"),
        ({"unknown": ("t-1-2",)}, "the end of 1 order is not known"),
        ({"verified": False, "cause": "HTTP 502"}, "the venue could not be asked: HTTP 502"),
        (
            {"orders": (OPEN,), "unknown": ("t-1-2", "t-1-3")},
            "1 order open at the venue; the end of 2 orders is not known",
        ),
    ],
)
def test_each_breach_has_its_own_words_and_none_counts_where_orders_may_be_left(
    changes: dict[str, object], words: str
) -> None:
    found = structs.replace(CLEAN, **changes)
    assert found.breach == words
    assert structs.replace(found, wanted="leave").breach == ""


def test_what_is_left_is_what_is_open_or_may_be() -> None:
    assert structs.replace(CLEAN, orders=(OPEN,), unknown=("t-1-2",)).left == ("t-1-1", "t-1-2")


def test_an_order_is_told_in_the_words_of_the_trade() -> None:
    assert str(OPEN) == "buy 0.002 BTC/USDT at 50000.10 (t-1-1)"
    assert str(structs.replace(OPEN, price=Decimal(0), side="sell")) == "sell 0.002 BTC/USDT at the market (t-1-1)"
