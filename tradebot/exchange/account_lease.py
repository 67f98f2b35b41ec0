"""Does another bot of this machine trade on this account? A lease that the kernel keeps; asked at the start.

It is a lock on a file in the folder where the processes of this user count their requests together, and ends with the
process that holds it, however that ends. What stands in the file only says who that is.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import CannotStart, TradebotError
from tradebot.exchange.counts import CountsUnusable, private_folder
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.shared_budget import folder_of

_LOOK_S: Final = 0.05  # longer than anybody takes who only looks
_LONGEST_BYTES: Final = 65_536


class Holder(Struct, frozen=True):
    """Who trades on an account: a process of this machine, its instance and home, and since when."""

    pid: int
    instance: str
    home: str
    since_ms: int

    def __str__(self) -> str:
        """Return it in words."""
        since = f"{datetime.fromtimestamp(self.since_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"process {self.pid}, instance {self.instance}, home {self.home}, since {since}"


class LeaseLost(TradebotError):
    """The lease's file was removed, and another bot has taken the account since."""


class AccountLease:
    """The right to trade on one account, until `close` or the end of the process."""

    def __init__(self, lock: int, path: Path, holder: Holder, *, shared: bool) -> None:
        self._lock: int | None = lock
        self._path = path
        self._holder = holder
        self._shared = shared

    def refresh(self) -> None:
        """Let the file look used, so that what tidies temporary folders leaves it; take it again where it was removed.

        Harmless once it is given back. Raises LeaseLost where somebody else has it by now, OSError, CountsUnusable.
        """
        if self._lock is None:
            return
        os.utime(self._lock)
        if _names(self._path, self._lock):
            return
        private_folder(self._path.parent)
        try:
            lock = _taken_lock(self._path, self._holder, shared=self._shared)
        except _InUse as taken:
            who = "; ".join(map(str, taken.others)) or "a process that is just starting"
            raise LeaseLost(f"{self._path} was removed, and another tradebot trades on this account ({who})") from None
        os.close(self._lock)
        self._lock = lock

    def close(self) -> None:
        """Give it back; harmless when called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def take_lease(
    settings: Exchange,
    credentials: Credentials,
    holder: Holder,
    environ: Mapping[str, str] = os.environ,
) -> AccountLease:
    """Take the account for `holder`, together with others where `exchange.shared_account` says so.

    Raises CannotStart naming who holds it otherwise, or where the lease cannot be had at all: a bot that cannot see
    another one does not trade.
    """
    path = lease_path(settings, credentials, environ)
    try:
        private_folder(path.parent)
        lock = _taken_lock(path, holder, shared=settings.shared_account)
    except _InUse as taken:
        raise CannotStart(_taken(settings, taken.others)) from None
    except (CountsUnusable, OSError) as error:
        raise _unusable(error) from error
    return AccountLease(lock, path, holder, shared=settings.shared_account)


def lease_path(settings: Exchange, credentials: Credentials, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the lease's file: named by exchange and a digest that is keyed by the key, and so tells nothing of it."""
    account = f"{settings.name}\0{settings.base_url}".encode()
    digest = hmac.new(credentials.api_key.encode(), account, hashlib.sha256).hexdigest()[:32]
    return folder_of(settings, environ) / f"{settings.name}-{digest}.lease"


def lease_holders(
    settings: Exchange, credentials: Credentials, environ: Mapping[str, str] = os.environ
) -> list[Holder]:
    """Return who trades on the account now, in this user's processes; nothing is made, and nobody is kept out.

    Raises OSError where it may not be looked at.
    """
    try:
        lock = os.open(lease_path(settings, credentials, environ), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed(lock)
    finally:
        os.close(lock)
    return []


class _InUse(Exception):
    """Somebody else holds the lock."""

    def __init__(self, others: list[Holder]) -> None:
        super().__init__(others)
        self.others = others


def _taken_lock(path: Path, holder: Holder, *, shared: bool) -> int:
    """Return the descriptor of the file at `path`, locked and signed. Raises _InUse, OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(lock, shared=shared)
        _sign(lock, holder)
    except BlockingIOError:
        others = _signed(lock)
        os.close(lock)
        raise _InUse(others) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _names(path: Path, lock: int) -> bool:
    """Whether `path` still names the file that is open as `lock`."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(lock))


def _lock(lock: int, *, shared: bool) -> None:
    """Lock alone, or together with others that share. Raises BlockingIOError."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_LOOK_S)  # it may be somebody who only looks
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return
    os.ftruncate(lock, 0)  # nobody holds it: who stands there is gone
    if shared:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _sign(lock: int, holder: Holder) -> None:
    os.lseek(lock, 0, os.SEEK_END)
    os.write(lock, msgspec.json.encode(holder) + b"\n")


def _signed(lock: int) -> list[Holder]:
    """Return the living processes that have signed."""
    try:
        lines = os.pread(lock, _LONGEST_BYTES, 0).splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            holder = msgspec.json.decode(line, type=Holder)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if _lives(holder.pid):
            found.append(holder)
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _taken(settings: Exchange, others: list[Holder]) -> str:
    who = "; ".join(map(str, others)) or "a process that is just starting"
    shared = (
        "stop it, or let each of them say exchange.shared_account = true"
        if not settings.shared_account
        else "it does not share the account: stop it, or let it say exchange.shared_account = true, too"
    )
    return f"this account at {settings.name} is traded on by another tradebot ({who}): {shared}"


def _unusable(error: Exception) -> CannotStart:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return CannotStart(
        f"whether another bot trades on this account cannot be known ({why}): "
        "name a folder of this user alone as exchange.requests.folder"
    )
