"""What a run shows and leaves: the live status on a terminal, the session's report, and the toggles switched off."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.processes import PATIENCE_S, ROOT, Bot, kinds, records, session, write_profile


def watch(terminal: int, stop: Callable[[], None]) -> str:
    """Read the terminal until the bot has let go of it; `stop` the bot once it shows a position."""
    shown, asked = "", False
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and select.select([terminal], [], [], PATIENCE_S)[0]:
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # nobody holds the other end any more
            return shown
        if not asked and re.search(r"positions [1-9]", shown):
            asked = True
            stop()
    raise AssertionError(f"the terminal is still held after {PATIENCE_S:g} s:\n{shown[-2000:]}")


def test_a_terminal_gets_a_live_status_that_says_what_is_synthetic(tmp_path: Path) -> None:
    write_profile(tmp_path)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tradebot.cli.main", "--profile", "quick.toml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as bot:
        os.close(theirs)
        try:
            shown = watch(ours, lambda: bot.send_signal(signal.SIGINT))
            assert bot.wait(PATIENCE_S) == 0, shown
        finally:
            bot.kill()
            os.close(ours)
    assert "SYNTHETIC MARKET" in shown
    assert "trading" in shown
    assert "newest price" in shown
    assert "^C shutdown: entries closed" in shown
    assert session(tmp_path)["shutdown"]["left"]["threads"] == []


def test_the_report_is_printed_and_left_in_the_session(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    folder = tmp_path / "latest_session"
    report = json.loads((folder / "report.json").read_text())
    assert report["session"]["exit_code"] == 0
    assert report["session"]["synthetic"] is True
    assert (folder / "report.txt").read_text().strip() in bot.text
    rows = (folder / "trades.csv").read_text().splitlines()
    assert len(rows) - 1 == report["summary"]["counts"]["trades"] >= 1
    metrics = json.loads((folder / "metrics" / "summary.json").read_text())
    assert metrics["counters"]["orders_sent"] == report["summary"]["counts"]["orders"]
    assert "cycle_ms" in metrics["histograms"]
    assert "checkpoint_cycle_ms" in metrics["histograms"]


def test_toggles_switched_off_leave_their_parts_out_and_say_so(tmp_path: Path) -> None:
    write_profile(tmp_path, "[features]\nmetrics = false\nstate_persistence = false\nsplit_logging = false\n")
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    folder = tmp_path / "latest_session"
    assert not (folder / "metrics" / "summary.json").exists()
    assert [path.name.partition("_")[0] for path in (folder / "logs").iterdir()] == ["system"]
    told = records(tmp_path)
    outcomes = {one["callback"]: one["outcome"] for one in told if one["event_type"] == "CLEANUP_CALLBACK"}
    assert outcomes["metrics_export"] == "off"
    assert outcomes["state_persist"] == "done"
    assert [one["message"] for one in told if one["event_type"] == "STATE_PERSISTENCE_CONFIG"] == [
        "State is written at the end only"
    ]
    assert kinds(tmp_path).count("STATE_PERSISTED_PERIODIC") == 1, "the last one only"


def test_cycle_times_are_logged_when_asked_for(tmp_path: Path) -> None:
    write_profile(tmp_path, "[features]\ncycle_time_logging = true\n")
    with Bot(tmp_path, "--for", "0.5") as bot:
        assert bot.end() == 0, bot.text
    assert "ENGINE_CYCLE" in kinds(tmp_path, "system")


def test_orders_may_be_left_as_the_policy_says(tmp_path: Path) -> None:
    write_profile(tmp_path, '[shutdown]\nopen_orders = "leave"\n')
    with Bot(tmp_path, fault="stubborn-venue") as bot:
        bot.wait_for("MARK placed")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert session(tmp_path)["shutdown"]["orders_left"]
    assert 'as `shutdown.open_orders = "leave"` says' in bot.text


def test_what_the_venue_has_answered_is_heard_before_the_end_where_orders_are_left(tmp_path: Path) -> None:
    slow = "[venue.paper]\nresponse_latency_ms = 500\njitter_ms = 200\n"
    write_profile(tmp_path, slow + '[shutdown]\nopen_orders = "leave"\n')
    with Bot(tmp_path) as bot:
        bot.wait_for("POSITION_OPENED", times=3)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_orders_left_against_the_policy_have_their_own_exit_code(tmp_path: Path) -> None:
    write_profile(tmp_path, "[shutdown]\norders_deadline_s = 0.3\n[execution]\ncancel_wait_ms = 100\n")
    with Bot(tmp_path, fault="stubborn-venue") as bot:
        bot.wait_for("MARK placed")
        bot.send(signal.SIGTERM)
        assert bot.end() == 6, bot.text
    assert 'against what `shutdown.open_orders = "cancel"` says' in bot.text
