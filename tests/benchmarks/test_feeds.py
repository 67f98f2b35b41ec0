"""What do the feeds cost? A recorded candle, a synthetic update, and the memory a recording takes."""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from tradebot.config.sections.feed import RecordedFeed, SyntheticFeed
from tradebot.domain.events import QuoteSeen
from tradebot.feeds.candle_path import CandleQuotes
from tradebot.feeds.candles import CandleColumns, CandleRecording, load_candles
from tradebot.feeds.synthetic import SyntheticMarket

START = 1_704_067_200_000
MINUTE = 60_000


def walk(symbols: int, candles: int) -> CandleRecording:
    """Return a made-up recording: `symbols` times `candles`, no minute missing."""
    ts = array("q", range(START, START + candles * MINUTE, MINUTE))
    price = array("d", (100 + at % 97 / 8 for at in range(candles)))
    columns = tuple(CandleColumns(array("q", ts), *(array("d", price) for _ in range(5))) for _ in range(symbols))
    return CandleRecording(tuple(f"S{at:03d}/USDT" for at in range(symbols)), columns, MINUTE)


def drained(recording: CandleRecording, rows: int) -> float:
    """Return the CPU time, in µs, that a candle costs."""
    begun = time.process_time()
    assert sum(len(batch) for batch in recording.batches(rows)) == recording.candles
    return (time.process_time() - begun) / recording.candles * 1e6


@pytest.mark.benchmark
@pytest.mark.parametrize("rows", [1_000, 8_192, 65_536])
def test_a_candle_in_a_batch(rows: int, show: Callable[..., None]) -> None:
    whole = walk(20, 50_000)
    whole_us = min(drained(whole, rows) for _ in range(3))
    for one in whole.columns[::3]:  # a minute missing here and there takes the slower way
        del one.ts[100::50], one.open[100::50], one.high[100::50], one.low[100::50], one.close[100::50]
        del one.volume[100::50]
    gapped = CandleRecording(whole.symbols, whole.columns, MINUTE)
    show(us_a_candle=whole_us, us_with_gaps=min(drained(gapped, rows) for _ in range(3)))


@pytest.mark.benchmark
def test_the_memory_of_two_million_candles(show: Callable[..., None]) -> None:
    tracemalloc.start()
    recording = walk(20, 100_000)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    show(candles=recording.candles, mb=held / 1e6)


@pytest.mark.benchmark
def test_loading_the_crash_set(shared_data: Path, show: Callable[..., None]) -> None:
    begun = time.process_time()
    recording = load_candles(shared_data / "ohlcv_1m/binance_spot_2021-04", None, "USDT", None, None)
    load_s = time.process_time() - begun
    begun = time.process_time()
    assert len([recording.decimals(symbol) for symbol in recording.symbols]) == 91
    ticks_s = time.process_time() - begun
    unit = 1 if sys.platform == "darwin" else 1024
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    show(load_s=load_s, tick_sizes_s=ticks_s, process_peak_mb=peak_mb, us_a_candle=drained(recording, 8_192))


@pytest.mark.benchmark
def test_the_quotes_of_a_candle(show: Callable[..., None]) -> None:
    maker, row = CandleQuotes(RecordedFeed()), (START, 0, 10.0, 12.0, 9.0, 11.0, 200.0)
    begun = time.process_time()
    for _ in range(200_000):
        maker.quotes("A/USDT", row, MINUTE)
    show(us_for_four_quotes=(time.process_time() - begun) / 200_000 * 1e6)


@pytest.mark.benchmark
@pytest.mark.parametrize("levels", [1, 5, 20])
def test_a_synthetic_update(levels: int, show: Callable[..., None]) -> None:
    settings = SyntheticFeed(symbols=50, updates_per_s=10.0, levels=levels)
    market = SyntheticMarket(settings, (), "USDT", 1, START)
    begun = time.process_time()
    market.next_events(START + 1_000)
    first_s = time.process_time() - begun
    begun = time.process_time()
    updates = sum(isinstance(event, QuoteSeen) for event in market.next_events(START + 61_000))
    spent = time.process_time() - begun
    show(us_an_update=spent / updates * 1e6, core_pct_at_500_updates_per_s=spent / 60 * 100, first_second_s=first_s)
