"""Is everything that was paid and received in the books, to the last unit, whatever the fees are charged in?"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebot.domain.facts import OrderFilled
from tradebot.domain.ledger import Ledger, LedgerBroken
from tradebot.domain.orders import Side

START = Decimal(10_000)
SYMBOLS = ("AAA/USDT", "BBB/USDT")


def fill(
    side: Side,
    amount: Decimal,
    price: Decimal,
    *,
    symbol: str = "AAA/USDT",
    fee: Decimal = Decimal(0),
    asset: str = "USDT",
    intent: int = 1,
) -> OrderFilled:
    """Return one fill."""
    return OrderFilled("c", intent, symbol, side, "t", price, amount, fee, asset, maker=False, latency_ms=0)


def opened() -> Ledger:
    """Return a ledger that has begun."""
    ledger = Ledger(quote="USDT")
    ledger.open(START)
    return ledger


units = st.integers(1, 10**9).map(lambda units: Decimal(units).scaleb(-6))
prices = st.integers(1, 10**8).map(lambda ticks: Decimal(ticks).scaleb(-4))
fees = st.tuples(st.sampled_from(["USDT", "base", "BNB"]), st.integers(0, 200))
moves = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "sell", "sell all", "close", "came", "went"]),
        st.sampled_from(SYMBOLS),
        units,
        prices,
        fees,
        st.integers(1, 4),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(moves)
def test_the_ledger_conserves_every_asset(
    script: list[tuple[str, str, Decimal, Decimal, tuple[str, int], int]],
) -> None:
    """Against sums of fractions, which never round."""
    ledger = opened()
    expected: defaultdict[str, Fraction] = defaultdict(Fraction, USDT=Fraction(START))
    for move, symbol, wanted, price, (fee_in, bps), intent in script:
        base = symbol[:3]
        position = ledger.positions.get(symbol)
        if move == "close":
            if position is not None:
                ledger.close(symbol)
                assert symbol not in ledger.positions
            continue
        if move in {"came", "went"}:
            change = wanted if move == "came" else -min(wanted, ledger.holding(symbol))
            ledger.adopt(base, symbol, change, price, 0)
            expected[base] += Fraction(change)
            check(ledger, expected)
            continue
        side, amount = Side.BUY if move == "buy" else Side.SELL, wanted
        if side is Side.SELL:
            if position is None or not position.amount:
                continue
            amount = position.amount if move == "sell all" else min(wanted, position.amount)
        asset = base if fee_in == "base" and side is Side.BUY else "USDT" if fee_in == "base" else fee_in
        worth = amount if asset == base else amount * price
        fee = (worth * bps / 10_000).quantize(Decimal("1e-8"))
        ledger.book(fill(side, amount, price, symbol=symbol, fee=fee, asset=asset, intent=intent), base, 0)
        sign = 1 if side is Side.BUY else -1
        expected[base] += sign * Fraction(amount)
        expected["USDT"] -= sign * Fraction(amount) * Fraction(price)
        expected[asset] -= Fraction(fee)
        check(ledger, expected)


def check(ledger: Ledger, expected: dict[str, Fraction]) -> None:
    """Compare the books with the sums."""
    assert Fraction(ledger.cash) == expected["USDT"]
    for symbol in SYMBOLS:
        position = ledger.positions.get(symbol)
        held = (position.amount if position else Decimal(0)) + ledger.dust.get(symbol, Decimal(0))
        assert Fraction(held) == expected.get(symbol[:3], 0)
        if position is not None:
            assert all(lot.amount > 0 or lot.cost >= 0 for lot in position.lots)
            assert len({lot.lot_id for lot in position.lots}) == len(position.lots)
    assert Fraction(ledger.other_fees.get("BNB", Decimal(0))) == -expected.get("BNB", Fraction(0))


def test_a_fee_in_base_makes_the_position_smaller_and_not_the_cash() -> None:
    ledger = opened()
    ledger.book(fill(Side.BUY, Decimal(2), Decimal(50), fee=Decimal("0.002"), asset="AAA"), "AAA", 7)
    position = ledger.positions["AAA/USDT"]
    assert (ledger.cash, position.amount, position.opened_ms) == (Decimal(9_900), Decimal("1.998"), 7)
    assert position.entry_price == 50, "the price paid, before fees"
    assert position.fees == Decimal("0.1")


def test_a_fee_in_quote_is_cost() -> None:
    ledger = opened()
    ledger.book(fill(Side.BUY, Decimal(2), Decimal(50), fee=Decimal("0.1")), "AAA", 0)
    assert ledger.cash == Decimal("9899.9")
    assert ledger.positions["AAA/USDT"].cost == Decimal("100.1")
    ledger.book(fill(Side.SELL, Decimal(2), Decimal(60), fee=Decimal("0.12")), "AAA", 0)
    position = ledger.positions["AAA/USDT"]
    assert position.proceeds - position.spent == Decimal("19.78")
    assert ledger.cash == START + Decimal("19.78")


def test_a_fee_in_a_third_asset_is_kept_apart() -> None:
    ledger = opened()
    for _ in range(2):
        ledger.book(fill(Side.BUY, Decimal(1), Decimal(50), fee=Decimal("0.01"), asset="BNB"), "AAA", 0)
    assert ledger.other_fees == {"BNB": Decimal("0.02")}
    assert ledger.cash == Decimal(9_900)


def test_the_oldest_lot_is_sold_first_in_proportion_of_its_cost() -> None:
    ledger = opened()
    ledger.book(fill(Side.BUY, Decimal(2), Decimal(50), intent=1), "AAA", 0)
    ledger.book(fill(Side.BUY, Decimal(1), Decimal(80), intent=2), "AAA", 0)
    ledger.book(fill(Side.SELL, Decimal("0.5"), Decimal(60)), "AAA", 0)
    lots = ledger.positions["AAA/USDT"].lots
    assert [(lot.lot_id, lot.amount, lot.cost) for lot in lots] == [
        (1, Decimal("1.5"), Decimal(75)),
        (2, Decimal(1), Decimal(80)),
    ]
    ledger.book(fill(Side.SELL, Decimal(2), Decimal(60)), "AAA", 0)
    assert [(lot.lot_id, lot.amount) for lot in ledger.positions["AAA/USDT"].lots] == [(2, Decimal("0.5"))]


@pytest.mark.parametrize(("amount", "fee"), [("1.000001", "0"), ("1", "0.000001")])
def test_selling_more_than_is_held_is_refused_and_changes_nothing(amount: str, fee: str) -> None:
    ledger = opened()
    ledger.book(fill(Side.BUY, Decimal(1), Decimal(50)), "AAA", 0)
    with pytest.raises(LedgerBroken, match=r"fill t sold 1.000001, but 1 is held"):
        ledger.book(fill(Side.SELL, Decimal(amount), Decimal(60), fee=Decimal(fee), asset="AAA"), "AAA", 0)
    assert ledger.cash == Decimal(9_950)
    assert ledger.positions["AAA/USDT"].amount == 1


def test_selling_what_was_never_bought_is_refused() -> None:
    with pytest.raises(LedgerBroken, match="but 0 is held"):
        opened().book(fill(Side.SELL, Decimal(1), Decimal(60)), "AAA", 0)


def test_what_a_closed_position_leaves_adds_up_as_dust() -> None:
    ledger = opened()
    for _ in range(2):
        ledger.book(fill(Side.BUY, Decimal("1.25"), Decimal(4)), "AAA", 0)
        ledger.book(fill(Side.SELL, Decimal(1), Decimal(4)), "AAA", 0)
        ledger.close("AAA/USDT")
    assert ledger.dust == {"AAA/USDT": Decimal("0.50")}
    assert not ledger.positions


def test_what_went_leaves_the_position_before_the_dust_as_sold_at_its_price_and_not_the_cash() -> None:
    ledger = opened()
    ledger.dust["AAA/USDT"] = Decimal("0.3")
    ledger.book(fill(Side.BUY, Decimal(2), Decimal(50)), "AAA", 0)
    cash = ledger.cash
    ledger.adopt("AAA", "AAA/USDT", Decimal("-2.1"), Decimal(60), 0)
    position = ledger.positions["AAA/USDT"]
    assert (position.amount, position.sold, position.proceeds) == (Decimal(0), Decimal(2), Decimal(120))
    assert ledger.dust == {"AAA/USDT": Decimal("0.2")}
    assert ledger.cash == cash
    assert ledger.adopted == {"AAA": Decimal("-2.1")}
    with pytest.raises(LedgerBroken, match="are gone"):
        ledger.adopt("AAA", "AAA/USDT", Decimal("-0.3"), Decimal(60), 0)


def test_what_came_is_a_lot_of_its_own_and_adopted_quote_is_cash() -> None:
    ledger = opened()
    ledger.book(fill(Side.BUY, Decimal(2), Decimal(50)), "AAA", 0)
    for _ in range(2):
        ledger.adopt("AAA", "AAA/USDT", Decimal(1), Decimal(80), 5)
    position = ledger.positions["AAA/USDT"]
    one, adopted = position.lots
    assert (one.lot_id, one.amount, one.cost) == (1, Decimal(2), Decimal(100))
    assert (adopted.lot_id, adopted.amount, adopted.cost) == (0, Decimal(2), Decimal(160))
    assert (position.entry_price, position.spent) == (Decimal(65), Decimal(260))
    ledger.adopt("USDT", "", Decimal("-9.5"), Decimal(0), 6)
    assert ledger.cash == START - 100 - Decimal("9.5")
