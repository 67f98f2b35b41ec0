"""Is everything told also written, in the right file, whatever the queue, the folder and the disk do?"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.disks import mounted
from tests.telemetry.logs import STAMP, WAIT_S, lines, pipeline, running, system
from tradebot.domain.errors import CannotStart
from tradebot.telemetry.console import Console
from tradebot.telemetry.log_files import OneFile


def test_records_go_to_the_file_of_their_purpose_with_typed_fields(tmp_path: Path) -> None:
    with running(pipeline(tmp_path)) as log:
        log.set_generation(7)
        log.emit("events", "INFO", "BOT_STARTED", "Bot started", symbols=3)
        log.emit("engine", "DEBUG", "DECISION", price=0.1, amount=Decimal("0.10"), path=Path("/a"), ok=True)
        log.emit("orders", "ERROR", "ORDER_REJECTED", code="-2010", generation=5)
    (event,) = lines(tmp_path / f"events_{STAMP}.jsonl")
    assert event == {
        "time": "2026-11-22T16:25:03.123Z",
        "level": "INFO",
        "event_type": "BOT_STARTED",
        "message": "Bot started",
        "generation": 7,
        "symbols": 3,
    }
    (decision,) = lines(tmp_path / f"engine_{STAMP}.jsonl")
    assert (decision["price"], decision["amount"], decision["path"], decision["ok"]) == (0.1, "0.10", "/a", True)
    (order,) = lines(tmp_path / "orders.jsonl")
    assert (order["code"], order["generation"]) == ("-2010", 5)


def test_the_start_is_validated_and_the_last_system_record_says_the_queue_stopped(tmp_path: Path) -> None:
    with running(pipeline(tmp_path)) as log:
        log.emit("system", "INFO", "SOMETHING", "in between")
    records = system(tmp_path)
    assert [record["event_type"] for record in records] == [
        "LOGGING_QUEUE_ENABLED",
        "LOGGING_SPLIT_ENABLED",
        "LOGGING_QUEUE_VALIDATED",
        "SOMETHING",
        "LOGGING_QUEUE_STOPPED",
    ]
    assert records[2]["queue_size"] == 0
    assert records[2]["thread"] == "log-listener"
    assert records[-1]["message"] == "Queue-based logging stopped"
    assert (records[-1]["written"], records[-1]["dropped"], records[-1]["lost"]) == (5, 0, 0)


def test_twenty_thousand_records_from_many_threads_are_all_there_after_the_stop(tmp_path: Path) -> None:
    log = pipeline(tmp_path)
    log.start()

    def work(worker: int) -> None:
        for number in range(5000):
            log.emit("engine", "INFO", "TOLD", worker=worker, number=number)

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert log.stop(WAIT_S)
    found = [(line["worker"], line["number"]) for line in lines(tmp_path / f"engine_{STAMP}.jsonl")]
    assert sorted(found) == [(worker, number) for worker in range(4) for number in range(5000)]
    for worker in range(4):
        assert [number for of, number in found if of == worker] == list(range(5000))
    assert log.dropped == 0


def test_stopping_twice_is_harmless_and_leaves_no_thread(tmp_path: Path) -> None:
    log = pipeline(tmp_path)
    log.start()
    assert log.stop(WAIT_S)
    assert log.stop(WAIT_S)
    assert "log-listener" not in {thread.name for thread in threading.enumerate()}
    assert [record["event_type"] for record in system(tmp_path)].count("LOGGING_QUEUE_STOPPED") == 1


def test_what_comes_after_the_end_is_told_on_the_error_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = pipeline(tmp_path)
    log.start()
    log.stop(WAIT_S)
    log.emit("system", "INFO", "LATE", "nobody needs this")
    log.emit("system", "ERROR", "LATE_ERROR", "something failed")
    shown = capsys.readouterr().err
    assert "LATE_ERROR something failed" in shown
    assert "nobody" not in shown


def test_records_below_the_level_are_not_written_and_the_level_can_change(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, level="WARNING")) as log:
        log.emit("events", "INFO", "QUIET")
        log.emit("events", "WARNING", "HEARD")
        log.set_level("INFO")
        log.emit("events", "INFO", "HEARD_NOW")
    assert [line["event_type"] for line in lines(tmp_path / f"events_{STAMP}.jsonl")] == ["HEARD", "HEARD_NOW"]


def test_split_logging_off_writes_everything_to_one_system_file(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, files=OneFile(STAMP))) as log:
        log.emit("orders", "INFO", "ORDER_SENT")
        log.emit("events", "INFO", "BOT_STARTED")
    assert [path.name for path in tmp_path.iterdir()] == [f"system_{STAMP}.jsonl"]
    kinds = [record["event_type"] for record in system(tmp_path)]
    assert kinds[0:2] == ["LOGGING_QUEUE_ENABLED", "LOGGING_SPLIT_DISABLED"]
    assert kinds[3:] == ["ORDER_SENT", "BOT_STARTED", "LOGGING_QUEUE_STOPPED"]


def test_a_listener_that_cannot_write_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = pipeline(tmp_path / "logs")
    log.start()
    with pytest.raises(CannotStart, match="the logs cannot be written"):
        log.validate(0.2)
    assert not log.stop(0.2)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [record["event_type"] for record in told] == ["LOGGING_QUEUE_INIT_FAILED"]


# -- the queue ----------------------------------------------------------------------------------------


class Gate(Console):
    """A terminal that takes no line until it is opened: it holds the listener up."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def show(self, *args: Any) -> None:
        self.reached.set()
        assert self.opened.wait(WAIT_S)

    def flush(self) -> None:
        pass


def test_a_full_queue_drops_the_least_important_tells_the_count_and_never_a_warning(tmp_path: Path) -> None:
    gate = Gate()
    log = pipeline(tmp_path, console=gate, queue_limit=100)
    log.start()
    assert gate.reached.wait(WAIT_S)
    for number in range(1000):
        log.emit("engine", "INFO", "CHATTER", number=number)
        log.emit("events", "WARNING", "LOOK", number=number)
    dropped = log.dropped
    gate.opened.set()
    assert log.stop(WAIT_S)
    chatter = lines(tmp_path / f"engine_{STAMP}.jsonl")
    assert len(chatter) + dropped == 1000
    assert dropped >= 900
    assert [line["number"] for line in lines(tmp_path / f"events_{STAMP}.jsonl")] == list(range(1000))
    told = [record for record in system(tmp_path) if record["event_type"] == "LOG_RECORDS_DROPPED"]
    assert sum(record["dropped"] for record in told) == dropped
    assert system(tmp_path)[-1]["dropped"] == dropped


# -- folder and disk ----------------------------------------------------------------------------------


def test_a_folder_that_vanishes_is_made_again_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "session" / "logs"
    with running(pipeline(folder)) as log:
        shutil.rmtree(tmp_path / "session")
        log.emit("events", "INFO", "AFTER")
        log.validate(WAIT_S)
    assert [line["event_type"] for line in lines(folder / f"events_{STAMP}.jsonl")] == ["AFTER"]
    told = [record for record in system(folder) if record["event_type"] == "LOG_FILES_RESTORED"]
    assert [record["files"] for record in told] == [[f"system_{STAMP}.jsonl"]]


FULL_DISK = """
import resource, signal, sys, threading
from pathlib import Path
from tradebot.config.sections.logging import Logging
from tradebot.telemetry.console import NoConsole
from tradebot.telemetry.log_files import SplitFiles
from tradebot.telemetry.logs import LogPipeline

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, keep = Path(sys.argv[1]), int(sys.argv[2])
log = LogPipeline(folder, SplitFiles("x"), Logging(retry_s=0.02, queue_limit=keep), NoConsole())
log.start()
log.validate(20)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for number in range(1000):
    log.emit("engine", "INFO", "TOLD", number=number, text="x" * 100)
    if number == 500:
        try:
            log.validate(0.3)
        except Exception:
            print("held", flush=True)
try:
    log.validate(0.3)
except Exception:
    print("held", flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.validate(20)
print(log.stop(20), flush=True)
"""


def _full_disk(folder: Path, keep: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(keep)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )


def test_a_file_that_cannot_grow_delays_records_and_loses_none(tmp_path: Path) -> None:
    done = _full_disk(tmp_path, 5000)
    assert done.stdout.split() == ["held", "held", "True"]
    assert [line["number"] for line in lines(tmp_path / "engine_x.jsonl")] == list(range(1000))
    restored = [line for line in lines(tmp_path / "system_x.jsonl") if line["event_type"] == "LOG_WRITE_RESTORED"]
    assert [line["lost"] for line in restored] == [0]
    assert done.stderr.count("LOG_WRITE_FAILED") == 1


def test_beyond_the_limit_held_records_are_counted_as_lost_and_told(tmp_path: Path) -> None:
    done = _full_disk(tmp_path, 100)
    assert done.stdout.split()[-1] == "True"
    written = [line["number"] for line in lines(tmp_path / "engine_x.jsonl")]
    told = lines(tmp_path / "system_x.jsonl")
    lost = sum(line["lost"] for line in told if line["event_type"] == "LOG_WRITE_RESTORED")
    assert lost > 0
    assert written == sorted(set(written))
    unheld_probes = done.stdout.count("held")  # the logging's own records, lost like any other
    assert 0 <= len(written) + lost + told[-1]["dropped"] - 1000 <= unheld_probes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "256k") as disk:
        yield disk


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


def test_a_full_disk_delays_records_and_loses_none(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(pipeline(small_disk / "logs")) as log:
        ballast = small_disk / "ballast"
        fill(ballast)
        for number in range(500):
            log.emit("orders", "INFO", "TOLD", number=number, text="x" * 50)
        with pytest.raises(CannotStart):
            log.validate(0.2)
        ballast.unlink()
        log.validate(WAIT_S)
    assert [line["number"] for line in lines(small_disk / "logs" / "orders.jsonl")] == list(range(500))
    assert "LOG_WRITE_RESTORED" in {record["event_type"] for record in system(small_disk / "logs")}
    assert "LOG_WRITE_FAILED" in capsys.readouterr().err


def test_full_files_are_numbered_and_the_oldest_go(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, max_file_mb=1, max_disk_mb=8)) as log:
        for number in range(30_000):
            log.emit("engine", "INFO", "TOLD", number=number, text="x" * 400)
            if number % 1000 == 0:
                log.validate(WAIT_S)
    files = sorted(tmp_path.glob("engine_*.jsonl"))
    assert len(files) > 3
    assert all(path.stat().st_size <= 1_000_000 for path in files)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8_000_000
    rotated = sorted((path for path in files if path.stem.count(".")), key=lambda path: int(path.stem.split(".")[-1]))
    ordered = [*rotated, tmp_path / f"engine_{STAMP}.jsonl"]
    numbers = [line["number"] for path in ordered for line in lines(path)]
    assert numbers == list(range(30_000 - len(numbers), 30_000))
    assert len(numbers) < 30_000
    assert "LOG_FILES_PRUNED" in {record["event_type"] for record in system(tmp_path)}
