"""Which facts may leave the journal's file, and how do they leave it? Asked by the journal's keeper.

The order makes every step safe: first the state as of a `seq` stands in the file itself, as a snapshot; then the
facts are in the archive, on the disk; then they are deleted, from the oldest on. Interrupted anywhere, each fact is
in the file, in the archive or in both, and the file alone holds the state: a snapshot and every fact after it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.storage import journal_archive, journal_file
from tradebot.storage.checkpoint import parse_checkpoint
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import SYNCHRONOUS, Durability
from tradebot.storage.journal_rows import Row, fact_of

DAY_MS = 86_400_000

NEEDED_MS = 25 * 3_600_000
"""Facts this young never leave: fill rates are measured over 24 hours."""

LEAST = 1_000
"""Fewer facts than this are not worth a snapshot."""

ARCHIVED = 50_000
"""Facts in one file of the archive at most."""

DELETED = 1_000
"""Facts deleted in one transaction, which the writer waits for."""

_SNAPSHOTS_KEPT = 2
_LEVEL = 1  # of compression: an eighth of the size for a tenth of the time the next levels take
_PAGES = 256  # given back to the file system in one transaction


class Snapshot(Struct, frozen=True):
    """What stands for the facts that have left a journal: `document` is as a checkpoint's, None where none is needed.

    `damage` says of each newer snapshot that cannot be used why not.
    """

    document: dict[str, Any] | None = None
    damage: tuple[str, ...] = ()


class Keeping(Struct, frozen=True):
    """What stays in the file: facts of `keep_days`, `keep_facts` at most; `archive` says whether others are kept."""

    keep_days: int
    keep_facts: int
    archive: bool


def read_snapshot(path: Path) -> Snapshot:
    """Return what the journal at `path` begins with, where facts have left it.

    Raises StorageFailed where the journal cannot be read.
    """
    damage: list[str] = []
    try:
        with journal_file.reading(path) as (database, schema):
            pruned = journal_file.pruned_seq(database) if schema > 1 else 0
            if not pruned:
                return Snapshot()
            query = "SELECT seq FROM snapshots WHERE seq >= ? ORDER BY seq DESC"
            for (seq,) in database.execute(query, (pruned,)).fetchall():
                try:
                    return Snapshot(_document(path, database, seq), tuple(damage))
                except StorageFailed as error:
                    damage.append(str(error))
    except sqlite3.Error as error:
        damage.append(f"{path}: the snapshots cannot be read ({error})")
    return Snapshot(None, tuple(damage))


def lost_until(path: Path) -> int:
    """Return the last seq of the facts that have left the journal at `path` and are in no archive, 0 where none is.

    Raises StorageFailed where the journal cannot be read.
    """
    try:
        with journal_file.reading(path) as (database, schema):
            pruned = journal_file.pruned_seq(database) if schema > 1 else 0
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal is damaged ({error})") from error
    return journal_archive.missing_until(path, pruned)


def _document(path: Path, database: sqlite3.Connection, seq: int) -> dict[str, Any]:
    name = f"{path}: the snapshot at fact {seq}"
    try:
        packed = database.execute("SELECT document FROM snapshots WHERE seq = ?", (seq,)).fetchone()[0]
        return parse_checkpoint(zlib.decompress(packed), name)
    except (sqlite3.Error, zlib.error, TypeError) as error:
        raise StorageFailed(f"{name} is damaged ({error})") from error


def prune(
    journal: SqliteJournal, document: bytes, keeping: Keeping, now_ms: int, stopped: Callable[[], bool]
) -> tuple[int, int]:
    """Let the facts leave that `keeping` does not want and `document`, a checkpoint that is on the disk, holds.

    Return (first, last) seq of what has left, (0, 0) where nothing has. Ends early once `stopped()`.
    Raises StorageFailed at a fact that is damaged, which stays, and where something cannot be written.
    """
    path = journal.path
    held = int(parse_checkpoint(document, "the checkpoint")["seq"])
    begin, until = _range(path, keeping, now_ms, held)
    if until - begin < LEAST or held > journal.durable_seq:
        return 0, 0
    journal.transact(partial(_snapshot, seq=held, at_ms=now_ms, document=document))
    done = begin
    while done < until and not stopped():
        rows = list(_rows(path, done, min(until, done + ARCHIVED)))
        if keeping.archive:
            journal_archive.write(path, rows)
        for last in (*range(done + DELETED, rows[-1][0], DELETED), rows[-1][0]):
            if stopped():
                break
            journal.transact(partial(_delete, until=last))
            done = last
        _merge(path)
    while not stopped() and not _shrink(journal):
        _merge(path)
    _merge(path)
    return (begin + 1, done) if done > begin else (0, 0)


def begin_with(path: Path, document: bytes, at_ms: int, *, durability: Durability = "power") -> None:
    """Make a new journal at `path` that begins after the state of `document`, a checkpoint's, as if pruned up to it.

    For a state that was proven where the old journal could not be read: set that one aside first, archive and all.
    Raises StorageFailed where the document is none, the journal has facts, or it cannot be written.
    """
    held = int(parse_checkpoint(document, "the state to begin with")["seq"])
    with closing(journal_file.connect(path, synchronous=SYNCHRONOUS[durability])) as database, _told(path):
        database.execute("BEGIN IMMEDIATE")
        if journal_file.last_seq(database):
            raise StorageFailed(f"{path}: has facts of its own; it is not begun anew")
        _snapshot(database, held, at_ms, document)
        _delete(database, held)
        database.execute("COMMIT")


def _range(path: Path, keeping: Keeping, now_ms: int, held: int) -> tuple[int, int]:
    """Return after which fact to begin, and up to which one facts may leave."""
    with _told(path), journal_file.reading(path) as (database, _):
        last = journal_file.last_seq(database)
        old = _before(database, now_ms - keeping.keep_days * DAY_MS, last)
        needless = _before(database, now_ms - NEEDED_MS, last)
        return journal_file.pruned_seq(database), min(max(old, last - keeping.keep_facts), needless, held)


def _before(database: sqlite3.Connection, at_ms: int, last: int) -> int:
    """Return the seq up to which every fact is older than `at_ms`."""
    row = database.execute("SELECT min(seq) FROM facts WHERE at_ms >= ?", (at_ms,)).fetchone()
    return last if row[0] is None else int(row[0]) - 1


def _rows(path: Path, after: int, until: int) -> Iterator[Row]:
    """Yield the rows after `after` up to `until`, each proven to be as it was written, without a hole."""
    with _told(path), journal_file.reading(path) as (database, schema):
        query = f"SELECT {journal_file.columns(schema)} FROM facts WHERE seq > ? AND seq <= ? ORDER BY seq"  # noqa: S608
        expected = after + 1
        for seq, at_ms, kind, body, crc in database.execute(query, (after, until)):
            if seq != expected:
                break
            try:
                fact_of(seq, at_ms, kind, body, crc)
            except ValueError as error:
                raise StorageFailed(f"{path}: fact {seq} cannot be read ({error}); it stays where it is") from error
            yield seq, at_ms, kind, body, crc
            expected += 1
        if expected <= until:
            raise StorageFailed(f"{path}: fact {expected} is missing; what is there stays")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal cannot be read or written ({error})") from error


def _snapshot(database: sqlite3.Connection, seq: int, at_ms: int, document: bytes) -> None:
    packed = zlib.compress(document, _LEVEL)
    database.execute("INSERT OR REPLACE INTO snapshots (seq, at_ms, document) VALUES (?, ?, ?)", (seq, at_ms, packed))
    database.execute(
        "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
        (_SNAPSHOTS_KEPT,),
    )


def _delete(database: sqlite3.Connection, until: int) -> None:
    database.execute("DELETE FROM facts WHERE seq <= ?", (until,))
    database.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('pruned', ?)", (str(until),))


def _shrink(journal: SqliteJournal) -> bool:
    """Give some free pages back to the file system; return whether that was all that could be given."""
    before = left = 0

    def work(database: sqlite3.Connection) -> None:
        nonlocal before, left
        before = int(database.execute("PRAGMA freelist_count").fetchone()[0])
        # A script runs the pragma to its end: a single statement of this module would free one page of it.
        database.executescript(f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({_PAGES}); COMMIT")
        left = int(database.execute("PRAGMA freelist_count").fetchone()[0])

    journal.beside(work)
    return not 0 < left < before


def _merge(path: Path) -> None:
    """Bring the file up to date with its write-ahead log, beside the writer, which goes on meanwhile."""
    with _told(path), closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
