"""Is what a live feed told the same when its recording is replayed?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.feeds.loopback import TestClock
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen
from tradebot.feeds.ccxt_record import Recording
from tradebot.feeds.recorded_events import load_events

NOW = 1_700_000_000_000


def replayed(folder: Path) -> list[Event]:
    return list(load_events(folder, None, "USDT", None, None, RecordedFeed()).events())


def record(folder: Path, events: list[Event], begin_ms: int = NOW) -> Recording:
    clock = TestClock(begin_ms)
    recording = Recording(folder, clock)
    for event in events:
        clock.now += 10
        recording.publish(event)
    recording.flush()
    return recording


def test_quotes_and_trades_are_replayed_at_their_receipt(tmp_path: Path) -> None:
    told: list[Event] = [
        QuoteSeen("BTC/USDT", 100.1, 100.2, 2.5, 0.0, NOW + 10),
        TradeSeen("BTC/USDT", 100.15, 0.00001234, True, NOW + 3),
        QuoteSeen("ETH/USDT", 0.1, 0.30000000000000004, 1e-8, 1.0, NOW + 30),
        TradeSeen("BTC/USDT", 100.1, 1.0, False, NOW + 1),  # told late, and out of order
    ]
    recording = record(tmp_path, told)
    assert recording.rows == 4
    assert replayed(tmp_path) == [
        QuoteSeen("BTC/USDT", 100.1, 100.2, 2.5, 0.0, NOW + 10),
        TradeSeen("BTC/USDT", 100.15, 0.00001234, True, NOW + 20),
        QuoteSeen("ETH/USDT", 0.1, 0.30000000000000004, 1e-8, 1.0, NOW + 30),
        TradeSeen("BTC/USDT", 100.1, 1.0, False, NOW + 40),
    ]


def test_books_are_replayed_as_they_were_shown(tmp_path: Path) -> None:
    books = [
        (((99.0, 1.0), (98.0, 2.0)), ((101.0, 1.0),)),
        (((99.0, 1.5), (97.0, 2.0)), ((101.0, 1.0), (102.0, 4.0))),
        (((96.0, 1.0),), ((102.0, 4.0),)),
    ]
    record(tmp_path, [BookSeen("BTC/USDT", bids, asks, NOW) for bids, asks in books])
    shown = [event for event in replayed(tmp_path) if isinstance(event, BookSeen)]
    assert [(one.bids, one.asks) for one in shown] == books


def test_a_recording_goes_on_without_the_book_it_ended_with(tmp_path: Path) -> None:
    record(tmp_path, [BookSeen("BTC/USDT", ((99.0, 1.0),), ((101.0, 1.0),), NOW)])
    record(tmp_path, [BookSeen("BTC/USDT", ((50.0, 1.0),), ((60.0, 1.0),), NOW)], NOW + 60_000)
    shown = [event for event in replayed(tmp_path) if isinstance(event, BookSeen)]
    assert [one.bids for one in shown] == [((99.0, 1.0),), ((50.0, 1.0),)]


def test_an_unchanged_book_takes_no_row(tmp_path: Path) -> None:
    book = BookSeen("BTC/USDT", ((99.0, 1.0),), ((101.0, 1.0),), NOW)
    assert record(tmp_path, [book, book]).rows == 2


def test_what_reached_its_file_before_another_failed_is_not_written_twice(tmp_path: Path) -> None:
    recording = Recording(tmp_path, TestClock(NOW))
    (tmp_path / "ETH-USDT.quotes.csv").mkdir()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        recording.publish(QuoteSeen(symbol, 100.1, 100.2, 2.5, 0.0, NOW))
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            recording.flush()
    (tmp_path / "ETH-USDT.quotes.csv").rmdir()
    recording.flush()
    for name in ("BTC", "ETH"):
        assert len((tmp_path / f"{name}-USDT.quotes.csv").read_text().splitlines()) == 2, "the header and one row"
