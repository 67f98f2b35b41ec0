"""Are recorded candles read as they are, ordered over all symbols, and refused where unsound?"""

from __future__ import annotations

import tracemalloc
from array import array
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.writing import CANDLE, MINUTE, START, fault, sound, write
from tradebot.domain.errors import DataInvalid
from tradebot.feeds.candles import CandleColumns, CandleRecording, CandleRow, load_candles


def rows_of(recording: CandleRecording, size: int = 100) -> list[CandleRow]:
    return [row for batch in recording.batches(size) for row in batch]


def load(data: Path, quote: str = "USDT") -> CandleRecording:
    return load_candles(data, None, quote, None, None)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_recording_holds_what_the_file_says(tmp_path: Path, suffix: str) -> None:
    rows = [sound(minute, 100 + minute / 8) for minute in range(20)]
    write(tmp_path / f"BTC-USDT.1m.{suffix}", CANDLE, rows)
    recording = load(tmp_path)
    assert recording.symbols == ("BTC/USDT",)
    assert (recording.candles, recording.interval_ms) == (20, MINUTE)
    assert (recording.first_ms, recording.last_ms) == (START, START + 19 * MINUTE)
    assert rows_of(recording) == [(ts, 0, *prices) for ts, *prices in rows]


def test_csv_and_parquet_of_the_same_rows_are_the_same_recording(tmp_path: Path) -> None:
    rows = [sound(minute, 7.1 + minute / 7) for minute in (0, 1, 2, 5, 6)]
    kinds = [load(write(tmp_path / kind / f"A-USDT.1m.{kind}", CANDLE, rows).parent) for kind in ("csv", "parquet")]
    assert rows_of(kinds[0]) == rows_of(kinds[1])
    assert kinds[0].gaps == kinds[1].gaps


def test_symbols_are_sorted_and_only_those_of_the_quote_are_taken(tmp_path: Path) -> None:
    for name in ("ZRX-USDT", "1INCH-USDT", "ETH-BTC"):
        write(tmp_path / f"{name}.1m.csv", CANDLE, [sound(0)])
    (tmp_path / "notes.csv").write_text("nothing of a symbol\n")
    assert load(tmp_path).symbols == ("1INCH/USDT", "ZRX/USDT")
    assert load_candles(tmp_path, ["ETH/BTC"], "USDT", None, None).symbols == ("ETH/BTC",)


def test_the_window_keeps_its_first_minute_and_leaves_out_its_end(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(minute) for minute in range(10)])
    recording = load_candles(tmp_path, None, "USDT", START + 3 * MINUTE, START + 6 * MINUTE)
    assert [row[0] for row in rows_of(recording)] == [START + minute * MINUTE for minute in (3, 4, 5)]


def test_a_symbol_that_was_named_must_have_a_candle_in_the_window(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(0)])
    write(tmp_path / "B-USDT.1m.csv", CANDLE, [sound(0), sound(9)])
    assert load_candles(tmp_path, None, "USDT", START + MINUTE, None).symbols == ("B/USDT",)
    with pytest.raises(DataInvalid) as caught:
        load_candles(tmp_path, ["A/USDT", "B/USDT"], "USDT", START + MINUTE, None)
    assert fault(caught.value).startswith("A/USDT has no candle in the time asked for")
    with pytest.raises(DataInvalid) as caught:
        load_candles(tmp_path, None, "USDT", START + 60 * MINUTE, None)
    first, last = (f"{datetime.fromtimestamp((START + at * MINUTE) / 1000, UTC):%Y-%m-%d %H:%M:%S}" for at in (0, 9))
    assert str(caught.value).endswith(
        f"no symbol has a candle in the time asked for; the candles recorded open from {first} to {last} UTC"
    )


def test_several_files_of_a_symbol_are_joined_in_time(tmp_path: Path) -> None:
    later = write(tmp_path / "may" / "A-USDT.1m.csv", CANDLE, [sound(5), sound(6)])
    earlier = write(tmp_path / "april" / "A-USDT.1m.csv", CANDLE, [sound(0), sound(1)])
    recording = load_candles([later, earlier], None, "USDT", None, None)
    assert [(row[0] - START) // MINUTE for row in rows_of(recording)] == [0, 1, 5, 6]


def test_overlapping_files_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(0), sound(3)])
    second = write(tmp_path / "A-USDT.1m.parquet", CANDLE, [sound(2)])
    with pytest.raises(DataInvalid) as caught:
        load(tmp_path)
    assert fault(caught.value) == f"{second}: overlaps with {first}; name the files you want, one for each time"


def test_candles_of_two_lengths_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(0)])
    write(tmp_path / "B-USDT.1h.csv", CANDLE, [sound(0)])
    with pytest.raises(DataInvalid, match="are not as long as those of"):
        load(tmp_path)


def test_an_interval_must_stand_in_the_name(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.csv", CANDLE, [sound(0)])
    with pytest.raises(DataInvalid, match="does not say how long a candle is"):
        load(tmp_path)


minutes = st.sets(st.integers(0, 40), min_size=1, max_size=30).map(sorted)


@given(st.lists(minutes, min_size=1, max_size=5), st.integers(1, 200))
def test_batches_hold_every_candle_once_in_order_and_whole_minutes(per_symbol: list[list[int]], size: int) -> None:
    recording = recorded(per_symbol)
    batches = list(recording.batches(size))
    rows = [row for batch in batches for row in batch]
    expected = sorted(
        (START + minute * MINUTE, index, 100.0, 102.5, 98.75, 101.0, 10.0 + minute)
        for index, held in enumerate(per_symbol)
        for minute in held
    )
    assert rows == expected
    assert all(batches)
    assert all(before[-1][0] < after[0][0] for before, after in pairwise(batches))
    assert all(len(batch) <= max(size, len(per_symbol)) for batch in batches)


def recorded(per_symbol: list[list[int]]) -> CandleRecording:
    columns = []
    for held in per_symbol:
        ts, *rest = zip(*(sound(minute) for minute in held), strict=True)
        columns.append(CandleColumns(array("q", ts), *(array("d", one) for one in rest)))
    return CandleRecording(tuple(f"S{i}/USDT" for i in range(len(columns))), tuple(columns), MINUTE)


def test_tick_sizes_are_found_in_the_prices(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [(START, 1.5, 1.5, 1.25, 1.5, 0), (START + MINUTE, 2, 2.0625, 2, 2, 1)])
    write(tmp_path / "B-USDT.1m.csv", CANDLE, [(START, 7, 9, 7, 8, 0.123456)])
    write(tmp_path / "C-USDT.1m.csv", CANDLE, [(START, 1e-8, 1.3e-7, 1e-8, 1e-8, 5)])
    write(tmp_path / "D-USDT.1m.csv", CANDLE, [(START, 0.1 + 0.2, 1, 0.25, 1, 5)])
    recording = load(tmp_path)
    assert [recording.decimals(symbol) for symbol in recording.symbols] == [4, 0, 8, 12]
    assert [one.tick_size for one in recording.instruments(Decimal(5))][:3] == [
        Decimal("0.0001"),
        Decimal(1),
        Decimal("1E-8"),
    ]


def test_a_batch_costs_no_more_memory_than_its_rows(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, [sound(minute) for minute in range(20_000)])
    recording = load(tmp_path)
    tracemalloc.start()
    try:
        count = sum(len(batch) for batch in recording.batches(100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 500 * 400  # 20,000 rows held at once would be more than 20 times as much


def test_every_minute_lists_its_symbols_in_order(tmp_path: Path) -> None:
    for name, held in (("B", range(9)), ("A", range(3, 12)), ("C", (2, 7))):
        write(tmp_path / f"{name}-USDT.1m.csv", CANDLE, [sound(minute) for minute in held])
    for _, rows in groupby(rows_of(load(tmp_path), 4), key=lambda row: row[0]):
        indices = [row[1] for row in rows]
        assert indices == sorted(set(indices))
