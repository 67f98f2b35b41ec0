"""Who listens to SIGINT and SIGTERM? One set of handlers, asked by the coordinator from first to last."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from tradebot.domain.errors import ExitCode, TradebotError

WATCHED: Final = (signal.SIGINT, signal.SIGTERM)


class StopAsked(TradebotError):
    """A signal came while starting: do not go on."""


class Signals:
    """The only handlers of SIGINT and SIGTERM while entered; the previous ones are put back on leaving.

    A handler only notes the signal and wakes whoever attached: what follows happens in ordinary code.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._wake: Callable[[], None] | None = None
        self.received: list[str] = []
        """Names of the signals so far, in order."""

    def __enter__(self) -> Self:
        for number in WATCHED:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals listened to."""
        return tuple(number.name for number in WATCHED)

    def attach(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` (safe to call between any two instructions) on every signal from here on."""
        self._wake = wake

    def check(self) -> None:
        """Raise StopAsked if a signal has come; between two steps of the start."""
        if self.received:
            raise StopAsked(f"{self.received[0]} during start")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(signal.Signals(number).name)
        if self._wake is not None:
            self._wake()


def interrupted(received: int) -> ExitCode:
    """Return the exit code of a start that `received` signals interrupted."""
    return ExitCode.CLEAN if received == 1 else ExitCode.FORCED
