"""How is a file replaced, set aside or measured safely? Asked by every store, by the session folder and by reports."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tradebot.domain.errors import StorageFailed


def utc_stamp(at_ms: int) -> str:
    """Return `at_ms` (milliseconds UTC) as it stands in file names: 20261122T162503Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by a file of mode 0600 that holds `data`: readers see the old file or the new one, never a part.

    `durable` waits until file and name are on the disk; without it a loss of power may bring the old file back.
    Raises StorageFailed naming the file; the old one is then untouched.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write_new(beside, data, durable=durable)
        beside.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StorageFailed(f"{path}: cannot be written ({reason(error)})") from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, now_ms: int, *, tails: Iterable[str] = ()) -> Path | None:
    """Rename `path` out of the way, with a time suffix; return its new name, None where there was no such file.

    `tails` name files that belong to it (`-wal`), moved along. Nothing is ever overwritten or deleted.
    Raises StorageFailed naming the file.
    """
    aside = path.with_name(f"{path.name}.{utc_stamp(now_ms)}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.{utc_stamp(now_ms)}-{number}")
    if not os.path.lexists(path):
        return None
    try:
        for tail in tails:
            companion = path.with_name(path.name + tail)
            if os.path.lexists(companion):
                companion.rename(aside.with_name(aside.name + tail))
        path.rename(aside)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageFailed(f"{path}: cannot be set aside as {aside.name} ({reason(error)})") from error
    return aside


def disk_bytes(folder: Path) -> int:
    """Return what the files below `folder` take, in bytes; links are not followed, vanished files count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def reason(error: OSError) -> str:
    """Return the operating system's words for `error`, without the path."""
    return error.strerror or str(error) or type(error).__name__


def _write_new(path: Path, data: bytes, *, durable: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
