"""Is every fact in the journal's file as it was written? Asked once a run, when it trades already, by the bot.

A start reads what came after its checkpoint and nothing else; damage behind that would show months later, when somebody
wants a report, or never a sound copy any more.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from tradebot.ports import Log
from tradebot.storage import journal_file
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_rows import check_sum, fact_of

PIECE: Final = 1_000
"""Facts read at once: 1.5 ms of a core, and no log of the journal waits longer for its reader."""

PAUSE_S: Final = 0.02
"""Between two pieces, which leaves the engine nine tenths of its core: 100,000 facts take some 3 s."""

_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})


class JournalCheck:
    """Reads the journal's file once, piece by piece, in a thread that ends with the work or with the journal.

    `damaged` hears in words, from that thread, of the first damage; it is told as JOURNAL_DAMAGED, too, and a journal
    that is sound as JOURNAL_CHECKED. Archived facts are not read.
    """

    def __init__(self, journal: SqliteJournal, log: Log, damaged: Callable[[str], None]) -> None:
        self._journal = journal
        self._log = log
        self._damaged = damaged
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="journal-check", daemon=True)

    def begin(self) -> None:
        """Begin; to be called once."""
        self._journal.before_close(self.close)
        self._thread.start()

    def close(self, timeout_s: float = 1.0) -> bool:
        """End after the present piece; return whether it has ended."""
        self._stopped.set()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is read any more; return whether that is so."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        path, until, begun_s = self._journal.path, self._journal.durable_seq, time.monotonic()
        try:
            seq, words = first_damage(path, until, lambda: self._stopped.wait(PAUSE_S))
        except Exception as error:  # noqa: BLE001  supervision border: told; the journal is written all the same
            text = f"It is not known whether the journal is as it was written: {error}"
            self._log.emit("system", "WARNING", "JOURNAL_NOT_CHECKED", text, cause=str(error))
            return
        if words:
            self._damaged(words)
            text = (
                f"{path}: {words}. What this start needed is sound, and the bot goes on; reports of that time are not "
                "to be had. `tradebot journal --check` tells how much is lost; once the bot has ended, put back a copy "
                "of the home, or let `tradebot recover --rebuild` begin the journal anew"
            )
            self._log.emit("events", "WARNING", "JOURNAL_DAMAGED", text, path=str(path), seq=seq, cause=words)
        elif not self._stopped.is_set():
            took_s = round(time.monotonic() - begun_s, 3)
            text = f"Every fact of the journal is as it was written, up to {until:,}; read in {took_s:.1f} s"
            self._log.emit("system", "INFO", "JOURNAL_CHECKED", text, seq=until, took_s=took_s)


def first_damage(path: Path, until: int, pause: Callable[[], bool]) -> tuple[int, str]:
    """Return the first fact up to `until` that is not as it was written, and what is wrong; (0, "") where none is.

    `pause` is called after each piece and ends the search by returning True. Facts that have left the file are none of
    it. Raises StorageFailed, sqlite3.Error where the file cannot be read for another reason than damage.
    """
    after = 0
    while after < until:
        after, words = _piece(path, after, until)
        if words:
            return after + 1, words
        if pause():
            break
    return 0, ""


def _piece(path: Path, after: int, until: int) -> tuple[int, str]:
    """Return up to which fact the next piece is sound, and what is wrong with the one behind it."""
    with journal_file.reading(path) as (database, schema):
        after = max(after, journal_file.pruned_seq(database))
        if after >= until:
            return after, ""
        told = f"SELECT {journal_file.columns(schema)} FROM facts WHERE seq"  # noqa: S608  our own text
        try:
            rows = database.execute(f"{told} > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, until, PIECE)).fetchall()
        except sqlite3.Error as error:
            only_damage(error)
            return _one_by_one(database, told, after, str(error))
    if not rows:
        return after, f"fact {after + 1} is missing, and all after it"
    for row in rows:
        if words := _wrong(row, after + 1):
            return after, words
        after = row[0]
    return after, ""


def _one_by_one(database: sqlite3.Connection, told: str, after: int, broken: str) -> tuple[int, str]:
    """Return the same for a piece that cannot be read as a whole."""
    while True:
        try:
            row = database.execute(f"{told} = ?", (after + 1,)).fetchone()
        except sqlite3.Error as error:
            only_damage(error)
            row = None
        if row is None:
            return after, f"the file is damaged at fact {after + 1} ({broken})"
        if words := _wrong(row, after + 1):
            return after, words
        after += 1


def _wrong(row: tuple[Any, ...], expected: int) -> str:
    """Return what is wrong with a row, "" where it is the one expected, as it was written."""
    seq, at_ms, kind, body, crc = row
    if seq != expected:
        return f"fact {expected} is missing (the next one is {seq})"
    if isinstance(body, bytes) and crc == check_sum(seq, at_ms, str(kind), body):
        return ""
    try:
        fact_of(seq, at_ms, kind, body, crc)
    except ValueError as error:
        return f"fact {seq} cannot be read ({error})"
    return ""


def only_damage(error: sqlite3.Error) -> None:
    """Raise `error` again where it says nothing of what stands in the file, as that of a lock does."""
    if error.sqlite_errorcode & 0xFF not in _BROKEN:
        raise error
