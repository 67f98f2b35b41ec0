"""Is an answer read exactly, or not at all?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.orders import Balance
from tradebot.exchange.dialects import GENERAL, dialect_of
from tradebot.exchange.instruments import instrument_of, instruments_of
from tradebot.exchange.parsing import Unreadable, balances_of, fill_of, order_of

ORDER: dict[str, Any] = {"id": "1", "clientOrderId": "a-1", "status": "open", "filled": "0.1", "amount": "1"}
FILL: dict[str, Any] = {"id": "7", "order": "1", "price": "2", "amount": "3", "fee": {"cost": "0.1", "currency": "BNB"}}

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(ORDER)), ODD)
def test_an_odd_field_of_an_order_is_read_exactly_or_refused(name: str, value: Any) -> None:
    try:
        order = order_of({**ORDER, name: value}, "A/B", GENERAL)
    except Unreadable:
        return
    assert order.venue_id
    assert order.filled.is_finite()


@given(st.sampled_from([*sorted(FILL), "timestamp", "fees", "info"]), ODD)
def test_an_odd_field_of_a_trade_is_read_exactly_or_refused(name: str, value: Any) -> None:
    try:
        fill = fill_of({**FILL, name: value}, "A/B", dialect_of("bybit"))
    except Unreadable:
        return
    assert fill.trade_id
    assert fill.price > 0
    assert fill.amount > 0
    assert fill.fee.is_finite()


@given(ODD)
def test_an_odd_answer_is_no_order_no_trade_and_no_balance(answer: Any) -> None:
    with pytest.raises(Unreadable):
        order_of(answer, "A/B", GENERAL)
    with pytest.raises(Unreadable):
        fill_of(answer, "A/B", GENERAL)
    with pytest.raises(Unreadable):
        balances_of({"free": answer} if not isinstance(answer, dict) else answer)


@pytest.mark.parametrize("fees", [[1], ["0.1"], [None], {"A": "0.1"}])
def test_fees_of_another_kind_are_refused(fees: Any) -> None:
    with pytest.raises(Unreadable):
        fill_of({**FILL, "fee": None, "fees": fees}, "A/B", GENERAL)


@pytest.mark.parametrize("part", ["free", "used", "total"])
def test_balances_of_another_kind_are_refused(part: str) -> None:
    with pytest.raises(Unreadable):
        balances_of({"free": {"A": "1"}, "used": {"A": "0"}, "total": {"A": "1"}, part: ["A"]})


@pytest.mark.parametrize(
    ("status", "filled", "read"),
    [("closed", "1", "filled"), ("closed", "0.5", "expired"), ("canceled", "0.5", "canceled"), (None, "0", None)],
)
def test_an_order_that_ended_before_it_was_filled_is_not_filled(status: str | None, filled: str, read: str) -> None:
    assert order_of({**ORDER, "status": status, "filled": filled}, "A/B", GENERAL).status == read


def test_balances_are_exact_and_what_is_nothing_is_left_out() -> None:
    answer = {
        "free": {"A": "0.10000000", "B": "0", "C": None},
        "used": {"A": "0.2", "B": "0"},
        "total": {"A": "0.3", "B": "0", "C": "5"},
    }
    assert balances_of(answer) == {"A": Balance(Decimal("0.1"), Decimal("0.2")), "C": Balance(Decimal(0), Decimal(5))}


def test_a_fee_in_several_assets_is_not_guessed() -> None:
    fees = [{"cost": "0.1", "currency": "A"}, {"cost": "0.1", "currency": "B"}]
    with pytest.raises(Unreadable, match="several fees"):
        fill_of({**FILL, "fee": None, "fees": fees}, "A/B", GENERAL)


@pytest.mark.parametrize(
    ("fees", "read"),
    [
        ([{"cost": "0", "currency": "A"}, {"cost": "0.0123", "currency": "GT"}], (Decimal("0.0123"), "GT")),
        ([{"cost": "0.002", "currency": "A"}, {"cost": "0", "currency": "GT"}], (Decimal("0.002"), "A")),
        ([{"cost": "0", "currency": "A"}, {"cost": "0.0", "currency": "GT"}], (Decimal(0), "")),
    ],
)
def test_the_one_fee_that_was_charged_is_read_though_ccxt_leaves_the_fee_itself_empty(fees: Any, read: Any) -> None:
    fill = fill_of({**FILL, "fee": {"cost": None, "currency": None}, "fees": fees}, "A/B", dialect_of("gate"))
    assert (fill.fee, fill.fee_asset) == read


def test_two_fees_are_not_guessed_where_ccxt_leaves_the_fee_itself_empty() -> None:
    fees = [{"cost": "0.1", "currency": "A"}, {"cost": "0.1", "currency": "GT"}]
    with pytest.raises(Unreadable, match="several fees"):
        fill_of({**FILL, "fee": {"cost": None, "currency": None}, "fees": fees}, "A/B", dialect_of("gate"))


MARKET: dict[str, Any] = {
    "symbol": "A/B",
    "base": "A",
    "quote": "B",
    "spot": True,
    "active": True,
    "precision": {"price": "0.01", "amount": "1e-05"},
    "limits": {"amount": {"min": "0.001", "max": None}, "cost": {"min": "5"}},
}


def test_filters_are_exact_and_a_market_that_cannot_be_traded_is_left_out() -> None:
    instrument = instrument_of(MARKET)
    assert instrument is not None
    assert (instrument.tick_size, instrument.amount_step) == (Decimal("0.01"), Decimal("0.00001"))
    limits = (instrument.min_amount, instrument.max_amount, instrument.min_notional)
    assert limits == (Decimal("0.001"), Decimal(0), Decimal(5))
    markets = {
        "A/B": MARKET,
        "C/B": {**MARKET, "symbol": "C/B", "active": False},
        "D/B": {**MARKET, "symbol": "D/B", "precision": {"price": None, "amount": "1"}},
        "E/F": {**MARKET, "symbol": "E/F", "quote": "F"},
        "A/B:B": {**MARKET, "symbol": "A/B:B", "spot": False},
    }
    assert [each.symbol for each in instruments_of(markets, "B")] == ["A/B"]
    assert [each.symbol for each in instruments_of(markets, "B", {"C/B"})] == ["A/B", "C/B"], "halted, and asked for"
