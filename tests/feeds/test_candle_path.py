"""Is a candle walked in the documented order, with the declared spread and size around it?"""

from __future__ import annotations

from decimal import Decimal
from math import inf, isclose
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.writing import CANDLE, MINUTE, START, sound, write
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.events import QuoteSeen
from tradebot.feeds.candle_path import CandleQuotes, path_offsets
from tradebot.feeds.candles import load_candles

ROW = (START, 3, 10.0, 12.0, 9.0, 11.0, 200.0)
prices = st.floats(min_value=1e-9, max_value=1e9)


def test_the_low_comes_before_the_high() -> None:
    assert path_offsets(MINUTE) == (20_000, 40_000, 59_999)
    quotes = CandleQuotes(RecordedFeed(spread_bps=Decimal(0))).quotes("A/USDT", ROW, MINUTE)
    assert [(quote.at_ms - START, quote.bid) for quote in quotes] == [
        (0, 10.0),
        (20_000, 9.0),
        (40_000, 12.0),
        (59_999, 11.0),
    ]


def test_without_spread_and_limit_quotes_are_the_prices_themselves() -> None:
    settings = RecordedFeed(spread_bps=Decimal(0), shown_size="unlimited")
    assert CandleQuotes(settings).quotes("A/USDT", ROW, MINUTE) == (
        QuoteSeen("A/USDT", 10.0, 10.0, inf, inf, START),
        QuoteSeen("A/USDT", 9.0, 9.0, inf, inf, START + 20_000),
        QuoteSeen("A/USDT", 12.0, 12.0, inf, inf, START + 40_000),
        QuoteSeen("A/USDT", 11.0, 11.0, inf, inf, START + 59_999, 200.0, True),
    )


def test_a_share_of_the_volume_stands_at_each_price_and_the_close_carries_the_whole() -> None:
    quotes = CandleQuotes(RecordedFeed(volume_share=0.25)).quotes("A/USDT", ROW, MINUTE)
    assert [(quote.bid_size, quote.ask_size) for quote in quotes] == [(50.0, 50.0)] * 4
    assert [(quote.volume, quote.closes) for quote in quotes] == [(0.0, False)] * 3 + [(200.0, True)]


def test_a_candle_without_volume_shows_nothing_to_take() -> None:
    quotes = CandleQuotes(RecordedFeed()).quotes("A/USDT", (*ROW[:6], 0.0), MINUTE)
    assert {(quote.bid_size, quote.ask_size) for quote in quotes} == {(0.0, 0.0)}


@given(prices, st.decimals(Decimal("0.1"), Decimal(1000), places=1))
def test_the_spread_lies_around_each_price_as_declared(price: float, spread_bps: Decimal) -> None:
    quotes = CandleQuotes(RecordedFeed(spread_bps=spread_bps))
    assert quotes.half_spread == float(spread_bps / 20_000)
    for quote in quotes.quotes("A/USDT", (START, 0, price, price, price, price, 1.0), MINUTE):
        assert quote.bid < price < quote.ask
        assert isclose((quote.ask - quote.bid) / price * 10_000, float(spread_bps), rel_tol=1e-9)


def test_nothing_is_quoted_inside_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(0), sound(7)])
    recording = load_candles(tmp_path, None, "USDT", None, None)
    maker = CandleQuotes(RecordedFeed())
    times = [
        quote.at_ms
        for batch in recording.batches(100)
        for row in batch
        for quote in maker.quotes("A/USDT", row, recording.interval_ms)
    ]
    (gap,) = recording.gaps["A/USDT"]
    assert len(times) == 8
    assert not [at for at in times if gap.from_ms <= at < gap.to_ms]
