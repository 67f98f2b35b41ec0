"""What is one line of the logs? Asked by the log pipeline, once a record, in its own thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec
import orjson

from tradebot.domain.facts import Level, Stream

LEVELS: dict[Level, int] = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
"""Rank of each level; the levels say what the operator must do."""

KEPT_FROM = LEVELS["WARNING"]
"""Records of this rank and above are never dropped for want of room in the queue."""

Render = Callable[[Any], tuple[str, dict[str, Any]]]
"""Turns an immutable source into message and fields, in the log's own thread."""


class Record(NamedTuple):
    """One record on its way: told with its fields, or with a `source` that `render` turns into text later."""

    at_ms: int
    stream: Stream
    level: Level
    event_type: str
    generation: int
    message: str
    fields: dict[str, Any]
    render: Render | None = None
    source: Any = None


def as_dict(record: Record) -> dict[str, Any]:
    """Return the line's object: time, level, event_type, message, generation, then the fields.

    A field named `generation` (the one that placed an order) stands instead of the one in force.
    """
    message, fields = record.message, record.fields
    if record.render is not None:
        message, rendered = record.render(record.source)
        fields = {**rendered, **fields}
    line: dict[str, Any] = {
        "time": iso_ms(record.at_ms),
        "level": record.level,
        "event_type": record.event_type,
        "message": message,
        "generation": record.generation,
    }
    for key, value in fields.items():
        line[key if key == "generation" or key not in line else f"{key}_"] = value
    return line


def encode_line(line: Any) -> bytes:
    """Return `line` as one line of JSON; whatever JSON does not know is written as text.

    Raises TypeError, ValueError or RecursionError for what no JSON can hold.
    """
    try:
        return orjson.dumps(line, _plain, orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError):  # a whole number beyond 64 bits, broken Unicode
        return json.dumps(line, default=_plain).encode("ascii") + b"\n"


_second: tuple[int, str] = (-1, "")


def iso_ms(at_ms: int) -> str:
    """Return `at_ms` (milliseconds UTC) as ISO 8601: 2026-11-22T16:25:03.123Z."""
    global _second  # noqa: PLW0603  the text of the last second: most records share it
    seconds, rest = divmod(at_ms, 1000)
    known, text = _second
    if known != seconds:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = (seconds, text)
    return f"{text}.{rest:03d}Z"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal | PurePath):
        return str(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return repr(value)
