"""The paper account goes on where it was."""

from __future__ import annotations

import pytest

from tests.venues.paper_kit import BTC, GTC, IOC, D, order, quote, rested, story, told, trade, venue
from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import CancelOrder, QueryOrder, ReconcileOrders
from tradebot.domain.events import Event, OrderNotFound, OrderReported
from tradebot.domain.numbers import plain
from tradebot.domain.orders import Balance
from tradebot.venues.paper import PaperVenue


def test_open_orders_and_requests_on_their_way_survive_a_restart() -> None:
    where = rested(venue(), order("open", GTC, "99", "1"), order("leaving", GTC, "98", "1"))
    where.submit(order("pending", IOC, "101", "1"), 100)
    where.submit(CancelOrder("leaving", BTC), 100)
    again = venue(where.image())
    assert again.watches(BTC)
    assert again.next_due_ms == 140
    assert told(again, (130, trade(98.5, 1, buyer=False)), (150, quote(99, 101))) == [
        "150: open 1@99 maker -0.001 BTC",
        "150: open filled 1",
        "160: leaving canceled 0",
        "170: pending ack",
        "170: pending 1@101 taker -0.001 BTC",
        "170: pending filled 1",
    ]


def test_an_open_order_of_a_symbol_no_longer_traded_can_be_cancelled() -> None:
    image = rested(venue(), order("a", GTC, "99", "1")).image()
    settings = Paper.model_validate({"jitter_ms": 0})
    where = PaperVenue(settings, {}, "USDT", 1, image)
    assert told(where, (90, quote(90, 91)), (91, trade(90, 9, buyer=False)), (100, CancelOrder("a", BTC))) == []
    assert story(where.advance(140)) == ["160: a canceled 0"]
    assert where.image().balances == {"USDT": Balance(D(1000))}


def test_of_an_id_used_twice_a_store_keeps_both_orders_fills_and_the_last_order_its_own() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "1")), (40, quote(99, 101)))
    earlier = where.image().fills
    told(where, (50, order("a", IOC, "102", "2")), (90, quote(99, 102)))
    image = where.image()
    image.fills = earlier + image.fills
    report = venue(image).submit(QueryOrder("a", BTC), 200)[0][1]
    assert isinstance(report, OrderReported)
    assert [plain(fill.price) for fill in report.fills] == ["102"]


def test_a_restart_forgets_no_more_than_the_oldest_ended_orders() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "90", "1")), (0, order("b", IOC, "90", "1")), (0, order("c", GTC, "90", "1")))
    told(where, (40, quote(99, 101)))
    again = venue(where.image(), keep_orders=1)
    assert set(again.image().orders) == {"b", "c"}
    assert again.submit(QueryOrder("a", BTC), 60) == [(120, OrderNotFound("a", conclusive=False, at_ms=60))]


@pytest.mark.parametrize("event", [trade(98, 2, buyer=False), quote(97, 98)])
def test_no_digit_of_a_balance_is_ever_rounded(event: Event) -> None:
    rich = D("12345678901234567890.123456789012345")
    where = rested(venue(AccountImage({"USDT": Balance(rich)})), order("a", GTC, "99", "2"))
    assert told(where, (50, event))[-1] == "70: a filled 2"
    assert where.image().balances["USDT"] == Balance(D("12345678901234567692.123456789012345"))


def test_new_fee_rules_never_overdraw_what_an_open_order_locked() -> None:
    image = rested(venue(initial_quote=D(198)), order("a", GTC, "99", "2")).image()
    where = venue(image, fee_in="quote")
    assert told(where, (50, trade(98, 1, buyer=False)), (51, trade(98, 1, buyer=False))) == [
        "70: a 1@99 maker -0 USDT",
        "71: a 1@99 maker -0 USDT",
        "71: a filled 2",
    ]
    assert where.image().balances == {"USDT": Balance(D(0)), "BTC": Balance(D(2))}


def test_orders_asked_for_together_are_answered_as_if_each_were_asked_for_alone() -> None:
    where = rested(venue(), order("open", GTC, "99", "1"), order("half", GTC, "98", "1"))
    told(where, (100, trade(98.0, 1.5, buyer=False)))
    again = venue(where.image())
    queries = tuple(QueryOrder(each, BTC) for each in ("open", "half", "never"))
    alone = [again.submit(query, 200)[0] for query in queries]
    assert again.submit(ReconcileOrders(queries, 0), 200) == alone
    assert sum(isinstance(event, OrderReported) for _, event in alone) == 2
