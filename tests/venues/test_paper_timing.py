"""An order takes effect after its latency, at the first price then."""

from __future__ import annotations

from tests.venues.paper_kit import BTC, ETH, FOK, GTC, IOC, order, quote, told, trade, venue
from tradebot.domain.events import OrderAcknowledged
from tradebot.venues.matching import UNSEEN


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
