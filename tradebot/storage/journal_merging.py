"""How does the journal's file catch up with its write-ahead log while orders are written? Asked by the journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from tradebot.storage import journal_file

MOST: Final = 2
"""So many times its size may the log grow, by commits that leave no pause, before the writer waits for a merge."""

PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
"""Between two merges of which the first has not caught up: the pause doubles."""


class Merger:
    """Merges in a thread and over a connection of its own, which no commit waits for.

    A commit goes on while pages are copied, but the log begins anew only once a merge has caught up with the last
    commit. Where commits leave no pause for that, `look` merges at `MOST` times `wal_bytes` what is left: little.
    `writing` is held by whoever writes, and here for the moment of a comparison.
    """

    def __init__(self, path: Path, writing: Lock, *, wal_bytes: int, busy_s: float) -> None:
        self._writing = writing
        self._database = journal_file.connect(path, busy_s=busy_s, synchronous="FULL")
        self._wal_bytes = wal_bytes
        self._written = 0
        self._merged = 0  # of it, when the log was merged whole last
        self._tried = 0
        self._merging = Lock()
        self._due = Event()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="journal-merger", daemon=True)

    def start(self) -> None:
        """Begin to merge when asked."""
        self._thread.start()

    def wrote(self, size_bytes: int) -> None:
        """Note a commit, before `writing` is given back."""
        self._written += size_bytes

    @property
    def begins_anew(self) -> bool:
        """Whether the next commit may begin the log anew, for which SQLite waits for the disk."""
        return self._merged == self._written

    def look(self) -> None:
        """Let it be merged where there is enough. From the writer's thread alone; it waits at the bound only.

        Raises sqlite3.Error where the log has reached its bound and cannot be merged.
        """
        unmerged = self._written - max(self._merged, self._tried)
        if unmerged >= MOST * self._wal_bytes:
            if not self._merge():  # a reader of an older moment: the log goes on growing, tried again after some of it
                self._tried = self._written - (MOST - 1) * self._wal_bytes
        elif unmerged >= self._wal_bytes and not self._due.is_set():
            self._due.set()

    def close(self, timeout_s: float) -> None:
        """End the thread, after the merge under way."""
        self._closing.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._database.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            pause_s = PAUSE_S
            while not (self._closing.is_set() or self._caught_up()):
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._due.clear()

    def _caught_up(self) -> bool:
        """Merge; what fails is tried again, and once the log has reached its bound it fails for the writer, too."""
        try:
            return self._merge()
        except sqlite3.Error:
            return False

    def _merge(self) -> bool:
        """Copy what is committed into the file; return whether that was all. Raises sqlite3.Error."""
        with self._merging:
            written = self._written
            _, logged, copied = self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if copied < logged:
                return False
            with self._writing:  # else a transaction that began before might be committed after the look
                caught_up = written == self._written
            if caught_up:
                self._merged = written
            return caught_up
