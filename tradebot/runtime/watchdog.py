"""Which part has fallen silent? A thread asks every part for a sign of life; asked for by the coordinator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tradebot.ports import Clock, Log
from tradebot.runtime.component import in_thread
from tradebot.runtime.meter import Meter
from tradebot.runtime.pace import Pace
from tradebot.runtime.stackdump import write_stackdump

Sign = Callable[[], int]
"""Returns a number that changes as long as its part works."""

Busy = Callable[[], bool]
"""Returns whether its part has something to do: one that has not may be silent."""


class _Watched(Struct):
    sign: Sign
    busy: Busy
    last: int
    since_ms: int
    silent: bool = False


class Watchdog:
    """Asks each part for its sign every `interval_s`; one that shows none for `timeout_s` is reported, once.

    A report is the record `COMPONENT_SILENT` and a stack dump of all threads and tasks at `dump`; a part that
    comes back is told too. It runs in its own thread, so that it sees an event loop that stands still.
    """

    name = "watchdog"

    def __init__(self, interval_s: float, timeout_s: float, clock: Clock, log: Log, dump: Path, meter: Meter) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._log = log
        self._dump = dump
        self._meter = meter
        self._watched: dict[str, _Watched] = {}
        self._pace = Pace(interval_s)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, name: str, sign: Sign, busy: Busy = lambda: True) -> None:
        """Ask `sign` from here on, and whether the part is `busy`."""
        watched = _Watched(sign, busy, sign(), self._clock.now_ms())
        self._watched = {**self._watched, name: watched}  # anew: the thread may be going through it

    @property
    def silent(self) -> frozenset[str]:
        """Names of the parts that show no sign of life at present."""
        return frozenset(name for name, part in self._watched.items() if part.silent)

    def retune(self, interval_s: float, timeout_s: float) -> None:
        """Look every `interval_s` from here on, a wait under way included, and report a silence of `timeout_s`."""
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._pace.retune(interval_s)

    async def start(self) -> None:
        """Begin the thread."""
        self._loop = asyncio.get_running_loop()
        self._pace = pace = Pace(self._interval_s)
        self._thread = threading.Thread(target=self._run, args=(pace,), name="tradebot-watchdog", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pace.end()
            await in_thread("tradebot-watchdog-join", lambda: thread.join(self._timeout_s))

    def _run(self, pace: Pace) -> None:
        while pace.wait():
            self.look(self._clock.now_ms())

    def look(self, now_ms: int) -> None:
        """Ask every part once."""
        self._meter.count("heartbeats")
        for name, part in self._watched.items():
            value = part.sign()
            if value != part.last or not part.busy():
                if part.silent:
                    silence_s = (now_ms - part.since_ms) / 1000
                    text = f"{name} shows life again after {silence_s:.1f} s"
                    self._log.emit("system", "INFO", "COMPONENT_BACK", text, component=name, silence_s=silence_s)
                part.last, part.since_ms, part.silent = value, now_ms, False
            elif not part.silent and now_ms - part.since_ms > self._timeout_s * 1000:
                part.silent = True
                self._report(name, (now_ms - part.since_ms) / 1000, now_ms)

    def _report(self, name: str, silence_s: float, now_ms: int) -> None:
        self._meter.count("components_silent")
        text = f"{name} shows no sign of life for {silence_s:.1f} s"
        self.dump(text, now_ms)  # first: who reads the record finds the dump, taken while it was silent
        self._log.emit("system", "ERROR", "COMPONENT_SILENT", text, component=name, silence_s=silence_s)

    def dump(self, reason: str, now_ms: int) -> None:
        """Write a stack dump; one that cannot be written is told."""
        try:
            write_stackdump(self._dump, reason, now_ms, self._loop)
        except OSError as error:
            self._log.emit("system", "ERROR", "STACKDUMP_FAILED", f"no stack dump: {error}", reason=reason)
