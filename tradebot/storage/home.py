"""Where does what must outlive a run live, and who else is using it? Asked at start-up, before anything is opened."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from tradebot.domain.errors import CannotStart
from tradebot.storage.files import reason

PROFILES = "profiles.sqlite"
"""Name of the file in a home that holds the history of its profile."""

LOOK_S = 0.05
"""Longer than anybody takes to see who holds a home."""

STARTING, ENDING = "starting", "ending"
"""What a bot tells of itself (`Home.tell`) until its door stands open, and once its run ends; more may follow."""

_MOST_TOLD = 2000  # letters of what a holder says of itself


class Home:
    """The durable home of one instance, `state_dir/<instance>/`, held by an exclusive lock until `close`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock: int | None = lock

    @classmethod
    def open(cls, state_dir: Path, instance: str) -> Home:
        """Make the folder where it is missing (mode 0700) and take its lock.

        The lock is the kernel's and ends with the process, however it ends.
        Raises CannotStart when another process holds it, naming that process, or when the folder cannot be used.
        """
        folder = state_dir / instance
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(f"{folder}: the bot's durable home cannot be used ({reason(error)})") from error
        try:
            _take(lock)
            _sign(lock)
        except BlockingIOError:
            pid = _signed(lock)
            os.close(lock)
            other = f"process {pid}" if pid else "a process that is just starting"
            raise CannotStart(
                f"{folder}: in use by another tradebot ({other}); stop it, or give this bot its own `bot.instance`"
            ) from None
        except OSError as error:
            os.close(lock)
            raise CannotStart(f"{folder}: cannot be locked ({reason(error)})") from error
        return cls(folder, lock)

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.folder / "journal.sqlite"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.folder / "checkpoint.json"

    @property
    def account(self) -> Path:
        """The paper account's file."""
        return self.folder / "account.sqlite"

    @property
    def profiles(self) -> Path:
        """The profile history's file."""
        return self.folder / PROFILES

    def tell(self, doing: str) -> None:
        """Say to whoever looks what its holder is doing, "" for its usual work; nothing once it is given back.

        The word goes with the lock, however the process ends. A disk that takes no line costs the word alone.
        """
        if self._lock is not None:
            with suppress(OSError):
                _sign(self._lock, doing)

    def close(self) -> None:
        """Give the lock back; harmless when called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def holder(folder: Path) -> int | None:
    """Return the process that holds the home at `folder`, 0 where it has not signed yet, None where nobody does.

    The home is only looked at: nothing is made there, and whoever opens it at this moment gets it.
    Raises OSError where it may not be looked into.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed(lock)
    finally:
        os.close(lock)
    return None


def doing(folder: Path) -> str:
    """Return what the holder of the home at `folder` says it is doing, "" for its usual work or where nobody holds it.

    Raises OSError where it may not be looked into.
    """
    if holder(folder) is None:
        return ""
    try:
        lines = (folder / "lock").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return lines[1] if len(lines) > 1 else ""


def _take(lock: int) -> None:
    """Take the lock, in a second try where somebody may just be looking. Raises BlockingIOError."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOOK_S)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(lock: int, doing: str = "") -> None:
    """Write who holds the lock, then what it does; a reader between two writes finds whole lines."""
    told = "".join(letter if letter.isprintable() else " " for letter in doing[:_MOST_TOLD])
    data = f"{os.getpid()}\n{told}\n".encode("utf-8", "replace")
    os.pwrite(lock, data, 0)
    os.ftruncate(lock, len(data))


def _signed(lock: int) -> int:
    """Return the process that signed last, 0 where none can be read."""
    try:
        pid = os.pread(lock, 32, 0).partition(b"\n")[0].decode("ascii", "replace").strip()
    except OSError:
        return 0
    return int(pid) if pid.isascii() and pid.isdigit() else 0
