"""Is a file that is no sound journal refused with its reason, and do simulated runs keep comparable journals?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fact, fill, open_journal
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact
from tradebot.storage.journal_file import read_facts
from tradebot.storage.replay_journal import MemoryJournal, ReplayJournal


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
    with pytest.raises(StorageFailed, match=r"journal\.sqlite: journal of schema 99, this version reads schema 2"):
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


def test_reading_leaves_nothing_beside_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    journal.append([fill(1)], 1)
    assert journal.close(WAIT_S)
    before = path.read_bytes()
    assert len(list(read_facts(path))) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["journal.sqlite"]
    assert path.read_bytes() == before


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
