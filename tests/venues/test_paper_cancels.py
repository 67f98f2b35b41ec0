"""Cancels and queries are answered by time alone, and tell the truth."""

from __future__ import annotations

from tests.venues.paper_kit import BTC, ETH, GTC, IOC, D, order, quote, rested, story, told, trade, venue
from tradebot.domain.commands import CancelOrder, QueryBalances, QueryOrder
from tradebot.domain.events import (
    BalancesReported,
    FillReported,
    OrderClosed,
    OrderNotFound,
    OrderReported,
)
from tradebot.domain.orders import Balance
from tradebot.ports import SimulatedVenue
from tradebot.venues.paper import NEVER_MS


def test_a_cancel_of_a_resting_order_takes_effect_by_time_alone() -> None:
    where: SimulatedVenue = rested(venue(), order("a", GTC, "99", "2"))
    assert where.next_due_ms == NEVER_MS
    assert where.submit(CancelOrder("a", BTC), 100) == []
    assert where.next_due_ms == 140
    assert where.advance(139) == []
    assert story(where.advance(140)) == ["160: a canceled 0"]
    assert where.next_due_ms == NEVER_MS
    assert not where.watches(BTC)


def test_what_fills_before_a_cancel_arrives_is_filled() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"), order("b", GTC, "99", "2"))
    assert told(
        where,
        (100, CancelOrder("a", BTC)),
        (100, CancelOrder("b", BTC)),
        (139, trade(98, 3, buyer=False)),
        (140, trade(98, 3, buyer=False)),
    ) == [
        "159: a 2@99 maker -0.002 BTC",
        "159: a filled 2",
        "159: b 1@99 maker -0.001 BTC",
        "160: a cancel -2011 Unknown order sent.",
        "160: b canceled 1",
    ]
    assert where.image().balances == {"USDT": Balance(D(703)), "BTC": Balance(D("2.997"))}


def test_a_cancel_nobody_woke_the_venue_for_happens_at_its_own_time() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"))
    where.submit(CancelOrder("a", BTC), 100)
    answers = where.submit(QueryOrder("a", BTC), 5_000)
    assert answers == [
        (5_000, OrderClosed("a", "canceled", D(0), "", 140)),
        (5_060, OrderReported("a", "1", "canceled", D(0), (), 5_000)),
    ]


def test_no_answer_is_due_in_the_past() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"))
    where.submit(CancelOrder("a", BTC), 100)
    where.submit(CancelOrder("a", BTC), 101)
    assert story(where.advance(5_000)) == ["5000: a canceled 0", "5000: a cancel -2011 Unknown order sent."]


def test_a_cancel_waits_behind_an_order_that_is_still_on_its_way() -> None:
    where = venue()
    happenings = ((0, order("i", IOC, "101", "9")), (0, order("g", GTC, "98", "1")))
    cancels = ((1, CancelOrder("i", BTC)), (1, CancelOrder("g", BTC)))
    assert told(where, *happenings, *cancels) == []
    assert where.next_due_ms == NEVER_MS
    assert where.advance(500) == []
    assert told(where, (600, quote(99, 101))) == [
        "620: i ack",
        "620: i 5@101 taker -0.005 BTC",
        "620: i expired 5 UNFILLED_IOC_QUANTITY_EXPIRED",
        "620: i cancel -2011 Unknown order sent.",
        "620: g ack",
        "620: g canceled 0",
    ]


def test_a_cancel_sets_free_what_a_later_order_needs() -> None:
    where = venue()
    assert told(
        where,
        (0, order("a", GTC, "98", "9")),
        (1, CancelOrder("a", BTC)),
        (2, order("b", GTC, "98", "9")),
        (50, quote(99, 101)),
    ) == ["70: a ack", "70: a canceled 0", "70: b ack"]


def test_a_cancel_of_what_is_over_or_never_was_is_refused() -> None:
    where = rested(venue(), order("a", GTC, "99", "2"))
    assert told(where, (100, CancelOrder("nobody", BTC)), (100, CancelOrder("a", ETH))) == [
        "160: nobody cancel -2011 Unknown order sent.",
        "160: a cancel -2011 Unknown order sent.",
    ]
    assert told(where, (200, CancelOrder("a", BTC)), (200, CancelOrder("a", BTC)), (240, quote(99, 101))) == [
        "260: a canceled 0",
        "260: a cancel -2011 Unknown order sent.",
    ]


def test_queries_tell_an_order_and_its_fills_so_far() -> None:
    where = venue()
    where.submit(order("a", GTC, "99", "2"), 0)
    assert where.submit(QueryOrder("a", BTC), 5) == [(65, OrderReported("a", "1", "pending", D(0), (), 5))]
    where.on_market(quote(99, 101), 40)
    filled = [event for _, event in where.on_market(trade(98, 0.5, buyer=False), 50) if isinstance(event, FillReported)]
    assert where.submit(QueryOrder("a", BTC), 60) == [
        (120, OrderReported("a", "1", "open", D("0.5"), tuple(filled), 60))
    ]
    assert where.submit(QueryOrder("b", BTC), 60) == [(120, OrderNotFound("b", conclusive=True, at_ms=60))]
    balances = {"USDT": Balance(D(802), D("148.5")), "BTC": Balance(D("0.4995"))}
    assert where.submit(QueryBalances(), 60) == [(120, BalancesReported(balances, 60))]


def test_of_an_order_too_old_to_be_held_absence_is_never_claimed() -> None:
    where = venue(keep_orders=1)
    told(where, (0, order("a", IOC, "90", "1")), (0, order("b", IOC, "90", "1")), (40, quote(99, 101)))
    assert where.submit(QueryOrder("a", BTC), 60) == [(120, OrderNotFound("a", conclusive=False, at_ms=60))]
    assert isinstance(where.submit(QueryOrder("b", BTC), 60)[0][1], OrderReported)
    again = venue(where.image(), keep_orders=1)
    assert isinstance(again.submit(QueryOrder("b", BTC), 60)[0][1], OrderReported)
