"""Where does one run tell what it did, and what kind of run was it? Asked at start, at the end, and by reports."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from tradebot.domain.errors import CannotStart, StorageFailed
from tradebot.storage.files import reason, utc_stamp, write_atomic

SCHEMA = 1
"""Version of `session.json`."""

FOLDERS = ("logs", "state", "metrics", "profiles")


class SessionRecord(Struct, frozen=True, kw_only=True):
    """What `session.json` holds: the run's name card. Times are milliseconds UTC; `ended_ms` None while it runs.

    `journal` is the journal's file, `money` says in words whose money is traded, `shutdown` what the coordinator tells
    of the end. A start that ended before it was a run has no `run` and no `journal`.
    """

    schema: int = SCHEMA
    kind: Literal["run", "replay"]
    profile: str
    instance: str
    pid: int
    started_ms: int
    run: str = ""
    journal: str = ""
    synthetic: bool = False
    money: str = ""
    ended_ms: int | None = None
    exit_code: int | None = None
    shutdown: dict[str, Any] = field(default_factory=dict)


class Session:
    """One run's folder, `sessions/<utc>-<profile>/`, held by a lock until `close` so that it is not pruned."""

    def __init__(self, folder: Path, record: SessionRecord, lock: int) -> None:
        self.folder = folder
        self.record = record
        self._lock: int | None = lock

    @classmethod
    def create(
        cls,
        sessions: Path,
        profile: str,
        now_ms: int,
        *,
        kind: Literal["run", "replay"],
        instance: str,
        synthetic: bool,
        money: str,
        link_latest: bool = True,
    ) -> Session:
        """Make the folder with `logs/ state/ metrics/ profiles/` and its `session.json`.

        `link_latest` points `latest_session`, beside the folder of all sessions, to it, unless that is a living run's:
        then it is the other's until `take_latest`. Raises CannotStart naming what could not be made.
        """
        record = SessionRecord(
            kind=kind,
            profile=_readable(profile),
            instance=instance,
            pid=os.getpid(),
            started_ms=now_ms,
            synthetic=synthetic,
            money=money,
        )
        link = _latest(sessions)
        try:
            sessions.mkdir(parents=True, exist_ok=True)
            folder = _make_folder(sessions, f"{utc_stamp(now_ms)}-{_safe(profile)}")
            for name in FOLDERS:
                (folder / name).mkdir()
            lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            session = cls(folder, record, lock)
            session.update()
            if link_latest and not (link.is_symlink() and in_use(link)):
                _link(link, folder)
        except OSError as error:
            where = error.filename or sessions
            raise CannotStart(f"{where}: the session folder cannot be made ({reason(error)})") from error
        except StorageFailed as error:
            raise CannotStart(str(error)) from error
        return session

    def take_latest(self) -> None:
        """Point `latest_session` to this session, whoever has it. Raises CannotStart."""
        link = _latest(self.folder.parent)
        try:
            _link(link, self.folder)
        except OSError as error:
            raise CannotStart(f"{link}: cannot be pointed to the newest session ({reason(error)})") from error

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """The folder of the checkpoint's copy."""
        return self.folder / "state"

    @property
    def metrics(self) -> Path:
        """The folder of the metrics' summary."""
        return self.folder / "metrics"

    def update(self, **changes: Any) -> SessionRecord:
        """Replace fields of the record and write `session.json`; return the new record. Raises StorageFailed."""
        self.record = msgspec.structs.replace(self.record, **changes)
        body = msgspec.json.format(msgspec.json.encode(self.record), indent=2)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "session.json", body + b"\n", durable=False)
        return self.record

    def keep_profiles(self, files: Sequence[Path]) -> None:
        """Copy the bytes of `files` into `profiles/`; a name that is taken gets a number. Raises StorageFailed."""
        taken: set[str] = set()
        for file in files:
            name, number = file.name, 1
            while name in taken:
                number += 1
                name = f"{file.stem}-{number}{file.suffix}"
            taken.add(name)
            try:
                data = file.read_bytes()
            except OSError as error:
                raise StorageFailed(f"{file}: cannot be copied into the session ({reason(error)})") from error
            write_atomic(self.folder / "profiles" / name, data, durable=False)

    def close(self, **changes: Any) -> None:
        """Write the last `changes` (end, exit code, shutdown) and let the folder go; harmless when called twice.

        Raises StorageFailed when the record cannot be written; the folder is let go all the same.
        """
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            self.update(**changes)
        finally:
            os.close(lock)


def read_session(folder: Path) -> SessionRecord:
    """Return the name card of the session in `folder`. Raises StorageFailed naming what is wrong with it."""
    file = folder / "session.json"
    try:
        data = file.read_bytes()
        if msgspec.json.decode(data, type=_Versioned).schema > SCHEMA:
            raise StorageFailed(f"{file}: written by a newer version (schema > {SCHEMA})")
        return msgspec.json.decode(data, type=SessionRecord)
    except OSError as error:
        raise StorageFailed(f"{file}: cannot be read ({reason(error)})") from error
    except msgspec.MsgspecError as error:
        raise StorageFailed(f"{file}: not a session's record ({error})") from error


def in_use(folder: Path) -> bool:
    """Whether a living process holds the session in `folder`; one that may not be looked into counts as held."""
    try:
        lock = os.open(folder / ".lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def never_began(folder: Path) -> bool:
    """Whether the session in `folder` is of a start that ended before it was a run. Raises StorageFailed."""
    return not read_session(folder).run and not in_use(folder)


class _Versioned(Struct):
    schema: int


def _latest(sessions: Path) -> Path:
    return sessions.parent / "latest_session"


def _make_folder(sessions: Path, name: str) -> Path:
    number = 1
    while True:
        folder = sessions / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return folder


def _readable(profile: str) -> str:
    """Return a name as it can be written: what is no character of UTF-8 stands as its code."""
    return profile.encode(errors="backslashreplace").decode()


def _safe(profile: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in profile) or "profile"


def _link(link: Path, folder: Path) -> None:
    """Point `link` to `folder`, relatively, replacing an older link at once. Raises CannotStart or OSError."""
    if link.exists() and not link.is_symlink():
        raise CannotStart(f"{link}: is not a link; move it away, it is to point to the newest session")
    beside = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    beside.symlink_to(os.path.relpath(folder, link.parent))
    beside.replace(link)
