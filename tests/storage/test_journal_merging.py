"""Does the journal's file catch up with its log without a plan waiting for it, and does the log stay small?"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fill, open_journal, planned
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_merging import MOST


class SlowDisk:
    """Lets every merge of a journal's own connection begin, and end only when it may."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.merges = 0
        self.merged_by: set[str] = set()
        journal._merger._database.set_trace_callback(self._merging)

    def _merging(self, statement: str) -> None:
        self.merges += 1
        self.merged_by.add(threading.current_thread().name)
        self.begun.set()
        self.may_end.wait(WAIT_S)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path / "journal.sqlite", wal_mb=1, durability="power")
    yield journal
    assert journal.close(WAIT_S)


def fill_until(journal: SqliteJournal, holds: Callable[[], bool]) -> None:
    """Write, one commit after the other, until something holds."""
    end = time.monotonic() + WAIT_S
    while not holds():
        journal.append([fill(number) for number in range(100)], 1)
        assert journal.flush(WAIT_S)
        assert time.monotonic() < end


def wal_bytes(journal: SqliteJournal) -> int:
    return journal.path.with_name("journal.sqlite-wal").stat().st_size


def test_no_plan_waits_behind_a_merge_however_long_it_takes(journal: SqliteJournal) -> None:
    disk = SlowDisk(journal)
    fill_until(journal, journal._merger._due.is_set)
    assert disk.begun.wait(WAIT_S)
    for number in range(200):
        seq = journal.append([planned(f"a-{number}")], number)
        assert journal.flush(WAIT_S)
        assert journal.durable_seq >= seq
    assert disk.merges == 1, "the merge that began still stands"
    disk.may_end.set()
    assert disk.merged_by == {"journal-merger"}


def test_the_log_begins_anew_once_it_was_merged(journal: SqliteJournal) -> None:
    disk = SlowDisk(journal)
    disk.may_end.set()
    fill_until(journal, disk.begun.is_set)
    end = time.monotonic() + WAIT_S
    while journal._merger._due.is_set():  # its thread tells nobody
        assert time.monotonic() < end
        time.sleep(0.001)
    size = wal_bytes(journal)
    for number in range(50):
        journal.append([planned(f"a-{number}")], number)
        assert journal.flush(WAIT_S)
    assert wal_bytes(journal) == size, "what is written next takes the place of what was merged"


def test_a_log_that_no_merge_catches_up_with_is_bounded_by_the_writer(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal._merger, "_caught_up", lambda: False)  # as where a commit comes during each merge
    disk = SlowDisk(journal)
    disk.may_end.set()
    sizes = []
    for _ in range(3):
        disk.begun.clear()
        fill_until(journal, disk.begun.is_set)
        sizes.append(wal_bytes(journal))
    assert disk.merged_by == {"journal-writer"}
    assert max(sizes) < (MOST + 1) * 1_000_000


def test_a_reader_of_an_older_moment_delays_merging_and_no_plan(journal: SqliteJournal) -> None:
    journal.append([fill(1)], 1)
    assert journal.flush(WAIT_S)
    reader = sqlite3.connect(journal.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM facts").fetchone() == (1,)
    fill_until(journal, lambda: wal_bytes(journal) > (MOST + 1) * 1_000_000)
    assert journal.failed is None
    reader.close()
    merger = journal._merger
    fill_until(journal, lambda: merger._written - merger._merged < 1_000_000)


def test_a_merge_under_way_is_ended_by_closing_and_nothing_is_lost(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite", wal_mb=1)
    disk = SlowDisk(journal)
    fill_until(journal, journal._merger._due.is_set)
    assert disk.begun.wait(WAIT_S)
    last = journal.last_seq
    disk.may_end.set()
    assert journal.close(WAIT_S)
    assert "journal-merger" not in {thread.name for thread in threading.enumerate()}
    assert not (tmp_path / "journal.sqlite-wal").exists()
    assert [seq for seq, _, _ in read_facts(journal.path)] == list(range(1, last + 1))
