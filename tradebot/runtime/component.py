"""What is a part with a life of its own? Asked by wiring, which starts parts, and by the coordinator, which ends them.

A part that fails is reported, never lost: its failure goes to whoever supervises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from tradebot.ports import Component, Log
from tradebot.runtime.failures import NO_FAILURES, Failures
from tradebot.runtime.pace import Pace

T = TypeVar("T")

Failed = Callable[[str, BaseException], None]
"""Told (name of the part, the error) when a part fails by itself."""


async def in_thread(name: str, work: Callable[[], T]) -> T:
    """Return (or raise) what `work` does in a daemon thread of its own.

    Cancelling gives up waiting; the thread goes on, but keeps nobody from ending the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast("T", result))

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread is raised where it is awaited
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, fault)
        result = fault = None  # an error holds this frame by its traceback: together they would wait for the collector

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        return await future
    finally:
        if future.done() and not future.cancelled():
            thread.join()  # it has told all it had to tell: nobody who looks for threads meets it any more


async def stop_within(part: Component, limit_s: float) -> None:
    """Stop `part`; raises TimeoutError naming it when it has not stopped after `limit_s`, or what stopping raises."""
    task = asyncio.create_task(part.stop(), name=f"tradebot-{part.name}-stop")
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, even if nobody waits
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        if not task.done():
            task.cancel()  # not awaited: one that ignores it must not hold up the rest
    if not task.done():
        raise TimeoutError(f"{part.name} did not stop within {limit_s:g} s")
    task.result()


class NullPart:
    """A part that is switched off or not there: starts nothing, stops nothing, and says so."""

    def __init__(self, name: str, why: str = "off") -> None:
        self.name = name
        self.why = why

    async def start(self) -> None:
        """Start nothing."""

    async def stop(self) -> None:
        """Stop nothing."""


class TaskPart:
    """One coroutine, run as a supervised task until it is stopped.

    `main` ending by itself, with or without an error, is told to `failed`.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]], failed: Failed) -> None:
        self.name = name
        self._main = main
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin the coroutine."""
        self._stopping = False
        self._task = asyncio.create_task(self._main(), name=f"tradebot-{self.name}")
        self._task.add_done_callback(self._on_done)

    async def stop(self) -> None:
        """Cancel the coroutine and wait until it has ended; if it did not end by an earlier stop, cancel it again."""
        self._stopping = True
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
        if self._task is task:
            self._task = None

    async def wait(self) -> None:
        """Wait until the coroutine, told to end by other means, has ended."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task})

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._failed(self.name, error)
        elif not self._stopping:
            self._failed(self.name, EndedByItself(f"{self.name} ended by itself"))


class EndedByItself(Exception):
    """A part that runs until it is stopped has returned."""


class ClosePart:
    """Something that is open already and only wants closing, in a thread, since a disk may be slow."""

    def __init__(self, name: str, close: Callable[[], object]) -> None:
        self.name = name
        self._close = close

    async def start(self) -> None:
        """Start nothing: it is open."""

    async def stop(self) -> None:
        """Close it. Raises what closing raises."""
        await in_thread(f"tradebot-{self.name}-close", self._close)


class ThreadPart:
    """Something done every `interval_s` in a thread of its own, so that a slow disk or peer delays nobody else.

    A turn that raises is logged as `event_type`; like one that returns False it is a failure, told to `failures`, and
    the next turn is tried as usual.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        interval_s: float,
        stop_timeout_s: float,
        log: Log,
        event_type: str,
        failures: Failures = NO_FAILURES,
    ) -> None:
        self.name = name
        self._work = work
        self._interval_s = interval_s
        self._stop_timeout_s = stop_timeout_s
        self._log = log
        self._event_type = event_type
        self._failures = failures
        self._pace = Pace(interval_s)
        self._thread: threading.Thread | None = None
        self.turns = 0
        """How many turns have ended."""
        self.working = False
        """Whether a turn is under way."""

    async def start(self) -> None:
        """Begin the thread; the first turn comes after one interval."""
        self._pace = pace = Pace(self._interval_s)  # its own: a thread that outlived its stop has ended its own, too
        name = f"tradebot-{self.name}"
        self._thread = threading.Thread(target=self._run, args=(pace,), name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; raises TimeoutError when it does not end within the stop timeout."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._pace.end()
        await in_thread(f"tradebot-{self.name}-join", lambda: thread.join(self._stop_timeout_s))
        if thread.is_alive():
            raise TimeoutError(f"thread {thread.name} did not end within {self._stop_timeout_s:g} s")

    def retune(self, interval_s: float, stop_timeout_s: float) -> None:
        """Take a turn every `interval_s` from here on; a wait under way is measured anew."""
        self._interval_s, self._stop_timeout_s = interval_s, stop_timeout_s
        self._pace.retune(interval_s)

    def _run(self, pace: Pace) -> None:
        while pace.wait():
            self.working = True
            try:
                done = self._work()
            except Exception as error:  # noqa: BLE001 - the supervision border of this thread: told, and tried again
                self._log.emit("system", "ERROR", self._event_type, f"{self.name}: {type(error).__name__}: {error}")
                self._failures.failed(self.name, error)
            else:
                if done is False:
                    self._failures.failed(self.name, f"{self.name} did not do its work")
                else:
                    self._failures.well(self.name)
            self.turns += 1
            self.working = False
