"""What a real bot survives: kill -9, a full disk, a log folder that vanishes, damage, a second bot in its home."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.integration.processes import ROOT, Bot, kinds, records, session, state, write_profile


def test_after_kill_9_the_next_start_goes_on_with_its_account(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_CLOSED", times=2)
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGKILL)
        assert bot.end() == -signal.SIGKILL
    assert "pending_buy_intents" in state(tmp_path), "a whole picture is there after a kill"
    with Bot(tmp_path) as bot:
        bot.wait_for("RUN_RECOVERED")
        assert "restored from checkpoint" in bot.wait_for("STATE_RESTORED")
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_a_restart_goes_on_and_fresh_begins_anew(tmp_path: Path) -> None:
    write_profile(tmp_path)
    for words, source in (((), "nothing, a new beginning"), ((), "checkpoint"), (("--fresh",), "nothing")):
        with Bot(tmp_path, *words) as bot:
            assert f"restored from {source}" in bot.wait_for("STATE_RESTORED")
            bot.wait_for("POSITION_OPENED")
            bot.send(signal.SIGTERM)
            assert bot.end() == 0, bot.text
            assert ("began with 10,000.00" in bot.text) == (source != "checkpoint")
    aside = {path.name.partition(".")[0] for path in (tmp_path / "state" / "demo").glob("*.20*Z")}
    assert aside == {"account", "checkpoint", "journal"}


def test_a_damaged_checkpoint_is_set_aside_and_the_journal_is_enough(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    checkpoint = tmp_path / "state" / "demo" / "checkpoint.json"
    held = len(json.loads(checkpoint.read_text())["positions"])
    checkpoint.write_bytes(checkpoint.read_bytes()[:-20])
    with Bot(tmp_path, "--for", "0.5") as bot:
        assert "the journal alone is read" in bot.wait_for("STATE_SET_ASIDE")
        line = bot.wait_for("STATE_RESTORED")
        assert "facts of the journal" in line
        assert f"{held} positions" in line
        assert bot.end() == 0, bot.text
    assert list(checkpoint.parent.glob("checkpoint.json.20*Z"))


def test_a_journal_without_its_account_is_refused(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, "--for", "0.5") as bot:
        assert bot.end() == 0, bot.text
    for path in (tmp_path / "state" / "demo").glob("account.sqlite*"):
        path.unlink()
    with Bot(tmp_path) as bot:
        assert bot.end() == 5, bot.text
    assert "the journal tells of an account that is not there" in bot.text
    assert session(tmp_path)["exit_code"] == 5


def test_two_bots_never_share_a_home(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as first:
        first.wait_for("Bot started")
        with Bot(tmp_path) as second:
            assert second.end() == 1
        said = [line for line in second.lines if line.startswith("tradebot: ")]
        assert len(said) == 1
        assert f"in use by another tradebot (process {first.process.pid})" in said[0]
        assert session(tmp_path)["pid"] == first.process.pid, "`latest_session` is the running bot's"
        first.wait_for("POSITION_OPENED")
        first.send(signal.SIGTERM)
        assert first.end() == 0, first.text


def test_a_log_folder_that_vanishes_is_made_anew(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        shutil.rmtree((tmp_path / "latest_session" / "logs").resolve())
        bot.wait_for("POSITION_CLOSED", times=2)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert "LOG_FILES_RESTORED" in kinds(tmp_path, "system")
    assert kinds(tmp_path, "system")[-1] == "LOGGING_QUEUE_STOPPED"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "8m") as disk:
        yield disk


def fill(folder: Path) -> Path:
    """Fill the disk of `folder` to the last byte; return the file that does."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return path


def test_a_full_disk_stops_sending_and_a_freed_one_goes_on(tmp_path: Path, small_disk: Path) -> None:
    write_profile(tmp_path, f'[bot]\nstate_dir = "{small_disk}"\n[engine]\nmax_consecutive_errors = 1000\n')
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        filler = fill(small_disk)
        bot.wait_for("ENGINE_LOOP_ERROR")
        filler.unlink()
        bot.wait_for("POSITION_OPENED", "POSITION_CLOSED", times=3)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_a_disk_that_stays_full_ends_with_an_error_and_the_next_start_recovers(
    tmp_path: Path, small_disk: Path
) -> None:
    write_profile(tmp_path, f'[bot]\nstate_dir = "{small_disk}"\n[engine]\nmax_consecutive_errors = 1000\n')
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        filler = fill(small_disk)
        bot.wait_for("ENGINE_LOOP_ERROR")
        bot.send(signal.SIGTERM)
        assert bot.end() == 1, bot.text
    assert "state NOT written" in bot.text
    assert any(one["event_type"] == "CLEANUP_CALLBACK" and one["level"] == "ERROR" for one in records(tmp_path))
    filler.unlink()
    with Bot(tmp_path) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_a_home_that_is_removed_ends_the_bot_before_it_sends_what_nobody_could_recover(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        assert bot.end() == 1, bot.text
    assert "the file was removed or replaced while the bot runs" in bot.text
    assert "state NOT written" in bot.text


def test_a_bot_without_standard_streams_runs_and_writes_into_no_store(tmp_path: Path) -> None:
    write_profile(tmp_path)
    command = f'exec "{sys.executable}" -m tradebot.cli.main --profile quick.toml --headless --for 2 <&- >&- 2>&-'
    ended = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert ended.returncode == 0
    assert session(tmp_path)["exit_code"] == 0
    assert "POSITION_OPENED" in kinds(tmp_path)


def test_an_output_that_is_full_is_told_in_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "tradebot.cli.main", "validate", "quick.toml"],
            cwd=write_profile(tmp_path).parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "tradebot: the output cannot be written: no space left on the device\n"


def test_a_bot_that_is_killed_on_its_probation_again_and_again_goes_back_to_the_last_good_text(tmp_path: Path) -> None:
    path = write_profile(tmp_path, "[reload]\nprobation_starts = 2\n")
    with Bot(tmp_path) as bot:
        bot.wait_for("BOT_STARTED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    path.write_text(path.read_text().replace("probation_starts = 2", "probation_starts = 2 # another text"))
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        with Bot(tmp_path) as bot:
            bot.wait_for("generation 2 is on probation")
            bot.send(number)
            assert bot.end() == (0 if number == signal.SIGTERM else -number), bot.text
    with Bot(tmp_path) as bot:
        line = bot.wait_for("PROFILE_IN_FORCE")
        assert "was rolled back (2 starts in a row were killed on its probation): running generation 1 instead" in line
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert "BUYING_PAUSED" not in kinds(tmp_path)


def test_a_start_that_goes_back_to_looser_limits_buys_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    path = write_profile(tmp_path, "[reload]\nprobation_starts = 1\n[budget]\nmax_positions = 9\n")
    with Bot(tmp_path) as bot:
        bot.wait_for("BOT_STARTED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    path.write_text(path.read_text().replace("max_positions = 9", "max_positions = 3"))
    with Bot(tmp_path) as bot:
        bot.wait_for("generation 2 is on probation")
        bot.send(signal.SIGKILL)
        bot.end()
    for again in (False, True):
        with Bot(tmp_path) as bot:
            if not again:
                assert "the way back loosens budget.max_positions" in bot.wait_for("BUYING_PAUSED_BY_GUARD")
            bot.wait_for("BOT_STARTED")
            words = [sys.executable, "-m", "tradebot.cli.main"]
            told = subprocess.run([*words, "status"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
            assert "paused" in told
            if again:
                subprocess.run([*words, "resume"], cwd=tmp_path, capture_output=True, check=True)
                bot.wait_for("POSITION_OPENED")
            bot.send(signal.SIGTERM)
            assert bot.end() == 0, bot.text
        assert ("INTENT_OPENED" in kinds(tmp_path)) == again  # what the killed run had sent may still be filled


def test_a_run_whose_output_nobody_takes_keeps_its_exit_code_and_its_report(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    write_profile(tmp_path)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "tradebot.cli.main", "--profile", "quick.toml", "--headless", "--for", "1"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert session(tmp_path)["exit_code"] == 0
    assert (tmp_path / "latest_session" / "report.txt").is_file()
