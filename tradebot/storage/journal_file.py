"""Is this file a journal that can be read, and what stands in it? Asked by the journals and by reports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal

from tradebot.domain.errors import NewerVersion, StorageFailed
from tradebot.domain.facts import Fact
from tradebot.storage import journal_archive
from tradebot.storage.files import reason, sync_folder
from tradebot.storage.journal_rows import check_sum, fact_of

SCHEMA = 2
"""Version of the journal's tables and of the facts in them."""

READABLE = (1, SCHEMA)
"""Versions whose facts can be read; a row of the first one has no check sum."""

Durability = Literal["power", "process"]
"""What a commit survives: a loss of power, or the end of the process alone."""

SYNCHRONOUS: Final[dict[Durability, str]] = {"power": "FULL", "process": "NORMAL"}
"""SQLite's word for each: with FULL a commit waits until its write-ahead log is on the disk (sqlite.org/pragma)."""

INSERT = "INSERT INTO facts (seq, at_ms, fact, body, crc) VALUES (?, ?, ?, ?, ?)"

WIDTH = 5
"""Columns of a fact's row."""

_SNAPSHOTS = "CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, document BLOB NOT NULL)"
_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE runs (run TEXT PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, exit_code INTEGER)",
    "CREATE TABLE facts (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, fact TEXT NOT NULL, body BLOB NOT NULL,"
    " crc INTEGER NOT NULL)",
    _SNAPSHOTS,
)


def connect(path: Path, *, busy_s: float = 0.0, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """Open the journal at `path` for writing, made anew where there is none; return its connection, in autocommit.

    `busy_s` is the longest wait for another process's lock. Checkpoints of the write-ahead log are left to the caller.
    With the synchronous mode FULL a new file's name is on the disk, too. A journal of an older schema is migrated.
    Raises StorageFailed naming the file when it is no journal, damaged, or from a newer version.
    """
    try:
        new = not path.exists()
        if not new:
            _refuse_newer(path)
        path.touch(mode=0o600, exist_ok=True)
        if new and synchronous == "FULL":
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
        database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise StorageFailed(f"{path}: the journal cannot be opened ({reason(error)})") from error
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal cannot be opened ({error})") from error
    try:
        database.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before the first page is written, else without effect
        mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StorageFailed(f"{path}: the file system does not carry a write-ahead log (journal mode {mode})")
        database.execute(f"PRAGMA synchronous={synchronous}")
        database.execute("PRAGMA fullfsync=ON")
        database.execute("PRAGMA wal_autocheckpoint=0")
        if not _tables(database):
            _create(database)
        if check_schema(path, database) < SCHEMA:
            _migrate(database)
    except sqlite3.Error as error:
        database.close()
        raise StorageFailed(f"{path}: the journal cannot be read ({error}); `--fresh` sets it aside") from error
    except StorageFailed:
        database.close()
        raise
    return database


def last_seq(database: sqlite3.Connection) -> int:
    """Return the seq of the last fact, 0 where there never was one. Raises sqlite3.Error."""
    row = database.execute("SELECT max(seq) FROM facts").fetchone()
    return int(row[0] or pruned_seq(database))


def pruned_seq(database: sqlite3.Connection) -> int:
    """Return the seq up to which facts have left the file, 0 where none has. Raises sqlite3.Error."""
    row = database.execute("SELECT value FROM meta WHERE key = 'pruned'").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def reading(path: Path, *, damaged: bool = False) -> Iterator[tuple[sqlite3.Connection, int]]:
    """Open the journal at `path` to be read, also beside a bot that writes it; give its connection and schema.

    All that is read is of one moment. Of a `damaged` file what is left is read, even where it was cut off.
    Raises StorageFailed where there is no journal that can be read.
    """
    if not path.is_file():
        raise StorageFailed(f"{path}: there is no such journal")
    # A connection that may only read cannot clear away the log files beside the journal which opening it makes.
    database = sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None)
    try:
        database.execute("PRAGMA query_only=ON")
        if damaged:
            database.execute("PRAGMA writable_schema=ON")  # else SQLite refuses a file that is shorter than it says
        database.execute("BEGIN")
        yield database, check_schema(path, database)
    finally:
        database.close()


def columns(schema: int) -> str:
    """Return what to select of a fact's row, with no check sum where the schema has none."""
    return f"seq, at_ms, fact, body, {'crc' if schema > 1 else 'NULL'}"


def read_facts(path: Path, after_seq: int = 0) -> Iterator[tuple[int, int, Fact]]:
    """Yield (seq, time in ms, fact) of everything written after `after_seq`, in order, from the files alone.

    Facts that have left the journal's file are read from the archive beside it. Raises StorageFailed naming file and
    seq at a hole, at a fact that cannot be read or is not as it was written, at a damaged file, or at facts that are
    in no archive.
    """
    expected = after_seq + 1
    try:
        with reading(path) as (database, schema):
            pruned = pruned_seq(database)
            if after_seq < pruned:
                yield from journal_archive.read(path, after_seq, pruned)
                expected = pruned + 1
            query = f"SELECT {columns(schema)} FROM facts WHERE seq >= ? ORDER BY seq"  # noqa: S608  our own text
            for seq, at_ms, kind, body, crc in database.execute(query, (expected,)):
                if seq != expected:
                    raise StorageFailed(f"{path}: fact {expected} is missing (the next one is {seq})")
                try:
                    fact = fact_of(seq, at_ms, kind, body, crc)
                except ValueError as error:
                    raise StorageFailed(f"{path}: fact {seq} cannot be read ({error})") from error
                yield seq, at_ms, fact
                expected += 1
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal is damaged at fact {expected} ({error})") from error


def check_schema(path: Path, database: sqlite3.Connection) -> int:
    """Return the schema of an open journal. Raises StorageFailed where it is none, or from a newer version."""
    missing = {"meta", "runs", "facts"} - _tables(database)
    if missing:
        raise StorageFailed(f"{path}: not a journal of tradebot (no table {', '.join(sorted(missing))})")
    row = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = row[0] if row else "none"
    for schema in READABLE:
        if version == str(schema):
            return schema
    kind = NewerVersion if version.isdecimal() and int(version) > SCHEMA else StorageFailed
    raise kind(f"{path}: journal of schema {version}, this version reads schema {SCHEMA}")


def _refuse_newer(path: Path) -> None:
    """Raise NewerVersion where the file is from one, before anything about it is changed, its log files included."""
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?immutable=1", uri=True)) as database:
            row = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.Error:
        return  # what it is shows when it is opened
    if row is not None and str(row[0]).isdecimal() and int(row[0]) > SCHEMA:
        raise NewerVersion(f"{path}: journal of schema {row[0]}, this version reads schema {SCHEMA}")


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _create(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        database.execute(statement)
    database.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
    database.execute("COMMIT")


def _migrate(database: sqlite3.Connection) -> None:
    """Give every row its check sum, in one transaction; before that, let the file be one that can shrink."""
    database.execute("VACUUM")
    database.create_function("check_sum", 4, check_sum, deterministic=True)
    database.execute("BEGIN IMMEDIATE")
    database.execute("ALTER TABLE facts ADD COLUMN crc INTEGER NOT NULL DEFAULT 0")
    database.execute("UPDATE facts SET crc = check_sum(seq, at_ms, fact, body)")
    database.execute(_SNAPSHOTS)
    database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA),))
    database.execute("COMMIT")


def _quoted(path: Path) -> str:
    """Return `path` as SQLite's file URI wants it."""
    return path.resolve().as_uri().removeprefix("file://")
