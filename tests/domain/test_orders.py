"""Do states, lots and positions add up?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.strategies import records
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import TERMINAL, Balance, Lot, OrderState, Position

D = Decimal


def test_an_unknown_order_is_not_over() -> None:
    assert not OrderState.UNKNOWN.terminal


@pytest.mark.parametrize("state", list(OrderState))
def test_an_order_is_over_or_something_is_still_expected(state: OrderState) -> None:
    waiting = {OrderState.PLANNED, OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN}
    assert state.terminal is (state not in waiting)
    assert (state in TERMINAL) is state.terminal


def test_states_read_as_the_trade_writes_them() -> None:
    assert f"{OrderState.NEVER_SENT}" == "never_sent"


@given(records(Balance))
def test_a_balance_is_free_and_locked_together(balance: Balance) -> None:
    assert balance.total - balance.locked == balance.free


def test_a_flat_position_has_no_entry_price() -> None:
    flat = Position(symbol="BTC/USDT", opened_ms=0)
    assert (flat.amount, flat.cost, flat.entry_price) == (ZERO, ZERO, ZERO)


def test_the_entry_price_leaves_fees_out() -> None:
    position = Position(
        symbol="BTC/USDT",
        opened_ms=0,
        lots=[
            Lot(lot_id=1, amount=D("0.999"), cost=D(100), gross_amount=D(1), gross_cost=D(100), opened_ms=0),
            Lot(lot_id=2, amount=D("2.997"), cost=D(360), gross_amount=D(3), gross_cost=D(360), opened_ms=1),
        ],
    )
    assert position.entry_price == D(115)
    assert position.amount == D("3.996")
    assert position.cost == D(460)


@given(st.lists(st.decimals(min_value=D("0.01"), max_value=D(1000), places=2), min_size=1, max_size=6))
def test_the_entry_price_lies_between_the_lots(prices: list[Decimal]) -> None:
    lots = [
        Lot(lot_id=number, amount=D(2), cost=2 * price, gross_amount=D(2), gross_cost=2 * price, opened_ms=number)
        for number, price in enumerate(prices)
    ]
    position = Position(symbol="BTC/USDT", opened_ms=0, lots=lots)
    assert min(prices) <= position.entry_price <= max(prices)


def test_two_positions_share_no_lots() -> None:
    first, second = Position(symbol="A/USDT", opened_ms=0), Position(symbol="B/USDT", opened_ms=0)
    first.lots.append(Lot(lot_id=1, amount=D(1), cost=D(1), gross_amount=D(1), gross_cost=D(1), opened_ms=0))
    assert second.lots == []
