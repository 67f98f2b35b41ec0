"""What has been used of an exchange's limits? Counted by all processes of a user together; asked by the budget.

A sheet lies in a file of two slots, each with a number and a check sum: a writer takes the older slot, so that a
process killed while it writes damages nothing that counts. The lock is `flock`'s: it ends with the process that holds
it. Who cannot have it soon goes on with what it read: counting is never a reason to stop.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar
from zlib import crc32

from msgspec import Struct, field

from tradebot.domain.errors import TradebotError

T = TypeVar("T")

WEIGHT, RAW, ORDERS = 1, 2, 3
"""Kinds of limits: request weight, requests, orders."""

MOST_WINDOWS: Final = 6

_MAGIC: Final = b"TBRC"
_VERSION: Final = 1
_HEAD: Final = struct.Struct("<4sIQqq")
_WINDOW: Final = struct.Struct("<qqqqqq")
_SUM: Final = struct.Struct("<I")
_BODY: Final = _HEAD.size + MOST_WINDOWS * _WINDOW.size
_SLOT: Final = 512
_SIZE: Final = 2 * _SLOT
_TRIES: Final = 20
_TRY_S: Final = 0.0001
_GIVE_UP_S: Final = 0.1  # so long the lock is not asked for again, once it could not be had


class CountsUnusable(TradebotError):
    """The place where processes count together cannot be used; the text says why."""


class Window(Struct):
    """One limit and what is used of it in its present window; `pending` is what has left and is not answered."""

    kind: int
    interval_ms: int
    limit: int = 0
    index: int = 0
    used: int = 0
    pending: int = 0

    def roll(self, now_ms: int) -> None:
        """Begin anew where the window is another one; one that begins far ahead is a clock's mistake."""
        index = now_ms // self.interval_ms
        if index > self.index or self.index > index + 1:
            self.index, self.used, self.pending = index, 0, 0

    def ends_ms(self) -> int:
        """Return when the present window ends."""
        return (self.index + 1) * self.interval_ms


class Sheet(Struct):
    """Everything that is counted of one address, or of one account's orders."""

    closed_until_ms: int = 0
    banned: bool = False
    windows: list[Window] = field(default_factory=list)

    def window(self, kind: int, interval_ms: int) -> Window | None:
        """Return a limit's window, from here on counted; None where too many are."""
        for one in self.windows:
            if one.kind == kind and one.interval_ms == interval_ms:
                return one
        if len(self.windows) >= MOST_WINDOWS:
            return None
        self.windows.append(Window(kind, interval_ms))
        return self.windows[-1]


class Counts(Protocol):
    """Keeps one sheet."""

    def read(self) -> Sheet:
        """Return what is counted, to look at."""
        ...

    def change(self, edit: Callable[[Sheet], T]) -> T:
        """Let `edit` change the sheet, alone; return what it returns."""
        ...


class PrivateCounts:
    """The null part of counting together: what this process does is counted, nothing of others is known."""

    def __init__(self) -> None:
        self._sheet = Sheet()

    def read(self) -> Sheet:
        """Return what is counted."""
        return self._sheet

    def change(self, edit: Callable[[Sheet], T]) -> T:
        """Let `edit` change the sheet."""
        return edit(self._sheet)


class SharedCounts:
    """A sheet that all processes of a user share, in a file. `told` hears of a file that had to be set aside.

    The file is opened for each use, so that nothing is held between two. Raises CountsUnusable where it cannot be had
    at first; later on, what cannot be written is counted here alone.
    """

    def __init__(self, path: Path, told: Callable[[str], None]) -> None:
        self._path = path
        self._told = told
        self._seq = 0
        self._locked_out_s = 0.0
        self.unshared = 0
        """Changes that were not written down, since the lock or the disk could not be had."""
        self._sheet = Sheet()
        os.close(_open(path))

    def read(self) -> Sheet:
        """Return what is counted, as of the last complete change of anybody."""
        try:
            file = _open(self._path)
        except CountsUnusable:
            return self._sheet
        try:
            self._load(file)
        finally:
            os.close(file)
        return self._sheet

    def change(self, edit: Callable[[Sheet], T]) -> T:
        """Let `edit` change the sheet, alone among all processes; return what it returns."""
        try:
            file = _open(self._path)
        except CountsUnusable:
            self.unshared += 1
            return edit(self._sheet)
        try:
            if not self._lock(file):
                self.unshared += 1
                self._load(file)
                return edit(self._sheet)
            slot, damaged = self._load(file)
            if damaged:
                self._set_aside(damaged)
            result = edit(self._sheet)
            self._store(file, 1 - slot)
            return result
        finally:
            os.close(file)  # the lock ends with it

    def _lock(self, file: int) -> bool:
        if time.monotonic() < self._locked_out_s:
            return False
        for _ in range(_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_TRY_S)
                continue
            return True
        self._locked_out_s = time.monotonic() + _GIVE_UP_S
        return False

    def _load(self, file: int) -> tuple[int, bytes]:
        """Take what was written last; return its slot, and what is there instead where nothing of it can be read."""
        try:
            data = os.pread(file, _SIZE + 1, 0)
        except OSError:
            return 1, b""
        seqs = _seq_in(data, 0), _seq_in(data, 1)
        slot = int(seqs[1] > seqs[0])
        if seqs[slot] < 0:
            return 1, data if data.strip(b"\0") else b""
        if seqs[slot] != self._seq:
            self._seq, self._sheet = seqs[slot], _sheet_in(data, slot)
        return slot, b""

    def _set_aside(self, damaged: bytes) -> None:
        """Keep what nobody can read in a file beside; what is known here goes into the place of it."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            aside.write_bytes(damaged)
        except OSError as error:
            self._told(f"the counts of requests in {self._path} could not be read, nor kept ({error.strerror})")
            return
        self._told(f"the counts of requests in {self._path} could not be read, they are set aside as {aside.name}")

    def _store(self, file: int, slot: int) -> None:
        self._seq += 1
        body = _packed(self._sheet, self._seq)
        try:
            os.pwrite(file, (body + _SUM.pack(crc32(body))).ljust(_SLOT, b"\0"), slot * _SLOT)
        except OSError:
            self.unshared += 1


def _seq_in(data: bytes, slot: int) -> int:
    """Return the number of a slot's sheet, -1 where it holds none that is whole."""
    body = data[slot * _SLOT : slot * _SLOT + _BODY]
    told = data[slot * _SLOT + _BODY : slot * _SLOT + _BODY + _SUM.size]
    if len(body) < _BODY or len(told) < _SUM.size or body[:4] != _MAGIC or _SUM.unpack(told)[0] != crc32(body):
        return -1
    _, version, seq, _, _ = _HEAD.unpack_from(body)
    return int(seq) if version == _VERSION else -1


def _sheet_in(data: bytes, slot: int) -> Sheet:
    at = slot * _SLOT
    _, _, _, closed_until_ms, banned = _HEAD.unpack_from(data, at)
    windows = [Window(*_WINDOW.unpack_from(data, at + _HEAD.size + n * _WINDOW.size)) for n in range(MOST_WINDOWS)]
    return Sheet(closed_until_ms, bool(banned), [one for one in windows if one.kind and one.interval_ms > 0])


def _packed(sheet: Sheet, seq: int) -> bytes:
    parts = [_HEAD.pack(_MAGIC, _VERSION, seq, sheet.closed_until_ms, int(sheet.banned))]
    parts += [
        _WINDOW.pack(one.kind, one.interval_ms, one.limit, one.index, one.used, one.pending) for one in sheet.windows
    ]
    return b"".join(parts).ljust(_BODY, b"\0")


def private_folder(folder: Path) -> Path:
    """Return `folder`, made for this user alone. Raises CountsUnusable where it is somebody else's or no folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.stat(folder, follow_symlinks=False)
    except OSError as error:
        raise CountsUnusable(f"{folder}: {error.strerror or type(error).__name__}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise CountsUnusable(f"{folder} is not a folder that this user alone may write to")
    return folder


def _open(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise CountsUnusable(f"{path}: {error.strerror or type(error).__name__}") from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        os.close(file)
        raise CountsUnusable(f"{path} is not a file of this user")
    return file
