"""What does `tradebot recover` show and mend of what a killed bot left? It acts on files alone, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.dying_rebuild import STEPS
from tests.integration.processes import ROOT, SOCKETS, Bot, records, session, write_profile
from tradebot.config.loader import load_profile
from tradebot.domain.facts import IntentOpened
from tradebot.domain.numbers import plain
from tradebot.runtime.recovering import copied, read_files, restored
from tradebot.storage.journal_file import read_facts

DYING = Path(__file__).with_name("dying_rebuild.py")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bot that held positions when it was killed."""
    folder = tmp_path_factory.mktemp("killed")
    write_profile(folder)
    with Bot(folder) as bot:
        bot.wait_for("POSITION_CLOSED")
        bot.wait_for("POSITION_OPENED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGKILL)
        bot.end()
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    """Return a copy of what the killed bot left."""
    shutil.copytree(killed, tmp_path, symlinks=True, dirs_exist_ok=True, ignore=SOCKETS)
    return tmp_path


def recover(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a bot's folder."""
    return subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", "recover", "--profile", "quick.toml", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tree(folder: Path) -> dict[str, str]:
    """Return every file with its digest and time."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def home(folder: Path) -> Path:
    return folder / "state" / "demo"


def flip(path: Path, at: float) -> None:
    """Flip one bit of a file, at a share of its length."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(data)


def merged(folder: Path) -> Path:
    """Return the journal, its write-ahead log merged into it."""
    path = home(folder) / "journal.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


def changed_fact(folder: Path) -> None:
    """Change the fact of the last buy's fill, as bit rot would: its check sum does not fit any more."""
    database = sqlite3.connect(merged(folder))
    last = "(SELECT max(seq) FROM facts WHERE fact = 'OrderFilled')"
    database.execute(f"UPDATE facts SET body = replace(body, 'price', 'prive') WHERE seq = {last}")  # noqa: S608
    database.commit()
    database.close()


def cut_off(folder: Path) -> None:
    """The last order that filled is gone, with all after it, as on a disk that lies; so is the checkpoint."""
    database = sqlite3.connect(merged(folder))
    named = "json_extract(CAST(body AS TEXT), '$.client_id')"
    last = f"(SELECT {named} FROM facts WHERE fact = 'OrderFilled' ORDER BY seq DESC LIMIT 1)"  # noqa: S608
    database.execute(
        f"DELETE FROM facts WHERE seq >= (SELECT seq FROM facts WHERE fact = 'OrderPlanned' AND {named} = {last})"  # noqa: S608
    )
    database.commit()
    database.close()
    (home(folder) / "checkpoint.json").unlink(missing_ok=True)


def truncated(folder: Path) -> None:
    path = merged(folder)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def not_a_journal(folder: Path) -> None:
    path = merged(folder)
    path.write_bytes(b"\0" * 4096)


def gone(folder: Path) -> None:
    for path in home(folder).glob("journal.sqlite*"):
        path.unlink()


def all_gone(folder: Path) -> None:
    gone(folder)
    (home(folder) / "checkpoint.json").unlink(missing_ok=True)


DAMAGE: list[Callable[[Path], None]] = [changed_fact, truncated, not_a_journal, gone, all_gone]


def test_a_dry_run_shows_the_plan_and_changes_nothing(folder: Path) -> None:
    before = tree(folder)
    found = recover(folder, "--dry-run")
    assert found.returncode == 0, found.stderr
    assert "restored from checkpoint at seq" in found.stdout
    assert "to ask the venue for" in found.stdout
    assert "compared with the paper account, which was only asked:" in found.stdout
    assert tree(folder) == before
    told = json.loads(recover(folder, "--dry-run", "--json").stdout)
    assert told["schema"] == 1
    assert told["damage"] == []
    assert told["plan"]["positions"] == [one["symbol"] for one in told["protected"]]
    assert told["compared"]["strangers"] == []
    assert told["compared"]["drift"] == []
    assert tree(folder) == before


def test_beside_a_running_bot_it_is_refused_and_says_which(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("BOT_STARTED")
        for words in (["--dry-run"], ["--rebuild"]):
            found = recover(tmp_path, *words)
            assert found.returncode == 1
            assert f"(process {bot.process.pid})" in found.stderr
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text


def test_without_a_word_for_what_is_wanted_it_does_nothing_and_says_what_there_is(folder: Path) -> None:
    before = tree(folder)
    found = recover(folder)
    assert found.returncode == 2
    assert "--dry-run" in found.stderr
    assert "--rebuild" in found.stderr
    assert tree(folder) == before


def test_a_dry_run_says_of_damage_what_a_start_makes_of_it(folder: Path) -> None:
    changed_fact(folder)
    (home(folder) / "checkpoint.json").unlink()  # else nobody needs the fact
    shown = recover(folder, "--dry-run")
    assert shown.returncode == 5, shown.stderr
    assert "DAMAGED" in shown.stdout
    assert "a start writes the journal anew, and puts back" in shown.stdout
    asked = recover(folder, "--dry-run", env={"TRADEBOT__JOURNAL__REBUILD": "ask"})
    assert 'a start is refused (journal.rebuild is "ask"); `tradebot recover --rebuild` puts back' in asked.stdout


@pytest.mark.parametrize("damage", [truncated, gone, cut_off])
def test_a_dry_run_proves_what_a_start_would_and_compares_that_with_the_account(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    """No fill is missed and no difference left that the rebuild puts right; files go by their own names."""
    damage(folder)
    before = tree(folder)
    told = json.loads(recover(folder, "--dry-run", "--json").stdout)
    assert tree(folder) == before
    assert told["start"]["rebuilds"]
    assert told["start"]["refused"] == ""
    assert told["compared"]["drift"] == []
    assert told["start"]["met"].startswith(("state/demo", "the account"))
    assert all(words.startswith("state/demo/") for words in told["damage"])
    with Bot(folder, "--for", "1") as bot:
        assert bot.end() == 0, bot.text
    (done,) = [one for one in records(folder) if one["event_type"] == "STATE_REBUILT"]
    assert (done["orders"], done["fills"]) == (told["start"]["orders"], told["start"]["fills"])


def test_a_dry_run_says_of_damage_behind_the_checkpoint_that_a_start_goes_on(folder: Path) -> None:
    database = sqlite3.connect(merged(folder))
    database.execute("UPDATE facts SET crc = crc + 1 WHERE seq = 2")
    database.commit()
    database.close()
    shown = recover(folder, "--dry-run")
    assert shown.returncode == 5
    assert "a start needs none of that, and goes on" in shown.stdout


def test_a_dry_run_says_what_a_lost_home_means_for_a_start(folder: Path) -> None:
    all_gone(folder)
    shown = recover(folder, "--dry-run")
    assert shown.returncode == 5
    assert "a start is refused (nothing at all in this home is sound)" in shown.stdout


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_is_set_aside_and_rebuilt_so_that_the_bot_trades_on(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(folder)
    damaged = tree(home(folder))
    shown = recover(folder, "--rebuild", "--dry-run")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "nothing was changed" in shown.stdout
    assert tree(home(folder)) == damaged
    done = recover(folder, "--rebuild")
    assert done.returncode == 0, done.stderr
    assert "is written anew" in done.stdout
    kept = {words.split(" ")[0] for words in tree(home(folder)).values()}
    lost = {name for name, words in damaged.items() if words.split(" ")[0] not in kept and "lock" not in name}
    assert not {name for name in lost if not name.endswith("-shm")}, "nothing is deleted"
    with Bot(folder) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert session(folder)["exit_code"] == 0


@pytest.mark.parametrize("damage", [changed_fact, cut_off, truncated, not_a_journal, gone])
def test_a_start_rebuilds_what_the_account_proves_says_so_and_trades_on(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    """A second start finds nothing to mend."""
    if damage is changed_fact:
        (home(folder) / "checkpoint.json").unlink()  # else nobody needs the fact
    damage(folder)
    damaged = {words.split(" ")[0] for name, words in tree(home(folder)).items() if name == "journal.sqlite"}
    with Bot(folder, "--for", "2") as bot:
        assert "proves what was lost" in bot.wait_for("STATE_DAMAGED")
        assert "The journal of this bot was damaged and is rebuilt" in bot.wait_for("STATE_REBUILT")
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        assert bot.end() == 0, bot.text
    (told,) = [one for one in records(folder) if one["event_type"] == "STATE_REBUILT"]
    assert told["level"] == "ERROR"
    assert told["source"] == "the paper account"
    assert all((home(folder) / name).is_file() for name in told["aside"])
    kept = {words.split(" ")[0] for words in tree(home(folder)).values()}
    assert damaged <= kept or damage is not not_a_journal, "what was damaged is kept as it was"
    ledger, account = held(folder)
    assert ledger == account
    with Bot(folder, "--for", "1") as bot:
        assert bot.end() == 0, bot.text
    assert "STATE_REBUILT" not in bot.text
    assert "STATE_DAMAGED" not in bot.text


@pytest.mark.parametrize("step", list(STEPS))
def test_a_start_that_is_killed_while_it_rebuilds_is_completed_by_the_next(folder: Path, step: str) -> None:
    truncated(folder)
    dying = subprocess.run(
        [sys.executable, str(DYING), step, "--profile", "quick.toml", "--headless"],
        cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert dying.returncode == -signal.SIGKILL, dying.stdout
    looked = recover(folder, "--dry-run")
    assert looked.returncode == (5 if step in {"begun", "written"} else 0), looked.stdout
    with Bot(folder, "--for", "1") as bot:
        bot.wait_for("STATE_REBUILT")
        bot.wait_for("RECOVERY_COMPLETED")
        assert bot.end() == 0, bot.text
    ledger, account = held(folder)
    assert ledger == account
    assert not list(home(folder).glob("*.new*"))
    assert not list(home(folder).glob("*rebuild.json*"))
    assert len([path for path in home(folder).glob("journal.sqlite.2*") if not path.name.endswith(("wal", "shm"))]) == 1


def test_a_home_of_which_nothing_is_sound_is_not_rebuilt_by_a_start(folder: Path) -> None:
    all_gone(folder)
    with Bot(folder) as bot:
        assert bot.end() == 5, bot.text
    assert "STATE_REBUILT" not in bot.text
    assert not list(home(folder).glob("journal.sqlite.2*"))


def test_facts_lost_at_the_end_are_put_back_from_the_account_and_told_apart(folder: Path) -> None:
    """Where it is asked first, the start refuses: journal and account contradict each other."""
    write_profile(folder, '[journal]\nrebuild = "ask"\n')
    cut_off(folder)
    with Bot(folder) as bot:
        assert bot.end() == 5, bot.text
    assert "contradict each other" in bot.text
    damaged = json.loads(recover(folder, "--rebuild", "--json").stdout)
    assert damaged["orders"] >= 1
    assert damaged["fills"] >= 1
    ledger, account = held(folder)
    assert ledger == account
    rebuilt = [fact for _, _, fact in read_facts(home(folder) / "journal.sqlite") if isinstance(fact, IntentOpened)]
    assert [fact.reason for fact in rebuilt].count("rebuilt") == damaged["orders"]


def held(folder: Path, instance: str = "demo") -> tuple[dict[str, str], dict[str, str]]:
    """Return what the ledger of a home owns, dust and all, and what its account holds."""
    with copied(folder / "state" / instance) as copy:
        profile = load_profile(str(folder / "quick.toml")).profile
        files = read_files(copy, profile)
        engine, _ = restored(profile, files.sound, ())
    balances = files.image.balances if files.image is not None else {}
    ledger = {asset: plain(amount) for asset, amount in engine.state.ledger.owned().items() if amount}
    return ledger, {asset: plain(one.total) for asset, one in balances.items() if one.total}


def test_what_contradicts_the_account_is_refused_and_nothing_is_touched(folder: Path) -> None:
    gone(folder)
    database = sqlite3.connect(home(folder) / "account.sqlite")
    database.execute("""UPDATE balances SET body = '{"free":"77"}' WHERE asset = 'USDT'""")
    database.commit()
    database.close()
    before = tree(folder)
    found = recover(folder, "--rebuild")
    assert found.returncode == 5, found.stdout
    assert "nothing is rebuilt" in found.stderr
    assert {name: words for name, words in tree(folder).items() if not name.endswith("lock")} == {
        name: words for name, words in before.items() if not name.endswith("lock")
    }


def newer_journal(folder: Path) -> None:
    database = sqlite3.connect(merged(folder))
    database.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    database.commit()
    database.close()


def newer_checkpoint(folder: Path) -> None:
    path = home(folder) / "checkpoint.json"
    path.write_bytes(path.read_bytes().replace(b'{"schema":1,', b'{"schema":99,', 1))


@pytest.mark.parametrize(("newer", "name"), [(newer_journal, "journal.sqlite"), (newer_checkpoint, "checkpoint.json")])
def test_files_of_a_newer_version_are_refused_and_not_touched(
    folder: Path, newer: Callable[[Path], None], name: str
) -> None:
    newer(folder)
    before = tree(home(folder))
    for words in (["--rebuild"], ["--dry-run"], ["--rebuild", "--dry-run"]):
        found = recover(folder, *words)
        assert found.returncode == 5, found.stdout
        assert "that version" in found.stderr
        assert {each: told for each, told in tree(home(folder)).items() if each != "lock"} == {
            each: told for each, told in before.items() if each != "lock"
        }
    with Bot(folder) as bot:
        assert bot.end() == 5, bot.text
    assert "this version reads schema" in bot.text
    assert tree(home(folder))[name] == before[name]
