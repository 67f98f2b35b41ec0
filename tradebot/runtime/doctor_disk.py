"""Can a folder be made, what does it stand on, how long does a durable write take there? Asked by `tradebot doctor`.

Nothing gets a name: what is written for the measurement is a file without one, gone with its handle.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from tradebot.storage.files import reason

VOLATILE: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""File systems that a loss of power empties: an fsync there promises nothing."""

LAYERED: Final = frozenset({"overlay", "aufs"})
"""File systems of containers: they go with the container."""

REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "virtiofs", "ceph", "glusterfs"})
"""File systems where locks and durability are another machine's."""

_COMMITS: Final = 200
_LONGEST_S: Final = 2.0
_PAGE: Final = b"\0" * 4_096
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Commits(Struct, frozen=True):
    """How long durable writes of one page took, in ms."""

    count: int
    p50_ms: float
    p99_ms: float


def nearest(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that is there: where it would be made."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def obstacle(path: Path) -> str:
    """Return why no folder can stand and be written in at `path`, "" where one can; nothing is left by looking."""
    place = path.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is no folder"
    try:
        os.close(_nameless(place))
    except OSError as error:
        return f"nothing can be written in {place}: {reason(error)}"
    return ""


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the kind of file system below `folder` (ext4, tmpfs …), "" where it cannot be told. Source: proc(5)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place, best, kind = folder.resolve(), -1, ""
    for line in lines:
        mounted, _, about = line.partition(" - ")
        fields, words = mounted.split(), about.split()
        if len(fields) < 5 or not words:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), words[0]
    return kind


def measure_commits(folder: Path) -> Commits:
    """Write and sync one page after the other, as the journal's commits do, for two seconds at most. Raises OSError."""
    handle = _nameless(folder)
    took: list[float] = []
    try:
        end = time.perf_counter() + _LONGEST_S
        while len(took) < _COMMITS and (not took or time.perf_counter() < end):
            begun = time.perf_counter()
            os.write(handle, _PAGE)
            os.fdatasync(handle)
            took.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(handle)
    took.sort()
    return Commits(len(took), took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)])


def _nameless(folder: Path) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except IsADirectoryError:  # an old kernel's word for what it does not know
        return _unnamed(folder)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.ENOTSUP}:
            return _unnamed(folder)
        raise


def _unnamed(folder: Path) -> int:
    """Return a file whose name is taken away at once, where a file cannot be made without one."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".tradebot-doctor-")
    os.unlink(name)
    return handle
