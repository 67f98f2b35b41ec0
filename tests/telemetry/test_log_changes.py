"""Do the logs change how they are written between two records, with none lost, doubled or out of place?"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.disks import mounted
from tests.telemetry.logs import STAMP, WAIT_S, lines, pipeline, running, system
from tradebot.config.sections.logging import Logging
from tradebot.telemetry.log_files import OneFile, SplitFiles
from tradebot.telemetry.logs import LogPipeline


def changed(log: LogPipeline, files: SplitFiles | OneFile, **settings: Any) -> None:
    """Swap another way of writing in, and wait until the log's thread has taken it up."""
    staged = log.stage(Logging(level="DEBUG", **settings), files)
    staged.commit()
    assert staged.wait(WAIT_S)


def numbers(folder: Path) -> list[int]:
    """Return the numbers told to the events log, whatever file they are in, in the order of the files given."""
    found = [*lines(folder / f"events_{STAMP}.jsonl"), *system(folder)]
    return [line["number"] for line in found if line["event_type"] == "TOLD"]


def test_records_told_before_go_to_the_old_files_and_those_told_after_to_the_new_one(tmp_path: Path) -> None:
    with running(pipeline(tmp_path)) as log:
        log.emit("events", "INFO", "TOLD", number=1)
        changed(log, OneFile(STAMP))
        log.emit("events", "INFO", "TOLD", number=2)
        changed(log, SplitFiles(STAMP))
        log.emit("events", "INFO", "TOLD", number=3)
    assert [line["number"] for line in lines(tmp_path / f"events_{STAMP}.jsonl")] == [1, 3]
    kinds = [line["event_type"] for line in system(tmp_path)]
    assert [kind for kind in kinds if kind.startswith(("LOGGING_SPLIT", "TOLD"))] == [
        "LOGGING_SPLIT_ENABLED",
        "LOGGING_SPLIT_DISABLED",
        "TOLD",
        "LOGGING_SPLIT_ENABLED",
    ]
    assert not [kind for kind in kinds if "RESTORED" in kind or "NOT_CLOSED" in kind]


def test_many_threads_tell_through_many_changes_and_nothing_is_lost_or_out_of_order(tmp_path: Path) -> None:
    count, tellers = 3000, 3
    with running(pipeline(tmp_path)) as log:

        def tell(teller: int) -> None:
            for number in range(count):
                log.emit("events", "INFO", "TOLD", number=number, teller=teller)

        threads = [threading.Thread(target=tell, args=(teller,)) for teller in range(tellers)]
        for thread in threads:
            thread.start()
        split = True
        while any(thread.is_alive() for thread in threads):
            split = not split
            changed(log, SplitFiles(STAMP) if split else OneFile(STAMP), max_file_mb=1 + split, queue_limit=1_000_000)
        for thread in threads:
            thread.join()
        assert log.dropped == 0
    found = [line for path in tmp_path.glob("*.jsonl") for line in lines(path) if line["event_type"] == "TOLD"]
    assert sorted((line["teller"], line["number"]) for line in found) == [
        (teller, number) for teller in range(tellers) for number in range(count)
    ]
    for path in tmp_path.glob("*.jsonl"):
        for teller in range(tellers):
            told = [line["number"] for line in lines(path) if line.get("teller") == teller]
            assert told == sorted(told)


def test_the_files_that_are_left_are_closed(tmp_path: Path) -> None:
    def held() -> list[str]:
        links = Path("/proc/self/fd").iterdir()
        return sorted(link.readlink().name for link in links if str(tmp_path) in _target(link))

    with running(pipeline(tmp_path)) as log:
        for stream in ("events", "engine", "orders"):
            log.emit(stream, "INFO", "TOLD")
        log.validate(WAIT_S)
        assert len(held()) == 4
        changed(log, OneFile(STAMP))
        log.validate(WAIT_S)
        assert held() == [f"system_{STAMP}.jsonl"]
        changed(log, SplitFiles(STAMP))
        log.validate(WAIT_S)
        assert len(held()) == 4
    assert held() == []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed since it was listed
        return ""


def test_a_smaller_file_holds_from_the_next_record_on(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, max_file_mb=50)) as log:
        text = "x" * 1000
        for _ in range(1500):
            log.emit("events", "INFO", "TOLD", text)
        log.validate(WAIT_S)
        assert not list(tmp_path.glob("events_*.1.jsonl"))
        changed(log, SplitFiles(STAMP), max_file_mb=1)
        log.emit("events", "INFO", "TOLD", text)
        log.validate(WAIT_S)
        assert len(lines(tmp_path / f"events_{STAMP}.jsonl")) == 1
        assert len(list(tmp_path.glob("events_*.1.jsonl"))) == 1


def test_less_disk_removes_the_oldest_files_at_once(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, max_file_mb=1)) as log:
        for _ in range(5000):
            log.emit("events", "INFO", "TOLD", "x" * 1000)
        log.validate(WAIT_S)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) > 4_000_000
        changed(log, SplitFiles(STAMP), max_file_mb=1, max_disk_mb=2)
        log.validate(WAIT_S)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) <= 2_000_000
    assert "LOG_FILES_PRUNED" in [line["event_type"] for line in system(tmp_path)]


def test_a_shorter_queue_drops_from_the_next_record_on_and_only_what_may_be_dropped(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    def hold(line: bytes) -> None:
        if b'"HOLD"' in line:
            entered.set()
            release.wait(WAIT_S)

    with running(pipeline(tmp_path)) as log:
        end = log.listen(hold)
        log.emit("events", "INFO", "HOLD")
        assert entered.wait(WAIT_S)
        for number in range(150):
            log.emit("events", "INFO", "TOLD", number=number)
        assert log.dropped == 0
        staged = log.stage(Logging(level="DEBUG", queue_limit=100), SplitFiles(STAMP))
        staged.commit()
        log.emit("events", "INFO", "TOLD", number=150)
        log.emit("events", "WARNING", "TOLD", number=151)
        assert log.dropped == 1
        release.set()
        assert staged.wait(WAIT_S)
        end()
    assert numbers(tmp_path) == [*range(150), 151]


def test_what_was_opened_and_never_swapped_in_is_gone(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, files=OneFile(STAMP))) as log:
        staged = log.stage(Logging(level="DEBUG"), SplitFiles(STAMP))
        assert (tmp_path / f"events_{STAMP}.jsonl").exists(), "the new files are proven before anything is swapped"
        staged.discard()
        log.emit("events", "INFO", "TOLD")
    assert [path.name for path in tmp_path.iterdir()] == [f"system_{STAMP}.jsonl"]


def test_what_was_swapped_back_is_as_if_nothing_had_been(tmp_path: Path) -> None:
    with running(pipeline(tmp_path, files=OneFile(STAMP))) as log:
        staged = log.stage(Logging(level="DEBUG"), SplitFiles(STAMP))
        staged.commit()
        staged.revert()
        staged.discard()
        assert staged.wait(WAIT_S)
        log.emit("events", "INFO", "TOLD", number=1)
        log.validate(WAIT_S)
        assert not log.files.split
    assert [path.name for path in tmp_path.iterdir()] == [f"system_{STAMP}.jsonl"]
    assert [line["number"] for line in system(tmp_path) if line["event_type"] == "TOLD"] == [1]


def test_files_that_cannot_be_opened_leave_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / f"events_{STAMP}.jsonl").mkdir()
    with running(pipeline(tmp_path, files=OneFile(STAMP))) as log:
        with pytest.raises(IsADirectoryError):
            log.stage(Logging(level="DEBUG"), SplitFiles(STAMP))
        log.emit("events", "INFO", "TOLD", number=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"events_{STAMP}.jsonl", f"system_{STAMP}.jsonl"]
    assert [line["number"] for line in system(tmp_path) if line["event_type"] == "TOLD"] == [1]


def test_what_a_full_disk_held_back_reaches_its_old_file_after_the_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "disk", "256k") as disk, running(pipeline(disk)) as log:
        filler = disk / "filler"
        log.emit("events", "INFO", "TOLD", number=0)
        log.validate(WAIT_S)
        with filler.open("wb", buffering=0) as full:
            size = 4096
            while size:
                try:
                    full.write(b"x" * size)
                except OSError:
                    size //= 2
        for number in range(1, 200):
            log.emit("events", "INFO", "TOLD", "x" * 100, number=number)
        changed(log, SplitFiles(STAMP), retry_s=0.02)
        changed(log, OneFile(STAMP), retry_s=0.02)  # by now the batch before was tried, and held back
        for number in range(200, 220):
            log.emit("events", "INFO", "TOLD", number=number)
        filler.unlink()
        log.validate(WAIT_S)
        assert [line["number"] for line in lines(disk / f"events_{STAMP}.jsonl")] == list(range(200))
        assert [line["number"] for line in system(disk) if line["event_type"] == "TOLD"] == list(range(200, 220))
    assert "LOG_WRITE_FAILED" in capsys.readouterr().err


# -- listening ------------------------------------------------------------------------------------------


def test_a_listener_hears_every_record_from_then_on_as_it_is_written(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with running(pipeline(tmp_path)) as log:
        log.emit("events", "INFO", "EARLIER")
        log.validate(WAIT_S)
        end = log.listen(heard.append)
        log.register_secret("opensesame")
        log.emit("events", "INFO", "TOLD", "the word is opensesame", api_key="abc", number=7)
        log.validate(WAIT_S)
        end()
        log.emit("events", "INFO", "LATER")
    told = [json.loads(line) for line in heard]
    assert [line["event_type"] for line in told] == ["TOLD", "LOGGING_QUEUE_VALIDATED"]
    assert (told[0]["message"], told[0]["api_key"], told[0]["number"]) == ("the word is ***", "***", 7)
    assert not [line for line in heard if b"\n" in line]
    assert told[0] == lines(tmp_path / f"events_{STAMP}.jsonl")[1]


def test_a_listener_that_fails_hears_no_more_and_the_others_go_on(tmp_path: Path) -> None:
    heard: list[bytes] = []
    failures: list[bytes] = []

    def fail(line: bytes) -> None:
        failures.append(line)
        raise ValueError("the client is gone")

    with running(pipeline(tmp_path)) as log:
        log.listen(fail)
        log.listen(heard.append)
        for _ in range(3):
            log.emit("events", "INFO", "TOLD")
    assert len(failures) == 1
    assert [json.loads(line)["event_type"] for line in heard].count("TOLD") == 3
    note = [line for line in system(tmp_path) if line["event_type"] == "LOG_LISTENER_DROPPED"]
    assert ["ValueError: the client is gone" in line["message"] for line in note] == [True]
    assert note[0]["level"] == "WARNING"


def test_a_function_that_listens_twice_hears_twice_and_ends_once_at_a_time(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with running(pipeline(tmp_path)) as log:
        first, _ = log.listen(heard.append), log.listen(heard.append)
        log.emit("events", "INFO", "TOLD")
        log.validate(WAIT_S)
        first()
        first()
        log.emit("events", "INFO", "TOLD")
    assert [json.loads(line)["event_type"] for line in heard].count("TOLD") == 3
