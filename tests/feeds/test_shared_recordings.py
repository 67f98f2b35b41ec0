"""Do real recordings read as their manifest describes them? Skipped where none stand beside the checkout."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.feeds.writing import CANDLE, write
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.feeds.candles import load_candles
from tradebot.feeds.gaps import Gap
from tradebot.feeds.recorded import load
from tradebot.feeds.recorded_events import EventRecording, load_events

MINUTE = 60_000


def test_the_crash_set_has_its_rows_and_its_two_outages(shared_data: Path) -> None:
    recording = load_candles(shared_data / "ohlcv_1m/binance_spot_2021-04", None, "USDT", None, None)
    assert (len(recording.symbols), recording.candles) == (91, 1_074_356)
    assert recording.outages == (
        Gap(1_618_884_000_000, 1_618_893_000_000, 150),  # 2021-04-20 02:00 to 04:30
        Gap(1_619_323_320_000, 1_619_340_300_000, 283),  # 2021-04-25 04:02 to 08:45
    )
    missing = Counter(sum(gap.missing for gap in gaps) for gaps in recording.gaps.values())
    assert missing == {434: 81, 433: 10}
    last = (0, -1)
    count = 0
    for batch in recording.batches(10_000):
        assert batch[0][:2] > last
        last = batch[-1][:2]
        count += len(batch)
    assert count == recording.candles


def test_tick_sizes_found_in_prices_are_those_the_exchange_declared(shared_data: Path) -> None:
    declared = json.loads((shared_data / "api/instruments/binance_exchangeInfo_2021-04-17.json").read_text())
    ticks = {
        entry["symbol"]: Decimal(rule["tickSize"])
        for entry in declared["symbols"]
        for rule in entry["filters"]
        if rule["filterType"] == "PRICE_FILTER"
    }
    recording = load_candles(shared_data / "ohlcv_1m/binance_spot_2021-04", None, "USDT", None, None)
    for found in recording.instruments(Decimal(5)):
        assert found.tick_size == ticks[f"{found.base}{found.quote}"], found.symbol


def test_the_long_series_has_the_gaps_of_its_manifest(shared_data: Path) -> None:
    recording = load_candles(shared_data / "ohlcv_1m/bitfinex_spot_2016", None, "USD", None, None)
    gaps = recording.gaps["BTC/USD"]
    assert (recording.candles, len(gaps), sum(gap.missing for gap in gaps)) == (293_230, 63_912, 233_809)
    assert max(gap.missing for gap in gaps) == 87_839
    assert recording.outages == gaps


def test_real_candles_are_the_same_from_csv(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ohlcv_1m/binance_spot_2021-05-crash13"
    parquet = load_candles(source, ["BTC/USDT", "DOGE/USDT"], "USDT", None, None)
    for symbol, one in zip(parquet.symbols, parquet.columns, strict=True):
        rows = zip(one.ts, one.open, one.high, one.low, one.close, one.volume, strict=True)
        write(tmp_path / f"{symbol.replace('/', '-')}.1m.csv", CANDLE, rows)
    assert load_candles(tmp_path, None, "USDT", None, None).columns == parquet.columns


def test_sets_of_overlapping_time_are_not_mixed(shared_data: Path) -> None:
    sets = [shared_data / "ohlcv_1m/binance_spot_2021-04", shared_data / "ohlcv_1m/binance_spot_2021-04_long43d"]
    with pytest.raises(DataInvalid, match="overlaps with"):
        load_candles(sets, ["BTC/USDT"], "USDT", None, None)


def walked(shared_data: Path, symbol: str) -> tuple[EventRecording, list[QuoteSeen | BookSeen | TradeSeen]]:
    recording = load_events(
        [shared_data / "trades", shared_data / "book"], [symbol], "USDT", None, None, RecordedFeed()
    )
    events = list(recording.events())
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(events))
    return recording, events


def test_recorded_trades_come_with_the_quotes_of_the_same_seconds(shared_data: Path) -> None:
    recording, events = walked(shared_data, "BTC/USDT")
    assert Counter(map(type, events)) == {TradeSeen: 2001, QuoteSeen: 451}
    assert recording.rows == 2452
    assert events[0] == TradeSeen("BTC/USDT", 39432.48, 0.000263, False, 1_610_064_000_278)


def test_a_book_is_rebuilt_from_real_diffs_and_agrees_with_the_trades(shared_data: Path) -> None:
    """A trade's price lies at or within one tick of the best prices that the diffs told before it."""
    recording, events = walked(shared_data, "TRX/USDT")
    assert recording.rows == 20_000
    quote: QuoteSeen | None = None
    last_book = max(event.at_ms for event in events if isinstance(event, BookSeen))
    compared = near = 0
    for event in events:
        if isinstance(event, QuoteSeen):
            assert event.bid < event.ask
            quote = event
        elif isinstance(event, TradeSeen) and quote is not None and event.at_ms <= last_book:
            compared += 1
            near += quote.bid - 0.00011 <= event.price <= quote.ask + 0.00011
    assert compared > 1000
    assert near / compared > 0.99


def test_trades_without_quotes_agree_with_their_own_candles(shared_data: Path) -> None:
    folder = shared_data / "trades"
    candles = load_candles(folder / "binance_spot_XRP-ETH_1m_candles_2019-10.parquet", None, "ETH", None, None)
    trades = load(folder / "binance_spot_XRP-ETH_aggtrades_2019-10.parquet", None, "ETH", None, None, RecordedFeed())
    assert isinstance(trades, EventRecording)
    highest: dict[int, float] = {}
    for event in trades.events():
        if isinstance(event, TradeSeen):
            minute = event.at_ms - event.at_ms % MINUTE
            highest[minute] = max(highest.get(minute, 0.0), event.price)
    (columns,) = candles.columns
    assert highest == dict(zip(columns.ts, columns.high, strict=True))
    assert candles.decimals("XRP/ETH") == trades.decimals("XRP/ETH") == 8
