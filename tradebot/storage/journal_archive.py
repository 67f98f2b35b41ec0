"""Where are the facts that have left the journal's file? Asked by whoever moves them there, and by its readers.

`journal.sqlite-archive/` beside the journal holds files `facts-<first seq>-<last seq>.jsonl.gz`: one JSON object a
line with `seq`, `at_ms`, `crc` and `fact`, the row as it stood in the journal. A file is complete before its name is
there. Files may overlap where moving was interrupted; the same fact is then in both.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact
from tradebot.storage.files import reason, write_atomic
from tradebot.storage.journal_rows import Row, fact_of

TAIL = "-archive"
"""What the archive's name has beyond its journal's: whoever moves a journal moves it along."""

_NAME = re.compile(r"facts-(\d{12})-(\d{12})\.jsonl\.gz")
_LEVEL = 6


class _Kind(Struct):
    fact: str


class _Line(Struct):
    seq: int
    at_ms: int
    crc: int
    fact: msgspec.Raw


_line = msgspec.json.Decoder(_Line)
_kind = msgspec.json.Decoder(_Kind)


def folder_of(journal: Path) -> Path:
    """Return the archive of the journal at `journal`, made or not."""
    return journal.with_name(journal.name + TAIL)


def write(journal: Path, rows: Iterable[Row]) -> Path:
    """Write a file of `rows`, in order and at least one, and wait until it is on the disk; return it.

    Raises StorageFailed naming the file; nothing is there under its name then.
    """
    lines: list[bytes] = []
    first = last = 0
    for seq, at_ms, _, body, crc in rows:
        first, last = first or seq, seq
        lines.append(b'{"seq":%d,"at_ms":%d,"crc":%d,"fact":%b}\n' % (seq, at_ms, crc, body))
    folder = folder_of(journal)
    path = folder / f"facts-{first:012}-{last:012}.jsonl.gz"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder}: the archive cannot be made ({reason(error)})") from error
    write_atomic(path, gzip.compress(b"".join(lines), _LEVEL, mtime=0))
    return path


def files(journal: Path) -> list[tuple[int, int, Path]]:
    """Return (first seq, last seq, file) of what is in the archive, in order."""
    named = ((_NAME.fullmatch(path.name), path) for path in folder_of(journal).glob("facts-*.jsonl.gz"))
    return sorted((int(name[1]), int(name[2]), path) for name, path in named if name)


def missing_until(journal: Path, pruned: int) -> int:
    """Return the last seq, at most `pruned`, of the facts that have left the file and cannot be had any more."""
    whole_from = pruned + 1
    for first, last, _ in reversed(files(journal)):
        if last + 1 >= whole_from:
            whole_from = min(whole_from, first)
    return whole_from - 1


def read(journal: Path, after_seq: int, until_seq: int) -> Iterator[tuple[int, int, Fact]]:
    """Yield (seq, time in ms, fact) of the facts after `after_seq` up to `until_seq`.

    Raises StorageFailed where some are in no archive, or a file is damaged.
    """
    expected = after_seq + 1
    for first, last, path in files(journal):
        if last < expected or first > expected:
            continue
        for seq, at_ms, fact in _read_file(path):
            if seq > until_seq:
                return
            if seq > expected:
                raise StorageFailed(f"{path}: fact {expected} is missing (the next one is {seq})")
            if seq == expected:
                yield seq, at_ms, fact
                expected += 1
    if expected <= until_seq:
        gone = f"facts {expected:,} to {until_seq:,}"
        raise StorageFailed(f"{journal}: {gone} have left the file and are not in {folder_of(journal)}")


def _read_file(path: Path) -> Iterator[tuple[int, int, Fact]]:
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007  told where reading fails
                one = _line.decode(line)
                body = bytes(one.fact)
                yield one.seq, one.at_ms, fact_of(one.seq, one.at_ms, _kind.decode(body).fact, body, one.crc)
    except OSError as error:
        raise StorageFailed(f"{path}: cannot be read after line {number} ({reason(error)})") from error
    except (EOFError, zlib.error, ValueError, msgspec.MsgspecError) as error:
        raise StorageFailed(f"{path}: damaged at line {number + 1} or before ({error})") from error
