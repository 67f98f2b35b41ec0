"""What did an exchange say, frame by frame? Recorded web-socket sessions, for tests that replay them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct


class Line(Struct):
    """One line of a recording: `kind` ws_in, ws_out, http, open or config; `at_ms` when it was received."""

    kind: str
    at_ms: int
    place: str
    message: Any


def recorded(folder: Path, name: str) -> list[Line]:
    """Return the lines of `streams/<name>`; skip the test where nothing here can unpack it."""
    pyarrow = pytest.importorskip("pyarrow", reason="the recordings are packed with zstd, which pyarrow unpacks")
    with pyarrow.input_stream(str(folder / "streams" / name), compression="zstd") as stream:
        text = stream.read().decode()
    lines = [json.loads(line) for line in text.splitlines()]
    return [Line(line["k"], round((line["recv"] or 0) * 1000), line.get("ep") or "", line.get("msg")) for line in lines]
