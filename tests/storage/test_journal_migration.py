"""Is a journal of the first schema taken over whole, whatever interrupts it, and readable where it is left as it is?"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.journals import WAIT_S, fact, fill, open_journal
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import encode
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_salvage import salvage

COUNT = 1000


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a journal as the first schema had it."""
    path = tmp_path / "journal.sqlite"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("BEGIN")
    database.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    database.execute(
        "CREATE TABLE runs (run TEXT PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, exit_code INTEGER)"
    )
    database.execute(
        "CREATE TABLE facts (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, fact TEXT NOT NULL, body BLOB NOT NULL)"
    )
    database.execute("INSERT INTO meta VALUES ('schema', '1')")
    database.execute("INSERT INTO runs VALUES ('r1', 1, NULL, NULL)")
    rows = [(number, 5 * number, "OrderFilled", encode(fill(number))) for number in range(1, COUNT + 1)]
    database.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    database.close()
    return path


WANTED = [(number, 5 * number, fill(number)) for number in range(1, COUNT + 1)]


def test_an_old_journal_can_be_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    assert list(read_facts(old)) == WANTED
    assert salvage(old).facts == tuple(WANTED)
    assert old.read_bytes() == before


def test_opening_takes_it_over_with_facts_runs_and_numbers(old: Path) -> None:
    journal = open_journal(old)
    assert journal.open_run("r2", 9000) == "r1"
    assert journal.append([fact(1)], 6000) == COUNT + 1
    assert journal.close(WAIT_S)
    assert list(read_facts(old)) == [*WANTED, (COUNT + 1, 6000, fact(1))]
    with sqlite3.connect(old) as other:
        assert other.execute("PRAGMA auto_vacuum").fetchone() == (2,), "a file that can shrink"
        other.execute("UPDATE facts SET at_ms = 7 WHERE seq = 500")
    other.close()
    with pytest.raises(StorageFailed, match="fact 500 cannot be read"):
        list(read_facts(old))


CHILD = """
import os, signal, sqlite3, sys
left = [int(sys.argv[2])]
def count(_):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
class Watched(sqlite3.Connection):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.set_trace_callback(count)
sqlite3.connect = Watched
from pathlib import Path
from tradebot.storage import journal_file
journal_file.connect(Path(sys.argv[1])).close()
"""


def test_a_kill_at_any_statement_leaves_the_old_journal_or_the_new_one(old: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    step = 0
    ended = False
    while not ended:
        step += 1
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        path = Path(shutil.copy(old, home))
        done = subprocess.run([sys.executable, "-c", CHILD, str(path), str(step)], check=False)
        ended = done.returncode == 0
        assert list(read_facts(path)) == WANTED
        assert open_journal(path).close(WAIT_S)
        assert list(read_facts(path)) == WANTED
    assert step > 12
