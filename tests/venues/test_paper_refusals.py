"""What an exchange refuses is refused in its own words."""

from __future__ import annotations

import pytest

from tests.venues.paper_kit import BTC, GTC, IOC, D, market, order, quote, rested, told, trade, venue
from tradebot.domain.commands import Command, PlaceOrder, QueryOrder
from tradebot.domain.events import OrderNotFound, OrderReported
from tradebot.domain.orders import Balance, OrderType, Side


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (order("a", IOC, "100.001", "1"), "-1013 Filter failure: PRICE_FILTER"),
        (order("a", IOC, "0", "1"), "-1013 Filter failure: PRICE_FILTER"),
        (order("a", IOC, "100", "1.0001"), "-1013 Filter failure: LOT_SIZE"),
        (order("a", IOC, "100", "10"), "-1013 Filter failure: LOT_SIZE"),
        (order("a", IOC, "100", "0.049"), "-1013 Filter failure: NOTIONAL"),
        (market("a", amount="0.0001"), "-1013 Filter failure: LOT_SIZE"),
        (market("a", quote_amount="4.99"), "-1013 Filter failure: NOTIONAL"),
        (market("a"), "-1102 Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
        (market("a", amount="1", quote_amount="5"), "-1128 Combination of optional parameters invalid."),
        (PlaceOrder("a", "X/Y", Side.BUY, OrderType.LIMIT, IOC, 0, D(1), D(1)), "-1121 Invalid symbol."),
    ],
)
def test_what_breaks_a_filter_is_refused_by_time_alone(wish: PlaceOrder, refusal: str) -> None:
    where = venue()
    assert told(where, (100, wish)) == [f"160: a {refusal}"]
    assert isinstance(where.submit(QueryOrder("a", wish.symbol), 200)[0][1], OrderNotFound)
    assert not where.watches(wish.symbol)


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (order("a", IOC, "200", "5.001"), "-2010 Account has insufficient balance for requested action."),
        (order("a", IOC, "99", "1", Side.SELL), "-2010 Account has insufficient balance for requested action."),
        (market("a", quote_amount="1000.01"), "-2010 Account has insufficient balance for requested action."),
        (market("a", amount="9"), "-2010 Account has insufficient balance for requested action."),
        (market("a", amount="0.02"), "-1013 Filter failure: NOTIONAL"),
        (market("a", quote_amount="5"), "-1013 Filter failure: LOT_SIZE"),
    ],
)
def test_what_the_market_or_the_account_forbids_is_refused_at_its_effect(wish: PlaceOrder, refusal: str) -> None:
    where = venue()
    dear = wish.quote_amount == 5
    event = quote(9_000, 9_001) if dear else quote(199, 200, 9)
    assert told(where, (100, wish), (150, event)) == [f"170: a {refusal}"]
    report = where.submit(QueryOrder("a", BTC), 200)[0][1]
    assert isinstance(report, OrderReported)
    assert report.status == "rejected"
    assert where.image().balances == {"USDT": Balance(D(1000))}


def test_an_id_is_unique_among_live_orders_only() -> None:
    where = rested(venue(), order("a", GTC, "99", "1"))
    assert told(where, (50, order("a", GTC, "98", "1"))) == ["110: a -2010 Duplicate order sent."]
    told(where, (60, trade(98, 1, buyer=False)))
    assert told(where, (70, order("a", IOC, "101", "2")), (110, quote(99, 101)))[-1] == "130: a filled 2"
    for each in (where, venue(where.image())):
        report = each.submit(QueryOrder("a", BTC), 200)[0][1]
        assert isinstance(report, OrderReported)
        assert [fill.amount for fill in report.fills] == [2]


def test_a_command_that_no_venue_knows_is_an_error() -> None:
    with pytest.raises(TypeError, match="no venue takes Command"):
        venue().submit(Command(), 0)
