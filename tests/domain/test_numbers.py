"""Are money and time counted exactly?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.domain.strategies import finite
from tradebot.domain.numbers import bps_down, bps_up, ceil_to, exact, floor_to, ms, plain

amounts = st.decimals(min_value=Decimal("-1e9"), max_value=Decimal("1e9"), allow_nan=False, places=18)
steps = st.one_of(
    st.integers(-8, 3).map(lambda places: Decimal(1).scaleb(places)),
    st.sampled_from([Decimal("0.25"), Decimal("0.05"), Decimal(3), Decimal("0.00025"), Decimal("12.5")]),
)


@given(amounts, steps)
@example(Decimal("8.999999999999999999999999999"), Decimal(3))  # rounds up to 9 where it is divided first
@example(Decimal("-8.999999999999999999999999999"), Decimal(3))
def test_floor_is_the_last_multiple_not_above(value: Decimal, step: Decimal) -> None:
    floor = floor_to(value, step)
    assert floor <= value
    assert floor % step == 0
    assert value - floor < step


@given(amounts, steps)
@example(Decimal("9.000000000000000000000000001"), Decimal(3))
@example(Decimal("-9.000000000000000000000000001"), Decimal(3))
def test_ceiling_is_the_first_multiple_not_below(value: Decimal, step: Decimal) -> None:
    ceiling = ceil_to(value, step)
    assert ceiling >= value
    assert ceiling % step == 0
    assert ceiling - value < step


@given(st.integers(-(10**12), 10**12), steps)
def test_a_value_on_the_grid_stays_where_it_is(count: int, step: Decimal) -> None:
    value = count * step
    assert floor_to(value, step) == value == ceil_to(value, step)


@given(finite)
def test_a_price_that_came_as_text_is_the_same_number_again(value: float) -> None:
    assert float(exact(value)) == value
    assert exact(value) == Decimal(str(value))


@pytest.mark.parametrize(("value", "read"), [(0.1, "0.1"), (1e-8, "1E-8"), (3, "3"), ("2.50", "2.50")])
def test_a_number_is_taken_as_a_person_reads_it(value: float | int | str, read: str) -> None:
    assert exact(value) == Decimal(read)


@pytest.mark.parametrize(
    ("bps", "up", "down"), [("150", "1.015", "0.985"), ("0", "1", "1"), ("0.5", "1.00005", "0.99995")]
)
def test_basis_points_become_factors(bps: str, up: str, down: str) -> None:
    assert bps_up(Decimal(bps)) == Decimal(up)
    assert bps_down(Decimal(bps)) == Decimal(down)


@pytest.mark.parametrize(("seconds", "whole"), [(0.5, 500), (Decimal("1.2345"), 1234), (30, 30_000), (0.0299, 30)])
def test_seconds_become_whole_milliseconds(seconds: float | int | Decimal, whole: int) -> None:
    assert ms(seconds) == whole
    assert type(ms(seconds)) is int


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+2", "100"), ("1.500", "1.5"), ("0E-8", "0"), ("-0.10", "-0.1"), ("100", "100"), ("1E-8", "0.00000001")],
)
def test_plain_text_has_no_exponent_and_no_idle_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@given(amounts)
def test_plain_text_is_the_same_number(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
