"""How does the venue's asyncio code run where the test says what time it is? Asked by the machine's bot.

A loop without selector, threads or clock: what is ready runs in order, what waits comes when time is moved to it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TURNS = 100_000
"""So many callbacks without time moving are a loop that never ends."""


class TurnedLoop(asyncio.BaseEventLoop):
    """Runs coroutines to where they wait. Times are seconds that only `move_to` changes."""

    def __init__(self, now_s: float) -> None:
        self._dead = False
        super().__init__()
        self._now_s = now_s
        self._runnable: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._tasks: list[tuple[asyncio.Task[Any], Context]] = []
        self.faults: list[str] = []
        """What went wrong in a callback, or in a task that nobody looked at."""

    # -- what the test calls ------------------------------------------------------------------------

    @property
    def next_due_s(self) -> float:
        """When the first timer comes, infinity where there is none."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else float("inf")

    @property
    def ready(self) -> bool:
        """Whether something could run now."""
        return bool(self._runnable)

    def move_to(self, now_s: float) -> None:
        """Let it be later; timers that have come are ready, in order."""
        self._now_s = now_s
        while self.next_due_s <= now_s:
            self._runnable.append(heapq.heappop(self._timers)[2])

    def turn(self) -> None:
        """Run everything that is ready, and what becomes ready by it."""
        asyncio._set_running_loop(self)
        try:
            for _ in range(MOST_TURNS):
                if not self._runnable:
                    return
                handle = self._runnable.popleft()
                if not handle.cancelled():
                    handle._run()
            raise AssertionError("the venue's tasks never rest")
        finally:
            asyncio._set_running_loop(None)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as far as it comes."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(coroutine)
        finally:
            asyncio._set_running_loop(None)
        self.turn()
        return task

    def kill(self) -> None:
        """End everything at the place where it waits, as the end of a process does: nothing more is run."""
        self._dead = True
        self._runnable.clear()
        self._timers.clear()
        for task, around in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                if coroutine is not None:
                    around.run(coroutine.close)
        self._tasks.clear()

    # -- what asyncio calls ---------------------------------------------------------------------------

    def time(self) -> float:
        return self._now_s

    def call_soon(  # type: ignore[override]  # its arguments are checked where they are called
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._dead:
            self._runnable.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._dead:
            self._timer_count += 1
            heapq.heappush(self._timers, (when, self._timer_count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        around = context or copy_context()
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=str(name), context=around)
        self._tasks = [(each, its) for each, its in self._tasks if not each.done()]
        self._tasks.append((task, around))
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._dead:
            error = context.get("exception")
            self.faults.append(f"{context.get('message')}: {type(error).__name__}: {error}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave a cancelled timer where it is: it is passed over when it comes."""
