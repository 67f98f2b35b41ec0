"""Is every line readable JSON without secrets, and does the terminal show what it should?"""

from __future__ import annotations

import io
import itertools
import logging as python_logging
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.logs import STAMP, WAIT_S, lines, pipeline, running, system
from tradebot.telemetry.console import Console
from tradebot.telemetry.library_logs import library_logs


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


def test_no_value_is_too_strange_to_be_written(tmp_path: Path) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    values = [Odd(), 2**70, "\ud800", {1: {2}}, ValueError("bad"), float("nan"), b"raw", Decimal("1E+2")]
    with running(pipeline(tmp_path)) as log:
        for value in values:
            log.emit("events", "INFO", "ODD", value=value)
        log.emit("events", "INFO", "CYCLE", value=cycle)
        log.emit("events", "INFO", "NEXT")
    found = lines(tmp_path / f"events_{STAMP}.jsonl")
    assert [line.get("value") for line in found[:8]] == [
        "<odd>", 2**70, "\ud800", {"1": [2]}, "ValueError: bad", None, "b'raw'", "1E+2",
    ]  # fmt: skip
    assert found[8]["event_type"] == "CYCLE"
    assert "RecursionError" in found[8]["message"]
    assert found[9]["event_type"] == "NEXT"


def test_secrets_are_masked_in_names_fields_messages_and_errors(tmp_path: Path) -> None:
    hidden = 'pä"ss/wörd+1'
    log = pipeline(tmp_path)
    log.register_secret(hidden)
    log.register_secret("")
    with pytest.raises(ValueError, match="shorter than 4"):
        log.register_secret("abc")
    with running(log):
        log.emit(
            "system", "INFO", "A", f"connecting with {hidden}", api_key="visible?", nested={"token": "t0k", "n": 1}
        )
        log.emit(
            "system", "INFO", "B", error=ValueError(f"refused: {hidden}"), url="https://x/p%C3%A4%22ss%2Fw%C3%B6rd%2B1"
        )
        log.emit("system", "INFO", "C", strange=["\ud800", hidden])
    text = (tmp_path / f"system_{STAMP}.jsonl").read_text()
    found = {record["event_type"]: record for record in system(tmp_path)}
    assert found["A"]["message"] == "connecting with ***"
    assert found["A"]["api_key"] == "***"
    assert found["A"]["nested"] == {"token": "***", "n": 1}
    assert found["B"]["error"] == "ValueError: refused: ***"
    assert found["B"]["url"] == "https://x/***"
    assert found["C"]["strange"][1] == "***"
    assert "visible?" not in text
    assert "t0k" not in text


def test_a_secret_that_is_a_number_is_masked_as_one(tmp_path: Path) -> None:
    log = pipeline(tmp_path)
    log.register_secret("471199")
    with running(log):
        log.emit("events", "INFO", "PIN", pin=471199, other=12)
    (line,) = lines(tmp_path / f"events_{STAMP}.jsonl")
    assert (line["pin"], line["other"]) == ("***", 12)


# -- the terminal --------------------------------------------------------------------------------------


def test_the_console_shows_short_lines_of_its_streams_and_every_error(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(out, "INFO", frozenset({"events"}))
    with running(pipeline(tmp_path, console=console)) as log:
        log.register_secret("hunter22")
        log.emit("events", "INFO", "BOT_STARTED", "Bot started with hunter22")
        log.emit("events", "DEBUG", "DETAIL", "not shown")
        log.emit("engine", "WARNING", "SKIPPED", "not shown")
        log.emit("orders", "ERROR", "ORDER_REJECTED", "shown")
    assert out.getvalue().splitlines() == [
        "16:25:03 INFO    BOT_STARTED Bot started with ***",
        "16:25:03 ERROR   ORDER_REJECTED shown",
    ]


def test_a_console_that_breaks_is_given_up_and_the_files_go_on(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as out:
        with running(pipeline(tmp_path, console=Console(out, "INFO", frozenset({"events"})))) as log:
            log.emit("events", "INFO", "ONE", "first")
            log.validate(WAIT_S)
            log.emit("events", "INFO", "TWO", "second")
        with pytest.raises(BrokenPipeError):
            out.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    assert [line["event_type"] for line in lines(tmp_path / f"events_{STAMP}.jsonl")] == ["ONE", "TWO"]
    assert [record["event_type"] for record in system(tmp_path)].count("CONSOLE_LOST") == 1


def test_what_libraries_log_joins_the_system_file(tmp_path: Path) -> None:
    before = list(python_logging.getLogger().handlers)
    with running(pipeline(tmp_path)) as log, library_logs(log):
        logger = python_logging.getLogger("some.library")
        logger.info("not passed on")
        logger.warning("rate limit at %d %%", 80)
        try:
            raise ValueError("bad answer")
        except ValueError:
            logger.exception("request failed")
    assert python_logging.getLogger().handlers == before
    warning, error = (record for record in system(tmp_path) if record["event_type"] == "LIBRARY_LOG")
    assert (warning["level"], warning["message"], warning["logger"]) == (
        "WARNING",
        "rate limit at 80 %",
        "some.library",
    )
    assert error["level"] == "ERROR"
    assert "ValueError: bad answer" in error["traceback"]


def test_times_are_those_of_the_clock(tmp_path: Path) -> None:
    ticks = itertools.count(1_795_364_703_999)
    with running(pipeline(tmp_path, clock=lambda: next(ticks))) as log:
        log.emit("events", "INFO", "TICK")
    moments = [record["time"] for record in system(tmp_path)]
    assert moments[:2] == ["2026-11-22T16:25:03.999Z", "2026-11-22T16:25:04.000Z"]
    assert moments == sorted(moments)
