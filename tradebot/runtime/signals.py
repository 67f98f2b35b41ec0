"""Who listens to SIGINT, SIGTERM and SIGHUP? One set of handlers, asked by the coordinator from first to last."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from tradebot.domain.errors import ExitCode, TradebotError

WATCHED: Final = (signal.SIGINT, signal.SIGTERM)
"""They end the run."""

HANGUP: Final = signal.SIGHUP
"""Asks to read the profile again; sent by `kill -HUP`, and by the system when the terminal is closed."""


class StopAsked(TradebotError):
    """A signal came while starting: do not go on."""


class Signals:
    """The only handlers of SIGINT, SIGTERM and SIGHUP while entered; the previous ones are put back on leaving.

    A handler only notes the signal and wakes whoever attached: what follows happens in ordinary code.
    SIGHUP never ends anything.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._wake: Callable[[], None] | None = None
        self._hangup: Callable[[], None] | None = None
        self._hung_up = False
        self.received: list[str] = []
        """Names of the signals that end the run, so far, in order."""

    def __enter__(self) -> Self:
        for number in WATCHED:
            self._previous[number] = signal.signal(number, self._on_signal)
        self._previous[HANGUP] = signal.signal(HANGUP, self._on_hangup)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals listened to."""
        return tuple(number.name for number in (*WATCHED, HANGUP))

    def attach(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` (safe to call between any two instructions) on every signal from here on."""
        self._wake = wake

    def on_hangup(self, tell: Callable[[], None] | None) -> None:
        """Call `tell` (safe to call between any two instructions) on every SIGHUP from here on.

        If any came while nobody listened, it is called once now.
        """
        self._hangup = tell
        if tell is not None and self._hung_up:
            self._hung_up = False
            tell()

    def check(self) -> None:
        """Raise StopAsked if a signal has come; between two steps of the start."""
        if self.received:
            raise StopAsked(f"{self.received[0]} during start")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(signal.Signals(number).name)
        if self._wake is not None:
            self._wake()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        if self._hangup is not None:
            self._hangup()
        else:
            self._hung_up = True


def interrupted(received: int) -> ExitCode:
    """Return the exit code of a start that `received` signals interrupted."""
    return ExitCode.CLEAN if received == 1 else ExitCode.FORCED
