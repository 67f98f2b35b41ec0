"""Is a plan durable as soon as it is appended where no commit waits for the disk, and left to the writer elsewhere?"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fact, open_journal, planned
from tradebot.domain.facts import Fact
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import Durability, read_facts

LONG_S = 60.0
"""A wait for a lock of the file that no test lives to see the end of."""


class Told:
    """Which thread told of which durable seq."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.by: list[tuple[int, str]] = []
        self._journal = journal
        self._changed = threading.Condition()
        journal.on_durable(self._tell)

    def _tell(self, seq: int) -> None:
        with self._changed:
            self.by.append((seq, threading.current_thread().name))
            self._changed.notify_all()

    def wait_for(self, seq: int) -> str:
        """Return the thread that told of `seq`."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(told >= seq for told, _ in self.by), WAIT_S)
        return next(name for told, name in self.by if told >= seq)


HERE = "MainThread"
WRITER = "journal-writer"


def begun(path: Path, durability: Durability = "process", retry_s: float = LONG_S) -> SqliteJournal:
    """Return a journal whose log has begun: its next commit waits for no disk."""
    journal = SqliteJournal.open(path, batch_ms=1000, wal_mb=4, retry_s=retry_s, durability=durability)
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)
    return journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = begun(tmp_path / "journal.sqlite")
    yield journal
    assert journal.close(WAIT_S)


def test_a_plan_is_durable_when_it_is_appended_with_all_that_waited_before_it(journal: SqliteJournal) -> None:
    told = Told(journal)
    journal.append([fact(2)], 2)
    journal.append([fact(3), planned("a")], 3)
    assert journal.durable_seq == 4
    assert told.by == [(4, HERE)]
    facts: list[Fact] = [fact(1), fact(2), fact(3), planned("a")]
    assert [found for _, _, found in read_facts(journal.path)] == facts


def test_facts_that_nothing_waits_for_are_left_to_the_writer(journal: SqliteJournal) -> None:
    told = Told(journal)
    journal.append([fact(2)], 2)
    assert told.wait_for(2) == WRITER


def test_with_power_the_engine_waits_for_no_disk(tmp_path: Path) -> None:
    journal = begun(tmp_path / "journal.sqlite", "power")
    told = Told(journal)
    journal.append([planned("a")], 2)
    assert told.wait_for(2) == WRITER
    assert journal.close(WAIT_S)


def test_the_first_commit_of_a_log_is_the_writers(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite")
    told = Told(journal)
    journal.append([planned("a")], 1)
    assert told.wait_for(1) == WRITER
    journal.append([planned("b")], 2)
    assert told.wait_for(2) == HERE
    assert journal.close(WAIT_S)


def test_much_that_waits_is_left_to_the_writer(journal: SqliteJournal) -> None:
    told = Told(journal)
    journal.append([*(fact(number) for number in range(32)), planned("a")], 2)
    assert told.wait_for(34) == WRITER
    assert [seq for seq, _, _ in journal.read(0)] == list(range(1, 35))


def test_a_plan_does_not_wait_for_whoever_uses_the_connection(journal: SqliteJournal) -> None:
    told = Told(journal)
    inside, may_end = threading.Event(), threading.Event()

    def work(_database: sqlite3.Connection) -> None:
        inside.set()
        assert may_end.wait(WAIT_S)

    beside = threading.Thread(target=journal.beside, args=(work,))
    beside.start()
    assert inside.wait(WAIT_S)
    journal.append([planned("a")], 2)
    assert journal.durable_seq == 1
    may_end.set()
    beside.join()
    assert told.wait_for(2) == WRITER


def test_a_plan_does_not_wait_for_a_lock_of_the_file(tmp_path: Path) -> None:
    journal = begun(tmp_path / "journal.sqlite")
    told = Told(journal)
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun_s = time.monotonic()
    journal.append([planned("a")], 2)
    assert time.monotonic() - begun_s < LONG_S / 2, "it is the writer that waits"
    assert journal.durable_seq == 1
    other.execute("ROLLBACK")
    other.close()
    assert told.wait_for(2) == WRITER
    assert journal.failed is None, "the writer's patience is as long as before"
    journal.append([planned("b")], 3)
    assert told.wait_for(3) == HERE
    assert journal.close(WAIT_S)
    assert [found for _, _, found in read_facts(journal.path)] == [fact(1), planned("a"), planned("b")]


def test_what_another_thread_appends_meanwhile_keeps_its_order(journal: SqliteJournal) -> None:
    def appending(make: Callable[[int], Fact]) -> Callable[[], None]:
        def work() -> None:
            for number in range(300):
                journal.append([make(number)], number)

        return work

    makers: list[Callable[[int], Fact]] = [fact, lambda number: planned(f"a-{number}")]
    threads = [threading.Thread(target=appending(make)) for make in (*makers, *makers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.flush(WAIT_S)
    rows = list(journal.read(1))
    assert [seq for seq, _, _ in rows] == list(range(2, 1202))
    for make in makers:
        assert [one for _, _, one in rows].count(make(299)) == 2


CHILD = """
import sys
from pathlib import Path
from tests.storage.journals import fact, open_journal, planned

journal = open_journal(Path(sys.argv[1]))
journal.append([fact(0)], 0)
journal.flush(20)
for number in range(10**9):
    seq = journal.append([fact(number), planned(f"a-{number}")], number)
    if journal.durable_seq >= seq:
        sys.stdout.write(f"{seq}\\n")
        sys.stdout.flush()
"""


def test_a_plan_that_was_durable_on_return_survives_the_kill_that_follows(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "journal.sqlite"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=root, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(300)]
    os.kill(child.pid, signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().split("\n")[:-1] if line]
    child.stdout.close()
    assert child.wait(WAIT_S) == -signal.SIGKILL
    assert len(list(read_facts(path))) >= told[-1]
