"""What does a bot do that finds its home damaged, or made of parts that do not belong together? It never guesses."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.processes import SOCKETS, Bot, session, write_profile
from tradebot.storage.journal_rows import check_sum

CONTRADICT = "the journal and the paper account contradict each other: "


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bot that held positions when it was killed."""
    folder = tmp_path_factory.mktemp("killed")
    write_profile(folder)
    with Bot(folder) as bot:
        bot.wait_for("POSITION_CLOSED")
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGKILL)
        bot.end()
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    """Return a copy of what the killed bot left."""
    shutil.copytree(killed, tmp_path, symlinks=True, dirs_exist_ok=True, ignore=SOCKETS)
    return tmp_path


def change(path: Path, *statements: str) -> None:
    """Change a store as no bot would, and leave it whole as a file."""
    database = sqlite3.connect(path)
    database.create_function("check_sum", 4, check_sum)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


ASK = '[journal]\nrebuild = "ask"\n'


def without_journal(home: Path) -> None:
    for path in home.glob("journal.sqlite*"):
        path.unlink()


def older_journal(home: Path) -> None:
    change(home / "journal.sqlite", "DELETE FROM facts WHERE seq > 12")


def older_account(home: Path) -> None:
    change(
        home / "account.sqlite",
        "DELETE FROM orders",
        "DELETE FROM fills",
        "DELETE FROM balances WHERE asset != 'USDT'",
        """UPDATE balances SET body = '{"free":"10000"}'""",
    )


def changed_balance(home: Path) -> None:
    change(home / "account.sqlite", """UPDATE balances SET body = '{"free":"77"}' WHERE asset = 'USDT'""")


def repeated_fact(home: Path) -> None:
    last = "(SELECT max(seq) FROM facts)"
    first = "(SELECT body FROM facts WHERE fact = 'OrderDone' ORDER BY seq LIMIT 1)"
    change(
        home / "journal.sqlite",
        f"UPDATE facts SET fact = 'OrderDone', body = {first} WHERE seq = {last}",  # noqa: S608
        f"UPDATE facts SET crc = check_sum(seq, at_ms, fact, body) WHERE seq = {last}",  # noqa: S608
    )
    (home / "checkpoint.json").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without_journal, CONTRADICT + "the account has taken"),
        (older_journal, CONTRADICT + "the account h"),
        (older_account, CONTRADICT + "the account holds"),
        (changed_balance, CONTRADICT + "the account holds 77 USDT instead of"),
        (repeated_fact, "(OrderDone) contradicts those before it: KeyError"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    home = folder / "state" / "demo"
    write_profile(folder, ASK)
    damage(home)
    before = {path.name: path.read_bytes() for path in home.glob("checkpoint.json*")}
    with Bot(folder) as bot:
        assert bot.end() == 5, bot.text
    said = [line for line in bot.lines if line.startswith("tradebot: ")]
    assert len(said) == 1, bot.text
    assert told in said[0]
    assert "Bot started" not in bot.text
    assert session(folder)["exit_code"] == 5
    kept = {path.name: path.read_bytes() for path in home.glob("checkpoint.json*")}
    assert sorted(kept.values()) == sorted(before.values()), "nothing is lost by a start that is refused"


@pytest.mark.parametrize("damage", [older_account, changed_balance, repeated_fact])
def test_what_no_rebuild_can_prove_is_refused_and_left_as_it_is(folder: Path, damage: Callable[[Path], None]) -> None:
    home = folder / "state" / "demo"
    damage(home)
    before = {path.name for path in home.iterdir() if not path.name.endswith(("-wal", "-shm", ".sock"))}
    with Bot(folder) as bot:
        assert bot.end() == 5, bot.text
    assert "Bot started" not in bot.text
    assert {path.name for path in home.iterdir() if not path.name.endswith(("-wal", "-shm", ".sock"))} == before


def test_a_checkpoint_that_tells_another_story_than_the_account_gives_way_to_the_journal(folder: Path) -> None:
    checkpoint = folder / "state" / "demo" / "checkpoint.json"
    document = json.loads(checkpoint.read_text())
    document["state"]["ledger"]["cash"] = "123456"
    checkpoint.write_text(json.dumps(document))
    with Bot(folder, "--for", "1") as bot:
        assert "its check sum differs" in bot.wait_for("STATE_SET_ASIDE")
        assert "facts of the journal" in bot.wait_for("STATE_RESTORED")
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)
