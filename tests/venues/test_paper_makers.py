"""A resting order waits for its turn."""

from __future__ import annotations

from tests.venues.paper_kit import GTC, PO, D, order, quote, rested, told, trade, venue
from tradebot.domain.account import AccountImage
from tradebot.domain.orders import Balance, Side


def test_a_resting_order_locks_what_it_may_cost() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"))
    assert where.image().balances == {"USDT": Balance(D(802), D(198))}
    where = rested(venue(fee_in="quote", maker_fee_bps=D(20)), order("a", GTC, "99", "2"))
    assert where.image().balances == {"USDT": Balance(D("801.604"), D("198.396"))}


def test_trades_at_the_price_fill_only_what_is_left_after_the_queue() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"), bid_size=5.0)
    assert told(
        where,
        (50, trade(99, 4, buyer=False)),
        (51, trade(99, 9, buyer=True)),
        (52, trade(99, 1.5, buyer=False)),
        (53, trade(99, 9, buyer=False)),
    ) == ["72: a 0.5@99 maker -0.0005 BTC", "73: a 1.5@99 maker -0.0015 BTC", "73: a filled 2"]


def test_an_order_that_improves_the_touch_is_first() -> None:
    where = rested(venue(), order("a", GTC, "99.5", "2"))
    assert told(where, (50, trade(99.5, 2, buyer=False)))[-1] == "70: a filled 2"


def test_a_price_nobody_shows_has_a_queue_nobody_knows() -> None:
    where = rested(venue(), order("a", GTC, "98", "1"))
    assert told(where, (50, trade(98, 100, buyer=False))) == []
    assert told(where, (51, quote(98, 99, 3)), (52, trade(98, 3, buyer=False)), (53, trade(98, 1, buyer=False))) == [
        "73: a 1@98 maker -0.001 BTC",
        "73: a filled 1",
    ]


def test_the_queue_is_never_longer_than_what_is_shown() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"), bid_size=5.0)
    told(where, (50, quote(99, 101, 1.0)), (51, quote(99, 101, 8.0)))
    assert where.image().orders["a"].ahead == 1
    told(where, (52, quote(98, 101)))
    assert where.image().orders["a"].ahead == 0


def test_a_print_through_the_price_fills_whoever_was_queued_but_no_more_than_was_printed() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"), order("b", GTC, "98.5", "2"))
    assert told(where, (50, trade(98, 3, buyer=False))) == [
        "70: a 2@99 maker -0.002 BTC",
        "70: a filled 2",
        "70: b 1@98.5 maker -0.001 BTC",
    ]


def test_own_orders_at_one_price_share_the_queue_in_order_of_time() -> None:
    where = rested(venue(), order("a", GTC, "99", "1"), order("b", GTC, "99", "1"), bid_size=2.0)
    assert told(where, (50, trade(99, 2.5, buyer=False))) == ["70: a 0.5@99 maker -0.0005 BTC"]
    assert told(where, (60, trade(99, 1.0, buyer=False))) == [
        "80: a 0.5@99 maker -0.0005 BTC",
        "80: a filled 1",
        "80: b 0.5@99 maker -0.0005 BTC",
    ]


def test_what_one_own_order_waited_for_counts_for_the_next() -> None:
    where = rested(venue(), order("a", GTC, "99", "1"), order("b", GTC, "99", "1"), bid_size=2.0)
    assert told(where, (50, trade(99, 3.5, buyer=False)))[-1] == "70: b 0.5@99 maker -0.0005 BTC"


def test_the_opposite_best_fills_strictly_beyond_the_price_and_shares_what_is_shown() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"), order("b", GTC, "99", "2"))
    assert told(where, (50, quote(98, 99, 9))) == []
    assert told(where, (51, quote(97, 98, 3)), (52, quote(97, 98, 3))) == [
        "71: a 2@99 maker -0.002 BTC",
        "71: a filled 2",
        "71: b 1@99 maker -0.001 BTC",
    ]


def test_a_resting_sell_is_filled_by_buyers() -> None:
    where = rested(venue(AccountImage({"BTC": Balance(D(3))})), order("a", GTC, "101", "3", Side.SELL))
    assert where.image().balances["BTC"] == Balance(D(0), D(3))
    assert told(
        where, (50, trade(101, 5.5, buyer=True)), (51, trade(101.5, 1, buyer=True)), (52, quote(102, 103, 9))
    ) == [
        "70: a 0.5@101 maker -0.0505 USDT",
        "71: a 1@101 maker -0.101 USDT",
        "72: a 1.5@101 maker -0.1515 USDT",
        "72: a filled 3",
    ]
    assert where.image().balances == {"BTC": Balance(D(0)), "USDT": Balance(D("302.697"))}


def test_a_crossing_gtc_takes_what_is_shown_and_rests() -> None:
    where = venue()
    assert told(where, (0, order("a", GTC, "101", "2")), (40, quote(99, 101, 0.5)), (50, quote(100, 102)))[1:] == [
        "60: a 0.5@101 taker -0.0005 BTC"
    ]
    held = where.image().orders["a"]
    assert (held.status, held.ahead, held.locked) == ("open", D(0), D("151.5"))


def test_post_only_rests_or_is_refused() -> None:
    assert told(venue(), (0, order("a", PO, "101", "1")), (40, quote(99, 101))) == [
        "60: a -2010 Order would immediately match and take."
    ]
    assert told(venue(), (0, order("a", PO, "100.99", "1")), (40, quote(99, 101))) == ["60: a ack"]
