"""Does a person who waits for a replay see how far it is, and does a script beside him still get one clean object?"""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.oracle.market import market, write_csv
from tests.oracle.replaying import ROOT

CANDLES = 3_000


def drained(terminal: int) -> str:
    """Return all that is written on a terminal until its last holder lets go."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return shown.decode()
        if not part:
            return shown.decode()
        shown += part


def test_a_terminal_gets_a_bar_and_stdout_one_object(tmp_path: Path) -> None:
    write_csv(tmp_path, "AAA-USDT", market(1, CANDLES))
    ours, theirs = pty.openpty()
    profile = str(ROOT / "profiles/the-work.toml")
    arguments = ["replay", "--profile", profile, "--data", str(tmp_path), "--no-session", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(
        [sys.executable, "-m", "tradebot.cli.main", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as running:
        os.close(theirs)
        shown = drained(ours)
        said = running.communicate()[0]
    os.close(ours)
    assert running.returncode == 0, shown
    assert json.loads(said)["candles"] == CANDLES
    assert "\x1b[?25l" in shown, "the cursor is hidden while the bar is drawn"
    assert "\x1b[?25h" in shown, "and shown again"
    assert f"{CANDLES}/{CANDLES}" in shown
