"""Which file does a record go to, and what if the disk is full or the folder gone? Asked by the log's thread only."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tradebot.domain.facts import Stream

_ROTATED = re.compile(r"\.(\d+)\.jsonl$")


class SplitFiles:
    """Each purpose has its own file: events, system, engine, and the order audit under a fixed name."""

    split = True

    def __init__(self, stamp: str) -> None:
        self.stamp = stamp
        self.names: dict[Stream, str] = {
            "events": f"events_{stamp}.jsonl",
            "system": f"system_{stamp}.jsonl",
            "engine": f"engine_{stamp}.jsonl",
            "orders": "orders.jsonl",
        }


class OneFile:
    """Split logging switched off: every record, whatever its purpose, goes to one system file, in order."""

    split = False

    def __init__(self, stamp: str) -> None:
        self.stamp = stamp
        one = f"system_{stamp}.jsonl"
        self.names: dict[Stream, str] = {"events": one, "system": one, "engine": one, "orders": one}


class LogFile:
    """One log file, appended to in whole lines; a full one is renamed `<name>.<number>.jsonl` and begun anew."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._handle = -1
        self._size = 0
        self._number = 0
        self.rotations = 0
        self._opened_once = False

    def keep_within(self, max_bytes: int) -> None:
        """Close the file at this size from its next write on."""
        self._max_bytes = max_bytes

    def prove(self) -> None:
        """Open the file, made if it is not there. Raises OSError."""
        self._ensure_open()

    def write(self, data: bytes) -> bool:
        """Append whole lines; return whether the file had vanished and was made anew. Raises OSError, nothing written.

        A vanished folder is made anew as well.
        """
        restored = self._ensure_open()
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        written = 0
        view = memoryview(data)
        try:
            while written < len(data):
                written += os.write(self._handle, view[written:])
        except OSError:
            os.ftruncate(self._handle, self._size)  # no half lines: they are written again as a whole
            raise
        self._size += written
        return restored

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def leave(self) -> None:
        """Close the file, and remove it where nothing was ever written to it. Raises OSError."""
        empty = self._handle >= 0 and self._is_ours() and not os.fstat(self._handle).st_size
        self.close()
        if empty:
            self.path.unlink()

    def _ensure_open(self) -> bool:
        if self._handle >= 0 and self._is_ours():
            return False
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._open()
        restored, self._opened_once = self._opened_once, True
        return restored

    def _is_ours(self) -> bool:
        try:
            there = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        ours = os.fstat(self._handle)
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    def _open(self) -> None:
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._handle).st_size

    def _rotate(self) -> None:
        while True:
            self._number += 1
            older = self.path.with_name(f"{self.path.stem}.{self._number}.jsonl")
            if not older.exists():
                break
        self.path.rename(older)
        self.close()
        self._open()
        self.rotations += 1


def prune_logs(folder: Path, max_bytes: int) -> list[str]:
    """Remove the oldest rotated files until all logs in `folder` take at most `max_bytes`; return their names.

    Files being written are never removed. Raises OSError.
    """
    sizes = {path: path.stat().st_size for path in folder.glob("*.jsonl")}
    rotated = sorted(
        (path for path in sizes if _ROTATED.search(path.name)),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
    )
    total = sum(sizes.values())
    removed: list[str] = []
    for path in rotated:
        if total <= max_bytes:
            break
        path.unlink()
        total -= sizes[path]
        removed.append(path.name)
    return removed
