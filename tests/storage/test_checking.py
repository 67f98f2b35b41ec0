"""Is damage in a journal noticed wherever it lies, at the fact that `tradebot journal --check` names?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.feeds.loopback import Heard
from tradebot.domain.facts import AccountOpened
from tradebot.storage.checking import PIECE, JournalCheck, first_damage, only_damage
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_salvage import salvage

COUNT = 3 * PIECE


def no_pause() -> bool:
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a journal of some pieces, in one file."""
    journal = opened(tmp_path / "journal.sqlite")
    journal.append([AccountOpened(asset="USDT", amount=Decimal(seq)) for seq in range(COUNT)], 1)
    assert journal.close(30)
    return journal.path


def opened(path: Path) -> SqliteJournal:
    return SqliteJournal.open(path, batch_ms=1, wal_mb=64, retry_s=1, durability="process")


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def test_a_sound_journal_is_found_sound_though_facts_have_left_it(path: Path) -> None:
    assert first_damage(path, COUNT, no_pause) == (0, "")
    changed(path, "DELETE FROM facts WHERE seq <= 1500")
    assert first_damage(path, COUNT, no_pause)[0] == 1
    changed(path, "INSERT INTO meta VALUES ('pruned', '1500')")
    assert first_damage(path, COUNT, no_pause) == (0, "")


@pytest.mark.parametrize("seq", [1, PIECE, PIECE + 1, COUNT])
@pytest.mark.parametrize("how", ["UPDATE facts SET crc = crc + 1 WHERE seq = {}", "DELETE FROM facts WHERE seq = {}"])
def test_the_first_fact_that_is_not_as_it_was_written_is_named(path: Path, seq: int, how: str) -> None:
    changed(path, how.format(seq))
    found, words = first_damage(path, COUNT, no_pause)
    assert found == seq
    assert f"fact {seq} " in words


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_page_that_cannot_be_read_is_named_as_by_the_check_of_the_command(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    begin = int(len(data) * share)
    data[begin : begin + 5000] = bytes(byte ^ 0x5A for byte in data[begin : begin + 5000])
    path.write_bytes(data)
    seq, words = first_damage(path, COUNT, no_pause)
    assert words
    found = salvage(path)
    assert seq == len(found.facts) + 1
    assert found.damage == f"{path}: {words}"


def test_it_ends_after_a_piece_when_it_is_to(path: Path) -> None:
    changed(path, "UPDATE facts SET crc = crc + 1 WHERE seq > 2000")
    assert first_damage(path, COUNT, lambda: True) == (0, "")


def test_a_lock_is_no_damage_and_a_file_that_is_none_of_ours_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a", isolation_level=None)) as one:
        one.execute("CREATE TABLE t (x)")
        one.execute("BEGIN EXCLUSIVE")
        with closing(sqlite3.connect(tmp_path / "a", timeout=0)) as another:
            with pytest.raises(sqlite3.OperationalError, match="locked") as locked:
                another.execute("SELECT * FROM t")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                only_damage(locked.value)
    (tmp_path / "b").write_bytes(b"no database, of any kind" * 100)
    with closing(sqlite3.connect(tmp_path / "b")) as none, pytest.raises(sqlite3.DatabaseError) as broken:
        none.execute("SELECT * FROM t")
    only_damage(broken.value)


def test_a_run_tells_damage_as_a_warning_and_a_sound_journal_without_one(path: Path) -> None:
    for damage, told in (("", "JOURNAL_CHECKED"), ("UPDATE facts SET crc = 0 WHERE seq = 7", "JOURNAL_DAMAGED")):
        if damage:
            changed(path, damage)
        journal, log, said = opened(path), Heard(), list[str]()
        check = JournalCheck(journal, log, said.append)
        check.begin()
        assert check.wait(30)
        assert log.kinds() == [told]
        assert bool(said) == bool(damage)
        assert journal.close(30)
