"""When is the engine's picture taken, and what does it cost the cycle? Asked by the live shell, as a chore.

The core (orders, intents, positions) is one picture at one `seq`; the price windows follow in slices between the
next cycles, each symbol with its own time. The Checkpointer's thread does the writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from tradebot.domain.events import Event
from tradebot.runtime.meter import Meter
from tradebot.runtime.outbox import NEVER_MS


class Pictured(Protocol):
    """What of the engine a checkpoint holds."""

    @property
    def symbols(self) -> Collection[str]:
        """The symbols that have a window."""
        ...

    def core_picture(self) -> bytes:
        """Return the core as a JSON object."""
        ...

    def window_picture(self, symbol: str) -> bytes:
        """Return one symbol's window as a JSON object."""
        ...


Submit = Callable[[bytes, Sequence[tuple[str, bytes]]], None]
"""Takes (core, windows) to be written elsewhere."""


class Written(Protocol):
    """What of the journal a checkpoint must not be ahead of."""

    @property
    def last_seq(self) -> int:
        """The seq of the last fact appended."""
        ...

    @property
    def durable_seq(self) -> int:
        """The last seq that survives a crash."""
        ...


class Checkpoints:
    """Takes a picture every `interval_s`; windows are copied for `slice_ms` a cycle, one at least.

    It is handed over once the journal holds every fact in it, so that no checkpoint is ever ahead of the journal.
    What each step costs the cycle is observed as `checkpoint_cycle_ms`.
    """

    name = "checkpoint"

    def __init__(
        self,
        engine: Pictured,
        journal: Written,
        submit: Submit,
        interval_s: float,
        slice_ms: float,
        now_ms: int,
        meter: Meter,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._submit = submit
        self._interval_ms = round(interval_s * 1000)
        self._slice_ns = slice_ms * 1e6
        self._timer = timer
        self._meter = meter
        self._core: bytes | None = None
        self._seq = 0
        self._todo: list[str] = []
        self._windows: list[tuple[str, bytes]] = []
        self._wait_ms = 0
        self._begun_ms = now_ms
        self._due_ms = now_ms + self._interval_ms

    @property
    def next_due_ms(self) -> int:
        """Return the time of the next step."""
        return self._due_ms

    def retune(self, interval_s: float, slice_ms: float) -> None:
        """Take a picture every `interval_s` from here on, the wait under way included, in slices of `slice_ms`."""
        self._interval_ms = round(interval_s * 1000)
        self._slice_ns = slice_ms * 1e6
        if self._core is None:
            self._due_ms = self._begun_ms + self._interval_ms

    def run(self, now_ms: int) -> Event | None:
        """Take the core, or the next slice of the windows, or hand over what is complete and durable."""
        begun = self._timer()
        self._step(now_ms)
        self._meter.observe("checkpoint_cycle_ms", (self._timer() - begun) / 1e6)
        return None

    def _step(self, now_ms: int) -> None:
        if self._core is None:
            self._begun_ms = now_ms
            self._due_ms = now_ms + self._interval_ms  # should the picture fail, the next one is tried then
            core = self._engine.core_picture()
            self._seq = self._journal.last_seq
            self._todo = list(self._engine.symbols)[::-1]
            self._windows = []
            self._core, self._wait_ms, self._due_ms = core, 0, now_ms
        elif self._todo:
            end = self._timer() + self._slice_ns
            while self._todo:
                symbol = self._todo.pop()
                self._windows.append((symbol, self._engine.window_picture(symbol)))
                if self._timer() >= end:
                    break
        elif self._journal.durable_seq < self._seq:
            self._wait_ms = min(self._interval_ms, 2 * self._wait_ms + 1)
            self._due_ms = now_ms + self._wait_ms
        else:
            core, self._core = self._core, None
            self._begun_ms = now_ms
            self._due_ms = now_ms + self._interval_ms
            self._submit(core, self._windows)


class NoCheckpoints:
    """Periodic persistence is off: the journal keeps every fact, and a checkpoint is written at the end only."""

    name = "checkpoint"
    next_due_ms = NEVER_MS

    def run(self, now_ms: int) -> Event | None:
        """Take no picture."""
        return None


def whole_picture(engine: Pictured) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return (core, windows) of the engine as it stands, in one go: for the last checkpoint."""
    return engine.core_picture(), [(symbol, engine.window_picture(symbol)) for symbol in engine.symbols]
