"""What does someone see who runs the bot without a screen? Asked by the log's thread for every record."""

from __future__ import annotations

from typing import TextIO

from tradebot.domain.facts import Level, Stream
from tradebot.telemetry.records import LEVELS


class Console:
    """Plain short lines on `out`: time, level, event type, message."""

    def __init__(self, out: TextIO, level: Level, streams: frozenset[Stream]) -> None:
        self._out = out
        self._rank = LEVELS[level]
        self._streams = streams

    def show(self, stream: Stream, level: Level, time: str, event_type: str, message: str) -> None:
        """Write one line where the record is of a shown stream and level; ERROR always is. Raises OSError, ValueError.

        `time` is ISO 8601, of which the time of day is shown.
        """
        rank = LEVELS[level]
        if rank >= LEVELS["ERROR"] or (rank >= self._rank and stream in self._streams):
            self._out.write(f"{time[11:19]} {level:<7} {event_type} {message}".rstrip() + "\n")

    def flush(self) -> None:
        """Bring what was written to its reader. Raises OSError, ValueError."""
        self._out.flush()


class NoConsole(Console):
    """No lines on the terminal: the files hold every record."""

    def __init__(self) -> None:
        """Need no terminal."""

    def show(self, stream: Stream, level: Level, time: str, event_type: str, message: str) -> None:
        """Show nothing."""

    def flush(self) -> None:
        """Bring nothing."""
