"""Which process prunes a journal until it is killed? Started by the tests of kills; it kills itself.

Each line on stdin is one life: "<file> <step> <now_ms>". A fork of this process opens the journal, prunes it, and kills
itself before step number <step>: an SQL statement, or a file that is opened, renamed or removed. Then the line
"dead <status>" goes to stdout; a life that has no such step ends by itself.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import zlib
from pathlib import Path
from typing import Any

from tradebot.storage import journal_pruning
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal import SqliteJournal

FILES = frozenset({"open", "os.rename", "os.remove", "os.mkdir"})


def prune(path: Path, now_ms: int) -> None:
    """Prune as a bot does, in smaller portions."""
    journal = SqliteJournal.open(path, batch_ms=1, wal_mb=1, retry_s=0.1, durability="process")
    journal_pruning.ARCHIVED, journal_pruning.DELETED = 700, 300
    keeping = journal_pruning.Keeping(keep_days=2, keep_facts=10**9, archive=True)
    document = assemble(b'{"seq":%d,"state":{}}' % journal.last_seq, [])
    journal_pruning.prune(journal, document, keeping, now_ms, lambda: False)
    assert journal.close(20)


def die_before(step: int) -> None:
    """Let this process kill itself before its step number `step` (from 1)."""
    left = [step]

    def count(*_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    class Watched(sqlite3.Connection):
        """A connection that counts its statements."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self.set_trace_callback(count)

    setattr(sqlite3, "connect", Watched)  # noqa: B010  a function gives way to a class, which types do not allow
    sys.addaudithook(lambda event, _: count() if event in FILES else None)


def main() -> None:
    """Live one life a line."""
    zlib.compress(b"")
    for line in sys.stdin:
        path, step, now_ms = line.split()
        child = os.fork()
        if not child:
            die_before(int(step))
            prune(Path(path), int(now_ms))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"dead {status}\n".encode())


if __name__ == "__main__":
    main()
