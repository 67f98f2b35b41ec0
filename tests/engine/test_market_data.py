"""What is known of a symbol's market, how old is it, and is what is too old never bought?"""

from __future__ import annotations

import pytest

from tests.engine.hand import A, B, Hand, names
from tradebot.domain import events as e
from tradebot.domain import facts as f


def told(hand: Hand, bid: float, *, age_ms: int) -> list[f.Fact]:
    """Show a quote that was made `age_ms` before it came; return the facts that came of it."""
    return hand.feed(e.QuoteSeen(A, bid, bid, 10.0, 20.0, hand.now - age_ms))


def test_what_was_last_seen_of_a_symbol_is_there_to_be_read() -> None:
    hand = Hand().start()
    book = e.BookSeen(A, ((99.9, 3.0), (99.8, 5.0)), ((100.1, 2.0),), hand.now)
    hand.feed(e.QuoteSeen(A, 99.9, 100.1, 3.0, 2.0, hand.now))
    hand.feed(e.TradeSeen(A, 100.0, 0.5, True, hand.now))
    hand.feed(book)
    symbol = hand.engine.symbols[A]
    assert (symbol.bid, symbol.ask, symbol.bid_size, symbol.ask_size) == (99.9, 100.1, 3.0, 2.0)
    assert (symbol.last, symbol.book, symbol.seen_ms) == (100.0, book, hand.now)
    other = hand.engine.symbols[B]
    assert (other.last, other.book, other.seen_ms) == (0.0, None, -1)


def test_a_market_that_is_not_watched_is_nothing() -> None:
    hand = Hand().start()
    for event in (
        e.QuoteSeen("ZZZ/USDT", 1.0, 1.0, 1.0, 1.0, hand.now),
        e.TradeSeen("ZZZ/USDT", 1.0, 1.0, True, hand.now),
        e.BookSeen("ZZZ/USDT", ((1.0, 1.0),), ((1.0, 1.0),), hand.now),
    ):
        assert hand.feed(event) == []


def test_trades_between_the_closes_are_seen_where_only_closes_are_decided_on() -> None:
    hand = Hand({"market": {"decide_on": "candle_close"}, "feed": {"kind": "recorded"}}).start()
    hand.feed(e.TradeSeen(A, 100.0, 0.5, True, hand.now))
    assert hand.engine.symbols[A].last == 100.0


@pytest.mark.parametrize("band", [True, False])
def test_a_price_that_was_old_when_it_came_is_not_bought_and_the_next_fresh_one_is(band: bool) -> None:
    hand = Hand({"market": {"stale_after_s": 3}, "engine": {"band": band}}).start()
    hand.quote(A, 100)
    hand.wait(60_000)
    (blocked,) = told(hand, 98, age_ms=3_001)
    assert isinstance(blocked, f.BuyBlocked)
    assert (blocked.gate, blocked.value, blocked.limit) == ("market.stale_after_s", "3.001", "<= 3")
    assert told(hand, 97, age_ms=8 * 3_600_000) == [], "told once"
    assert names(told(hand, 98, age_ms=3_000))[0] == "IntentOpened"


def test_an_old_price_confirms_no_drop() -> None:
    hand = Hand({"market": {"stale_after_s": 3}, "drop": {"confirm_s": 10}}).start()
    hand.quote(A, 100)
    hand.quote(A, 98)
    hand.wait(9_000)
    told(hand, 98, age_ms=5_000)
    hand.wait(1_000)
    assert "IntentOpened" not in names(hand.quote(A, 98))
    hand.wait(10_000)
    assert "IntentOpened" in names(hand.quote(A, 98))


def test_a_price_from_the_future_counts_from_when_it_came() -> None:
    hand = Hand({"market": {"stale_after_s": 3}}).start()
    told(hand, 100, age_ms=-60_000)
    assert hand.engine.symbols[A].seen_ms == hand.now
