"""Where do the records of foreign libraries go? Asked at start: anything told to Python's own logging joins ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tradebot.domain.facts import Level
from tradebot.ports import Log


class LibraryHandler(logging.Handler):
    """Passes records of Python's logging on as system records of type LIBRARY_LOG."""

    def __init__(self, log: Log) -> None:
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on; one that cannot be formatted goes to Python's own error handling."""
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            self.handleError(record)
            return
        level: Level = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        self._log.emit("system", level, "LIBRARY_LOG", message, **fields)


@contextmanager
def library_logs(log: Log) -> Iterator[None]:
    """Send what libraries log from WARNING on to `log` until the block ends; the root logger is then as it was."""
    root = logging.getLogger()
    handler = LibraryHandler(log)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
