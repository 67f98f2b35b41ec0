"""Does a journal stay small without losing what recovery needs, whatever interrupts its pruning?"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.storage.journals import WAIT_S, fact, fill, open_journal
from tests.storage.test_journal import fill_up
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact
from tradebot.storage import journal_archive, journal_pruning
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_pruning import DAY_MS, Keeping, begin_with, prune, read_snapshot
from tradebot.storage.journal_salvage import pruned_of

HOUR_MS = 3_600_000
KEEPING = Keeping(keep_days=2, keep_facts=10**9, archive=True)


def document(seq: int) -> bytes:
    return assemble(b'{"seq":%d,"state":{"at":%d}}' % (seq, seq), [])


def never() -> bool:
    return False


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close(WAIT_S)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "4m") as disk:
        yield disk


def write(journal: SqliteJournal, count: int, step_ms: int = HOUR_MS) -> list[tuple[int, int, Fact]]:
    """Append `count` facts, one each `step_ms`; return them as they are read."""
    first = journal.last_seq
    for number in range(first, first + count):
        journal.append([fill(number)], number * step_ms)
    assert journal.flush(WAIT_S)
    return [(number + 1, number * step_ms, fill(number)) for number in range(first + count)]


def end_ms(facts: list[tuple[int, int, Fact]]) -> int:
    return facts[-1][1]


def test_old_facts_leave_into_the_archive_and_everything_can_still_be_read(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    assert prune(journal, document(2990), KEEPING, end_ms(facts), never) == (1, 2951)
    assert pruned_of(journal.path) == 2951
    assert [seq for seq, _, _ in journal.read(2951)] == list(range(2952, 3001))
    assert list(read_facts(journal.path)) == facts
    assert list(read_facts(journal.path, 1234)) == facts[1234:]
    snapshot = read_snapshot(journal.path)
    assert snapshot.document is not None
    assert snapshot.document["state"] == {"at": 2990}
    assert snapshot.damage == ()


def test_the_file_shrinks_and_the_journal_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    facts = write(journal, 20_000, step_ms=60_000)
    assert journal.close(WAIT_S)
    before = path.stat().st_size
    journal = open_journal(path)
    prune(journal, document(20_000), KEEPING, end_ms(facts), never)
    assert journal.append([fact(7)], end_ms(facts)) == 20_001
    assert journal.close(WAIT_S)
    assert path.stat().st_size < before / 5
    archived = sum(file.stat().st_size for _, _, file in journal_archive.files(path))
    assert 0 < archived < before / 5
    assert len(list(read_facts(path))) == 20_001


def test_what_is_dropped_is_named_when_it_is_asked_for(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    prune(journal, document(3000), Keeping(2, 10**9, archive=False), end_ms(facts), never)
    with pytest.raises(StorageFailed, match=r"facts 1 to 2,951 have left the file and are not in .*-archive"):
        list(journal.read(0))
    assert len(list(journal.read(2951))) == 49
    assert not journal_archive.folder_of(journal.path).exists()


@pytest.mark.parametrize(("keep_facts", "wanted"), [(100, 1900), (1, 1975), (10**9, 0)])
def test_more_facts_than_are_kept_leave_but_never_those_of_the_last_day(
    journal: SqliteJournal, keep_facts: int, wanted: int
) -> None:
    facts = write(journal, 2000)
    prune(journal, document(2000), Keeping(36_500, keep_facts, archive=True), end_ms(facts) + 1, never)
    assert pruned_of(journal.path) == wanted


def test_no_fact_leaves_that_the_checkpoint_does_not_hold(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    assert prune(journal, document(1500), KEEPING, end_ms(facts), never) == (1, 1500)
    assert prune(journal, document(1600), KEEPING, end_ms(facts), never) == (0, 0), "not worth it"


def test_numbers_go_on_where_every_fact_has_left(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.sqlite")
    facts = write(journal, 2000)
    prune(journal, document(2000), KEEPING, end_ms(facts) + 400 * DAY_MS, never)
    assert journal.close(WAIT_S)
    again = open_journal(journal.path)
    assert again.last_seq == again.durable_seq == 2000
    assert again.append([fact(1)], 1) == 2001
    assert again.close(WAIT_S)
    assert [seq for seq, _, _ in read_facts(journal.path, 2000)] == [2001]


def test_a_damaged_fact_stays_and_is_named(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE facts SET body = replace(CAST(body AS TEXT), '64102.10', '64102.11') WHERE seq = 1700")
    other.close()
    with pytest.raises(StorageFailed, match=r"fact 1700 cannot be read \(it is not as it was written"):
        prune(journal, document(3000), KEEPING, end_ms(facts), never)
    assert pruned_of(journal.path) == 0
    assert not journal_archive.files(journal.path)


def test_a_second_pruning_goes_on_where_the_first_was_stopped(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    asked = iter([False, False, True])
    first, last = prune(journal, document(3000), KEEPING, end_ms(facts), lambda: next(asked, True))
    assert (first, last) == (1, 1000)
    assert list(journal.read(0)) == facts
    assert prune(journal, document(3000), KEEPING, end_ms(facts), never) == (1001, 2951)
    assert list(journal.read(0)) == facts


def test_orders_go_on_being_written_while_facts_leave(journal: SqliteJournal) -> None:
    facts = write(journal, 20_000, step_ms=60_000)
    done = threading.Event()

    def work() -> None:
        prune(journal, document(20_000), KEEPING, end_ms(facts), never)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    written = 0
    while not done.is_set():
        journal.append([fact(written)], end_ms(facts))
        assert journal.flush(WAIT_S)
        written += 1
    thread.join()
    assert journal.failed is None
    assert written > 3
    assert len(list(journal.read(0))) == 20_000 + written


def test_nothing_leaves_while_the_archive_cannot_be_written(disk: Path) -> None:
    journal = open_journal(disk / "journal.sqlite")
    facts = write(journal, 1200)
    fill_up(disk / "ballast")
    with pytest.raises(StorageFailed):
        prune(journal, document(1200), KEEPING, end_ms(facts), never)
    (disk / "ballast").unlink()
    assert list(journal.read(0)) == facts
    assert pruned_of(journal.path) == 0
    assert prune(journal, document(1200), KEEPING, end_ms(facts), never) == (1, 1151)
    assert list(journal.read(0)) == facts
    assert journal.close(WAIT_S)


# -- the snapshot -----------------------------------------------------------------------------------


def damage_snapshots(path: Path, where: str) -> None:
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE snapshots SET document = CAST(substr(document, 1, 9) || x'00' AS BLOB) {where}")  # noqa: S608  ours
    other.close()


def test_the_snapshot_before_stands_in_for_a_damaged_one(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    prune(journal, document(2999), KEEPING, end_ms(facts), never)
    facts = write(journal, 1100)
    prune(journal, document(4000), KEEPING, end_ms(facts), never)
    assert pruned_of(journal.path) > 2999
    damage_snapshots(journal.path, "WHERE seq = 4000")
    found = read_snapshot(journal.path)
    assert found.document is None, "the older one is of facts that have left since"
    assert "the snapshot at fact 4000 is damaged" in found.damage[0]
    assert list(journal.read(0)) == facts, "but the archive has every fact"


def test_a_snapshot_younger_than_what_has_left_is_as_good(journal: SqliteJournal) -> None:
    facts = write(journal, 3000)
    prune(journal, document(3000), KEEPING, end_ms(facts) - 1500 * HOUR_MS, never)
    prune(journal, document(2995), KEEPING, end_ms(facts), never)
    damage_snapshots(journal.path, "WHERE seq = 3000")
    found = read_snapshot(journal.path)
    assert found.document is not None
    assert found.document["seq"] == 2995
    assert len(found.damage) == 1


def test_a_journal_that_nothing_has_left_needs_no_snapshot(journal: SqliteJournal) -> None:
    write(journal, 10)
    assert read_snapshot(journal.path) == journal_pruning.Snapshot()


def test_a_journal_can_begin_with_a_state_that_was_proven_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    begin_with(path, document(4711), 5)
    journal = open_journal(path)
    assert journal.last_seq == journal.durable_seq == 4711
    assert journal.append([fact(1)], 6) == 4712
    assert journal.flush(WAIT_S)
    found = read_snapshot(path)
    assert found.document is not None
    assert found.document["state"] == {"at": 4711}
    assert list(journal.read(4711)) == [(4712, 6, fact(1))]
    assert journal.close(WAIT_S)
    with pytest.raises(StorageFailed, match="has facts of its own"):
        begin_with(path, document(9), 7)
    with pytest.raises(StorageFailed, match="the state to begin with is damaged"):
        begin_with(tmp_path / "another.sqlite", b"{", 7)
    assert [seq for seq, _, _ in read_facts(path, 4711)] == [4712]


# -- kills ------------------------------------------------------------------------------------------


def test_a_kill_at_any_step_of_pruning_keeps_every_fact(tmp_path: Path, root: Path) -> None:
    whole = tmp_path / "whole.sqlite"
    journal = open_journal(whole)
    facts = write(journal, 2000)
    assert journal.close(WAIT_S)
    path = tmp_path / "home" / "journal.sqlite"
    path.parent.mkdir()
    states: set[tuple[int, int]] = set()
    step = kills = 0
    with subprocess.Popen(
        [sys.executable, "-m", "tests.storage.pruning_victim"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as victim:
        assert victim.stdin is not None
        assert victim.stdout is not None
        while True:
            step += 1
            shutil.rmtree(path.parent)
            path.parent.mkdir()
            shutil.copy(whole, path)
            victim.stdin.write(f"{path} {step} {end_ms(facts)}\n")
            victim.stdin.flush()
            status = int(victim.stdout.readline().split()[1])
            check(path, facts, states)
            if not status:
                break
            assert status == signal.SIGKILL
            kills += 1
        victim.stdin.close()
        assert victim.wait(WAIT_S) == 0
    assert kills > 60
    assert {pruned for pruned, _ in states} == {0, 300, 600, 700, 1000, 1300, 1400, 1700, 1951}
    assert {archived for _, archived in states} == {0, 1, 2, 3}


def check(path: Path, facts: list[tuple[int, int, Fact]], states: set[tuple[int, int]]) -> None:
    """Every fact can be read, the file alone holds the state, and the next bot goes on with it."""
    journal = open_journal(path)
    pruned = pruned_of(path)
    states.add((pruned, len(journal_archive.files(path))))
    assert list(journal.read(0)) == facts
    if pruned:
        snapshot = read_snapshot(path)
        assert snapshot.document is not None
        assert snapshot.damage == ()
        assert list(journal.read(int(snapshot.document["seq"]))) == facts[int(snapshot.document["seq"]) :]
    assert journal.append([fact(1)], end_ms(facts)) == 2001
    assert journal.close(WAIT_S)
