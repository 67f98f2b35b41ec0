"""Every way to end a real bot: signals, time, crashes; what is told, what is left, what the next start finds."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.integration.processes import Bot, kinds, records, session, state, write_profile

CALLBACKS = [
    "state_persist",
    "telegram_shutdown",
    "telegram_summary",
    "error_summary",
    "metrics_export",
    "dust_sweeper",
    "dashboard",
    "logging_queue",
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_one_clean_shutdown(tmp_path: Path, number: signal.Signals) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path) as bot:
        bot.wait_for("Bot started")
        bot.wait_for("POSITION_OPENED")
        bot.send(number)
        assert bot.end() == 0, bot.text
    told = records(tmp_path, "events")
    assert [one["message"] for one in told].count(f"Shutdown signal received: {number.name}") == 1
    system = records(tmp_path, "system")
    cleanups = [one for one in system if one["event_type"] == "CLEANUP_CALLBACK"]
    assert [one["callback"] for one in cleanups] == CALLBACKS
    lines = (next((tmp_path / "latest_session" / "logs").glob("system_*"))).read_text().splitlines()
    for name in CALLBACKS:
        line = next(
            line for line in lines if "CLEANUP_CALLBACK" in line and name in line.partition("cleanup_callback")[2]
        )
        assert line.index("cleanup_callback") < line.index(name)
    assert any("Dust sweeper stopped" in str(one["message"]) for one in system)
    assert lines[-1].find("Queue-based logging stopped") > 0
    card = session(tmp_path)
    assert card["exit_code"] == 0
    assert card["shutdown"]["threads_cleaned_pct"] == 100.0
    assert card["shutdown"]["left"]["files"] == []
    assert card["shutdown"]["orders_left"] == []
    assert state(tmp_path)["open_orders"] == []
    assert "pending_buy_intents" in state(tmp_path)
    assert not (tmp_path / "latest_session" / "stackdump.txt").exists()
    assert "exit 0" in bot.lines[-1]


def test_the_stable_records_of_a_start_are_there_in_order(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, "--for", "1.5") as bot:
        bot.wait_for("--for 1.5 s are over")
        assert bot.end() == 0, bot.text
    system = kinds(tmp_path, "system")
    wanted = [
        "LOGGING_QUEUE_ENABLED",
        "LOGGING_SPLIT_ENABLED",
        "LOGGING_QUEUE_VALIDATED",
        "METRICS_INITIALIZED",
        "SIGNAL_HANDLERS_SETUP",
        "STATE_PERSISTENCE_CONFIG",
        "CLEANUP_CALLBACKS_REGISTERED",
        "ENGINE_LOOP_CONFIG",
        "ENGINE_LOOP_START",
        "STATE_PERSISTED_PERIODIC",
        "ENGINE_LOOP_STOP",
    ]
    places = [system.index(kind) for kind in wanted]
    assert places == sorted(places)
    assert "BOT_STARTED" in kinds(tmp_path, "events")


def test_a_second_signal_forces_the_exit_and_loses_no_state(tmp_path: Path) -> None:
    write_profile(tmp_path, "[shutdown]\norders_deadline_s = 30\nsupervisor_deadline_s = 100\n")
    with Bot(tmp_path, fault="stubborn-venue") as bot:
        bot.wait_for("MARK placed")
        bot.send(signal.SIGTERM)
        bot.wait_for("Shutdown signal received")
        bot.send(signal.SIGINT)
        assert bot.end() == 6, "what is left counts more than that it was forced"
    assert "second signal (SIGINT): forcing the exit" in bot.text
    assert kinds(tmp_path, "events").count("SHUTDOWN_SIGNAL") == 1
    card = session(tmp_path)
    assert card["shutdown"]["forced"] is True
    assert card["shutdown"]["callbacks"]["state_persist"] == "done"
    left = card["shutdown"]["orders_left"]
    assert left
    inventory = card["shutdown"]["inventory"]
    assert [order["client_id"] for order in inventory["orders"]] == left, "the venue was asked all the same"
    assert inventory["breach"] == f"{len(left)} order{'s' * (len(left) > 1)} open at the venue"
    assert [one["breach"] for one in records(tmp_path) if one["event_type"] == "FINAL_INVENTORY"] == [
        inventory["breach"]
    ]
    with Bot(tmp_path) as bot:
        line = bot.wait_for("STATE_RESTORED")
        assert f"{len(left)} open orders" in line
        bot.wait_for("RECOVERY_COMPLETED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, fault="signal-at-start") as bot:
        assert bot.end() == 0, bot.text
    assert "stopped before it began: SIGTERM during start · exit 0" in bot.text
    assert "Bot started" not in bot.text
    assert kinds(tmp_path, "events").count("SHUTDOWN_SIGNAL") == 1
    assert kinds(tmp_path, "system")[-1] == "LOGGING_QUEUE_STOPPED"
    assert session(tmp_path)["exit_code"] == 0
    with Bot(tmp_path, "--for", "0.1") as bot:
        bot.wait_for("Bot started")
        assert bot.end() == 0, bot.text


def test_two_signals_during_the_start_are_a_forced_exit(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, fault="two-signals-at-start") as bot:
        assert bot.end() == 3, bot.text
    assert session(tmp_path)["exit_code"] == 3


def test_a_step_of_the_start_that_fails_is_one_line_and_its_exit_code(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, fault="no-start") as bot:
        assert bot.end() == 1
    said = [line for line in bot.lines if line.startswith("tradebot: ")]
    assert said == ["tradebot: the feed is not there"]
    assert session(tmp_path)["exit_code"] == 1
    assert "START_FAILED" in kinds(tmp_path, "events")


def test_a_faulty_profile_exits_with_two_and_names_the_place(tmp_path: Path) -> None:
    path = write_profile(tmp_path, "[engine]\nlop_sleep_s = 1\n")
    with Bot(tmp_path) as bot:
        assert bot.end() == 2
    line = path.read_text().splitlines().index("lop_sleep_s = 1") + 1
    assert bot.lines[0].startswith(f"quick.toml:{line}:1: engine.lop_sleep_s: ")
    assert not (tmp_path / "sessions").exists()


def test_an_exception_while_deciding_ends_with_code_one_and_the_next_start_recovers(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with Bot(tmp_path, fault="broken-engine") as bot:
        assert bot.end() == 1, bot.text
    assert "crashed: engine: StateSuspect: QuoteSeen: ZeroDivisionError: a decision that cannot be made" in bot.text
    crash = next(one for one in records(tmp_path, "events") if one["event_type"] == "CRASHED")
    assert re.search(r"left at the paper venue: [1-9]\d* positions? worth", bot.text), "what may be left is said"
    assert session(tmp_path)["shutdown"]["inventory"]["positions"]
    assert "in process" in str(crash["traceback"])
    assert session(tmp_path)["shutdown"]["callbacks"]["state_persist"] == "done"
    with Bot(tmp_path) as bot:
        assert re.search(r" [1-9]\d* positions", bot.wait_for("STATE_RESTORED"))
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_errors_of_the_venue_are_told_and_survived(tmp_path: Path) -> None:
    write_profile(tmp_path, "[engine]\nerror_backoff_s = 0.01\n")
    with Bot(tmp_path, fault="shaky-venue") as bot:
        bot.wait_for("ENGINE_LOOP_ERROR", times=3)
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert re.search(r"conserved +yes", bot.text)


def test_errors_in_a_row_are_a_crash(tmp_path: Path) -> None:
    write_profile(tmp_path, "[engine]\nerror_backoff_s = 0.01\nmax_consecutive_errors = 4\n")
    with Bot(tmp_path, fault="dead-venue") as bot:
        assert bot.end() == 1, bot.text
    assert kinds(tmp_path, "system").count("ENGINE_LOOP_ERROR") == 4
    assert "4 errors in a row" in bot.text


def test_a_feed_that_breaks_is_run_again(tmp_path: Path) -> None:
    write_profile(tmp_path, "[engine]\nerror_backoff_s = 0.01\n")
    with Bot(tmp_path, fault="feed-breaks") as bot:
        bot.wait_for("ENGINE_LOOP_ERROR", times=3)
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text


def test_a_part_that_falls_silent_is_reported_with_a_stack_dump(tmp_path: Path) -> None:
    write_profile(tmp_path, "[engine]\nheartbeat_interval_s = 0.1\nheartbeat_timeout_s = 0.3\nloop_sleep_s = 0.05\n")
    with Bot(tmp_path, fault="silent-feed") as bot:
        assert "market_data shows no sign of life" in bot.wait_for("COMPONENT_SILENT")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    dump = (tmp_path / "latest_session" / "stackdump.txt").read_text()
    assert "-- thread MainThread" in dump
    assert "-- task tradebot-market_data" in dump
    assert "-- task tradebot-engine" in dump
