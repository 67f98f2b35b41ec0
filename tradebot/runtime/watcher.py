"""When may the profile have changed on the disk? Asked by the reload, which is told so and reads it again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct
from watchfiles import watch

from tradebot.config.reading import LARGEST_BYTES
from tradebot.config.sections.reload import Reload
from tradebot.ports import Log
from tradebot.runtime.component import Failed, NullPart, in_thread

GROUP_MS, QUIET_MS = 50, 10
"""Changes are told after `QUIET_MS` without another, at last after `GROUP_MS`: a write is noticed within some 20 ms."""

LINKS = 40
"""Most links on the way to one file: what Linux itself follows."""

PATIENCE = 5
"""So many times in a row neither watching nor reading works, then the watcher has failed."""

STOP_S = 2.0
"""Longest wait for the thread's end; only a dead file system takes so long."""


class Following(Struct, frozen=True):
    """What is watched, and the fingerprint that was last told (or learnt); empty before the first."""

    files: tuple[str, ...]
    known: str


class Watcher:
    """Calls `hint` in the loop's thread whenever the bytes of the files are others than those last told or `seen`.

    The folders of the files, of every link on the way to them and of their real places are watched by a thread of its
    own, which also reads: a disk that stalls delays nobody else. What the system tells is only a reason to read. Every
    `sweep_s` the files are read anyhow, and the folders watched anew, since a folder that was replaced goes silent.
    Where watching is refused (a system's limit) that goes on alone. `failed` is called, in the loop's thread too, when
    reading fails as well, again and again.

    Until `seen` (or `follow`) says what was read of the files, one hint follows for sure: nothing is missed between a
    reading and the start.
    """

    name = "watcher"

    def __init__(
        self, files: Sequence[str], hint: Callable[[], None], settings: Reload, log: Log, failed: Failed
    ) -> None:
        self._following = Following(tuple(files), "")
        self._hint = hint
        self._sweep_s = settings.sweep_s
        self._log = log
        self._failed = failed
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._again = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused = 0
        self._lost = 0
        self.looks = 0
        """How often the files were read: a sign of life."""

    # -- what others call, from the loop's thread --------------------------------------------------

    async def start(self) -> None:
        """Begin to watch; returns at once, whatever is or is not on the disk."""
        self._loop = asyncio.get_running_loop()
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="tradebot-watcher", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; harmless when called twice. Raises TimeoutError where it does not end."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._over.set()
        self._again.set()
        await in_thread("tradebot-watcher-join", lambda: thread.join(STOP_S))
        if thread.is_alive():
            raise TimeoutError(f"thread {thread.name} did not end within {STOP_S:g} s")

    def follow(self, files: Sequence[str], known: str = "") -> None:
        """Watch these files from here on; `known` is the fingerprint of what was read of them.

        Without `known`, one hint follows for sure.
        """
        with self._lock:
            self._following = Following(tuple(files), known)
        self._again.set()

    def retune(self, settings: Reload) -> None:
        """Sweep as often as `settings` say from here on; a wait under way is ended."""
        self._sweep_s = settings.sweep_s
        self._again.set()

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._again.clear()
            if self._over.is_set():
                return
            try:
                self._watch()
                continue
            except Exception as error:  # noqa: BLE001 - the supervision border of the watch: told, swept, tried again
                self._refuse(error)
            try:
                self._look()
                self._lost = 0
            except Exception as error:  # noqa: BLE001 - the supervision border of the thread: told when it stays so
                self._lose(error)
            self._again.wait(QUIET_MS / 1000 if self._refused == 1 else self._sweep_s)

    def _watch(self) -> None:
        """Watch until the folders are others, a sweep is due, or someone wants something else."""
        folders = places(self._following.files)
        try:
            self._watch_in(folders)
        except FileNotFoundError:  # one went away before it was watched
            if places(self._following.files) == folders:
                raise

    def _watch_in(self, folders: tuple[str, ...]) -> None:
        sweep_at = time.monotonic() + self._sweep_s
        rounds = watch(
            *folders,
            watch_filter=None,
            debounce=GROUP_MS,
            step=QUIET_MS,
            stop_event=_Steps(lambda: self._watched(folders), self._again),
            rust_timeout=max(1, round(self._sweep_s * 1000)),
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=False,
        )
        with contextlib.closing(rounds):
            for changes in rounds:
                self._look()
                gone = any(path in folders for _, path in changes)
                if gone or time.monotonic() >= sweep_at or places(self._following.files) != folders:
                    return

    def _watched(self, folders: tuple[str, ...]) -> None:
        """Read what was written before the folders were watched; that, too, has to work for the watch to do so.

        Where others came in between, nothing would tell of those: the watch ends, to begin anew with them.
        """
        self._look()
        if places(self._following.files) != folders:
            self._again.set()
        if self._refused > 1:
            self._log.emit("system", "INFO", "WATCHER_RESTORED", "Edits of the profile are noticed at once again")
        self._refused = self._lost = 0

    def _look(self) -> None:
        """Read the files; give a hint if they are others than what was last told."""
        files = self._following.files
        now = fingerprint(files)
        self.looks += 1
        with self._lock:
            if self._following.files != files or self._following.known == now:
                return
            self._following = Following(files, now)
        self._call(self._hint)

    def _call(self, tell: Callable[[], None]) -> None:
        if self._loop is not None and not self._over.is_set():
            self._loop.call_soon_threadsafe(tell)

    def _refuse(self, error: Exception) -> None:
        """Count one refusal; a first one may be a folder that went away that moment, and is not told."""
        self._refused += 1
        if self._refused == 2:
            text = f"Edits of the profile are noticed every {self._sweep_s:g} s only: {type(error).__name__}: {error}"
            self._log.emit("system", "WARNING", "WATCHER_DEGRADED", text, sweep_s=self._sweep_s)

    def _lose(self, error: Exception) -> None:
        self._lost += 1
        if self._lost % PATIENCE == 0:
            self._call(lambda: self._failed(self.name, error))


class NoWatcher(NullPart):
    """The watcher switched off: no edit is noticed; only `tradebot reload` and SIGHUP read the profile again."""

    def __init__(self) -> None:
        super().__init__("watcher")

    def follow(self, files: Sequence[str], known: str = "") -> None:
        """Watch nothing."""

    def retune(self, settings: Reload) -> None:
        """Sweep never."""


class _Steps:
    """What watchfiles asks every `QUIET_MS` from the moment it watches: is it to end?"""

    def __init__(self, begun: Callable[[], None], end: threading.Event) -> None:
        self._begun: Callable[[], None] | None = begun
        self._end = end

    def is_set(self) -> bool:
        """Answer; the first time, tell that watching has begun."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun()
        return self._end.is_set()


# -- files -----------------------------------------------------------------------------------------


def fingerprint(files: Iterable[str]) -> str:
    """Return the identity of what the files hold now: sha256 hex; one that cannot be read counts by why it cannot."""
    return _digest((path, *_bytes(path)) for path in files)


def fingerprint_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Return the same of files that were read, as (path, bytes)."""
    return _digest((path, "read", source) for path, source in files)


def _digest(found: Iterable[tuple[str, str, bytes]]) -> str:
    whole = hashlib.sha256()
    for path, kind, source in sorted(found):
        for part in (os.fsencode(path), kind.encode(), source):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return whole.hexdigest()


def _bytes(path: str) -> tuple[str, bytes]:
    """Return ("read", the bytes) or (why not, what tells it apart); a pipe or a device is never waited for.

    A file that is too large for a profile counts by its size and its time: no more is read than shows that it is.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(number)
            if not stat.S_ISREG(about.st_mode):
                return "no file", b""
            with os.fdopen(number, "rb", closefd=False) as file:
                source = file.read(LARGEST_BYTES + 1)
            if len(source) > LARGEST_BYTES:
                return "too large", f"{about.st_size} {about.st_mtime_ns}".encode()
            return "read", source
        finally:
            os.close(number)
    except OSError as error:
        return f"error {error.errno}", b""


def places(files: Iterable[str]) -> tuple[str, ...]:
    """Return the folders in which something has to happen for one of `files` to change.

    They are those of the file and of every link on the way to it (of a mounted ConfigMap: the link, `..data`, and the
    folder behind it); for one that is missing, the nearest above it that is there.
    """
    found = {folder for file in files for folder in _on_the_way(file)}
    return tuple(sorted({_nearest(folder) for folder in found}))


def _on_the_way(file: str) -> Iterator[str]:
    here, links = "/", 0
    rest = deque(os.path.join(os.getcwd(), file).split("/"))
    while rest:
        part = rest.popleft()
        if part in {"", "."}:
            continue
        if part == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, part)
        try:
            target = os.readlink(step)
        except OSError:  # no link, or not there
            here = step
            continue
        yield here
        links += 1
        if links > LINKS:
            return
        if target.startswith("/"):
            here = "/"
        rest.extendleft(reversed(target.split("/")))
    yield os.path.dirname(here)


def _nearest(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
