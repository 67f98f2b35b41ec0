"""A taker gets what is shown, once, and pays its fee."""

from __future__ import annotations

from math import inf

from tests.venues.paper_kit import BOOK, BTC, FOK, GTC, IOC, D, market, order, quote, told, venue
from tradebot.domain.account import AccountImage
from tradebot.domain.events import BookSeen
from tradebot.domain.orders import Balance, Side


def test_a_taker_walks_the_books_levels_and_its_remainder_expires() -> None:
    assert told(venue(), (0, order("a", IOC, "101", "4")), (40, BOOK)) == [
        "60: a ack",
        "60: a 1@100 taker -0.001 BTC",
        "60: a 2@101 taker -0.002 BTC",
        "60: a expired 3 UNFILLED_IOC_QUANTITY_EXPIRED",
    ]


def test_a_seller_pays_its_fee_in_what_it_receives() -> None:
    where = venue(AccountImage({"BTC": Balance(D(2))}))
    assert told(where, (0, order("a", IOC, "98", "2", Side.SELL)), (40, BOOK)) == [
        "60: a ack",
        "60: a 1@99 taker -0.099 USDT",
        "60: a 1@98 taker -0.098 USDT",
        "60: a filled 2",
    ]
    assert where.image().balances == {"BTC": Balance(D(0)), "USDT": Balance(D("196.803"))}


def test_a_quote_gives_at_most_the_shown_size_times_participation() -> None:
    where = venue(participation=0.3)
    assert told(where, (0, order("a", IOC, "105", "4")), (40, quote(99, 100, 2.0)))[1:] == [
        "60: a 0.6@100 taker -0.0006 BTC",
        "60: a expired 0.6 UNFILLED_IOC_QUANTITY_EXPIRED",
    ]


def test_an_unlimited_quote_fills_anything() -> None:
    assert told(venue(participation=0.01), (0, order("a", IOC, "105", "9")), (40, quote(99, 100, inf)))[-1] == (
        "60: a filled 9"
    )


def test_nothing_is_taken_twice_until_the_level_changes() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "3")), (40, quote(99, 101, 4.0)))
    assert "b expired 1 " in told(where, (41, order("b", IOC, "101", "3")), (90, quote(99, 101, 4.0)))[-1]
    assert (
        "c expired 0 "
        in told(where, (91, order("c", IOC, "101", "1")), (140, BookSeen(BTC, (), ((101.0, 4.0),), 0)))[-1]
    )
    assert "d filled 3" in told(where, (141, order("d", IOC, "101", "3")), (190, quote(99, 101, 4.5)))[-1]


def test_a_level_that_went_and_came_back_is_new() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "4")), (0, order("stay", GTC, "50", "1")), (40, quote(99, 101, 4.0)))
    told(where, (50, quote(99, 102, 4.0)), (60, quote(99, 101, 4.0)))
    assert "b filled 4" in told(where, (61, order("b", IOC, "101", "4")), (101, quote(99, 101, 4.0)))[-1]


def test_what_was_taken_deeper_than_a_quote_shows_stays_taken() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "3")), (40, BOOK))
    told(where, (41, order("b", IOC, "90", "1")), (90, quote(99, 100, 1.0)))
    assert told(where, (91, order("c", IOC, "102", "1")), (140, BOOK))[1] == "160: c 1@102 taker -0.001 BTC"


def test_fok_fills_wholly_or_not_at_all() -> None:
    assert told(venue(), (0, order("a", FOK, "101", "3")), (40, BOOK))[-1] == "60: a filled 3"
    assert told(venue(), (0, order("a", FOK, "101", "3.001")), (40, BOOK)) == [
        "60: a ack",
        "60: a expired 0 UNFILLED_FOK_ORDER_EXPIRED",
    ]


def test_a_market_buy_spends_its_quote_in_whole_lots_level_by_level() -> None:
    where = venue()
    assert told(where, (0, market("a", quote_amount="250.5")), (40, BOOK)) == [
        "60: a ack",
        "60: a 1@100 taker -0.001 BTC",
        "60: a 1.49@101 taker -0.00149 BTC",
        "60: a filled 2.49",
    ]
    assert where.image().balances["USDT"] == Balance(D("749.51"))


def test_a_market_order_without_liquidity_expires() -> None:
    assert told(venue(), (0, market("a", amount="5")), (40, quote(99, 101, 0.5)))[1:] == [
        "60: a 0.5@101 taker -0.0005 BTC",
        "60: a expired 0.5 INSUFFICIENT_LIQUIDITY",
    ]
    assert told(venue(), (0, market("a", quote_amount="50")), (40, quote(99, 101, 0.0))) == [
        "60: a ack",
        "60: a expired 0 INSUFFICIENT_LIQUIDITY",
    ]


def test_fees_in_quote_are_paid_on_top() -> None:
    where = venue(fee_in="quote")
    assert told(where, (0, order("a", IOC, "101", "2")), (40, quote(99, 100)))[1] == "60: a 2@100 taker -0.2 USDT"
    assert where.image().balances == {"USDT": Balance(D("799.8")), "BTC": Balance(D(2))}


def test_fees_are_rounded_half_up() -> None:
    where = venue(fee_places=2, fee_in="quote", taker_fee_bps=D(10))
    assert told(where, (0, order("a", IOC, "65", "1")), (40, quote(10, 65)))[1].endswith("-0.07 USDT")
    assert told(where, (50, order("b", IOC, "64.99", "1")), (90, quote(10, 64.99)))[1].endswith("-0.06 USDT")
