"""Does the tally count what happened, and do its books hold to the last unit?"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.research.facts import Story
from tradebot.domain import facts as f
from tradebot.domain.figures import Counts, Summary
from tradebot.domain.ledger import Ledger
from tradebot.domain.orders import Side
from tradebot.domain.summary import Tally

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SYMBOL = "AAA/USDT"


def tallied(story: Story) -> Tally:
    tally = Tally()
    for at_ms, fact in story.facts:
        tally.add(fact, at_ms)
    return tally


def summed(story: Story) -> Summary:
    return tallied(story).summary()


def test_a_round_trip_is_one_trade_two_intents_and_its_exact_pnl() -> None:
    story = Story()
    story.round_trip()
    summary = summed(story)
    counts = summary.counts
    assert (counts.trades, counts.wins, counts.losses) == (1, 1, 0)
    assert (counts.intents, counts.intents_sent, counts.intents_filled, counts.orders, counts.fills) == (2, 2, 2, 2, 2)
    assert summary.initial_quote == D(1000)
    assert summary.final_quote == D("1009.8")
    assert summary.pnl_quote == D("9.8")
    assert summary.fees_quote == D("0.2")
    assert summary.held_value_quote == 0
    assert summary.positions_held == 0


def test_a_step_that_expired_and_a_later_one_that_filled_are_one_filled_intent() -> None:
    story = Story()
    number = story.intent(SYMBOL, BUY)
    first = story.order(number, SYMBOL, BUY, step=0)
    story.done(first, SYMBOL, BUY)
    second = story.order(number, SYMBOL, BUY, step=1)
    story.fill(number, SYMBOL, BUY, "100", "0.4")
    story.fill(number, SYMBOL, BUY, "101", "0.6")
    story.done(second, SYMBOL, BUY, "1")
    story.ended(number, SYMBOL, BUY, "1")
    counts = summed(story).counts
    assert (counts.orders, counts.fills, counts.intents_sent, counts.intents_filled) == (2, 2, 1, 1)
    assert counts.fill_rate == 1.0


def test_an_intent_that_never_left_is_not_in_the_fill_rate() -> None:
    story = Story()
    kept = story.intent(SYMBOL, BUY)
    story.plan(kept, SYMBOL, BUY)
    story.tell(f.OrderNeverSent(client_id=f"t-r1-{kept}-0", symbol=SYMBOL, reason="too late"))
    story.ended(kept, SYMBOL, BUY)
    counts = summed(story).counts
    assert (counts.intents, counts.intents_sent, counts.orders, counts.orders_never_sent) == (1, 0, 0, 1)
    assert counts.fill_rate is None


def test_an_unfilled_intent_lowers_the_fill_rate_until_a_late_fill_comes() -> None:
    story = Story()
    story.round_trip()
    number = story.intent(SYMBOL, BUY)
    story.done(story.order(number, SYMBOL, BUY), SYMBOL, BUY)
    story.ended(number, SYMBOL, BUY)
    assert summed(story).counts.fill_rate == pytest.approx(2 / 3)
    story.fill(number, SYMBOL, BUY, "100", "1")
    assert summed(story).counts.fill_rate == 1.0


def test_pending_is_the_most_buys_under_way_at_once_and_exits_are_none() -> None:
    story = Story()
    numbers = [story.intent(f"S{i}/USDT", BUY) for i in range(3)]
    story.intent("S9/USDT", SELL)
    for i, number in enumerate(numbers):
        story.ended(number, f"S{i}/USDT", BUY)
    story.intent("S0/USDT", BUY)
    summary = summed(story)
    assert summary.counts.pending_max == 3
    assert summary.intents_open == 2


def test_failures_are_counted_by_kind() -> None:
    story = Story()
    number = story.intent(SYMBOL, BUY)
    client_id = story.order(number, SYMBOL, BUY)
    story.tell(f.OrderBecameUnknown(client_id=client_id, symbol=SYMBOL, request="place", cause="timeout"))
    story.tell(f.OrderBecameUnknown(client_id=client_id, symbol=SYMBOL, request="query", cause="timeout"))
    other = story.order(number, SYMBOL, BUY, step=1)
    story.tell(f.OrderRejected(client_id=other, symbol=SYMBOL, side=BUY, code="-2010", message="no"))
    story.tell(f.BalanceRefreshFailed(cause="timeout"))
    story.tell(f.IntentStale(intent_id=number, symbol=SYMBOL, age_ms=1, order_state="unknown", action="reported"))
    summary = summed(story)
    counts = summary.counts
    assert (counts.orders_unknown, counts.orders_rejected, counts.intents_stale) == (1, 1, 1)
    assert counts.balance_failure_rate == 1.0
    assert summary.orders_unknown_open == 1
    story.tell(f.OrderAccepted(client_id=client_id, symbol=SYMBOL, venue_id="7", latency_ms=5))
    assert summed(story).orders_unknown_open == 0


def test_what_was_owned_before_the_run_is_its_opening_state() -> None:
    story = Story()
    story.round_trip()
    story.filled_intent(SYMBOL, BUY, "50", "2", "0.1")
    tally = tallied(story)
    tally.begin(story.now)
    begun = len(story.facts)
    story.filled_intent(SYMBOL, SELL, "60", "2", "0.12")
    story.closed(SYMBOL, cost="100.1", proceeds="119.88", amount="2")
    for at_ms, fact in story.facts[begun:]:
        tally.add(fact, at_ms)
    summary = tally.summary()
    assert summary.initial_quote == D("909.7")
    assert summary.equity_initial_quote == D("1009.7")
    assert summary.final_quote == D("1029.58")
    assert summary.pnl_quote == D("19.78")
    assert summary.fees_quote == D("0.12")
    assert (summary.counts.intents, summary.counts.fills, summary.counts.trades) == (1, 1, 1)


def test_an_order_that_filled_in_the_next_run_counts_there_once() -> None:
    story = Story()
    number = story.intent(SYMBOL, BUY)
    story.order(number, SYMBOL, BUY)
    tally = tallied(story)
    tally.begin(story.now)
    begun = len(story.facts)
    story.fill(number, SYMBOL, BUY, "10", "1")
    story.fill(number, SYMBOL, BUY, "10", "1")
    for at_ms, fact in story.facts[begun:]:
        tally.add(fact, at_ms)
    counts = tally.summary().counts
    assert (counts.intents_sent, counts.intents_filled) == (1, 1)


def test_held_positions_stand_at_cost_and_at_the_last_price() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "2", "0.002", fee_asset="AAA")
    story.filled_intent(SYMBOL, SELL, "110", "0.999", "0.1")
    summary = tallied(story).summary(prices={SYMBOL: 120.5})
    (row,) = summary.symbols
    assert row.held == D("0.999")
    assert row.held_cost == D(100)
    assert row.held_value == D("120.3795")
    assert summary.equity_quote == summary.final_quote + D("120.3795")
    assert summary.positions_held == 1
    assert summary.fees_quote == D("0.3")


def test_marks_give_the_largest_fall_from_a_peak_and_the_time_invested() -> None:
    tally = Tally()
    tally.add(f.AccountOpened(asset="USDT", amount=D(120)), 1000)
    for at_ms, equity, invested in ((2000, 120.0, 60.0), (3000, 90.0, 45.0), (4000, 150.0, 0.0), (5000, 120.0, 0.0)):
        tally.mark(at_ms, equity, invested)
    summary = tally.summary()
    assert summary.max_drawdown_pct == pytest.approx(25.0)
    assert summary.exposure_max == 0.5
    assert summary.exposure_mean == pytest.approx(0.25)  # half invested for 2 of the 4 s


def test_marking_by_prices_values_what_is_held() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "5")
    tally = tallied(story)
    assert tally.mark_prices(story.now, {SYMBOL: 110.0}) == pytest.approx(1050.0)
    assert tally.mark_prices(story.now, {}) == pytest.approx(1000.0)


def test_dust_of_a_closed_trade_counts_in_the_equity_and_is_no_position() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "1", "0.001", fee_asset="AAA")
    story.filled_intent(SYMBOL, SELL, "110", "0.99")
    story.closed(SYMBOL, cost="100", proceeds="108.9", amount="0.99")
    tally = tallied(story)
    assert tally.mark_prices(story.now, {SYMBOL: 500.0}) == pytest.approx(1008.9 + 0.009 * 110)
    summary = tally.summary()
    assert summary.positions_held == 0
    assert summary.held_value_quote == D("0.99")
    assert summary.held_cost_quote == 0
    assert summary.conservation_error == 0
    story.filled_intent(SYMBOL, BUY, "100", "1")
    assert tallied(story).mark_prices(story.now, {SYMBOL: 500.0}) == pytest.approx(908.9 + 1.009 * 500)


def test_balances_that_differ_by_the_last_unit_are_told() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "2", "0.002", fee_asset="AAA")
    tally = tallied(story)
    right = {"USDT": D(800), "AAA": D("1.998")}
    assert tally.summary(balances={"ledger": right}).conservation_error == 0
    assert tally.summary(balances={"ledger": right, "venue": right | {"AAA": D("1.99800001")}}).conservation_error == D(
        "1E-8"
    )
    assert tally.summary(balances={"venue": {"USDT": D(800)}}).conservation_error == D("1.998")
    assert tally.summary(balances={"venue": right | {"BBB": D(1)}}).conservation_error == 1


def test_without_anything_to_compare_conservation_is_not_claimed() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "2")
    assert summed(story).conservation_error is None


def test_a_ledger_that_tells_another_pnl_than_the_fills_is_told() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "1")
    story.filled_intent(SYMBOL, SELL, "110", "1")
    story.closed(SYMBOL, cost="100", proceeds="110.5")
    assert summed(story).conservation_error == D("0.5")
    assert summed(story).compared == ("the PnL of the trades",)


def test_a_quiet_venue_balance_is_compared_and_a_stirred_one_is_not() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "1")
    story.tell(f.BalanceRefreshed(asset="USDT", total=D(1000)))  # may have been asked before the fill
    assert summed(story).conservation_error is None
    story.tell(f.BalanceRefreshed(asset="USDT", total=D("900.01")))
    assert summed(story).conservation_error == D("0.01")
    story.tell(f.BalanceRefreshed(asset="USDT", total=D(900)))
    assert summed(story).conservation_error == 0


def test_a_fee_in_a_third_asset_changes_neither_cash_nor_base() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "1", "0.0004", fee_asset="BNB")
    tally = tallied(story)
    assert tally.books.balances() == {"USDT": D(900), "AAA": D(1), "BNB": D("-0.0004")}
    assert tally.summary().fees_quote == 0


def test_counts_of_two_sessions_add_up_but_the_pending_maximum_is_the_larger() -> None:
    both = Counts(trades=2, pending_max=3, intents_sent=4, intents_filled=1).plus(
        Counts(trades=1, pending_max=5, intents_sent=4, intents_filled=3)
    )
    assert (both.trades, both.pending_max, both.fill_rate) == (3, 5, 0.5)


prices = st.decimals(min_value=D("0.00000001"), max_value=D(99_999), places=8, allow_nan=False)
amounts = st.decimals(min_value=D("0.00000001"), max_value=D(99_999), places=8, allow_nan=False)
fees = st.decimals(min_value=D(0), max_value=D(1), places=18, allow_nan=False)
fills = st.tuples(
    st.sampled_from(["AAA/USDT", "BBB/USDT", "CCC/USDT"]),
    st.sampled_from(list(Side)),
    prices,
    amounts,
    fees,
    st.sampled_from(["base", "USDT", "BNB"]),
)


@given(st.lists(fills, max_size=30), st.integers(0, 30))
def test_books_equal_exact_fractions_whatever_is_filled(
    sequence: list[tuple[str, Side, Decimal, Decimal, Decimal, str]], cut: int
) -> None:
    """The oracle is plain rational arithmetic over the same fills."""
    story = Story(cash="1000000")
    owned: dict[str, Fraction] = {"USDT": Fraction(1_000_000)}
    for symbol, side, price, amount, fee, fee_in in sequence:
        base = symbol[:3]
        asset = base if fee_in == "base" else fee_in
        story.fill(1, symbol, side, f"{price:f}", f"{amount:f}", f"{fee:f}", asset)
        sign = 1 if side is Side.BUY else -1
        owned["USDT"] -= sign * Fraction(price) * Fraction(amount)
        owned[base] = owned.get(base, Fraction(0)) + sign * Fraction(amount)
        owned[asset] = owned.get(asset, Fraction(0)) - Fraction(fee)
    tally = Tally()
    for index, (at_ms, fact) in enumerate(story.facts):
        if index == cut:
            tally.begin(at_ms)
        tally.add(fact, at_ms)
    balances = tally.books.balances()
    assert {asset: Fraction(amount) for asset, amount in balances.items() if amount} == {
        asset: amount for asset, amount in owned.items() if amount
    }
    assert tally.books.difference(balances) == 0
    assert tally.summary(balances={"own": balances}).conservation_error == 0


def test_what_was_adopted_stands_apart_from_trades_and_is_neither_gain_nor_fall() -> None:
    story = Story()
    number = story.intent(SYMBOL, BUY)
    order = story.order(number, SYMBOL, BUY)
    story.fill(number, SYMBOL, BUY, "100", "2")
    story.done(order, SYMBOL, BUY, "2")
    story.ended(number, SYMBOL, BUY, "2")
    before = summed(story)
    story.tell(f.DriftAdopted("AAA", SYMBOL, D(-1), D(100), estimate=True, who="ana"))
    story.tell(f.DriftAdopted("USDT", "", D(100), D(0), estimate=False, who="ana"))
    story.tell(f.DriftAdopted("BBB", "BBB/USDT", D(3), D(10), estimate=False, who="ana"))
    tally = tallied(story)
    after = tally.summary()
    assert (after.counts.adoptions, after.adopted_quote) == (3, D(30))
    assert (after.counts.trades, after.counts.fills, after.pnl_quote) == (0, before.counts.fills, D(0))
    assert after.final_quote == before.final_quote + 100
    assert after.max_drawdown_pct == before.max_drawdown_pct
    held = {row.symbol: row.held for row in after.symbols}
    assert held == {SYMBOL: 1, "BBB/USDT": 3}
    assert tally.books.balances() == {"USDT": after.final_quote, "AAA": 1, "BBB": 3}


def explained(summary: Summary) -> Decimal:
    """Return what the parts of the equity's movement add up to."""
    movement = summary.movement
    assert movement is not None
    gained = movement.open_quote - movement.open_before_quote + movement.dust_quote
    return summary.pnl_quote + gained + summary.adopted_quote


def test_the_last_equity_counts_in_the_drawdown_though_nothing_was_traded_at_it() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "5")
    tally = tallied(story)
    assert tally.summary(prices={SYMBOL: 100.0}).max_drawdown_pct == 0
    assert tally.summary(prices={SYMBOL: 90.0}).max_drawdown_pct == pytest.approx(5.0)
    tally.begin(story.now)
    assert tally.summary(prices={SYMBOL: 90.0}).max_drawdown_pct == pytest.approx(5.0)
    tally.mark_prices(story.now, {SYMBOL: 120.0})
    assert tally.summary(prices={SYMBOL: 110.0}).max_drawdown_pct == pytest.approx(50 / 1100 * 100)


def test_dust_of_earlier_runs_is_no_gain_of_this_one() -> None:
    story = Story()
    story.filled_intent(SYMBOL, BUY, "100", "1")
    story.filled_intent(SYMBOL, SELL, "110", "0.99")
    story.closed(SYMBOL, cost="100", proceeds="108.9", amount="0.99")
    tally = tallied(story)
    tally.begin(story.now)
    begun = len(story.facts)
    story.filled_intent(SYMBOL, BUY, "110", "2")
    for at_ms, fact in story.facts[begun:]:
        tally.add(fact, at_ms)
    summary = tally.summary(prices={SYMBOL: 109.0})
    movement = summary.movement
    assert movement is not None
    assert (summary.held_cost_quote, movement.open_quote, movement.open_before_quote) == (D(220), D(-2), D(0))
    assert (movement.dust_quote, movement.dust_value_quote) == (D("-0.01"), D("1.09"))
    assert summary.equity_quote - summary.equity_initial_quote == explained(summary) == D("-2.01")


cents = st.decimals(min_value=D("0.01"), max_value=D(500), places=2)
steps = st.lists(
    st.tuples(st.sampled_from(["buy", "buy", "sell", "close", "gone", "came", "cash", "begin"]), cents, cents),
    max_size=25,
)


@given(steps, cents)
def test_the_movement_of_the_equity_is_explained_to_the_last_unit(
    sequence: list[tuple[str, Decimal, Decimal]], last: Decimal
) -> None:
    """Whatever is traded, closed, adopted and left as dust, and wherever the run begins."""
    ledger, tally = Ledger(quote="USDT"), Tally()
    ledger.open(D(1_000_000))
    tally.add(f.AccountOpened("USDT", D(1_000_000)), 0)
    for at_ms, (kind, price, amount) in enumerate(sequence, 1):
        position = ledger.positions.get(SYMBOL)
        if kind == "begin":
            tally.begin(at_ms)
        elif kind == "cash":
            tally.add(f.DriftAdopted("USDT", "", amount, D(0), estimate=False, who="ana"), at_ms)
        elif kind in ("came", "gone"):
            change = amount if kind == "came" else -min(amount, ledger.holding(SYMBOL))
            ledger.adopt("AAA", SYMBOL, change, price, at_ms)
            tally.add(f.DriftAdopted("AAA", SYMBOL, change, price, estimate=False, who="ana"), at_ms)
        elif kind == "close" and position is not None:
            pnl = position.proceeds - position.spent
            ledger.close(SYMBOL)
            tally.add(
                f.PositionClosed(
                    SYMBOL, "x", 0, price, price, position.sold, position.spent, position.proceeds, D(0), pnl,
                    position.amount, 1,
                ),
                at_ms,
            )  # fmt: skip
        elif kind == "buy" or (kind == "sell" and position is not None and position.amount >= amount):
            side, fee_asset = (BUY, "AAA") if kind == "buy" else (SELL, "USDT")
            fill = f.OrderFilled(
                "c", at_ms, SYMBOL, side, f"{at_ms}", price, amount, D("0.001"), fee_asset, maker=False, latency_ms=0
            )
            ledger.book(fill, "AAA", at_ms)
            tally.add(fill, at_ms)
    summary = tally.summary(prices={SYMBOL: float(last)})
    assert summary.equity_quote - summary.equity_initial_quote == explained(summary)
    assert summary.movement is not None
    dust = ledger.dust.get(SYMBOL, D(0))
    assert summary.movement.dust_value_quote == dust * last


def test_a_position_that_was_sold_by_hand_has_the_pnl_of_its_price_and_leaves_the_dust_of_older_ones() -> None:
    tally = Tally()
    ledger = Ledger(quote="USDT")
    ledger.open(D(1_000))
    tally.add(f.AccountOpened("USDT", D(1_000)), 0)

    def booked(fact: f.OrderFilled | f.DriftAdopted) -> None:
        if isinstance(fact, f.OrderFilled):
            ledger.book(fact, "AAA", 0)
        else:
            ledger.adopt(fact.asset, fact.symbol, fact.change, fact.price, 0)
        tally.add(fact, 0)

    def closed() -> f.PositionClosed:
        position = ledger.positions[SYMBOL]
        pnl = position.proceeds - position.spent
        fact = f.PositionClosed(
            SYMBOL, "adopted", 0, D(1), D(1), position.sold, position.spent, position.proceeds, D(0), pnl,
            position.amount, 1,
        )  # fmt: skip
        ledger.close(SYMBOL)
        tally.add(fact, 0)
        return fact

    booked(f.OrderFilled("c", 1, SYMBOL, BUY, "1", D(100), D(1), D("0.1"), "AAA", maker=False, latency_ms=0))
    booked(f.OrderFilled("c", 2, SYMBOL, SELL, "2", D(100), D("0.8"), D(0), "USDT", maker=False, latency_ms=0))
    closed()
    booked(f.OrderFilled("c", 3, SYMBOL, BUY, "3", D(100), D(2), D(0), "USDT", maker=False, latency_ms=0))
    booked(f.DriftAdopted("AAA", SYMBOL, D("-2.05"), D(110), estimate=False, who="ana"))
    assert closed().pnl == 20
    summary = tally.summary(balances={"the ledger": ledger.owned()})
    assert summary.conservation_error == 0
    assert summary.compared == ("the PnL of the trades", "the ledger")
    assert ledger.dust == {SYMBOL: D("0.05")}
    assert summary.movement is not None
    assert summary.movement.dust_adopted_quote == D("5.5"), "is in no trade's PnL, and told apart"
    assert summary.equity_quote - summary.equity_initial_quote == explained(summary)


def test_a_difference_of_the_quote_counts_until_it_is_adopted() -> None:
    story = Story()
    for _ in range(2):
        story.tell(f.BalanceRefreshed("USDT", D(1_050)))
    assert summed(story).conservation_error == 50
    story.tell(f.DriftAdopted("USDT", "", D(50), D(0), estimate=False, who="ana"))
    assert summed(story).conservation_error is None
    for _ in range(2):
        story.tell(f.BalanceRefreshed("USDT", D(1_050)))
    assert summed(story).conservation_error == 0
