"""Which component fails again and again? Told by threads, chores and the shell; asked by the reload's protection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final, Protocol

from msgspec import Struct

from tradebot.config.secrets import mask

Tired = Callable[[str, int, str], None]
"""Told (name of the component, failures in a row, the last error in words) by whichever thread counted the last one."""

TOGGLES: Final[Mapping[str, str]] = {
    "metrics": "metrics",
    "checkpoint": "state_persistence",
    "checkpointer": "state_persistence",
    "watcher": "watcher",
}
"""By component, the toggle that switches it off; one that is not here has none."""


class Failures(Protocol):
    """Told of every failure and recovery of a component, from any thread."""

    def failed(self, name: str, error: BaseException | str) -> None:
        """Note that `name` failed."""
        ...

    def well(self, name: str) -> None:
        """Note that `name` works."""
        ...


class Failing(Struct, frozen=True):
    """How often a component failed: in a row up to now, in all, and the last error in words."""

    in_a_row: int = 0
    in_all: int = 0
    last: str = ""


class ComponentFailures:
    """Counts failures by component; one that failed `limit` times in a row is told once, until it works again."""

    def __init__(self, limit: int, on_tired: Tired) -> None:
        self._limit = limit
        self._on_tired = on_tired
        self._lock = Lock()
        self._failing: dict[str, Failing] = {}
        self._told: set[str] = set()
        self._total = 0

    def failed(self, name: str, error: BaseException | str) -> None:
        """Count a failure of `name`; the one that reaches the limit is told."""
        text = mask(error if isinstance(error, str) else f"{type(error).__name__}: {error}")
        with self._lock:
            known = self._failing.get(name, Failing())
            now = self._failing[name] = Failing(known.in_a_row + 1, known.in_all + 1, text)
            self._total += 1
            tired = now.in_a_row >= self._limit and name not in self._told
            if tired:
                self._told.add(name)
        if tired:
            self._on_tired(name, now.in_a_row, text)

    def well(self, name: str) -> None:
        """Begin the count in a row anew: `name` works, or was switched on again."""
        known = self._failing.get(name)
        if known is None or not known.in_a_row:
            return
        with self._lock:
            self._failing[name] = Failing(0, self._failing[name].in_all, known.last)
            self._told.discard(name)

    def retune(self, limit: int) -> None:
        """Tell a component from `limit` failures in a row on, from its next failure."""
        self._limit = limit

    def of(self, name: str) -> Failing:
        """Return how often `name` failed."""
        return self._failing.get(name, Failing())

    @property
    def total(self) -> int:
        """How many failures of all components were counted."""
        return self._total


class NoFailures:
    """The null part: failures are told in the log by whoever fails, and not counted."""

    def failed(self, name: str, error: BaseException | str) -> None:
        """Count nothing."""

    def well(self, name: str) -> None:
        """Count nothing."""


NO_FAILURES: Final = NoFailures()
