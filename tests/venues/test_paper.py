"""The paper venue answers as an exchange would: after its latency, once, and in order."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest

from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryOrder
from tradebot.domain.events import (
    BalancesReported,
    BookSeen,
    CancelRefused,
    CandleSeen,
    Event,
    FillReported,
    OrderAcknowledged,
    OrderClosed,
    OrderNotFound,
    OrderRefused,
    OrderReported,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import plain
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.ports import Due, SimulatedVenue
from tradebot.venues.matching import UNSEEN
from tradebot.venues.paper import NEVER_MS, PaperVenue

BTC, ETH = "BTC/USDT", "ETH/USDT"
IOC, FOK, GTC, PO = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC, TimeInForce.PO
D = Decimal

INSTRUMENTS = {
    symbol: Instrument(
        symbol, symbol[:3], "USDT", D("0.01"), D("0.001"), min_amount=D("0.001"), max_amount=D(9), min_notional=D(5)
    )
    for symbol in (BTC, ETH)
}


def venue(image: AccountImage | None = None, seed: int = 1, **settings: object) -> PaperVenue:
    """Return a venue with 40 ms to it and 20 ms back, no jitter, everything shown to be had, 10 bps of fee."""
    said = {"jitter_ms": 0, "participation": 1.0, "initial_quote": D(1000)} | settings
    return PaperVenue(Paper.model_validate(said), INSTRUMENTS, "USDT", seed, image)


def order(client_id: str, tif: TimeInForce, price: str, amount: str, side: Side = Side.BUY) -> PlaceOrder:
    return PlaceOrder(client_id, BTC, side, OrderType.LIMIT, tif, 9_999, D(price), D(amount))


def market(client_id: str, side: Side = Side.BUY, *, amount: str = "0", quote_amount: str = "0") -> PlaceOrder:
    return PlaceOrder(
        client_id, BTC, side, OrderType.MARKET, IOC, 9_999, amount=D(amount), quote_amount=D(quote_amount)
    )


def quote(bid: float, ask: float, size: float = 5.0, bid_size: float | None = None, symbol: str = BTC) -> QuoteSeen:
    return QuoteSeen(symbol, bid, ask, size if bid_size is None else bid_size, size, 0)


def trade(price: float, size: float, *, buyer: bool) -> TradeSeen:
    return TradeSeen(BTC, price, size, buyer, 0)


def story(answers: list[Due]) -> list[str]:
    """Return answers as "due: what", in the order they are due."""
    return [f"{due}: {tell(event)}" for due, event in sorted(answers, key=lambda each: each[0])]


def tell(event: Event) -> str:
    match event:
        case OrderAcknowledged():
            return f"{event.client_id} ack"
        case FillReported():
            kind = "maker" if event.maker else "taker"
            amount, price, fee = (plain(each) for each in (event.amount, event.price, event.fee))
            return f"{event.client_id} {amount}@{price} {kind} -{fee} {event.fee_asset}"
        case OrderClosed():
            return f"{event.client_id} {event.outcome} {plain(event.filled)} {event.reason}".rstrip()
        case OrderRefused():
            return f"{event.client_id} {event.code} {event.message}"
        case CancelRefused():
            return f"{event.client_id} cancel {event.code} {event.message}"
        case _:
            raise AssertionError(event)


def told(where: PaperVenue, *happenings: tuple[int, Command | Event]) -> list[str]:
    """Return the story of commands and market events at their times."""
    answers: list[Due] = []
    for at_ms, what in happenings:
        answers += where.submit(what, at_ms) if isinstance(what, Command) else where.on_market(what, at_ms)
    return story(answers)


def rested(where: PaperVenue, *orders: PlaceOrder, bid_size: float = 5.0) -> PaperVenue:
    """Return `where` with `orders` in effect in a market of 99/101 at 40 ms."""
    for each in orders:
        assert where.submit(each, 0) == []
    assert {type(event) for _, event in where.on_market(quote(99, 101, bid_size=bid_size), 40)} == {OrderAcknowledged}
    return where


# -- when an order takes effect -----------------------------------------------------------------------


def test_an_order_takes_effect_at_the_first_market_event_after_its_arrival() -> None:
    assert told(
        venue(),
        (100, order("a", IOC, "101", "1")),
        (139, quote(99, 100)),
        (140, quote(99, 101)),
        (141, quote(99, 100)),
    ) == ["160: a ack", "160: a 1@101 taker -0.001 BTC", "160: a filled 1"]


def test_without_latency_the_event_it_answers_is_over_and_the_next_one_counts() -> None:
    where = venue(entry_latency_ms=0, response_latency_ms=0)
    where.submit(order("before", GTC, "50", "1"), 0)
    where.on_market(quote(99, 100), 100)
    assert told(where, (100, order("a", IOC, "200", "1")), (160, quote(104, 105))) == [
        "160: a ack",
        "160: a 1@105 taker -0.001 BTC",
        "160: a filled 1",
    ]


def test_another_symbols_prices_move_nothing() -> None:
    where = venue()
    assert told(where, (0, order("a", IOC, "101", "1")), (50, quote(99, 100, symbol=ETH))) == []
    assert where.watches(BTC)
    assert not where.watches(ETH)


def test_a_whole_candle_is_no_price_to_trade_at() -> None:
    assert told(venue(), (0, order("a", IOC, "101", "1")), (50, CandleSeen(BTC, 0, 50, 1, 1, 1, 1, 1))) == []


def test_orders_of_a_symbol_take_effect_in_order_of_arrival() -> None:
    answers = told(
        venue(),
        (0, order("first", IOC, "101", "4")),
        (0, order("second", IOC, "101", "4")),
        (50, quote(99, 101, 5.0)),
    )
    assert [each for each in answers if "taker" in each] == [
        "70: first 4@101 taker -0.004 BTC",
        "70: second 1@101 taker -0.001 BTC",
    ]


def test_a_trade_gives_its_price_only_to_those_on_the_aggressors_side() -> None:
    where = venue()
    assert told(where, (0, order("a", IOC, "101", "1")), (50, trade(100, 0.4, buyer=False))) == []
    assert told(where, (51, trade(100.5, 0.4, buyer=True))) == [
        "71: a ack",
        "71: a 0.4@100.5 taker -0.0004 BTC",
        "71: a expired 0.4 UNFILLED_IOC_QUANTITY_EXPIRED",
    ]


def test_a_request_may_overtake_another_and_then_comes_first() -> None:
    def run(seed: int) -> tuple[int, int, str]:
        where = venue(seed=seed, jitter_ms=30)
        where.submit(order("a", IOC, "101", "1"), 0)
        where.submit(order("b", IOC, "101", "1"), 0)
        sent = where.image().orders
        first = next(event for _, event in where.on_market(quote(99, 101), 80))
        assert isinstance(first, OrderAcknowledged)
        return sent["a"].arrives_ms, sent["b"].arrives_ms, first.client_id

    runs = [run(seed) for seed in range(20)]
    assert {first for _, _, first in runs} == {"a", "b"}
    assert all(first == ("a" if a <= b else "b") for a, b, first in runs)


def test_where_only_trades_are_seen_each_is_liquidity_of_its_own() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "1")), (50, trade(100, 1, buyer=True)))
    assert told(where, (51, order("b", IOC, "101", "1")), (91, trade(100, 1, buyer=True)))[-1] == "111: b filled 1"


def test_a_trade_at_a_standing_level_is_no_new_liquidity() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "3")), (0, order("stay", GTC, "50", "1")), (40, quote(99, 101, 3.0)))
    answers = told(where, (51, order("b", IOC, "101", "1")), (91, trade(101, 1, buyer=True)))
    assert answers[-1].startswith("111: b expired 0")


def test_what_stood_when_nobody_looked_any_more_is_not_believed() -> None:
    where = venue()
    told(where, (0, order("a", IOC, "101", "1")), (40, quote(99, 101)))
    told(where, (9_000, order("b", GTC, "99", "1")), (9_040, trade(101, 1, buyer=True)))
    assert where.image().orders["b"].ahead == UNSEEN


def test_jitter_comes_from_the_seed_and_keeps_an_orders_answers_in_order() -> None:
    def run(seed: int) -> list[str]:
        where = venue(seed=seed, jitter_ms=30)
        return told(where, (0, order("a", IOC, "101", "1")), (0, order("b", FOK, "101", "9")), (80, quote(99, 101)))

    assert run(1) == run(1)
    assert len({tuple(run(seed)) for seed in range(20)}) > 5
    for seed in range(20):
        dues = [int(each.split(":")[0]) for each in run(seed)]
        assert min(dues) >= 100
        assert max(dues) <= 130


# -- takers -------------------------------------------------------------------------------------------


BOOK = BookSeen(BTC, ((99.0, 1.0), (98.0, 3.0)), ((100.0, 1.0), (101.0, 2.0), (102.0, 9.0)), 0)


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


# -- makers -------------------------------------------------------------------------------------------


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


# -- cancels and queries ------------------------------------------------------------------------------


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


# -- refusals -----------------------------------------------------------------------------------------


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


# -- going on after a restart -------------------------------------------------------------------------


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
    assert [(plain(fill.price), fill.amount) for fill in report.fills] == [("102", 2)]


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
