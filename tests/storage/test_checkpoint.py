"""Is the checkpoint always one valid document, written beside the engine, and read back or refused with its reason?"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.errors import StorageFailed
from tradebot.storage.checkpoint import Checkpointer, assemble, read_checkpoint
from tradebot.storage.files import write_atomic

WAIT_S = 20.0


class Heard:
    """A log that keeps event types, fields, and the threads they came from."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.fields: list[dict[str, Any]] = []
        self.threads: set[str] = set()

    def emit(self, stream: str, level: str, event_type: str, message: str = "", **fields: Any) -> None:
        self.kinds.append(event_type)
        self.fields.append({"message": message, "level": level, **fields})
        self.threads.add(threading.current_thread().name)


def core(seq: int) -> bytes:
    return json.dumps({"seq": seq, "at_ms": 5, "pending_buy_intents": [{"intent_id": 1}], "positions": []}).encode()


WINDOWS = [("BTC/USDT", b'{"at_ms":4,"buckets":[1.5,2]}'), ('odd"symbol', b'{"at_ms":3}')]


def test_a_picture_reaches_the_durable_file_and_its_copies(tmp_path: Path) -> None:
    durable, copy, log = tmp_path / "checkpoint.json", tmp_path / "state" / "engine_transient.json", Heard()
    writer = Checkpointer(durable, [copy], log)
    writer.start()
    writer.submit(core(7), WINDOWS)
    assert writer.flush(WAIT_S)
    document = read_checkpoint(durable)
    assert document == {
        "schema": 1,
        "seq": 7,
        "at_ms": 5,
        "pending_buy_intents": [{"intent_id": 1}],
        "positions": [],
        "windows": {"BTC/USDT": {"at_ms": 4, "buckets": [1.5, 2]}, 'odd"symbol': {"at_ms": 3}},
    }
    assert copy.read_bytes() == durable.read_bytes()
    assert writer.close(WAIT_S)
    assert writer.close(WAIT_S)
    assert log.kinds == ["STATE_PERSISTED_PERIODIC"]
    assert log.threads == {"checkpoint-writer"}
    assert "checkpoint-writer" not in {thread.name for thread in threading.enumerate()}


def test_the_newest_of_several_waiting_pictures_is_written_and_closing_writes_the_last(tmp_path: Path) -> None:
    writer = Checkpointer(tmp_path / "checkpoint.json", [], Heard())
    for seq in range(1, 50):
        writer.submit(core(seq), [])
    writer.start()
    assert writer.close(WAIT_S)
    assert writer.written == 1
    document = read_checkpoint(tmp_path / "checkpoint.json")
    assert document is not None
    assert document["seq"] == 49


def test_a_failure_is_told_and_the_next_picture_is_tried_again(tmp_path: Path) -> None:
    folder, log = tmp_path / "home", Heard()
    writer = Checkpointer(folder / "checkpoint.json", [], log)
    writer.start()
    writer.submit(core(1), [])
    assert not writer.flush(WAIT_S)
    writer.submit(b"not an object", [])
    assert not writer.flush(WAIT_S)
    folder.mkdir()
    writer.submit(core(3), [])
    assert writer.flush(WAIT_S)
    assert writer.close(WAIT_S)
    assert log.kinds == ["STATE_PERSIST_ERROR", "STATE_PERSIST_ERROR", "STATE_PERSISTED_PERIODIC"]
    assert "No such file or directory" in log.fields[0]["cause"]
    assert {fields["level"] for fields in log.fields[:2]} == {"ERROR"}
    assert writer.written == 1


def test_a_copy_whose_folder_vanished_is_written_into_a_new_one(tmp_path: Path) -> None:
    copy = tmp_path / "session" / "state" / "engine_transient.json"
    writer = Checkpointer(tmp_path / "checkpoint.json", [copy], Heard())
    writer.start()
    writer.submit(core(1), WINDOWS)
    assert writer.close(WAIT_S)
    assert json.loads(copy.read_bytes())["seq"] == 1


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5),
    st.dictionaries(st.text(max_size=8), st.dictionaries(st.text(max_size=3), st.integers(), max_size=3), max_size=5),
)
def test_any_pieces_make_one_valid_document(head: dict[str, Any], windows: dict[str, Any]) -> None:
    head = {key: value for key, value in head.items() if key not in {"schema", "windows"}}
    pieces = [(symbol, json.dumps(body).encode()) for symbol, body in windows.items()]
    document = json.loads(assemble(json.dumps(head).encode(), pieces))
    assert len(document.pop("crc32")) == 8
    assert document == {"schema": 1, **head, "windows": windows}


def test_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint.json") is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (assemble(core(7), WINDOWS)[:-10], "damaged"),
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[1]", "not an object"),
        (b'{"schema":2,"seq":1,"windows":{}}', "the checkpoint is of schema 2, this version reads schema 1"),
        (b'{"seq":1,"windows":{}}', "schema none"),
        (b'{"schema":1,"windows":{}}', "`seq` or `windows` is missing"),
        (b'{"schema":1,"seq":1}', "`seq` or `windows` is missing"),
    ],
)
def test_a_damaged_or_newer_checkpoint_is_refused_with_its_reason_and_left_alone(
    tmp_path: Path, data: bytes, why: str
) -> None:
    path = tmp_path / "checkpoint.json"
    write_atomic(path, data)
    with pytest.raises(StorageFailed, match=why) as refused:
        read_checkpoint(path)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == data


@given(st.data())
def test_a_checkpoint_of_which_any_bit_has_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = bytearray(assemble(core(7), WINDOWS))
    bit = data.draw(st.integers(0, 8 * len(document) - 1))
    document[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.mktemp("state") / "checkpoint.json"
    path.write_bytes(document)
    with pytest.raises(StorageFailed, match=r"checkpoint\.json"):
        read_checkpoint(path)


def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "checkpoint.json")
    with pytest.raises(StorageFailed, match="cannot be read"):
        read_checkpoint(tmp_path / "checkpoint.json")


def test_a_copy_that_cannot_be_written_keeps_nobody_from_the_durable_one(tmp_path: Path) -> None:
    """Else the journal would grow for as long as the session's disk is full."""
    (tmp_path / "full").write_text("a file where a folder should be")
    heard: list[bytes] = []
    log = Heard()
    checkpointer = Checkpointer(tmp_path / "checkpoint.json", [tmp_path / "full" / "copy.json"], log, heard.append)
    checkpointer.start()
    checkpointer.submit(b'{"seq": 1}', ())
    assert not checkpointer.flush(20), "a copy is missing"
    assert checkpointer.close(20) is False
    assert heard == [(tmp_path / "checkpoint.json").read_bytes()]
