"""How do records get into files, whatever the disk does? Asked by the log pipeline, from its one thread."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from tradebot.config.sections.logging import Logging
from tradebot.domain.facts import Level
from tradebot.telemetry.console import Console
from tradebot.telemetry.log_files import LogFile, OneFile, SplitFiles, prune_logs
from tradebot.telemetry.records import KEPT_FROM, LEVELS, Record, as_dict, encode_line
from tradebot.telemetry.redaction import Redactor

_MB = 1_000_000
Tell = Callable[[bytes], None]
"""Takes one record as a redacted line of JSON, without its end of line; called in the log's thread, never blocks."""

_CHUNK = 500  # lines joined into one write: small beside the smallest file


class LogWriter:
    """Formats records and appends them to their files; what cannot be written is held, retried, at last counted lost.

    Up to `queue_limit` records below WARNING are held, and as many from WARNING on.
    """

    def __init__(
        self,
        folder: Path,
        files: SplitFiles | OneFile,
        settings: Logging,
        redactor: Redactor,
        console: Console,
        clock: Callable[[], int],
    ) -> None:
        self.written = 0
        self.lost = 0
        self.failing = ""
        self.generation = 0
        self._folder = folder
        self._redactor = redactor
        self._console: Console | None = console
        self._clock = clock
        self._listeners: tuple[Tell, ...] = ()
        self._listening = Lock()
        self._files: dict[str, LogFile] = {}
        self._held: dict[str, deque[tuple[bool, bytes]]] = {}
        self._leaving: set[str] = set()  # files that nothing goes to any more, but what is held for them
        self._holding = {True: 0, False: 0}  # by whether the record must be kept
        self._lost_told = 0
        self._retry_at = 0.0
        self.change(settings, files, {})
        self._prune = False

    def change(self, settings: Logging, files: SplitFiles | OneFile, opened: Mapping[str, LogFile]) -> None:
        """Write by `settings` from the next record on, to `files`, of which those in `opened` are open already.

        What is held for a file that no record goes to any more is written to it, then the file is closed.
        """
        self._limit, self._retry_s = settings.queue_limit, settings.retry_s
        self._name_of = files.names
        names = set(files.names.values())
        max_file = largest(settings, files)
        self._max_disk = settings.max_disk_mb * _MB - max_file * len(names)  # those that are written may still grow
        for name in names:
            if name not in self._files:
                self._files[name] = opened[name] if name in opened else LogFile(self._folder / name, max_file)
                self._held[name] = deque()
            elif name in opened:
                opened[name].close()
            self._files[name].keep_within(max_file)
        self._prune = True
        self._leaving = self._files.keys() - names
        self._leave()

    def add(self, record: Record) -> None:
        """Format one record; `flush` writes it. Never raises: a record that cannot be read is told as such."""
        try:
            line = as_dict(record)
            data = self._redactor.line(line, encode_line)
            message = line["message"]
        except Exception as error:  # noqa: BLE001  border: no record, however strange, may end the logging
            message = self._redactor.text(f"A record could not be written: {type(error).__name__}: {error}")
            plain = Record(record.at_ms, record.stream, record.level, record.event_type, record.generation, message, {})
            data = encode_line(as_dict(plain))
            line = as_dict(plain)
        self._hold(self._name_of[record.stream], LEVELS[record.level] >= KEPT_FROM, data)
        for tell in self._listeners:
            self._tell(tell, data)
        if self._console is not None:
            self._show(record, line["time"], self._redactor.text(str(message)))

    def listen(self, tell: Tell) -> Tell:
        """Hand every record from the next one on to `tell`; return what `unlisten` takes. From any thread."""
        one = partial(tell)  # its own, where one function listens twice
        with self._listening:
            self._listeners = (*self._listeners, one)
        return one

    def unlisten(self, one: Tell) -> None:
        """Hand nothing more to `one`; harmless when called twice. From any thread."""
        with self._listening:
            self._listeners = tuple(other for other in self._listeners if other is not one)

    def note(self, level: Level, event_type: str, message: str, **fields: Any) -> None:
        """Add a system record of the logging's own."""
        self.add(Record(self._clock(), "system", level, event_type, self.generation, message, fields))

    def flush(self, *, now: bool = False) -> bool:
        """Write what is held; return whether nothing is left. While writing fails it waits `retry_s` between tries.

        `now` tries at once. Never raises.
        """
        if self.failing and not now and time.monotonic() < self._retry_at:
            return False
        failed = ""
        restored: list[str] = []
        for name, held in self._held.items():
            try:
                if held and self._write(self._files[name], held):
                    restored.append(name)
            except OSError as error:
                failed = f"{self._folder / name}: {error.strerror or error}"
        if self._leaving:
            self._leave()
        if self._prune:
            failed = failed or self._prune_now()
        if restored:
            self.note("WARNING", "LOG_FILES_RESTORED", "Log files had vanished and were made anew", files=restored)
        self._judge(failed)
        if not failed and any(self._held.values()):
            return self.flush()
        self._flush_console()
        return not failed

    @property
    def waiting(self) -> int:
        """How many records are held."""
        return self._holding[True] + self._holding[False]

    def close(self) -> None:
        """Close the files; harmless when called twice."""
        for file in self._files.values():
            file.close()

    def _leave(self) -> None:
        """Close the files that nothing goes to any more, once nothing is held for them."""
        for name in [name for name in self._leaving if not self._held[name]]:
            self._leaving.discard(name)
            del self._held[name]
            try:
                self._files.pop(name).leave()
            except OSError as error:
                self.note("WARNING", "LOG_FILE_NOT_CLOSED", f"{name}: {error.strerror or error}", file=name)

    def _tell(self, tell: Tell, data: bytes) -> None:
        try:
            tell(data.rstrip(b"\n"))
        except Exception as error:  # noqa: BLE001  border: a listener's fault ends its listening, never the logs
            self.unlisten(tell)
            text = f"A listener of the log failed and hears no more: {type(error).__name__}: {error}"
            self.note("WARNING", "LOG_LISTENER_DROPPED", text)

    def _hold(self, name: str, kept: bool, data: bytes) -> None:
        if self._holding[kept] >= self._limit and self.failing:
            self.lost += 1
            return
        self._holding[kept] += 1
        self._held[name].append((kept, data))

    def _write(self, file: LogFile, held: deque[tuple[bool, bytes]]) -> bool:
        """Write all of `held`, whole chunks at a time; return whether the file was made anew. Raises OSError."""
        restored = False
        rotations = file.rotations
        while held:
            chunk = [held[index] for index in range(min(_CHUNK, len(held)))]
            restored = file.write(b"".join(data for _, data in chunk)) or restored
            self.written += len(chunk)
            for kept, _ in chunk:
                held.popleft()
                self._holding[kept] -= 1
        self._prune = self._prune or file.rotations != rotations
        return restored

    def _prune_now(self) -> str:
        """Remove the oldest files beyond the disk that all may take; return why that failed."""
        try:
            removed = prune_logs(self._folder, self._max_disk)
        except OSError as error:
            return f"{self._folder}: {error.strerror or error}"
        self._prune = False
        if removed:
            self.note("INFO", "LOG_FILES_PRUNED", "Oldest log files removed, `logging.max_disk_mb`", files=removed)
        return ""

    def _judge(self, failed: str) -> None:
        """Tell when writing begins to fail, on the terminal's error stream, and when it works again, in the log."""
        if failed:
            self._retry_at = time.monotonic() + self._retry_s
            if not self.failing:
                complain(f"LOG_WRITE_FAILED {failed}; records are held and written later")
        elif self.failing:
            lost, self._lost_told = self.lost - self._lost_told, self.lost
            was, self.failing = self.failing, ""
            level: Level = "ERROR" if lost else "WARNING"
            self.note(level, "LOG_WRITE_RESTORED", f"Logs are written again, {lost} records lost", lost=lost, cause=was)
        self.failing = failed

    def _show(self, record: Record, moment: str, message: str) -> None:
        if self._console is None:
            return
        try:
            self._console.show(record.stream, record.level, moment, record.event_type, message)
        except (OSError, ValueError) as error:
            self._lose_console(error)

    def _flush_console(self) -> None:
        if self._console is None:
            return
        try:
            self._console.flush()
        except (OSError, ValueError) as error:
            self._lose_console(error)

    def _lose_console(self, error: Exception) -> None:
        self._console = None
        self.note("WARNING", "CONSOLE_LOST", f"The terminal takes no more lines: {error}")


def largest(settings: Logging, files: SplitFiles | OneFile) -> int:
    """Return at how many bytes a log file is closed, so that all of them keep within the disk they may take."""
    return min(settings.max_file_mb * _MB, settings.max_disk_mb * _MB // (2 * len(set(files.names.values()))))


def complain(text: str) -> None:
    """Write one line to the error stream, where the log itself cannot speak; a closed stream is left alone."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
