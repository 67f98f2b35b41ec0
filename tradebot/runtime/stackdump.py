"""Where does every thread and task stand? Asked by the watchdog when a part falls silent."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

from tradebot.config.secrets import mask


def stack_text(reason: str, at_ms: int, loop: asyncio.AbstractEventLoop | None) -> str:
    """Return the stacks of all threads and of all tasks of `loop`, headed by `reason` and the time, without keys."""
    out = io.StringIO()
    when = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    out.write(f"== stack dump · {when} · {reason}\n")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the interpreter offers no other way
        out.write(f"\n-- thread {names.get(ident, '?')} ({ident})\n")
        out.write("".join(traceback.format_stack(frame)))
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()) if loop is not None else ():
        out.write(f"\n-- task {task.get_name()}\n")
        task.print_stack(file=out)
    out.write("\n")
    return mask(out.getvalue())


def write_stackdump(path: Path, reason: str, at_ms: int, loop: asyncio.AbstractEventLoop | None) -> None:
    """Append the stacks of all threads and tasks to `path`. Raises OSError when it cannot be written."""
    with path.open("a", encoding="utf-8") as file:
        file.write(stack_text(reason, at_ms, loop))
