"""A bot whose terminal is closed, or that hears SIGHUP, trades on, and its end is as clean as any other."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE_S, ROOT, Bot, kinds, records, session, write_profile

TAKE_TERMINAL = 'exec "$@" <"$0" >"$0" 2>&1'
"""A session leader that opens a terminal has it as its controlling one: it is told when that is closed."""


@contextmanager
def on_terminal(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the bot on a terminal of its own, as a person does; give the process and our end of the terminal."""
    ours, theirs = pty.openpty()
    bot = [sys.executable, "-X", "dev", "-m", "tradebot.cli.main", "--profile", "quick.toml", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = ["sh", "-c", TAKE_TERMINAL, os.ttyname(theirs), *bot]
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as process:
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(theirs)


def shown_until(terminal: int, pattern: str) -> str:
    """Read the terminal until it shows `pattern`."""
    shown, end = "", time.monotonic() + PATIENCE_S
    while not re.search(pattern, shown):
        if time.monotonic() > end or not select.select([terminal], [], [], PATIENCE_S)[0]:
            raise AssertionError(f"no {pattern!r} on the terminal within {PATIENCE_S:g} s:\n{shown[-2000:]}")
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something that the bot writes into its files."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert process.poll() is None, f"the bot ended with {process.returncode}"
        assert time.monotonic() < end, f"not within {PATIENCE_S:g} s"
        time.sleep(0.02)  # a file tells nobody when it grows


@pytest.mark.parametrize(
    ("arguments", "trading"), [((), r"positions [1-9]"), (("--headless",), "POSITION_OPENED")], ids=["status", "lines"]
)
def test_a_bot_whose_terminal_is_closed_trades_on(tmp_path: Path, arguments: tuple[str, ...], trading: str) -> None:
    write_profile(tmp_path)
    with on_terminal(tmp_path, *arguments) as (bot, terminal):
        shown_until(terminal, trading)
        os.close(terminal)
        until(lambda: "CONSOLE_LOST" in kinds(tmp_path, "system"), bot)
        before = kinds(tmp_path, "events").count("POSITION_CLOSED")
        until(lambda: kinds(tmp_path, "events").count("POSITION_CLOSED") > before + 1, bot)
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(PATIENCE_S) == 0
    card = session(tmp_path)
    assert card["exit_code"] == 0
    assert card["shutdown"]["reason"] == "SIGTERM"
    assert card["shutdown"]["left"] == {
        "threads": [],
        "tasks": [],
        "children": [],
        "files": [],
        "threads_started": card["shutdown"]["left"]["threads_started"],
    }
    assert (tmp_path / "latest_session" / "report.txt").is_file()
    told = kinds(tmp_path)
    assert told.count("CONSOLE_LOST") == 1
    assert "CRASHED" not in told
    assert not [one for one in records(tmp_path) if one["level"] == "ERROR"]


def test_a_terminal_that_closes_while_the_bot_ends_changes_nothing(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with on_terminal(tmp_path) as (bot, terminal):
        shown_until(terminal, r"positions [1-9]")
        os.close(terminal)
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(PATIENCE_S) == 0
    assert session(tmp_path)["exit_code"] == 0


def test_hangups_end_nothing(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("Bot started")
        for _ in range(3):
            bot.send(signal.SIGHUP)
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert "SHUTDOWN_FORCED" not in kinds(tmp_path, "events")
    assert session(tmp_path)["shutdown"]["reason"] == "SIGTERM"
