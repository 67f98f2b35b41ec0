"""Where do the facts of a simulated run go, and how is one run compared with another? Asked by replay and tests.

Both journals here keep a running SHA-256 over the canonical facts, one a line, without wall times, paths or versions:
the same input, profile and seed give the same digest on every machine.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact, encode
from tradebot.storage import journal_file
from tradebot.storage.journal_rows import check_sum

_GROUP = 4096  # facts encoded and written together: a matter of memory, not of outcome
_ROWS = 64  # rows one statement inserts: a third cheaper than row by row
_WIDTH = journal_file.WIDTH
_INSERT_ROWS = journal_file.INSERT + ", (?, ?, ?, ?, ?)" * (_ROWS - 1)


class MemoryJournal:
    """A journal in memory, for sweeps and tests: everything is durable at once and gone with the process."""

    def __init__(self) -> None:
        self._facts: list[tuple[int, int, Fact]] = []
        self._hash = hashlib.sha256()
        self._hashed = 0

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        """Keep `facts`; return the seq of the last one."""
        seq = len(self._facts)
        for fact in facts:
            seq += 1
            self._facts.append((seq, now_ms, fact))
        return seq

    @property
    def last_seq(self) -> int:
        """The seq of the last fact."""
        return len(self._facts)

    @property
    def durable_seq(self) -> int:
        """The seq of the last fact: nothing is awaited."""
        return len(self._facts)

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        """Yield (seq, time, fact) of everything after `after_seq`."""
        yield from self._facts[after_seq:]

    def digest(self) -> str:
        """Return the SHA-256 of the canonical facts so far, in hex."""
        for _, _, fact in self._facts[self._hashed :]:
            self._hash.update(encode(fact) + b"\n")
        self._hashed = len(self._facts)
        return self._hash.hexdigest()


class ReplayJournal:
    """A journal file of a simulated run: written in groups, without waiting for the disk.

    Its rows read like a live journal's. A crash may cost its tail: a replay is run again, never recovered.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._waiting: list[tuple[int, Fact]] = []
        self._last = 0
        self._hash = hashlib.sha256()

    @classmethod
    def create(cls, path: Path) -> ReplayJournal:
        """Make a new journal at `path`. Raises StorageFailed where the file exists or cannot be made."""
        if path.exists():
            raise StorageFailed(f"{path}: exists already; a replay writes a journal of its own")
        return cls(path, journal_file.connect(path, synchronous="OFF"))

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        """Keep `facts` for the next group; return the seq of the last one. Raises StorageFailed when one fails."""
        for fact in facts:
            self._waiting.append((now_ms, fact))
        self._last += len(facts)
        if len(self._waiting) >= _GROUP:
            self._write()
        return self._last

    @property
    def last_seq(self) -> int:
        """The seq of the last fact."""
        return self._last

    @property
    def durable_seq(self) -> int:
        """The seq of the last fact: a simulated venue waits for no disk."""
        return self._last

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        """Yield (seq, time, fact) of everything after `after_seq`. Raises StorageFailed."""
        self._write()
        return journal_file.read_facts(self.path, after_seq)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical facts so far, in hex. Raises StorageFailed."""
        self._write()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Write what is left and close the file; harmless when called twice. Raises StorageFailed."""
        if self._waiting:
            self._write()
        self._database.close()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        bodies = [encode(fact) for _, fact in waiting]
        values: list[int | str | bytes] = []
        seq = self._last - len(waiting)
        for (at_ms, fact), body in zip(waiting, bodies, strict=True):
            seq += 1
            kind = type(fact).__name__
            values += (seq, at_ms, kind, body, check_sum(seq, at_ms, kind, body))
        bodies.append(b"")
        self._hash.update(b"\n".join(bodies))
        wide = _WIDTH * _ROWS
        rest = len(values) - len(values) % wide
        try:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT_ROWS, (values[at : at + wide] for at in range(0, rest, wide)))
            single = (values[at : at + _WIDTH] for at in range(rest, len(values), _WIDTH))
            self._database.executemany(journal_file.INSERT, single)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageFailed(f"{self.path}: the replay's journal cannot be written ({error})") from error
