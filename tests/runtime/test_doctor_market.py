"""Is a stake that is said to do really bought and sold again, and is the least one that is named enough?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO, bps_down
from tradebot.runtime.doctor_market import fit

FEE = Decimal("0.001")


def instrument(step: str = "0.00001", least: str = "0.00001", notional: str = "5") -> Instrument:
    return Instrument(
        "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal(step), Decimal(least), min_notional=Decimal(notional)
    )


def test_a_stake_below_the_least_order_value_cannot_be_bought() -> None:
    found = fit(instrument(), Decimal(50_000), Decimal(50_000), Decimal(4), FEE, ZERO)
    assert found.wrong == "a buy of 4 is 0.00008 BTC: worth 4.00 USDT, and 5 is the least"


def test_a_stake_that_can_be_bought_and_not_be_sold_after_fee_and_stop_is_named() -> None:
    found = fit(instrument(), Decimal(50_000), Decimal(50_000), Decimal("5.1"), FEE, Decimal(400))
    assert found.bought == Decimal("0.0001")
    assert found.wrong == "0.00009 BTC are left to sell after fee and stop: worth 4.32 USDT, and 5 is the least"
    assert found.left_share > Decimal("0.09")


def test_a_stake_of_less_than_a_lot_is_named_with_the_least_amount() -> None:
    found = fit(instrument(step="0.001", least="0.001"), Decimal(50_000), Decimal(50_000), Decimal(49), FEE, ZERO)
    assert found.wrong == "a buy of 49 is 0 BTC: the least is 0.001"
    assert found.needs_quote == 100  # one lot more than is sold, since the fee is taken of what was bought


PLACES = st.integers(0, 6).map(lambda places: Decimal(1).scaleb(-places))


@given(
    step=PLACES,
    lots=st.integers(1, 50),
    notional=st.decimals(0, 50, places=2),
    bid=st.decimals("0.0001", 100_000, places=4),
    spread_bps=st.decimals(0, 200, places=1),
    stake=st.decimals("0.01", 10_000, places=2),
    fee=st.decimals(0, "0.01", places=4),
    falls=st.decimals(0, 9_000, places=0),
)
def test_the_verdict_is_the_venues_own_and_the_stake_that_is_named_would_do(
    step: Decimal,
    lots: int,
    notional: Decimal,
    bid: Decimal,
    spread_bps: Decimal,
    stake: Decimal,
    fee: Decimal,
    falls: Decimal,
) -> None:
    one = Instrument("A/USDT", "A", "USDT", Decimal("0.00000001"), step, step * lots, min_notional=notional)
    ask, low = bid * (1 + spread_bps / 10_000), bid * bps_down(falls)
    found = fit(one, bid, ask, stake, fee, falls)
    bought = one.amount_down(stake / ask)
    fits = all(
        amount >= max(one.min_amount, step) and amount * price >= notional
        for amount, price in ((bought, ask), (one.amount_down(bought * (1 - fee)), low))
    )
    assert (found.wrong == "") == fits
    assert fit(one, bid, ask, found.needs_quote, fee, falls).wrong == ""
    assert found.needs_quote > 0


@pytest.mark.parametrize("falls", [ZERO, Decimal(400)])
def test_a_fee_in_quote_leaves_the_whole_lot_to_sell(falls: Decimal) -> None:
    found = fit(instrument(), Decimal(50_000), Decimal(50_000), Decimal(20), ZERO, falls)
    assert (found.wrong, found.sellable, found.left_share) == ("", Decimal("0.0004"), ZERO)
