"""Is the embedded market a sound one: ordered, uncrossed, repeatable, each symbol by itself?"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.domain.numbers import exact
from tradebot.feeds.synthetic import Happened, SyntheticMarket, synthetic_symbols

START = 1_763_830_000_123
MINUTE = 60_000


def market(*symbols: str, seed: int = 1, start_ms: int = START, **settings: Any) -> SyntheticMarket:
    return SyntheticMarket(SyntheticFeed(**settings), symbols, "USDT", seed, start_ms)


def quotes(events: list[Happened]) -> list[QuoteSeen]:
    return [event for event in events if isinstance(event, QuoteSeen)]


settings = st.fixed_dictionaries(
    {},
    optional={
        "updates_per_s": st.floats(0.1, 20),
        "trades_per_s": st.sampled_from([0.0, 0.5, 3.0]),
        "volatility_bps": st.sampled_from([0.0, 4.0, 1000.0]),
        "stress_factor": st.sampled_from([1.0, 3.0, 100.0]),
        "trend_bps_per_s": st.sampled_from([0.0, 1000.0]),
        "jumps_per_hour": st.sampled_from([0.0, 60.0, 36_000.0]),
        "jump_bps": st.sampled_from([0.0, 80.0, 5000.0]),
        "drop_share": st.floats(0, 1),
        "spread_bps": st.sampled_from([0.0, 4.0, 1000.0]),
        "depth_quote": st.sampled_from([0.01, 5000.0, 1e12]),
        "wander_bps": st.floats(0, 3000),
        "levels": st.sampled_from([1, 2, 50]),
    },
)


@given(settings, st.integers(0, 2**31 - 1), st.integers(0, 4_000_000_000_000))
@rounds(max_examples=60)
def test_whatever_the_settings_the_market_is_sound(declared: dict[str, Any], seed: int, start_ms: int) -> None:
    events = market(seed=seed, start_ms=start_ms, symbols=3, **declared).next_events(start_ms + 20_000)
    ticks = {
        one.symbol: one.tick_size
        for one in SyntheticMarket(SyntheticFeed(symbols=3), (), "USDT", seed, 0).instruments(Decimal(5))
    }
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(events))
    assert all(start_ms <= event.at_ms <= start_ms + 20_000 for event in events)
    shown: dict[str, QuoteSeen] = {}
    books: dict[str, BookSeen] = {}
    for event in events:
        tick = ticks[event.symbol]
        if isinstance(event, QuoteSeen):
            assert 0 < event.bid < event.ask
            assert not exact(event.bid) % tick
            assert not exact(event.ask) % tick
            assert event.bid_size > 0 < event.ask_size
            if event.symbol in books:
                best = books[event.symbol]
                assert (best.bids[0], best.asks[0], best.at_ms) == (
                    (event.bid, event.bid_size),
                    (event.ask, event.ask_size),
                    event.at_ms,
                )
            shown[event.symbol] = event
        elif isinstance(event, BookSeen):
            books[event.symbol] = event
            assert all(high[0] > low[0] > 0 for high, low in pairwise(event.bids))
            assert all(low[0] < high[0] for low, high in pairwise(event.asks))
            assert all(size > 0 for _, size in (*event.bids, *event.asks))
        else:
            last = shown[event.symbol]
            assert event.price == (last.ask if event.buyer_taker else last.bid)
            assert event.size > 0


def test_the_same_seed_and_start_give_the_same_market() -> None:
    once, again = market().next_events(START + MINUTE), market().next_events(START + MINUTE)
    assert once == again
    assert quotes(once) != quotes(market(seed=2).next_events(START + MINUTE))


def test_how_often_it_is_asked_changes_nothing() -> None:
    whole, pieces = market(), market()
    events = whole.next_events(START + MINUTE)
    parts = [event for until in range(START, START + MINUTE + 1, 731) for event in pieces.next_events(until)]
    assert parts + pieces.next_events(START + MINUTE) == events
    assert whole.next_events(START + MINUTE) == []


def test_another_symbol_beside_it_changes_nothing_for_a_symbol() -> None:
    alone = market("BTC/USDT").next_events(START + MINUTE)
    among = market("AAA/USDT", "BTC/USDT", "ZZZ/USDT").next_events(START + MINUTE)
    assert [event for event in among if event.symbol == "BTC/USDT"] == alone != []


def test_a_profile_that_names_no_symbols_gets_synthetic_names() -> None:
    assert synthetic_symbols(SyntheticFeed(symbols=3), "EUR") == ("SYN001/EUR", "SYN002/EUR", "SYN003/EUR")
    assert market(symbols=2).symbols == ("SYN001/USDT", "SYN002/USDT")
    assert market("BTC/USDT").symbols == ("BTC/USDT",)


def test_it_says_that_it_is_synthetic() -> None:
    assert market(seed=7).label() == "synthetic market (seed 7)"


def test_a_restart_meets_the_prices_the_market_has_by_then() -> None:
    first = market(symbols=6, volatility_bps=2.0)
    before = {event.symbol: event.bid for event in quotes(first.next_events(START + 10 * MINUTE))}
    second = market(symbols=6, volatility_bps=2.0, start_ms=START + 10 * MINUTE)
    after = {event.symbol: event.bid for event in reversed(quotes(second.next_events(START + 10 * MINUTE + 1000)))}
    assert before.keys() == after.keys()
    for symbol, price in before.items():
        assert abs(after[symbol] / price - 1) < 0.01  # one second's noise and one sudden move at most
    assert first.instruments(Decimal(5)) == second.instruments(Decimal(5))


def test_updates_and_trades_come_as_often_as_declared() -> None:
    events = market(symbols=5, updates_per_s=8.0, trades_per_s=2.0, levels=1).next_events(START + 10 * MINUTE)
    trades = [event for event in events if isinstance(event, TradeSeen)]
    assert len(quotes(events)) == pytest.approx(5 * 600 * 8, rel=0.05)
    assert len(trades) == pytest.approx(5 * 600 * 2, rel=0.05)
    assert {event.buyer_taker for event in trades} == {True, False}


def test_without_trades_none_are_drawn_and_without_levels_no_book() -> None:
    events = market(trades_per_s=0.0, levels=1).next_events(START + MINUTE)
    assert {type(event) for event in events} == {QuoteSeen}


def test_skipping_leaves_out_what_lies_before() -> None:
    skipped = market()
    skipped.skip_to(START + MINUTE)
    assert skipped.next_ms >= START + MINUTE
    events = skipped.next_events(START + MINUTE + 1000)
    assert min(event.at_ms for event in events) >= START + MINUTE
    assert len(quotes(events)) < 2 * 12 * 4


def test_skipping_backwards_changes_nothing() -> None:
    skipped, untouched = market(), market()
    skipped.skip_to(START - MINUTE)
    assert skipped.next_events(START + MINUTE) == untouched.next_events(START + MINUTE)


def test_spreads_widen_when_the_market_moves() -> None:
    """Minutes with the widest prices' range have wider spreads than the calmest."""
    by_minute: dict[tuple[str, int], list[QuoteSeen]] = defaultdict(list)
    for quote in quotes(market(symbols=8, levels=1).next_events(START + 60 * MINUTE)):
        by_minute[quote.symbol, quote.at_ms // MINUTE].append(quote)
    figures = []
    for held in by_minute.values():
        bids = [quote.bid for quote in held]
        spread = sum((quote.ask - quote.bid) / quote.bid for quote in held) / len(held)
        figures.append((max(bids) / min(bids), spread))
    figures.sort()
    tenth = len(figures) // 10
    calm, wild = figures[:tenth], figures[-tenth:]
    assert sum(spread for _, spread in wild) > 1.3 * sum(spread for _, spread in calm)
