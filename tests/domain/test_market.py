"""Do the venue's filters hold, and are guessed filters plausible?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tradebot.domain.market import Instrument, instrument_from_price, split_symbol
from tradebot.domain.numbers import exact

BTC = Instrument(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    amount_step=Decimal("0.00001"),
    min_amount=Decimal("0.00002"),
    max_amount=Decimal(9000),
    min_notional=Decimal(5),
)


@pytest.mark.parametrize(
    ("price", "amount", "filter_name"),
    [
        ("64000.00", "0.001", None),
        ("64000.005", "0.001", "PRICE_FILTER"),
        ("0", "0.001", "PRICE_FILTER"),
        ("-1", "0.001", "PRICE_FILTER"),
        ("64000", "0.0010001", "LOT_SIZE"),
        ("64000", "0", "LOT_SIZE"),
        ("64000", "0.00001", "LOT_SIZE"),
        ("64000", "9000.00001", "LOT_SIZE"),
        ("64000", "9000", None),
        ("64000", "0.00007", "NOTIONAL"),
        ("62500", "0.00008", None),
    ],
)
def test_a_breach_is_named_as_the_venue_names_it(price: str, amount: str, filter_name: str | None) -> None:
    assert BTC.breach(Decimal(price), Decimal(amount)) == filter_name


def test_a_maximum_of_zero_means_no_limit() -> None:
    boundless = Instrument("A/USDT", "A", "USDT", tick_size=Decimal(1), amount_step=Decimal(1))
    assert boundless.breach(Decimal(1), Decimal(10**15)) is None


@given(
    st.decimals(min_value=Decimal("0.01"), max_value=Decimal(1_000_000), places=10),
    st.decimals(min_value=Decimal("0.00002"), max_value=Decimal(9000), places=12),
)
def test_what_is_put_on_the_grids_breaks_no_grid(price: Decimal, amount: Decimal) -> None:
    for limit in (BTC.price_down(price), BTC.price_up(price)):
        assert BTC.breach(limit, BTC.amount_down(amount)) in {None, "NOTIONAL"}
    assert BTC.price_down(price) <= price <= BTC.price_up(price)
    assert BTC.amount_down(amount) <= amount


@pytest.mark.parametrize(("symbol", "pair"), [("BTC/USDT", ("BTC", "USDT")), ("1INCH/BTC", ("1INCH", "BTC"))])
def test_a_symbol_is_base_and_quote(symbol: str, pair: tuple[str, str]) -> None:
    assert split_symbol(symbol) == pair


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/", "/USDT", "BTC/USDT/X", "", "/"])
def test_anything_else_is_no_symbol(symbol: str) -> None:
    with pytest.raises(ValueError, match="BASE/QUOTE"):
        split_symbol(symbol)


@given(
    st.floats(min_value=1e-9, max_value=1e7, allow_nan=False),
    st.integers(0, 12),
    st.decimals(min_value=Decimal(0), max_value=Decimal(100), places=2),
)
def test_a_lot_step_guessed_from_a_price_never_costs_a_per_cent(price: float, decimals: int, minimum: Decimal) -> None:
    guessed = instrument_from_price("X/USDT", price, decimals=decimals, min_notional=minimum)
    hundredth = max(minimum, Decimal(1)) / 100
    assert guessed.amount_step * exact(price) <= hundredth
    assume(guessed.amount_step < 1)
    assert guessed.amount_step * 10 * exact(price) > hundredth


def test_a_guessed_instrument_carries_names_tick_and_minimum() -> None:
    guessed = instrument_from_price("ETH/USDT", 2500.0, decimals=2, min_notional=Decimal(5))
    assert guessed == Instrument(
        symbol="ETH/USDT",
        base="ETH",
        quote="USDT",
        tick_size=Decimal("0.01"),
        amount_step=Decimal("0.00001"),
        min_amount=Decimal("0.00001"),
        min_notional=Decimal(5),
    )
