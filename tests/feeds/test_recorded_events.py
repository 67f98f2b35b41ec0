"""Do recorded trades, quotes and books come as they came, in one order?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.writing import DIFF, QUOTE, TRADE, write
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.feeds.recorded import load
from tradebot.feeds.recorded_events import EventRecording, load_events


def recording(folder: Path, from_ms: int | None = None, to_ms: int | None = None, **settings: Any) -> EventRecording:
    return load_events(folder, None, "USDT", from_ms, to_ms, RecordedFeed(**settings))


def diff(us: int, first: int, final: int, is_ask: bool, price: float, size: float) -> tuple[Any, ...]:
    return (us, us - 500, first, final, is_ask, price, size)


DIFFS = [
    diff(1_000_900, 1, 2, False, 9.0, 5.0),  # one side only: nothing is told
    diff(2_000_100, 3, 4, True, 10.0, 4.0),
    diff(2_000_100, 3, 4, True, 11.0, 8.0),
    diff(3_000_000, 5, 5, True, 11.0, 7.0),  # behind the best: a book, no quote
    diff(4_000_000, 6, 6, True, 12.0, 1.0),  # beyond what is shown: nothing
    diff(5_000_000, 7, 7, False, 10.5, 1.0),  # crosses: nothing until it is whole again
    diff(6_000_000, 8, 9, True, 10.0, 0.0),
    diff(7_000_000, 12, 12, True, 13.0, 1.0),  # updates 10 and 11 are missing: the book begins anew
    diff(8_000_000, 13, 13, False, 12.5, 2.0),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_book_is_told_when_its_shown_levels_change_and_a_quote_when_its_best_does(
    tmp_path: Path, suffix: str
) -> None:
    write(tmp_path / f"A-USDT_depthdiff.{suffix}", DIFF, DIFFS)
    assert list(recording(tmp_path, levels=2).events()) == [
        BookSeen("A/USDT", ((9.0, 5.0),), ((10.0, 4.0), (11.0, 8.0)), 2_000),
        QuoteSeen("A/USDT", 9.0, 10.0, 5.0, 4.0, 2_000),
        BookSeen("A/USDT", ((9.0, 5.0),), ((10.0, 4.0), (11.0, 7.0)), 3_000),
        BookSeen("A/USDT", ((10.5, 1.0), (9.0, 5.0)), ((11.0, 7.0), (12.0, 1.0)), 6_000),
        QuoteSeen("A/USDT", 10.5, 11.0, 1.0, 7.0, 6_000),
        BookSeen("A/USDT", ((12.5, 2.0),), ((13.0, 1.0),), 8_000),
        QuoteSeen("A/USDT", 12.5, 13.0, 2.0, 1.0, 8_000),
    ]


def test_diffs_before_the_window_build_the_book_but_are_not_told(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_depthdiff.csv", DIFF, DIFFS)
    assert list(recording(tmp_path, from_ms=2_500, to_ms=6_000, levels=2).events()) == [
        BookSeen("A/USDT", ((9.0, 5.0),), ((10.0, 4.0), (11.0, 7.0)), 3_000),
        QuoteSeen("A/USDT", 9.0, 10.0, 5.0, 4.0, 3_000),
    ]


def test_trades_without_quotes_are_followed_by_the_declared_spread(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_trades.csv", TRADE, [(5, 1, 100.0, 8.0, "True"), (9, 2, 200.0, 1.0, "False")])
    assert list(recording(tmp_path, spread_bps=200, volume_share=0.5).events()) == [
        TradeSeen("A/USDT", 100.0, 8.0, False, 5),
        QuoteSeen("A/USDT", 99.0, 101.0, 4.0, 4.0, 5),
        TradeSeen("A/USDT", 200.0, 1.0, True, 9),
        QuoteSeen("A/USDT", 198.0, 202.0, 0.5, 0.5, 9),
    ]


def test_recorded_quotes_stand_alone_and_a_trade_comes_before_the_quote_of_its_millisecond(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_trades.csv", TRADE, [(5, 1, 10.0, 8.0, "True"), (7, 2, 10.1, 8.0, "False")])
    write(tmp_path / "A-USDT_quotes.csv", QUOTE, [(4, 10.0, 1.0, 10.1, 2.0), (5, 9.9, 1.0, 10.1, 0.0)])
    assert list(recording(tmp_path).events()) == [
        QuoteSeen("A/USDT", 10.0, 10.1, 1.0, 2.0, 4),
        TradeSeen("A/USDT", 10.0, 8.0, False, 5),
        QuoteSeen("A/USDT", 9.9, 10.1, 1.0, 0.0, 5),
        TradeSeen("A/USDT", 10.1, 8.0, True, 7),
    ]


def test_the_recorders_own_time_is_preferred(tmp_path: Path) -> None:
    names = ("ts", "recv_us", "price", "qty", "is_buyer_maker")
    write(tmp_path / "A-USDT_trades.csv", names, [(3, 9_999, 10.0, 1.0, "1")])
    assert [event.at_ms for event in recording(tmp_path).events()] == [9, 9]


def test_files_of_following_days_are_joined_and_overlapping_ones_refused(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_trades_2.csv", TRADE, [(9, 2, 3.0, 1.0, "0")])
    write(tmp_path / "A-USDT_trades_1.csv", TRADE, [(4, 1, 2.0, 1.0, "0"), (9, 2, 2.5, 1.0, "0")])
    trades = [event for event in recording(tmp_path).events() if isinstance(event, TradeSeen)]
    assert [(event.at_ms, event.price) for event in trades] == [(4, 2.0), (9, 2.5), (9, 3.0)]
    write(tmp_path / "A-USDT_trades_3.csv", TRADE, [(8, 1, 3.0, 1.0, "0")])
    with pytest.raises(DataInvalid, match="overlaps with"):
        recording(tmp_path)


def test_what_was_recorded_is_counted_within_the_window(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_trades.csv", TRADE, [(at, at, 2.0, 1.0, "0") for at in range(10)])
    write(tmp_path / "B-USDT_quotes.csv", QUOTE, [(at, 2.0, 1.0, 2.5, 1.0) for at in range(5, 20)])
    whole, part = recording(tmp_path), recording(tmp_path, from_ms=3, to_ms=7)
    assert (whole.symbols, whole.rows, whole.first_ms, whole.last_ms) == (("A/USDT", "B/USDT"), 25, 0, 19)
    assert (part.rows, part.first_ms, part.last_ms) == (6, 3, 6)
    assert {event.at_ms for event in part.events()} == {3, 4, 5, 6}
    with pytest.raises(DataInvalid, match="no row lies in the time asked for"):
        recording(tmp_path, from_ms=100)


def test_a_recording_can_be_walked_twice(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_depthdiff.csv", DIFF, DIFFS)
    walked = recording(tmp_path)
    assert list(walked.events()) == list(walked.events()) != []


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=20).map(sorted), min_size=1, max_size=4))
def test_all_symbols_are_merged_in_time_order(tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("merged")
    for index, held in enumerate(times):
        write(folder / f"S{index}-USDT_trades.csv", TRADE, [(at, n, 2.0, 1.0, "0") for n, at in enumerate(held)])
    events = list(recording(folder).events())
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(events))
    assert len(events) == 2 * sum(map(len, times))


def test_load_takes_a_recording_for_what_its_columns_say(tmp_path: Path) -> None:
    write(tmp_path / "A-USDT_anything.csv", QUOTE, [(4, 10.0, 1.0, 10.1, 2.0)])
    loaded = load(tmp_path, None, "USDT", None, None, RecordedFeed())
    assert isinstance(loaded, EventRecording)
    assert list(loaded.events()) == [QuoteSeen("A/USDT", 10.0, 10.1, 1.0, 2.0, 4)]
