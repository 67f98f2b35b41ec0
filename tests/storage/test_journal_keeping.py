"""Does the keeper look at its times, tell what it did, and never hold anybody up?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.journals import WAIT_S, fill, open_journal
from tradebot.storage import journal_archive
from tradebot.storage.checkpoint import Checkpointer, assemble
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_keeping import JournalKeeper
from tradebot.storage.journal_pruning import DAY_MS, Keeping
from tradebot.storage.journal_salvage import pruned_of

KEEPING = Keeping(keep_days=2, keep_facts=10**9, archive=True)


class Told:
    """A log that keeps its records."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []

    def emit(self, stream: str, level: str, event_type: str, message: str = "", **fields: Any) -> None:
        self.records.append((event_type, message))


class Hand:
    """A clock set by hand."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path / "journal.sqlite")
    for block in range(4):
        journal.append([fill(number) for number in range(1000)], block * DAY_MS)
    assert journal.flush(WAIT_S)
    yield journal
    journal.close(WAIT_S)


def document(seq: int) -> bytes:
    return assemble(b'{"seq":%d,"state":{}}' % seq, [])


def test_a_checkpoint_on_the_disk_lets_old_facts_leave_once_an_interval(journal: SqliteJournal, tmp_path: Path) -> None:
    told, clock = Told(), Hand(4 * DAY_MS)
    keeper = JournalKeeper(journal, KEEPING, 3600, told, clock)
    checkpoints = Checkpointer(tmp_path / "checkpoint.json", [], told, on_durable=keeper.offer)
    checkpoints.start()
    checkpoints.submit(b'{"seq":4000,"state":{}}', [])
    assert checkpoints.close(WAIT_S)
    assert keeper.wait(WAIT_S)
    assert pruned_of(journal.path) == 2000
    pruned = "2,000 facts, 1 to 2,000, left the journal's file into the archive"
    assert [record for record in told.records if "PRUNED" in record[0]] == [("JOURNAL_PRUNED", pruned)]
    clock.ms += 3_599_999
    keeper.offer(document(4000))
    assert keeper.wait(WAIT_S)
    assert pruned_of(journal.path) == 2000, "the next look is due an hour after the last one"
    clock.ms += 1
    keeper.offer(document(4000))
    assert keeper.wait(WAIT_S)
    assert pruned_of(journal.path) == 3000


def test_a_look_that_fails_is_told_and_comes_again(journal: SqliteJournal) -> None:
    told, clock = Told(), Hand(4 * DAY_MS)
    keeper = JournalKeeper(journal, KEEPING, 1, told, clock)
    archive = journal_archive.folder_of(journal.path)
    archive.write_text("in the way")
    keeper.offer(document(4000))
    assert keeper.wait(WAIT_S)
    assert [name for name, _ in told.records] == ["JOURNAL_NOT_PRUNED"]
    assert str(archive) in told.records[0][1]
    archive.unlink()
    clock.ms += 1000
    keeper.offer(document(4000))
    assert keeper.wait(WAIT_S)
    assert pruned_of(journal.path) == 3000, "a second later, another day's facts are older than two days"


def test_closing_the_journal_ends_the_look_under_way_and_leaves_no_thread(journal: SqliteJournal) -> None:
    keeper = JournalKeeper(journal, KEEPING, 1, Told(), Hand(4 * DAY_MS))
    keeper.offer(document(4000))
    assert journal.close(WAIT_S)
    assert "journal-keeper" not in {thread.name for thread in threading.enumerate()}
    keeper.offer(document(4000))
    assert "journal-keeper" not in {thread.name for thread in threading.enumerate()}
