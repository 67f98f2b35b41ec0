"""Does the journal keep what it reports as durable, in order, whatever happens to the process or the disk?"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fact, fill, open_journal, planned
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import AccountOpened, Fact, StaleDataSeen
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close(WAIT_S)


def test_facts_come_back_as_they_were_with_seq_and_time(journal: SqliteJournal) -> None:
    facts = [fact(1), fill(2), StaleDataSeen(symbols=("A/USDT", "B/USDT"))]
    assert journal.append(facts[:2], 1000) == 2
    assert journal.append(facts[2:], 1005) == 3
    assert journal.flush(WAIT_S)
    assert list(journal.read(0)) == [(1, 1000, facts[0]), (2, 1000, facts[1]), (3, 1005, facts[2])]
    assert [seq for seq, _, _ in journal.read(2)] == [3]
    assert journal.last_seq == journal.durable_seq == 3


def test_appending_nothing_changes_nothing(journal: SqliteJournal) -> None:
    journal.append([fact(1)], 1)
    assert journal.append([], 2) == 1
    assert journal.last_seq == 1


def test_the_durable_seq_is_told_from_the_writers_thread(journal: SqliteJournal) -> None:
    told: list[tuple[int, str]] = []
    complete = threading.Event()

    def tell(seq: int) -> None:
        told.append((seq, threading.current_thread().name))
        if seq == 500:
            complete.set()

    journal.on_durable(tell)
    for number in range(500):
        journal.append([fact(number)], number)
    assert complete.wait(WAIT_S)
    seqs = [seq for seq, _ in told]
    assert seqs == sorted(set(seqs))
    assert {name for _, name in told} == {"journal-writer"}


def test_a_reopened_journal_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = open_journal(path)
    first.append([fact(1), fact(2)], 1)
    assert first.close(WAIT_S)
    second = open_journal(path)
    assert second.last_seq == second.durable_seq == 2
    assert second.append([fact(3)], 2) == 3
    assert second.close(WAIT_S)
    assert [seq for seq, _, _ in read_facts(path)] == [1, 2, 3]


def test_closing_writes_what_waits_ends_the_thread_and_is_harmless_twice(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite")
    for number in range(5000):
        journal.append([fact(number)], number)
    assert journal.close(WAIT_S)
    assert journal.close(WAIT_S)
    assert journal.durable_seq == 5000
    assert "journal-writer" not in {thread.name for thread in threading.enumerate()}
    assert not (tmp_path / "journal.sqlite-wal").exists()
    with pytest.raises(StorageFailed, match="closed"):
        journal.append([fact(1)], 1)


def test_a_plan_that_an_order_waits_for_ends_the_wait_of_a_batch(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", batch_ms=1000, wal_mb=4, retry_s=1)
    told: list[int] = []
    durable = threading.Event()

    def tell(seq: int) -> None:
        told.append(seq)
        durable.set()

    journal.on_durable(tell)
    begun = time.monotonic()
    for number in range(20):
        journal.append([fact(number)], number)
        journal.append([fact(number), planned(f"a-{number}")], number)
        assert durable.wait(WAIT_S)
        while journal.durable_seq < journal.last_seq:
            durable.clear()
            assert durable.wait(WAIT_S)
        durable.clear()
    assert time.monotonic() - begun < 10, "twenty batches would take twenty seconds"
    assert len(told) < 60
    assert journal.close(WAIT_S)


def test_many_threads_append_without_holes(journal: SqliteJournal) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 500):
            journal.append([fact(number), fact(-number)], number)

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.flush(WAIT_S)
    rows = list(journal.read(0))
    assert [seq for seq, _, _ in rows] == list(range(1, 4001))
    for (_, _, first), (_, _, second) in zip(rows[::2], rows[1::2], strict=True):
        assert isinstance(first, AccountOpened)
        assert second == AccountOpened(asset="USDT", amount=-first.amount)


def test_the_log_beside_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite", wal_mb=1)
    for block in range(40):
        journal.append([fill(number) for number in range(500)], block)
        assert journal.flush(WAIT_S)
    written = (tmp_path / "journal.sqlite").stat().st_size
    wal = (tmp_path / "journal.sqlite-wal").stat().st_size
    assert journal.close(WAIT_S)
    assert written > 2_000_000
    assert wal < 3_000_000


def test_a_locked_file_delays_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    failures: list[StorageFailed] = []
    failed, recovered = threading.Event(), threading.Event()
    journal.on_failure(failures.append)
    journal.on_failure(lambda _: failed.set())
    journal.on_recovery(lambda _: recovered.set())
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)

    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.append([fact(2)], 2)
    assert failed.wait(WAIT_S)
    journal.append([fact(3)], 3)
    assert not journal.flush(0.05)
    assert journal.durable_seq == 1
    assert "1 facts wait" in str(failures[0])
    other.execute("ROLLBACK")
    other.close()

    assert recovered.wait(WAIT_S)
    assert journal.flush(WAIT_S)
    assert journal.failed is None
    assert [found for _, _, found in journal.read(0)] == [fact(1), fact(2), fact(3)]
    assert len(failures) == 1
    assert "locked" in str(failures[0])
    assert str(path) in str(failures[0])
    assert journal.close(WAIT_S)


def test_closing_a_journal_that_cannot_write_gives_up_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.append([fact(1)], 1)
    assert not journal.close(0.2)
    other.execute("ROLLBACK")
    other.close()
    assert list(read_facts(path)) == []


def fill_up(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


def test_a_full_disk_delays_reports_nothing_durable_meanwhile_and_loses_nothing(small_disk: Path) -> None:
    journal = open_journal(small_disk / "journal.sqlite")
    failed, recovered = threading.Event(), threading.Event()
    journal.on_failure(lambda _: failed.set())
    journal.on_recovery(lambda _: recovered.set())
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)
    fill_up(small_disk / "ballast")
    for block in range(10):
        journal.append([fill(number) for number in range(100)], block)
    assert failed.wait(WAIT_S)
    assert not journal.flush(0.1)
    stuck = journal.durable_seq
    assert stuck < 1001
    assert [seq for seq, _, _ in journal.read(0)] == list(range(1, stuck + 1))
    assert "full" in str(journal.failed)
    (small_disk / "ballast").unlink()
    assert recovered.wait(WAIT_S)
    assert journal.flush(WAIT_S)
    facts = [found for _, _, found in journal.read(0)]
    assert facts == [fact(1)] + [fill(number) for number in range(100)] * 10
    assert journal.close(WAIT_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_does_not_stop_the_writing(journal: SqliteJournal) -> None:
    def fall(seq: int) -> None:
        raise RuntimeError("the listener is gone")

    journal.on_durable(fall)
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)
    journal.append([fact(2)], 2)
    assert journal.flush(WAIT_S)
    assert [seq for seq, _, _ in journal.read(0)] == [1, 2]


CHILD = """
import sys, threading
from decimal import Decimal
from pathlib import Path
from tradebot.domain.facts import AccountOpened
from tradebot.storage.journal import SqliteJournal

journal = SqliteJournal.open(Path(sys.argv[1]), batch_ms=1, wal_mb=1, retry_s=0.1)
journal.on_durable(lambda seq: (sys.stdout.write(f"{seq}\\n"), sys.stdout.flush()))
number = journal.last_seq
while True:
    facts = [AccountOpened(asset="USDT", amount=Decimal(number + 1 + k)) for k in range(3)]
    number = journal.append(facts, number)
    if number - journal.durable_seq > 3000:
        journal.flush(10)
"""


def test_kill_nine_while_appending_leaves_no_hole_and_keeps_all_that_was_reported(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    reported = 0
    rows: list[tuple[int, int, Fact]] = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        wanted = reported + 4000
        for line in child.stdout:
            reported = int(line)
            if reported >= wanted:
                break
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split("\n")
        reported = max([reported, *(int(line) for line in rest[:-1] if line)])
        child.stdout.close()
        assert child.wait(WAIT_S) == -signal.SIGKILL
        rows = list(read_facts(path))
        assert len(rows) >= reported >= wanted
        assert [found for _, _, found in rows] == [fact(seq) for seq, _, _ in rows]
        assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    journal = open_journal(path)
    assert journal.append([fact(0)], 1) == len(rows) + 1
    assert journal.close(WAIT_S)


# -- runs -------------------------------------------------------------------------------------------


def test_a_run_that_never_ended_is_named_by_the_next_one(journal: SqliteJournal) -> None:
    assert journal.open_run("r1", 1000) is None
    assert journal.open_run("r2", 2000) == "r1"
    journal.end_run("r2", 2500, 0)
    assert journal.open_run("r3", 3000) is None
    with pytest.raises(StorageFailed, match="r3"):
        journal.open_run("r3", 4000)


@pytest.mark.parametrize("replaced", [False, True])
def test_what_is_written_to_a_file_that_was_removed_is_not_durable(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "home" / "journal.sqlite"
    path.parent.mkdir()
    journal = open_journal(path)
    journal.append([fact(1)], 1)
    assert journal.flush(WAIT_S)
    failed = threading.Event()
    journal.on_failure(lambda _: failed.set())
    path.rename(path.with_name("elsewhere"))
    if replaced:
        path.write_bytes(b"")
    journal.append([fact(2)], 2)
    assert failed.wait(WAIT_S)
    assert journal.lost
    assert journal.durable_seq == 1
    assert not journal.close(0.05)


def test_many_small_commits_do_not_grow_the_write_ahead_log_beyond_its_setting(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite", wal_mb=1)
    for number in range(800):
        journal.append([fact(number)], number)
        assert journal.flush(WAIT_S)
    wal = (tmp_path / "journal.sqlite-wal").stat().st_size
    assert journal.close(WAIT_S)
    assert wal < 2_500_000
