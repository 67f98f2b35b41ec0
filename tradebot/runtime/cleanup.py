"""How does one clean-up callback run, whatever it does? Asked by the coordinator, for each, at shutdown."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Literal

from msgspec import Struct

from tradebot.domain.facts import Level
from tradebot.ports import Log
from tradebot.runtime.component import in_thread

Work = Callable[[], str] | Callable[[], Awaitable[str]]
"""Does its part of the clean-up; returns what it did, in a few words. Plain functions run in a thread."""

VITAL: Final = 0.5
"""Share of what its stage has left that a vital callback may take, if its fair share is less."""

Outcome = Literal["done", "off", "failed", "timed out", "skipped"]

_LEVELS: dict[Outcome, Level] = {
    "done": "INFO",
    "off": "INFO",
    "failed": "ERROR",
    "timed out": "ERROR",
    "skipped": "WARNING",
}


class SwitchedOff(Exception):
    """Raised by a callback whose part is switched off by the time it runs; the text is told."""


class Callback(Struct, frozen=True):
    """One clean-up callback. `work` None says the part is off; `vital` ones run in a forced exit too."""

    name: str
    stage: Literal["write", "close"]
    work: Work | None = None
    vital: bool = False
    said: bool = False  # told before it runs: it takes the log away
    note: str = ""  # what is told where the part is off


class Done(Struct, frozen=True):
    """What became of a callback."""

    name: str
    outcome: Outcome
    text: str = ""
    took_ms: int = 0


async def run_callback(callback: Callback, limit_s: float, give_up: asyncio.Event | None = None) -> Done:
    """Run `callback` for at most `limit_s`; an error, a hang or `give_up` becomes its outcome, never an exception."""
    if callback.work is None:
        return Done(callback.name, "off", callback.note)
    begun = time.monotonic()
    task = asyncio.create_task(_work(callback.name, callback.work), name=f"tradebot-cleanup-{callback.name}")
    forced = None if give_up is None else asyncio.create_task(give_up.wait(), name="tradebot-forced")
    waited = {task} if forced is None else {task, forced}
    await asyncio.wait(waited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    if forced is not None:
        forced.cancel()
    took_ms = round((time.monotonic() - begun) * 1000)
    if not task.done():
        task.cancel()  # not awaited: one that ignores it must not hold up the next
        if give_up is not None and give_up.is_set():
            return Done(callback.name, "skipped", "the exit was forced", took_ms)
        return Done(callback.name, "timed out", f"no end within {limit_s:.1f} s", took_ms)
    if task.cancelled():
        return Done(callback.name, "failed", "cancelled", took_ms)
    error = task.exception()
    if isinstance(error, SwitchedOff):
        return Done(callback.name, "off", str(error), took_ms)
    if error is not None:
        return Done(callback.name, "failed", f"{type(error).__name__}: {error}", took_ms)
    return Done(callback.name, "done", task.result(), took_ms)


def said(work: Coroutine[Any, Any, None]) -> Callable[[], Coroutine[Any, Any, str]]:
    """Return `work`, which says nothing of what it did, as a callback's."""

    async def run() -> str:
        await work
        return ""

    return run


async def _work(name: str, work: Work) -> str:
    if inspect.iscoroutinefunction(work):
        result: str = await work()
        return result
    return await in_thread(f"tradebot-cleanup-{name}", work)  # type: ignore[arg-type] # not a coroutine function


def tell(log: Log, done: Done) -> None:
    """Write the outcome of one callback to the system log."""
    text = f"cleanup_callback {done.name}: {done.outcome}" + (f" · {done.text}" if done.text else "")
    level = _LEVELS[done.outcome]
    log.emit("system", level, "CLEANUP_CALLBACK", text, callback=done.name, outcome=done.outcome, took_ms=done.took_ms)
