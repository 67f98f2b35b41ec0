"""Who is told what happened, without ever waiting for a disk? Asked by every part of the running bot."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from tradebot.config.sections.logging import Logging
from tradebot.domain.errors import CannotStart
from tradebot.domain.facts import Level, Stream
from tradebot.telemetry.console import Console
from tradebot.telemetry.log_files import LogFile, OneFile, SplitFiles
from tradebot.telemetry.log_writer import LogWriter, Tell, complain, largest
from tradebot.telemetry.records import KEPT_FROM, LEVELS, Record, Render, encode_line, iso_ms
from tradebot.telemetry.redaction import Redactor

_BATCH = 1000  # records formatted between two writes

_STOP = None

_WAIT_S = 60.0  # longest wait for the listener's thread to take a change up, where no deadline is nearer


class StagedLogs:
    """Another way to write the logs, its files open: `commit` swaps it in between two records, `revert` swaps back.

    All but `wait` is called from one thread.
    """

    def __init__(self, pipeline: LogPipeline, before: Written, after: Written, opened: dict[str, LogFile]) -> None:
        self._pipeline = pipeline
        self._before = before
        self._after = after
        self._opened = opened
        self._changes: list[_Change] = []

    def commit(self) -> None:
        """Write every record told from here on in the new way; those told before are still written in the old one."""
        self._swap(self._after, self._opened)

    def revert(self) -> None:
        """Write every record told from here on in the old way again; does nothing where nothing was swapped."""
        if self._changes:
            self._swap(self._before, {})

    def wait(self, timeout_s: float = _WAIT_S) -> bool:
        """Wait until the log's thread has taken up every swap; return whether it did in time. From any thread."""
        return all(change.done.wait(timeout_s) for change in self._changes)

    def discard(self) -> None:
        """Close what was opened and never swapped in; a file made for it is removed. Raises OSError."""
        if not self._changes:
            for file in self._opened.values():
                file.leave()

    def _swap(self, to: Written, opened: dict[str, LogFile]) -> None:
        change = _Change(*to, opened, Event())
        if self._pipeline.swap(change):
            self._changes.append(change)
            return
        for file in opened.values():  # the log is ending: nothing is written to them any more
            file.close()


class _Change(NamedTuple):
    """A new way of writing, on its way through the queue."""

    settings: Logging
    files: SplitFiles | OneFile
    opened: dict[str, LogFile]
    done: Event


Written = tuple[Logging, SplitFiles | OneFile]
"""How records are written: by which settings, to which files."""


class LogPipeline:
    """The logs of one session: `emit` from any thread puts a record into a bounded queue, one thread writes them.

    Beyond `logging.queue_limit` waiting records, those below WARNING are counted and dropped, and the count is told.
    """

    def __init__(
        self,
        folder: Path,
        files: SplitFiles | OneFile,
        settings: Logging,
        console: Console,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`folder` is the session's `logs/`; `clock` gives milliseconds UTC."""
        self._folder = folder
        self._files = files
        self._settings = settings
        self._clock = clock
        self._limit = settings.queue_limit
        self._rank = LEVELS[settings.level]
        self._redactor = Redactor()
        self._writer = LogWriter(folder, files, settings, self._redactor, console, clock)
        self._queue: SimpleQueue[Record | Event | _Change | None] = SimpleQueue()
        self._lock = Lock()
        self._stopping = False
        self._give_up = Event()
        self._generation = 0
        self._dropped = 0
        self._dropped_told = 0
        self._retry_s = settings.retry_s
        self._thread = Thread(target=self._run, name="log-listener", daemon=True)

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the listener. Raises CannotStart when its thread cannot be started."""
        self.emit(
            "system",
            "INFO",
            "LOGGING_QUEUE_ENABLED",
            "Queue-based logging enabled",
            queue_limit=self._limit,
            folder=str(self._folder),
        )
        self._tell_split()
        try:
            self._thread.start()
        except RuntimeError as error:
            raise self._init_failed(str(error)) from error

    def validate(self, timeout_s: float) -> None:
        """Send a probe through the queue and wait until it stands in its file.

        Raises CannotStart, told as LOGGING_QUEUE_INIT_FAILED on the error stream, when it does not in time.
        """
        probe = Event()
        self._queue.put(probe)
        if not probe.wait(timeout_s):
            cause = self._writer.failing or f"no record was written within {timeout_s:g} s"
            raise self._init_failed(cause)

    def stop(self, timeout_s: float) -> bool:
        """Write everything told so far, then the last record, and end the thread; harmless when called twice.

        Returns whether all of it was written within `timeout_s`; what was not is counted on the error stream.
        """
        with self._lock:
            first, self._stopping = not self._stopping, True
            if first:
                self._queue.put(_STOP)
        if self._thread.ident is None:
            return False
        self._thread.join(timeout_s)
        self._give_up.set()
        self._thread.join(self._retry_s)
        return not self._thread.is_alive() and not self._writer.failing

    def stage(self, settings: Logging, files: SplitFiles | OneFile) -> StagedLogs:
        """Open the files that `settings` and `files` need beside those in use. Raises OSError; nothing is left then.

        It is swapped in, with all that is in force of `settings`, by its `commit`; the level is `set_level`'s.
        """
        opened: dict[str, LogFile] = {}
        try:
            for name in sorted(set(files.names.values()) - set(self._files.names.values())):
                opened[name] = LogFile(self._folder / name, largest(settings, files))
                opened[name].prove()
        except OSError:
            for file in opened.values():
                file.leave()
            raise
        return StagedLogs(self, (self._settings, self._files), (settings, files), opened)

    def swap(self, change: _Change) -> bool:
        """Let the log's thread take `change` up between two records; return False where the log is ending."""
        with self._lock:
            if self._stopping:
                return False
            self._limit, self._retry_s = change.settings.queue_limit, change.settings.retry_s
            split, self._settings, self._files = self._files.split, change.settings, change.files
            self._queue.put(change)
        if self._files.split is not split:
            self._tell_split()
        return True

    def listen(self, tell: Tell) -> Callable[[], None]:
        """Hand every record written from here on to `tell` as one redacted line of JSON; return what ends it.

        `tell` is called in the log's thread and must not block; where it raises it hears no more, which is told.
        """
        one = self._writer.listen(tell)
        return lambda: self._writer.unlisten(one)

    def set_level(self, level: Level) -> None:
        """Write records from `level` on, from now."""
        self._rank = LEVELS[level]

    def set_generation(self, generation: int) -> None:
        """Put this generation's number on every record from now on."""
        self._generation = self._writer.generation = generation

    def register_secret(self, secret: str) -> None:
        """Never write `secret`, wherever it stands. Raises ValueError for one too short to be told from other text."""
        self._redactor.register(secret)

    # -- telling ------------------------------------------------------------------------------------

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Tell one record, from any thread; never blocks and never raises. `fields` are not changed afterwards."""
        if LEVELS[level] >= self._rank:
            self._put(Record(self._clock(), stream, level, event_type, self._generation, message, fields))

    def emit_later(
        self, at_ms: int, stream: Stream, level: Level, event_type: str, render: Render, source: Any, **fields: Any
    ) -> None:
        """Tell one record of time `at_ms`, put into words by `render(source)` in the listener's thread.

        `source` is immutable; `fields` are added to what `render` returns.
        """
        if LEVELS[level] >= self._rank:
            self._put(Record(at_ms, stream, level, event_type, self._generation, "", fields, render, source))

    @property
    def files(self) -> SplitFiles | OneFile:
        """Which files records go to."""
        return self._files

    @property
    def dropped(self) -> int:
        """How many records found no room in the queue."""
        return self._dropped

    @property
    def written(self) -> int:
        """How many records have reached their file."""
        return self._writer.written

    @property
    def waiting(self) -> int:
        """How many records wait for the listener."""
        return self._queue.qsize()

    def _put(self, record: Record) -> None:
        kept = LEVELS[record.level] >= KEPT_FROM
        with self._lock:
            if self._stopping:
                late = kept
            elif not kept and self._queue.qsize() >= self._limit:
                self._dropped += 1
                return
            else:
                self._queue.put(record)
                return
        if late:
            text = self._redactor.text(record.message)
            complain(f"{iso_ms(record.at_ms)[11:19]} {record.level} {record.event_type} {text} (after the log's end)")

    def _tell_split(self) -> None:
        files = self._files
        if files.split:
            self.emit("system", "INFO", "LOGGING_SPLIT_ENABLED", "Logs are split by purpose", files=dict(files.names))
        else:
            self.emit("system", "INFO", "LOGGING_SPLIT_DISABLED", "Every record goes to one system file")

    def _init_failed(self, cause: str) -> CannotStart:
        record = {
            "time": iso_ms(self._clock()),
            "level": "ERROR",
            "event_type": "LOGGING_QUEUE_INIT_FAILED",
            "message": f"Queue-based logging does not work: {cause}",
        }
        complain(encode_line(record).decode().rstrip())
        return CannotStart(f"{self._folder}: the logs cannot be written ({cause})")

    # -- the listener's side ------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                if self._serve():
                    break
            except Exception:  # noqa: BLE001  supervision border: the logs outlive any fault of their own
                complain(f"LOG_LISTENER_ERROR {self._redactor.text(traceback.format_exc())}")
        self._finish()

    def _serve(self) -> bool:
        """Take what waits and write it; return whether the end was asked for."""
        stop = False
        probes: list[Event] = []
        for item in self._take():
            if isinstance(item, Record):
                self._writer.add(item)
            elif item is _STOP:
                stop = True
            elif isinstance(item, _Change):
                self._writer.change(item.settings, item.files, item.opened)
                item.done.set()
            else:
                probes.append(item)
        dropped = self._dropped
        if dropped > self._dropped_told:
            count, self._dropped_told = dropped - self._dropped_told, dropped
            self._writer.note("WARNING", "LOG_RECORDS_DROPPED", f"{count} records found no room", dropped=count)
        for _ in probes:
            self._writer.note(
                "INFO",
                "LOGGING_QUEUE_VALIDATED",
                "Queue-based logging works",
                queue_size=self._queue.qsize(),
                thread=self._thread.name,
            )
        if self._writer.flush(now=bool(probes)):
            for probe in probes:
                probe.set()
        return stop

    def _take(self) -> list[Record | Event | _Change | None]:
        items: list[Record | Event | _Change | None] = []
        try:
            items.append(self._queue.get(timeout=self._retry_s if self._writer.failing else None))
            while len(items) < _BATCH:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
        return items

    def _finish(self) -> None:
        writer = self._writer
        while not writer.flush(now=True) and not self._give_up.wait(self._retry_s):
            pass
        writer.note(
            "INFO",
            "LOGGING_QUEUE_STOPPED",
            "Queue-based logging stopped",
            written=writer.written + 1,
            dropped=self._dropped,
            lost=writer.lost,
        )
        if not writer.flush(now=True):
            complain(f"LOG_WRITE_FAILED {writer.failing}; {writer.waiting + writer.lost} records are lost")
        writer.close()


class NoLog:
    """No logs, for simulated runs that only report: nothing is told."""

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Tell nothing."""
