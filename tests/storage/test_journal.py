"""Does the journal keep what it reports as durable, in order, whatever happens to the process or the disk?"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import AccountOpened, Fact, OrderFilled, StaleDataSeen
from tradebot.domain.orders import Side
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts
from tradebot.storage.replay_journal import MemoryJournal, ReplayJournal

WAIT_S = 20.0


def fact(number: int) -> Fact:
    return AccountOpened(asset="USDT", amount=Decimal(number))


def fill(number: int) -> Fact:
    return OrderFilled(
        client_id=f"bot-run-{number}",
        intent_id=number,
        symbol="BTC/USDT",
        side=Side.BUY,
        trade_id=str(number),
        price=Decimal("64102.10"),
        amount=Decimal("0.00156"),
        fee=Decimal("0.00000156"),
        fee_asset="BTC",
        maker=False,
        latency_ms=41,
    )


def open_journal(path: Path, *, wal_mb: int = 4) -> SqliteJournal:
    return SqliteJournal.open(path, batch_ms=1, wal_mb=wal_mb, retry_s=0.02)


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


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


# -- files that are not what they should be ---------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database, it is a shopping list\n" * 50)
    before = path.read_bytes()
    with pytest.raises(StorageFailed, match="not a database"):
        open_journal(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert open_journal(path).close(WAIT_S)
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    database.commit()
    database.close()
    with pytest.raises(StorageFailed, match=r"journal\.sqlite: journal of schema 99, this version reads schema 1"):
        open_journal(path)


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (name TEXT)")
    database.commit()
    database.close()
    with pytest.raises(StorageFailed, match="not a journal of tradebot"):
        open_journal(path)


def test_a_malformed_page_is_reported_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    journal.append([fill(number) for number in range(2000)], 1)
    assert journal.close(WAIT_S)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\xa5" * 8192
    path.write_bytes(bytes(data))
    with pytest.raises(StorageFailed, match=r"journal\.sqlite"):
        list(read_facts(path))


def test_a_hole_is_reported_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    journal.append([fact(number) for number in range(5)], 1)
    assert journal.close(WAIT_S)
    database = sqlite3.connect(path)
    database.execute("DELETE FROM facts WHERE seq = 3")
    database.commit()
    database.close()
    with pytest.raises(StorageFailed, match=r"fact 3 is missing \(the next one is 4\)"):
        list(read_facts(path))
    assert [seq for seq, _, _ in read_facts(path, 3)] == [4, 5]


def test_a_fact_of_an_unknown_kind_is_reported_with_its_seq(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    journal.append([fact(1), fact(2)], 1)
    assert journal.close(WAIT_S)
    database = sqlite3.connect(path)
    database.execute("""UPDATE facts SET body = CAST('{"fact":"Weather"}' AS BLOB) WHERE seq = 2""")
    database.commit()
    database.close()
    with pytest.raises(StorageFailed, match="fact 2 cannot be read"):
        list(read_facts(path))


# -- runs -------------------------------------------------------------------------------------------


def test_a_run_that_never_ended_is_named_by_the_next_one(journal: SqliteJournal) -> None:
    assert journal.open_run("r1", 1000) is None
    assert journal.open_run("r2", 2000) == "r1"
    journal.end_run("r2", 2500, 0)
    assert journal.open_run("r3", 3000) is None
    with pytest.raises(StorageFailed, match="r3"):
        journal.open_run("r3", 4000)


# -- simulated runs ---------------------------------------------------------------------------------


def test_every_journal_of_a_simulated_run_has_the_same_digest(tmp_path: Path) -> None:
    memory, replay = MemoryJournal(), ReplayJournal.create(tmp_path / "replay.sqlite")
    for number in range(6000):
        facts = [fact(number), fill(number)]
        assert memory.append(facts, number) == replay.append(facts, number)
        if number == 1234:
            assert memory.digest() == replay.digest()
    assert memory.digest() == replay.digest()
    assert list(memory.read(0)) == list(replay.read(0))
    assert list(memory.read(11_990)) == list(replay.read(11_990))
    replay.close()
    assert list(read_facts(replay.path)) == list(memory.read(0))


def test_a_digest_tells_any_difference_of_order_or_content() -> None:
    def digest(*facts: Fact) -> str:
        journal = MemoryJournal()
        journal.append(facts, 1)
        return journal.digest()

    assert digest(fact(1), fact(2)) == digest(fact(1), fact(2))
    assert len({digest(), digest(fact(1)), digest(fact(1), fact(2)), digest(fact(2), fact(1))}) == 4


def test_a_replay_never_writes_into_an_existing_journal(tmp_path: Path) -> None:
    ReplayJournal.create(tmp_path / "replay.sqlite").close()
    with pytest.raises(StorageFailed, match="exists already"):
        ReplayJournal.create(tmp_path / "replay.sqlite")
