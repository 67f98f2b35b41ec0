"""How does a wired run become a finished one? Asked by the command line: loop, leftovers, the session's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.domain.inventory import Inventory
from tradebot.runtime.bot import Bot
from tradebot.runtime.coordinator import Ending
from tradebot.runtime.inventory import as_record, lines
from tradebot.runtime.leftovers import Held, Leftovers, left_since
from tradebot.runtime.wiring import Run

PATIENCE_S = 1.0
"""How long what is left in the process at the end may take to go by itself."""


class Finished(Struct, frozen=True):
    """How a run ended. `seq` is the last fact's; `cancelled` counts orders cancelled in the shutdown."""

    ending: Ending
    left: Leftovers
    seq: int
    positions: int
    cancelled: int


def finish(run: Run, before: Held, say: Callable[[str], None]) -> Finished:
    """Run `run` to its end; `before` is what the process held before it was wired. Nothing stays open."""
    with run.close:
        bot = Bot(run, before)
        loop = asyncio.new_event_loop()
        try:
            ending = loop.run_until_complete(bot.main())
        finally:
            left_tasks = _end_tasks(loop, run.loaded.profile.shutdown.callback_timeout_s)
            loop.close()
        session = run.telling.session
        run.telling.exit_code = ending.code
        left = left_since(before, bot.threads_started, left_tasks, session.folder, PATIENCE_S)
        if not left.clean:
            say(f"left behind in the process: {left}")
        try:
            shutdown = _shutdown(ending, left, bot.closing.seq)
            session.close(ended_ms=run.clock.now_ms(), exit_code=int(ending.code), shutdown=shutdown)
        except StorageFailed as error:
            say(f"the session's record cannot be written: {error}")
    return Finished(
        ending, left, bot.closing.seq, len(run.engine.state.ledger.positions), run.book.cancelled - bot.cancelled_before
    )


def _end_tasks(loop: asyncio.AbstractEventLoop, limit_s: float) -> set[asyncio.Task[Any]]:
    """Cancel every task that is left; return those that do not end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if not tasks:
        return set()
    _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=limit_s))
    return left


def _shutdown(ending: Ending, left: Leftovers, seq: int) -> dict[str, Any]:
    return {
        "reason": ending.reason,
        "error": ending.error,
        "forced": ending.forced,
        "orders_left": ending.orders_left,
        "inventory": None if ending.inventory is None else _inventory(ending.inventory),
        "stragglers": ending.stragglers,
        "callbacks": {done.name: done.outcome for done in ending.callbacks},
        "took_s": round(ending.took_s, 3),
        "seq": seq,
        "threads_cleaned_pct": left.threads_cleaned_pct,
        "left": msgspec.to_builtins(left),
    }


def _inventory(found: Inventory) -> dict[str, Any]:
    return {
        "wanted": found.wanted,
        "verified": found.verified,
        "cause": found.cause,
        "breach": found.breach,
        **as_record(found),
    }


def last_lines(finished: Finished, policy: str, place: str = "the paper venue") -> list[str]:
    """Return the lines a person reads at the end of a run."""
    ending = finished.ending
    outcome = {done.name: done for done in ending.callbacks}
    done = ["entries closed"] if "entries: entries" not in ending.stragglers else ["entries NOT closed"]
    if finished.cancelled:
        done.append(f"{finished.cancelled} {_plural('order', finished.cancelled)} cancelled")
    persisted = outcome.get("state_persist")
    if persisted is not None:
        done.append(persisted.text if persisted.outcome == "done" else f"state NOT written: {persisted.text}")
    logs = outcome.get("logging_queue")
    if logs is not None:
        done.append("logs drained" if logs.outcome == "done" else f"logs NOT drained: {logs.text}")
    asked = ending.reason if ending.reason.startswith("--for") else f"shutdown ({ending.reason})"
    why = {"SIGINT": "^C shutdown", "SIGTERM": "SIGTERM shutdown"}.get(ending.reason, asked)
    left = ending.inventory
    if left is None:
        return [f"{why}: {' · '.join(done)}", f"{ending.took_s:.1f} s · exit {int(ending.code)}"]
    says = f'against what `shutdown.open_orders = "{policy}"` says: {left.breach}'
    if not left.breach:
        says = f'as `shutdown.open_orders = "{policy}"` says{", verified" if left.verified else ", NOT verified"}'
    return [
        f"{why}: {' · '.join(done)}",
        *lines(left, place),
        f"orders {says} · {ending.took_s:.1f} s · exit {int(ending.code)}",
    ]


def refusal_lines(finished: Finished) -> list[str]:
    """Return the lines a person reads where a start was refused before anything could be sent; the reason is last."""
    ending, left = finished.ending, []
    if finished.positions or ending.orders_at_start:
        owned = f"{finished.positions} {_plural('position', finished.positions)}"
        open_ = f"{ending.orders_at_start} {_plural('order', ending.orders_at_start)}"
        left = [f"what earlier runs left was not touched: {owned}, {open_} as far as known here"]
    return [*left, f"not started: {ending.refusal} · exit {int(ending.code)}"]


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
