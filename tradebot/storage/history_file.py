"""Is this file a profile history that can be used, and how is it opened? Asked by the history alone."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradebot.domain.errors import StorageFailed
from tradebot.storage.files import reason, write_atomic
from tradebot.storage.sqlite_file import quoted, tables, write_ahead

SCHEMA = 1
"""Version of the history's tables."""

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE current (one INTEGER PRIMARY KEY CHECK (one = 1), last_number INTEGER NOT NULL, in_force INTEGER)",
    "CREATE TABLE bodies (hash TEXT PRIMARY KEY, body BLOB NOT NULL)",
    """CREATE TABLE generations (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, cause TEXT NOT NULL,
    who TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, files BLOB, effective TEXT, changes BLOB NOT NULL,
    switches BLOB NOT NULL, previous INTEGER NOT NULL, pinned INTEGER NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, good_ms INTEGER NOT NULL)""",
    "CREATE INDEX generations_by_state ON generations (state)",
    """CREATE TABLE verdicts (n INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL, who TEXT NOT NULL, files BLOB, keys BLOB NOT NULL, reason TEXT NOT NULL,
    generation INTEGER NOT NULL)""",
    """CREATE TABLE switches (n INTEGER PRIMARY KEY, feature TEXT NOT NULL UNIQUE, is_on INTEGER NOT NULL,
    who TEXT NOT NULL, at_ms INTEGER NOT NULL, why TEXT NOT NULL)""",
    "CREATE TABLE restoring (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, files BLOB NOT NULL)",
    """CREATE TABLE entries (n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, what TEXT NOT NULL,
    number INTEGER NOT NULL, digest TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL)""",
)

_NAMES = frozenset(
    ("meta", "current", "bodies", "generations", "verdicts", "switches", "restoring", "entries"),
)

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))

_TRIES = 3
"""How often a history that a bot takes up or puts down at this moment is looked at again."""


class HistoryDamaged(StorageFailed):
    """The profile history cannot be understood: set it aside and begin a new one."""


def failed(path: Path, verb: str, error: sqlite3.Error) -> StorageFailed:
    """Return `error` as ours: HistoryDamaged where the file's contents are at fault; `verb` is "read" or "written"."""
    code = getattr(error, "sqlite_errorcode", 0)  # the driver's own errors carry none
    if code & 0xFF in _DAMAGED:
        return HistoryDamaged(f"{path}: the profile history is damaged ({error})")
    return StorageFailed(f"{path}: the profile history cannot be {verb} ({error})")


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """Open the history at `path` for writing, made anew (mode 0600) where there is none; return it in autocommit.

    `busy_s` is the longest wait for another process's lock. A commit waits for the disk.
    Raises HistoryDamaged for a file that is damaged or no history, StorageFailed for all else, both naming the file.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise StorageFailed(f"{path}: the profile history cannot be opened ({reason(error)})") from error
    database = _open(path, f"file:{quoted(path)}?mode=rw", busy_s)
    with _closed_where_refused(path, database):
        known = _is_history(path, database)
        write_ahead(path, database)
        database.execute("PRAGMA synchronous=FULL")
        if not known:
            _create(database)
    return database


def connect_read_only(path: Path, busy_s: float) -> sqlite3.Connection | None:
    """Open the history at `path` for reading; None where there is none, or nothing in it yet.

    Where a bot has it open, what the bot commits is seen; where none has, what stands in it now. Nothing is written
    to its folder, which may be read-only. Raises as `connect`.
    """
    database = _attached(path, busy_s)
    if database is None:
        return None
    with _closed_where_refused(path, database):
        database.execute("PRAGMA query_only=ON")
        if _is_history(path, database):
            return database
    database.close()
    return None


def written_anew(path: Path, database: sqlite3.Connection, busy_s: float) -> sqlite3.Connection:
    """Write what `database` holds to `path`, where its file was removed; return the connection to it, close the old.

    Raises as `connect`; until the new file stands, the old connection stays open.
    """
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        database.backup(memory)
        write_atomic(path, memory.serialize())
    except sqlite3.Error as error:
        raise failed(path, "written", error) from error
    finally:
        memory.close()
    database.close()
    try:
        for tail in ("-wal", "-shm"):  # of the file that is gone: all they held stands in the new one
            path.with_name(path.name + tail).unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"{path}: the profile history cannot be written ({reason(error)})") from error
    return connect(path, busy_s)


@contextmanager
def _closed_where_refused(path: Path, database: sqlite3.Connection) -> Iterator[None]:
    """Close the connection where what is done raises; SQLite's own errors become ours."""
    try:
        yield
    except sqlite3.Error as error:
        database.close()
        raise failed(path, "read", error) from error
    except StorageFailed:
        database.close()
        raise


def _is_history(path: Path, database: sqlite3.Connection) -> bool:
    """Whether there is a sound history in the file, or nothing yet. Raises HistoryDamaged, StorageFailed."""
    known = tables(database)
    if not known:
        return False
    if not known >= _NAMES:
        raise HistoryDamaged(f"{path}: not a profile history of tradebot")
    _check(path, database)
    return True


def _attached(path: Path, busy_s: float) -> sqlite3.Connection | None:
    """Return a connection to the file itself where its log is shared already, else to a copy in memory."""
    real = path.resolve()
    log, shared = (real.with_name(real.name + tail) for tail in ("-wal", "-shm"))
    for _ in range(_TRIES):
        try:
            if log.exists() and shared.exists():
                return _open(path, f"file:{quoted(path)}?mode=ro", busy_s)
            before = path.stat()
            copy = _copied(path, log)
            after = path.stat()
        except FileNotFoundError:
            if not path.exists():
                return None
            continue
        except OSError as error:
            raise StorageFailed(f"{path}: the profile history cannot be read ({reason(error)})") from error
        except sqlite3.Error as error:
            raise failed(path, "read", error) from error
        # Without the shared index nobody had it open; a bot that opened it meanwhile may have torn what was copied.
        if not shared.exists() and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return copy
        copy.close()
    raise StorageFailed(f"{path}: the profile history cannot be read (it is opened and closed again and again)")


def _copied(path: Path, log: Path) -> sqlite3.Connection:
    """Return a database in memory that holds what stands in the file and in its write-ahead log."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if log.exists() and log.stat().st_size:
            with tempfile.TemporaryDirectory(prefix="tradebot-history-") as folder:
                beside = Path(folder) / "history.sqlite"
                beside.write_bytes(path.read_bytes())
                beside.with_name("history.sqlite-wal").write_bytes(log.read_bytes())
                database = sqlite3.connect(beside, isolation_level=None)
                try:
                    database.backup(memory)
                finally:
                    database.close()
        elif data := bytearray(path.read_bytes()):
            if data[18:20] == b"\x02\x02":
                data[18:20] = b"\x01\x01"  # the header's word for a write-ahead log, which memory has not
            memory.deserialize(bytes(data))
    except (OSError, sqlite3.Error):
        memory.close()
        raise
    return memory


def _open(path: Path, uri: str, busy_s: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise failed(path, "read", error) from error


def _create(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        database.execute(statement)
    database.execute("INSERT INTO current VALUES (1, 0, NULL)")
    database.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
    database.execute("COMMIT")


def _check(path: Path, database: sqlite3.Connection) -> None:
    row = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = str(row[0]) if row else "none"
    if version.isdecimal() and int(version) > SCHEMA:
        raise StorageFailed(
            f"{path}: written by a newer version of tradebot (schema {version}, this version reads schema {SCHEMA})"
        )
    if version != str(SCHEMA):
        raise HistoryDamaged(f"{path}: the profile history is damaged (schema {version})")
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise HistoryDamaged(f"{path}: the profile history is damaged ({found})")
