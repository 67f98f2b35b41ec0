"""How does a fact stand in a journal's row, and is the row as it was written? Asked by whoever writes or reads one."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import msgspec

from tradebot.domain.facts import Fact, decode, encode

Row = tuple[int, int, str, bytes, int]
"""Seq, time in ms, the fact's kind, its canonical JSON, the check sum of all that."""

_PRIME = 4_294_967_291
"""The largest prime below 2**32: a single flipped bit of seq or time never vanishes modulo it."""


def row_of(seq: int, at_ms: int, fact: Fact) -> Row:
    """Return the row that keeps `fact`."""
    kind, body = type(fact).__name__, encode(fact)
    return seq, at_ms, kind, body, check_sum(seq, at_ms, kind, body)


def check_sum(seq: int, at_ms: int, kind: str, body: bytes) -> int:
    """Return the CRC-32 of `body`, begun with what stands beside it."""
    return crc32(body, (31 * seq + at_ms + _kind_sum(kind)) % _PRIME)


@cache
def _kind_sum(kind: str) -> int:
    return crc32(kind.encode())


def fact_of(seq: int, at_ms: int, kind: str, body: object, crc: int | None) -> Fact:
    """Return the fact of a row; `crc` is None in a journal that kept no check sums.

    Raises ValueError saying what is wrong with the row.
    """
    data = body if isinstance(body, bytes) else str(body).encode()
    if crc is not None and crc != check_sum(seq, at_ms, str(kind), data):
        raise ValueError("it is not as it was written: its check sum differs")
    try:
        return decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
