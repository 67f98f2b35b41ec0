"""Is a recording that cannot be trusted refused, with file and row, before anything trades on it?"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.feeds.writing import CANDLE, DIFF, MINUTE, QUOTE, START, TRADE, fault, sound, write
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.feeds.recorded import load

GOOD = [sound(minute) for minute in range(6)]


def refused(path: Path, symbols: list[str] | None = None) -> str:
    """Return the message of the refusal, without the file's own path where it begins with it."""
    with pytest.raises(DataInvalid) as caught:
        load(path, symbols, "USDT", None, None, RecordedFeed())
    return fault(caught.value).removeprefix(f"{path}: ")


def changed(row: int, column: str, value: Any) -> list[tuple[Any, ...]]:
    rows: list[list[Any]] = [list(held) for held in GOOD]
    rows[row][CANDLE.index(column)] = value
    return [tuple(held) for held in rows]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (2, "ts", START, f"row 3: ts {START} is not after {START + MINUTE}"),
        (3, "ts", START + 2 * MINUTE, f"row 4: ts {START + 2 * MINUTE} is not after {START + 2 * MINUTE}"),
        (5, "ts", START + 6 * MINUTE + 1, f"row 6: ts {START + 6 * MINUTE + 1} is not on the grid of its interval"),
        (1, "open", math.nan, "row 2: open nan is not a price above 0"),
        (1, "close", 0.0, "row 2: close 0.0 is not a price above 0"),
        (0, "low", -1.0, "row 1: low -1.0 is not a price above 0"),
        (4, "high", math.inf, "row 5: high inf is not a price"),
        (4, "high", 98.0, "row 5: low 98.75 is above high 98.0"),
        (4, "open", 103.0, "row 5: open 103.0 is above high 102.5"),
        (5, "close", 98.0, "row 6: close 98.0 is below low 98.75"),
        (2, "volume", -0.5, "row 3: volume -0.5 is no amount"),
        (2, "volume", math.nan, "row 3: volume nan is no amount"),
        (2, "volume", math.inf, "row 3: volume inf is no amount"),
    ],
)
def test_an_unsound_candle_is_refused_with_its_row(
    tmp_path: Path, suffix: str, row: int, column: str, value: float, message: str
) -> None:
    path = write(tmp_path / f"A-USDT.1m.{suffix}", CANDLE, changed(row, column, value))
    assert refused(path).startswith(message)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_column_is_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"A-USDT.1m.{suffix}", CANDLE[:5], [row[:5] for row in GOOD])
    assert refused(path) == "column volume is missing; it has ts, open, high, low, close"


def test_a_csv_file_without_rows_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "A-USDT.1m.csv", CANDLE, [])) == "holds no rows"


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    parquet = import_module("pyarrow.parquet")
    path = write(tmp_path / "A-USDT.1m.parquet", CANDLE, GOOD)
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    assert refused(path) == "holds no rows"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_another_matter_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"A-USDT.1m.{suffix}", ("when", "what"), [(1, 2)])
    assert refused(path).startswith("holds neither candles (ts, open, high, low, close, volume), trades")


@pytest.mark.parametrize("keep", [0, 10, 400, -3])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "A-USDT.1m.parquet", CANDLE, GOOD)
    path.write_bytes(path.read_bytes()[:keep])
    assert refused(path).startswith("cannot be read as parquet: ")


def test_a_truncated_csv_file_is_refused_at_its_last_row(tmp_path: Path) -> None:
    path = write(tmp_path / "A-USDT.1m.csv", CANDLE, GOOD)
    path.write_text("\n".join(path.read_text().splitlines())[:-6])
    assert refused(path) == "row 6: has 5 fields, the header has 6"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a header with the column names is wanted"),
        (b"ts,open,high,low,close,close,volume\n", "a column name stands twice in the header: "),
        (b"ts,open,high,low,close,volume\n1618617600000,a,2,1,2,3\n", "row 1: open: 'a' is no float"),
        (b"ts,open,high,low,close,volume\n1618617600000.5,2,2,1,2,3\n", "row 1: ts: '1618617600000.5' is no int"),
        (b"ts,open,high,low,close,volume\n99999999999999999999,2,2,1,2,3\n", "row 1: ts: '99999999999999999999' is no"),
        (b"ts,open,high,low,close,volume\n1618617600000,,2,1,2,3\n", "row 1: open: '' is no float"),
        (b"\xff\xfe\x00", "cannot be read as CSV: "),
        (b'ts,open,high,low,close,volume\n"1618617600000,2,2,1,2,3', "cannot be read as CSV: "),
    ],
)
def test_broken_csv_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "A-USDT.1m.csv"
    path.write_bytes(content)
    assert refused(path).startswith(message)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ts", 1.5, "column ts is double; int64 is wanted"),
        ("close", "9", "column close is string; double or int64 is wanted"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused(tmp_path: Path, column: str, value: Any, message: str) -> None:
    rows = [tuple(value if name == column else held for name, held in zip(CANDLE, row, strict=True)) for row in GOOD]
    assert refused(write(tmp_path / "A-USDT.1m.parquet", CANDLE, rows)) == message


def test_a_null_in_parquet_is_refused_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "A-USDT.1m.parquet", CANDLE, changed(4, "low", None))
    assert refused(path) == "row 5: low is null"


def test_whole_numbers_in_parquet_are_prices(tmp_path: Path) -> None:
    rows = [(START, 2, 3, 1, 2, 7)]
    path = write(tmp_path / "A-USDT.1m.parquet", CANDLE, rows)
    assert load(path, None, "USDT", None, None, RecordedFeed()).symbols == ("A/USDT",)


def test_without_pyarrow_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "A-USDT.1m.parquet", CANDLE, GOOD)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pip install 'tradebot[parquet]'" in refused(path)


def absent(folder: Path) -> Path:
    return folder / "nowhere"


def other_suffix(folder: Path) -> Path:
    path = folder / "A-USDT.1m.xlsx"
    path.write_text("")
    return path


def nameless(folder: Path) -> Path:
    return write(folder / "candles.csv", CANDLE, GOOD)


def of_other_quote(folder: Path) -> Path:
    return write(folder / "A-BTC.1m.csv", CANDLE, GOOD)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (absent, "no such file or folder"),
        (other_suffix, "is neither .parquet nor .csv"),
        (nameless, "its name says no symbol; BASE-QUOTE is wanted, e.g. BTC-USDT.1m.csv"),
        (of_other_quote, "no recording quoted in USDT; files there: A/BTC"),
    ],
)
def test_a_place_without_a_recording_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    assert refused(make(tmp_path)) == message


def test_symbols_without_a_file_are_named(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, GOOD)
    assert refused(tmp_path, ["A/USDT", "B/USDT", "C/USDT"]) == "no recording of B/USDT, C/USDT; files there: A/USDT"


def test_candles_beside_trades_must_be_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT.1m.csv", CANDLE, GOOD)
    write(tmp_path / "A-USDT_trades.csv", TRADE, [(START, 1, 100.0, 1.0, True)])
    assert "a replay walks one or the other, name the files you want" in refused(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        (TRADE, [(5, 1, 1.0, 1.0, True), (4, 2, 1.0, 1.0, True)], "row 2: ts 4 is before 5"),
        (TRADE, [(5, 1, 0.0, 1.0, True)], "row 1: price 0.0 is not above 0"),
        (TRADE, [(5, 1, 1.0, 0.0, True)], "row 1: qty 0.0 is not above 0"),
        (TRADE, [(5, 1, math.nan, 1.0, True)], "row 1: price nan is not above 0"),
        (TRADE, [(5, 1, math.inf, 1.0, True)], "row 1: price inf is not a number"),
        (TRADE[1:], [(1, 1.0, 1.0, True)], "has no column of time; recv_us (µs) or ts (ms) is wanted"),
        (QUOTE, [(5, 2.0, 1.0, 1.5, 1.0)], "row 1: bid 2.0 is above ask 1.5"),
        (QUOTE, [(5, 1.0, -1.0, 1.5, 1.0)], "row 1: bid_qty -1.0 is not 0 or more"),
        (DIFF, [(5, 5, 9, 8, True, 1.0, 1.0)], "row 1: update 9 is after 8, which ends it"),
        (DIFF, [(5, 5, 1, 1, True, 1.0, -1.0)], "row 1: qty -1.0 is not 0 or more"),
    ],
)
def test_unsound_events_are_refused(
    tmp_path: Path, suffix: str, names: tuple[str, ...], rows: list[tuple[Any, ...]], message: str
) -> None:
    assert refused(write(tmp_path / f"A-USDT_rows.{suffix}", names, rows)) == message


def test_a_word_that_is_no_boolean_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "A-USDT_trades.csv", TRADE, [(5, 1, 1.0, 1.0, "maybe")])
    assert refused(path) == "row 1: is_buyer_maker: 'maybe' is no bool"
