"""Does the sandbox's exchange keep Binance's rules of orders, and tell its account exactly what it booked?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.core_kit import BALANCES, INSTRUMENTS, KEY, D, Floor
from tradebot.domain.errors import CannotStart
from tradebot.domain.numbers import ZERO
from tradebot.sandbox.market_rules import SymbolRules, rules_of
from tradebot.sandbox.orders import (
    ExecutionReport,
    FeeRates,
    OrderRequest,
    OwnTrade,
    PositionChanged,
    Prevention,
    WireSide,
)
from tradebot.sandbox.wire_errors import ApiError


@pytest.fixture
def floor() -> Floor:
    """Return an exchange with a book of two levels on each side: 98, 99 and 101, 102, one BTC each."""
    made = Floor()
    made.book()
    return made


def refused(floor: Floor, *args: str, **kwargs: str) -> tuple[int, str]:
    """Return code and text of the refusal of an order."""
    with pytest.raises(ApiError) as caught:
        floor.order(*args, **kwargs)  # type: ignore[arg-type]
    return caught.value.code, caught.value.message


def test_a_resting_order_locks_what_it_needs_and_is_filled_by_a_trade_through_it(floor: Floor) -> None:
    placed = floor.order("BUY", "2", "99.5")
    assert placed.order.status == "NEW"
    assert floor.locked("USDT") == D("199.0")
    floor.trade(99.0, 0.5, buyer_taker=False)
    floor.trade(99.0, 5, buyer_taker=False)
    assert floor.reports() == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    assert floor.locked("USDT") == 0
    assert floor.free("USDT") == D(10_000) - 199
    assert floor.free("BTC") == D(5) + 2 - D("0.002")
    trade = floor.exchange.my_trades(KEY, "BTCUSDT")[0]
    assert (trade.maker, trade.fee, trade.fee_asset) == (True, D("0.0005"), "BTC")


def test_an_ioc_takes_what_stands_and_its_rest_expires_with_the_reason(floor: Floor) -> None:
    placed = floor.order("BUY", "1.5", "101", tif="IOC")
    assert (placed.order.status, placed.order.executed) == ("EXPIRED", D(1))
    assert placed.order.expiry == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert floor.reports() == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED")]
    assert [type(each) for each in floor.heard] == [ExecutionReport, PositionChanged] * 3


def test_positions_between_the_fills_of_one_order_add_up_step_by_step(floor: Floor) -> None:
    floor.order("BUY", "2", "102", tif="IOC")
    free = [
        ({asset: amount for asset, amount, _ in each.balances}["USDT"], each.balances[1][2])
        for each in floor.heard
        if isinstance(each, PositionChanged)
    ]
    assert free == [(D(9796), D(204)), (D(9797), D(102)), (D(9797), D(0))]


def test_fok_is_all_or_nothing(floor: Floor) -> None:
    placed = floor.order("BUY", "2.5", "102", tif="FOK")
    assert (placed.order.status, placed.order.executed) == ("EXPIRED", D(0))
    assert not placed.trades
    assert placed.order.expiry == "UNFILLED_FOK_ORDER_EXPIRED"
    assert floor.order("BUY", "2", "102", tif="FOK").order.status == "FILLED"


def test_a_post_only_order_never_takes(floor: Floor) -> None:
    assert refused(floor, "BUY", "1", "101", kind="LIMIT_MAKER") == (
        -2010,
        "Order would immediately match and take.",
    )
    assert floor.order("BUY", "1", "100.99", kind="LIMIT_MAKER").order.status == "NEW"


def test_a_market_order_in_quote_spends_no_more_than_it_names(floor: Floor) -> None:
    placed = floor.order("BUY", "0", kind="MARKET", quote="150")
    assert placed.order.status == "FILLED"
    assert D(150) - D("0.2") < placed.order.cost <= 150
    assert placed.order.amount == placed.order.executed
    assert floor.order("SELL", "0", kind="MARKET", quote="150").order.cost <= 150


def test_a_market_order_in_quote_that_the_book_cannot_serve_expires_and_is_never_told_as_filled(floor: Floor) -> None:
    placed = floor.order("BUY", "0", kind="MARKET", quote="1000")
    assert placed.order.status == "EXPIRED"
    assert placed.order.executed == 2
    told = [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED")]
    assert floor.reports() == told


def test_without_anybody_in_the_book_a_market_order_expires() -> None:
    placed = Floor().order("BUY", "1", kind="MARKET")
    assert (placed.order.status, placed.order.expiry) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")


def test_a_client_id_is_unique_among_open_orders_only(floor: Floor) -> None:
    floor.order("BUY", "1", "90", name="mine")
    assert refused(floor, "BUY", "1", "90", name="mine") == (-2010, "Duplicate order sent.")
    floor.exchange.cancel(KEY, "BTCUSDT", None, "mine", "cancel-1", floor.now)
    again = floor.order("BUY", "1", "101", tif="IOC", name="mine")
    thrice = floor.order("BUY", "1", "102", tif="IOC", name="mine")
    assert (again.order.status, thrice.order.status) == ("FILLED", "FILLED")
    assert floor.exchange.query(KEY, "BTCUSDT", None, "mine").order_id == thrice.order.order_id
    assert floor.exchange.query(KEY, "BTCUSDT", again.order.order_id, None).executed == 1


def test_a_cancel_is_reported_under_its_own_id_with_the_orders_beside_it(floor: Floor) -> None:
    placed = floor.order("BUY", "1", "90", name="mine")
    done = floor.exchange.cancel(KEY, "BTCUSDT", placed.order.order_id, None, "cancel-1", floor.now)
    assert (done.order.status, done.cancel_id) == ("CANCELED", "cancel-1")
    last = floor.heard[-2]
    assert isinstance(last, ExecutionReport)
    assert (last.client_id, last.orig_client_id, last.execution) == ("cancel-1", "mine", "CANCELED")
    with pytest.raises(ApiError, match="Unknown order sent"):
        floor.exchange.cancel(KEY, "BTCUSDT", placed.order.order_id, None, "cancel-2", floor.now)
    assert floor.locked("USDT") == 0


FILTERS = [
    (("BUY", "1", "90.005"), {}, "PRICE_FILTER"),
    (("BUY", "1", "0"), {}, "PRICE_FILTER"),
    (("BUY", "1.0005", "90"), {}, "LOT_SIZE"),
    (("BUY", "0", "90"), {}, "LOT_SIZE"),
    (("BUY", "0.01", "90"), {}, "NOTIONAL"),
    (("BUY", "0.01"), {"kind": "MARKET"}, "NOTIONAL"),
    (("BUY", "0"), {"kind": "MARKET", "quote": "4"}, "NOTIONAL"),
    (("BUY", "1", "501"), {}, "PERCENT_PRICE_BY_SIDE"),
    (("SELL", "1", "19"), {}, "PERCENT_PRICE_BY_SIDE"),
]


@pytest.mark.parametrize(("order", "more", "name"), FILTERS)
def test_every_filter_is_enforced_by_its_name(
    floor: Floor, order: tuple[str, ...], more: dict[str, str], name: str
) -> None:
    assert refused(floor, *order, **more) == (-1013, f"Filter failure: {name}")
    assert floor.heard == []


MORE_FILTERS: list[tuple[dict[str, object], tuple[str, ...], dict[str, str], str]] = [
    ({"filterType": "MAX_POSITION", "maxPosition": "6"}, ("BUY", "1.001", "90"), {}, "MAX_POSITION"),
    (
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "0.5", "stepSize": "0"},
        ("BUY", "0.6"),
        {"kind": "MARKET"},
        "MARKET_LOT_SIZE",
    ),
    (
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "80", "applyMaxToMarket": False},
        ("BUY", "1", "90"),
        {},
        "NOTIONAL",
    ),
    (
        {"filterType": "MIN_NOTIONAL", "minNotional": "5", "applyToMarket": True, "avgPriceMins": 5},
        ("BUY", "0.04", "90"),
        {},
        "MIN_NOTIONAL",
    ),
    (
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9", "avgPriceMins": 5},
        ("BUY", "1", "89.99"),
        {},
        "PERCENT_PRICE",
    ),
]


@pytest.mark.parametrize(("filters", "order", "more", "name"), MORE_FILTERS)
def test_filters_that_only_recordings_have_are_enforced_too(
    filters: dict[str, object], order: tuple[str, ...], more: dict[str, str], name: str
) -> None:
    [info] = [each.info() for each in rules_of(INSTRUMENTS[:1])]
    kinds = {"NOTIONAL", "PERCENT_PRICE_BY_SIDE"} if name in {"MIN_NOTIONAL", "PERCENT_PRICE"} else {name}
    info["filters"] = [each for each in info["filters"] if each["filterType"] not in kinds] + [filters]
    floor = Floor(rules=[SymbolRules(info)])
    floor.book()
    assert refused(floor, *order, **more) == (-1013, f"Filter failure: {name}")


def test_more_open_orders_than_allowed_are_refused(floor: Floor) -> None:
    for _ in range(200):
        floor.order("BUY", "0.1", "90")
    assert refused(floor, "BUY", "0.1", "90") == (-1013, "Filter failure: MAX_NUM_ORDERS")


def test_what_the_account_has_not_got_cannot_be_spent(floor: Floor) -> None:
    poor = (-2010, "Account has insufficient balance for requested action.")
    assert refused(floor, "BUY", "101", "100") == poor
    assert refused(floor, "SELL", "5.001", "100") == poor
    floor.order("SELL", "5", "200")
    assert refused(floor, "SELL", "0.1", "99", tif="IOC") == poor


def test_fees_in_a_third_asset_come_from_what_is_held_of_it_at_a_discount() -> None:
    floor = Floor(rates=FeeRates(D(10), D(10), "BNB"))
    floor.book()
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    placed = floor.order("BUY", "1", "101", tif="IOC")
    assert (placed.trades[0].fee_asset, placed.trades[0].fee) == ("BNB", D("0.00037875"))
    assert floor.free("BNB") == D(10) - D("0.00037875")
    assert floor.free("BTC") == 6
    sold = floor.order("SELL", "9", "199.9", tif="IOC", symbol="BNBUSDT")
    assert sold.trades[0].fee_asset == "BNB"


def test_without_enough_of_the_third_asset_the_fee_is_taken_from_what_is_received() -> None:
    floor = Floor(rates=FeeRates(D(10), D(10), "BNB"), balances={"USDT": D(1000), "BNB": D("0.0001")})
    floor.book()
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    assert floor.order("BUY", "1", "101", tif="IOC").trades[0].fee_asset == "BTC"


def test_who_sells_all_of_the_third_asset_pays_from_what_is_received() -> None:
    floor = Floor(rates=FeeRates(D(10), D(10), "BNB"))
    floor.book(((199.9, 20.0),), ((200.1, 1.0),), "BNB/USDT")
    sold = floor.order("SELL", "10", "199.9", tif="IOC", symbol="BNBUSDT")
    assert (sold.trades[0].fee_asset, floor.free("BNB")) == ("USDT", ZERO)


def test_a_halted_symbol_takes_no_orders_and_fills_none_but_lets_them_be_canceled(floor: Floor) -> None:
    floor.order("BUY", "1", "99.5", name="mine")
    floor.exchange.set_status("BTCUSDT", "HALT")
    assert refused(floor, "BUY", "1", "90") == (-1013, "Market is closed.")
    floor.trade(90.0, 10, buyer_taker=False)
    assert floor.exchange.query(KEY, "BTCUSDT", None, "mine").status == "NEW"
    floor.exchange.cancel(KEY, "BTCUSDT", None, "mine", "c", floor.now)


def test_a_delisted_symbol_expires_its_orders_and_is_known_no_more(floor: Floor) -> None:
    floor.order("BUY", "1", "90", name="mine")
    floor.exchange.delist("BTCUSDT", floor.now)
    assert floor.reports()[-1] == ("EXPIRED", "EXPIRED")
    assert floor.locked("USDT") == 0
    assert refused(floor, "BUY", "1", "90") == (-1121, "Invalid symbol.")
    floor.book()


def test_self_trade_prevention_expires_the_taker_before_it_meets_its_own_order(floor: Floor) -> None:
    floor.order("SELL", "1", "101.5", name="resting")
    placed = floor.order("BUY", "3", "102", stp="EXPIRE_TAKER")
    assert (placed.order.status, placed.order.executed) == ("EXPIRED_IN_MATCH", D(1))
    assert placed.order.prevented == 2
    assert floor.exchange.query(KEY, "BTCUSDT", None, "resting").status == "NEW"
    assert floor.locked("USDT") == 0


def test_an_order_in_quote_that_is_cut_short_is_never_told_as_filled(floor: Floor) -> None:
    floor.order("SELL", "1", "101.5", name="resting")
    floor.heard.clear()
    placed = floor.order("BUY", "0", kind="MARKET", quote="300", stp="EXPIRE_TAKER")
    assert floor.reports() == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
    ]
    assert placed.order.prevented_match > 0
    assert placed.order.prevented == D("1.960")


def test_self_trade_prevention_expires_the_maker_and_lets_the_taker_go_on(floor: Floor) -> None:
    floor.order("SELL", "1", "101.5", name="resting")
    placed = floor.order("BUY", "2", "102", stp="EXPIRE_MAKER")
    assert (placed.order.status, placed.order.executed) == ("FILLED", D(2))
    assert floor.exchange.query(KEY, "BTCUSDT", None, "resting").status == "EXPIRED_IN_MATCH"
    assert floor.locked("BTC") == 0


def test_self_trade_prevention_expires_both(floor: Floor) -> None:
    floor.order("SELL", "1", "100.5", name="resting")
    placed = floor.order("BUY", "0", kind="MARKET", quote="500", stp="EXPIRE_BOTH")
    assert (placed.order.status, placed.order.executed) == ("EXPIRED_IN_MATCH", ZERO)
    assert floor.exchange.query(KEY, "BTCUSDT", None, "resting").status == "EXPIRED_IN_MATCH"
    assert (floor.free("USDT"), floor.free("BTC")) == (D(10_000), D(5))


def test_an_order_that_the_better_prices_fill_meets_no_own_order(floor: Floor) -> None:
    floor.order("SELL", "1", "101.5")
    assert floor.order("BUY", "1", "102", stp="EXPIRE_BOTH").order.status == "FILLED"


def test_dust_becomes_bnb_and_both_sides_are_told(floor: Floor) -> None:
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    floor.exchange.deposit(KEY, "BTC", D("-4.999"), floor.now)
    [(asset, amount, fee, received)] = floor.exchange.convert_dust(KEY, ["BTC"], floor.now)
    assert (asset, amount, fee, received) == ("BTC", D("0.001"), D("0.00001000"), D("0.00049000"))
    assert floor.free("BTC") == 0
    assert floor.free("BNB") == D(10) + received
    assert floor.told()["BNB"] == (D(10) + received, ZERO)


def test_an_asset_that_is_named_twice_is_converted_once(floor: Floor) -> None:
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    assert len(floor.exchange.convert_dust(KEY, ["BTC", "BTC"], floor.now)) == 1
    assert floor.free("BTC") == 0


def test_a_restart_finds_balances_open_orders_and_everything_that_ended(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "exchange.sqlite")
    floor.book()
    floor.order("BUY", "1.5", "101", name="part")
    floor.order("BUY", "1", "101.5", tif="IOC", name="gone")
    before = dict(floor.exchange.balances(KEY))
    floor.store.close()
    again = Floor(tmp_path / "exchange.sqlite", balances={"USDT": D(1)})
    assert not again.new
    assert dict(again.exchange.balances(KEY)) == before
    assert [each.client_id for each in again.exchange.open_orders(KEY)] == ["part"]
    assert again.exchange.query(KEY, "BTCUSDT", None, "gone").status == "EXPIRED"
    again.book()
    again.trade(100.0, 5, buyer_taker=False)
    assert again.reports() == [("TRADE", "FILLED")]
    trades = again.exchange.my_trades(KEY, "BTCUSDT")
    assert [each.trade_id for each in trades] == [1, 2]
    assert again.order("BUY", "1", "90").order.order_id == 3


def test_a_market_without_the_symbol_of_an_open_order_is_refused_at_the_start(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "exchange.sqlite")
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    floor.order("BUY", "1", "190", symbol="BNBUSDT")
    floor.store.close()
    with pytest.raises(CannotStart, match="BNBUSDT"):
        Floor(tmp_path / "exchange.sqlite", rules=rules_of(INSTRUMENTS[:1]))


PRICES = st.integers(9_700, 10_300).map(lambda ticks: D(ticks) / 100)
AMOUNTS = st.integers(60, 3_000).map(lambda lots: D(lots) / 1000)
STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(("BUY", "SELL")),
        st.sampled_from(("GTC", "IOC", "FOK", "LIMIT_MAKER", "MARKET", "QUOTE")),
        PRICES,
        AMOUNTS,
        st.sampled_from(("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")),
    ),
    st.tuples(st.just("book"), PRICES, AMOUNTS, AMOUNTS),
    st.tuples(st.just("trade"), PRICES, AMOUNTS, st.booleans()),
    st.tuples(st.just("cancel"), st.integers(1, 30)),
)


Kind = Literal["GTC", "IOC", "FOK", "LIMIT_MAKER", "MARKET", "QUOTE"]


def wanted(floor: Floor, side: WireSide, kind: Kind, price: Decimal, amount: Decimal, stp: Prevention) -> OrderRequest:
    """Return the order of one step of a random flow."""
    market = kind in {"MARKET", "QUOTE"}
    return OrderRequest(
        "BTCUSDT",
        side,
        "MARKET" if market else "LIMIT_MAKER" if kind == "LIMIT_MAKER" else "LIMIT",
        f"id-{floor.now}",
        kind if kind == "IOC" or kind == "FOK" else "GTC",  # noqa: PLR1714 - a checker follows it
        ZERO if kind == "QUOTE" else amount,
        ZERO if market else price,
        amount * 100 if kind == "QUOTE" else ZERO,
        stp,
    )


def step(floor: Floor, what: tuple[Any, ...]) -> int:
    """Do one step of a random flow; return the code of its refusal, 0 where it was done."""
    floor.now += 1
    try:
        match what:
            case ("order", *parts):
                floor.exchange.place(KEY, wanted(floor, *parts), floor.now)
            case ("book", price, low, high):
                mid = float(price)
                floor.book(((mid - 0.5, float(low)), (mid - 1.0, 2.0)), ((mid + 0.5, float(high)), (mid + 1.0, 2.0)))
            case ("trade", price, amount, buyer):
                floor.trade(float(price), float(amount), buyer_taker=buyer)
            case ("cancel", order_id):
                floor.exchange.cancel(KEY, "BTCUSDT", order_id, None, "c", floor.now)
    except ApiError as error:
        return error.code
    return 0


def booked(trades: list[OwnTrade]) -> dict[str, Decimal]:
    """Return what an account must hold in all after its trades."""
    held = dict(BALANCES)
    for each in trades:
        sign = 1 if each.side == "BUY" else -1
        held["BTC"] += sign * each.amount
        held["USDT"] -= sign * each.cost
        held[each.fee_asset] -= each.fee
    return held


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40), st.booleans())
def test_whatever_is_ordered_the_sums_hold_and_what_is_told_is_what_is_booked(
    flow: list[tuple[Any, ...]], third: bool
) -> None:
    floor = Floor(rates=FeeRates(D(10), D(20), "BNB" if third else ""))
    floor.book(((199.9, 1.0),), ((200.1, 1.0),), "BNB/USDT")
    for what in flow:
        assert step(floor, what) in {0, -1013, -2010, -2011}
        balances = floor.exchange.balances(KEY)
        assert all(each.free >= 0 and each.locked >= 0 for each in balances.values())
        for asset, (free, locked) in floor.told().items():
            assert (balances[asset].free, balances[asset].locked) == (free, locked)
        locks = {"BTC": ZERO, "USDT": ZERO, "BNB": ZERO}
        for order in floor.exchange.open_orders(KEY):
            left = order.amount - order.executed
            asset, worth = ("USDT", left * order.price) if order.side == "BUY" else ("BTC", left)
            locks[asset] += worth
        assert {asset: each.locked for asset, each in balances.items()} == locks
    trades = floor.exchange.my_trades(KEY, "BTCUSDT", limit=1000)
    assert {asset: each.total for asset, each in floor.exchange.balances(KEY).items()} == booked(trades)
    stored = floor.store.load_account(KEY)
    assert stored is not None
    assert stored[0] == dict(floor.exchange.balances(KEY))
    assert [each.order_id for each in stored[1]] == [each.order_id for each in floor.exchange.open_orders(KEY)]
