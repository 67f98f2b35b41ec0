"""What is the same for every store that is a SQLite file? Asked by the stores, when they open one and write to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tradebot.domain.errors import StorageFailed


def tables(database: sqlite3.Connection) -> set[str]:
    """Return the names of its tables. Raises sqlite3.Error."""
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def quoted(path: Path) -> str:
    """Return `path` as SQLite's file URI wants it."""
    return path.resolve().as_uri().removeprefix("file://")


def write_ahead(path: Path, database: sqlite3.Connection) -> None:
    """Let commits go to a write-ahead log. Raises StorageFailed where the file system carries none, sqlite3.Error."""
    mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StorageFailed(f"{path}: the file system does not carry a write-ahead log (journal mode {mode})")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
