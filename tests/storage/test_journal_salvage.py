"""Is damage of a journal found, named with its place, and everything sound around it told?"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fill, open_journal
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import encode
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_pruning import DAY_MS, Keeping, prune
from tradebot.storage.journal_salvage import salvage

COUNT = 3000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    journal = open_journal(path)
    journal.append([fill(number) for number in range(1, COUNT + 1)], 1)
    assert journal.close(WAIT_S)
    return path


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()


def numbers(seen: tuple[tuple[int, int, object], ...]) -> list[int]:
    return [seq for seq, _, _ in seen]


def test_a_sound_journal_is_salvaged_whole(path: Path) -> None:
    found = salvage(path)
    assert found.facts == tuple(read_facts(path))
    assert (found.damage, found.after, found.lost, found.last_seq, found.pruned) == ("", (), 0, COUNT, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET body = CAST(replace(CAST(body AS TEXT), '64102.10', '64103.10') AS BLOB) WHERE seq = 1000",
        "UPDATE facts SET at_ms = at_ms + 1 WHERE seq = 1000",
        "UPDATE facts SET at_ms = at_ms + 4294967296 WHERE seq = 1000",
        "UPDATE facts SET fact = 'OrderSent' WHERE seq = 1000",
        "UPDATE facts SET crc = crc + 1 WHERE seq = 1000",
        "UPDATE facts SET body = CAST('' AS BLOB) WHERE seq = 1000",
    ],
)
def test_a_row_that_is_not_as_it_was_written_is_named(path: Path, statement: str) -> None:
    change(path, statement)
    with pytest.raises(StorageFailed, match=r"journal\.sqlite: fact 1000 cannot be read \(it is not as it was written"):
        list(read_facts(path))
    found = salvage(path)
    assert numbers(found.facts) == list(range(1, 1000))
    assert numbers(found.after) == list(range(1001, COUNT + 1))
    assert found.lost == 1
    assert "fact 1000" in found.damage


def test_a_row_in_the_place_of_another_is_named(path: Path) -> None:
    change(path, "DELETE FROM facts WHERE seq = 1000")
    change(path, "UPDATE facts SET seq = 1000 WHERE seq = 1001")
    with pytest.raises(StorageFailed, match="fact 1000 cannot be read"):
        list(read_facts(path))
    assert numbers(salvage(path).after) == list(range(1002, COUNT + 1))


def test_a_flipped_bit_anywhere_in_the_facts_is_found(path: Path) -> None:
    data = bytearray(path.read_bytes())
    places = [match.start() for match in re.finditer(re.escape(encode(fill(1500))), data)]
    assert len(places) == 1
    data[places[0] + 40] ^= 0x04
    path.write_bytes(bytes(data))
    found = salvage(path)
    assert numbers(found.facts) == list(range(1, 1500))
    assert found.lost == 1
    assert found.last_seq == COUNT


@pytest.mark.parametrize("pages", [1, 3])
def test_overwritten_pages_cost_their_facts_and_no_others(path: Path, pages: int) -> None:
    data = bytearray(path.read_bytes())
    begin = len(data) // 8192 * 4096
    data[begin : begin + 4096 * pages] = b"\xa5" * 4096 * pages
    path.write_bytes(bytes(data))
    found = salvage(path)
    assert found.damage.startswith(f"{path}: the file is damaged at fact {found.facts[-1][0] + 1} (")
    assert 0 < found.lost < 60 * pages
    assert numbers(found.facts) == list(range(1, len(found.facts) + 1))
    assert numbers(found.after) == list(range(len(found.facts) + found.lost + 1, COUNT + 1))


def test_a_file_that_is_cut_off_gives_what_is_left(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StorageFailed, match=r"journal\.sqlite: the journal is damaged at fact \d+"):
        list(read_facts(path))
    found = salvage(path)
    assert len(found.facts) > 500
    assert numbers(found.facts) == list(range(1, len(found.facts) + 1))
    assert "damaged at fact" in found.damage


def test_a_file_that_is_no_database_any_more_gives_nothing_and_says_why(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 4096)
    found = salvage(path)
    assert not found.facts
    assert "not a database" in found.damage


def test_a_missing_journal_and_one_of_a_newer_version_are_not_damaged(path: Path) -> None:
    with pytest.raises(StorageFailed, match="there is no such journal"):
        salvage(path.with_name("another.sqlite"))
    change(path, "UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StorageFailed, match="journal of schema 99, this version reads schema 2"):
        salvage(path)


def test_the_state_of_a_pruned_journal_is_salvaged_with_its_facts(path: Path) -> None:
    journal = open_journal(path)
    document = assemble(b'{"seq":2000,"state":{"sound":true}}', [])
    prune(journal, document, Keeping(2, 10**9, archive=False), 9 * DAY_MS, lambda: False)
    assert journal.close(WAIT_S)
    change(path, "UPDATE facts SET crc = 0 WHERE seq = 2500")
    found = salvage(path)
    assert found.document is not None
    assert found.document["state"] == {"sound": True}
    assert (found.pruned, found.facts[0][0], found.facts[-1][0], found.lost) == (2000, 2001, 2499, 1)


def test_salvaging_changes_nothing(path: Path) -> None:
    change(path, "UPDATE facts SET crc = 0 WHERE seq = 2500")
    before = path.read_bytes()
    salvage(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
