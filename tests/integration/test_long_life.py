"""Does a real bot with an old journal make it small while it trades, and start from what is left?"""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

from tests.integration.processes import Bot, records, write_profile
from tests.storage.journals import WAIT_S, open_journal
from tradebot.cli.main import main
from tradebot.domain.facts import StaleDataSeen
from tradebot.storage.journal_archive import files
from tradebot.storage.journal_pruning import DAY_MS
from tradebot.storage.journal_rows import check_sum
from tradebot.storage.journal_salvage import pruned_of

SMALL = """
[journal]
keep_days = 2
prune_interval_s = 1
"""


def lived(folder: Path) -> str:
    """Let the bot make a trade and end it; return what it printed."""
    with Bot(folder) as bot:
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
        return bot.text


def age(path: Path) -> int:
    """Make everything in the journal ten days older, and more of it; return the last seq."""
    with sqlite3.connect(path) as database:
        database.create_function("check_sum", 4, check_sum)
        database.execute("UPDATE facts SET at_ms = at_ms - ?", (10 * DAY_MS,))
        database.execute("UPDATE facts SET crc = check_sum(seq, at_ms, fact, body)")
        (newest,) = database.execute("SELECT max(at_ms) FROM facts").fetchone()
    database.close()
    journal = open_journal(path)
    for _ in range(3000):
        journal.append([StaleDataSeen(symbols=("SYN000/USDT",))], newest)
    assert journal.close(WAIT_S)
    return journal.last_seq


def test_old_facts_leave_a_running_bots_journal_and_a_start_needs_none_of_them(tmp_path: Path) -> None:
    write_profile(tmp_path, SMALL)
    lived(tmp_path)
    home = tmp_path / "state" / "demo"
    last = age(home / "journal.sqlite")
    said = lived(tmp_path)
    assert "no report" not in said, "a report counts what is in the archive, too"
    told = [record for record in records(tmp_path, "system") if record["event_type"] == "JOURNAL_PRUNED"]
    assert [(record["first_seq"], record["last_seq"]) for record in told] == [(1, last)]
    assert pruned_of(home / "journal.sqlite") == last
    assert [(first, until) for first, until, _ in files(home / "journal.sqlite")] == [(1, last)]
    (home / "checkpoint.json").unlink()
    said = lived(tmp_path)
    assert "contradict" not in said
    assert "restored from checkpoint at seq" in said, "the journal's own"
    assert main(["journal", "--home", str(home), "--check"]) == 0
