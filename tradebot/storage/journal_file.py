"""Is this file a journal that can be read, and what stands in it? Asked by the journals and by reports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact, decode

SCHEMA = 1
"""Version of the journal's tables and of the facts in them."""

INSERT = "INSERT INTO facts (seq, at_ms, fact, body) VALUES (?, ?, ?, ?)"

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE runs (run TEXT PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, exit_code INTEGER)",
    "CREATE TABLE facts (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, fact TEXT NOT NULL, body BLOB NOT NULL)",
)


def connect(path: Path, *, busy_s: float = 0.0, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """Open the journal at `path` for writing, made anew where there is none; return its connection, in autocommit.

    `busy_s` is the longest wait for another process's lock. Checkpoints of the write-ahead log are left to the caller.
    Raises StorageFailed naming the file when it is no journal, damaged, or from a newer version.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"{path}: the journal cannot be opened ({error})") from error
    try:
        mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StorageFailed(f"{path}: the file system does not carry a write-ahead log (journal mode {mode})")
        database.execute(f"PRAGMA synchronous={synchronous}")
        database.execute("PRAGMA wal_autocheckpoint=0")
        if not _tables(database):
            _create(database)
        _check(path, database)
    except sqlite3.Error as error:
        database.close()
        raise StorageFailed(f"{path}: the journal cannot be read ({error}); `--fresh` sets it aside") from error
    except StorageFailed:
        database.close()
        raise
    return database


def last_seq(database: sqlite3.Connection) -> int:
    """Return the seq of the last fact, 0 where there is none. Raises sqlite3.Error."""
    row = database.execute("SELECT max(seq) FROM facts").fetchone()
    return int(row[0] or 0)


def read_facts(path: Path, after_seq: int = 0) -> Iterator[tuple[int, int, Fact]]:
    """Yield (seq, time in ms, fact) of everything written after `after_seq`, in order, from the file alone.

    Raises StorageFailed naming file and seq at a hole, at a fact that cannot be read, or at a damaged file.
    """
    if not path.is_file():
        raise StorageFailed(f"{path}: there is no such journal")
    expected = after_seq + 1
    try:
        # A connection that may only read cannot clear away the log files beside the journal which opening it makes.
        database = sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None)
        try:
            database.execute("PRAGMA query_only=ON")
            _check(path, database)
            rows = database.execute("SELECT seq, at_ms, body FROM facts WHERE seq > ? ORDER BY seq", (after_seq,))
            for seq, at_ms, body in rows:
                if seq != expected:
                    raise StorageFailed(f"{path}: fact {expected} is missing (the next one is {seq})")
                yield seq, at_ms, _fact(path, seq, body)
                expected += 1
        finally:
            database.close()
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal is damaged at fact {expected} ({error})") from error


def _fact(path: Path, seq: int, body: object) -> Fact:
    try:
        return decode(body if isinstance(body, bytes) else str(body).encode())
    except msgspec.MsgspecError as error:
        raise StorageFailed(f"{path}: fact {seq} cannot be read ({error})") from error


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _create(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        database.execute(statement)
    database.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
    database.execute("COMMIT")


def _check(path: Path, database: sqlite3.Connection) -> None:
    missing = {"meta", "runs", "facts"} - _tables(database)
    if missing:
        raise StorageFailed(f"{path}: not a journal of tradebot (no table {', '.join(sorted(missing))})")
    row = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = row[0] if row else "none"
    if version != str(SCHEMA):
        raise StorageFailed(f"{path}: journal of schema {version}, this version reads schema {SCHEMA}")


def _quoted(path: Path) -> str:
    """Return `path` as SQLite's file URI wants it."""
    return path.resolve().as_uri().removeprefix("file://")
