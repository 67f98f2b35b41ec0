"""The bot with a probe in its loop, as a program: `probed.py FD --profile …`. Run by the tests of many edits.

The probe only looks and listens: one JSON line for every outcome, every generation the engine takes, and one at the
end about the loop's turns, written to the open descriptor FD.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import queue
import sys
import threading
import time
from array import array
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from tradebot.cli import run as command
from tradebot.config.show import as_toml
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import ProfileApplied
from tradebot.runtime import editing
from tradebot.runtime.live import LiveShell
from tradebot.runtime.live_profile import LiveProfile
from tradebot.runtime.outcomes import AnyOutcome, Applied
from tradebot.runtime.reload import Reloads
from tradebot.runtime.request import Request
from tradebot.runtime.signals import Signals
from tradebot.runtime.transaction import Transaction
from tradebot.storage.history import History

STEPS = ((editing, "load_profile"), (History, "next_number"), (History, "begin"), (Transaction, "swap"),
         (History, "commit"))  # fmt: skip
"""Steps of a reload whose times are told with its outcome."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Probe:
    """Keeps the times of all turns of the loop, and tells what becomes of edits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._taken: queue.SimpleQueue[ProfileApplied | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._tell_taken, name="probe")
        self._lock = threading.Lock()
        self.steps: list[tuple[str, int, int]] = []
        self.busy = False
        self.turns, self.busy_turns, self.gaps = array("d"), array("d"), array("d")
        self._turned_ns = 0

    def tell(self, **record: Any) -> None:
        with self._lock:
            os.write(self._descriptor, json.dumps(record).encode() + b"\n")

    def turned(self, begun_ns: int, ended_ns: int) -> None:
        took_ms = (ended_ns - begun_ns) / 1e6
        (self.busy_turns if self.busy else self.turns).append(took_ms)
        if self._turned_ns:
            self.gaps.append((begun_ns - self._turned_ns) / 1e6)
        self._turned_ns = begun_ns

    def taken(self, event: ProfileApplied) -> None:
        self.tell(what="taken", generation=event.generation, at_ns=time.time_ns())
        self._taken.put(event)

    def _tell_taken(self) -> None:
        while (event := self._taken.get()) is not None:
            self.tell(what="effective", generation=event.generation, digest=digest(as_toml(event.profile)))

    def outcome(self, live: LiveProfile, outcome: AnyOutcome) -> None:
        steps, self.steps = self.steps, []
        self.tell(
            what="outcome",
            kind=outcome.kind,
            generation=outcome.generation,
            who=outcome.who,
            cause=outcome.cause if isinstance(outcome, Applied) else "",
            head=outcome.lines()[0],
            disk=live.reloads._edits.disk,
            force=live.reloads.force.loaded.digest,
            at_ns=time.time_ns(),
            steps=steps,
        )

    def start(self) -> None:
        self._writer.start()

    def end(self) -> None:
        self._taken.put(None)
        self._writer.join()
        self.tell(what="end", idle=figures(self.turns), busy=figures(self.busy_turns), gaps=figures(self.gaps))


def figures(values: array[float]) -> dict[str, float]:
    """Return count, median, p99 and the greatest, in milliseconds."""
    found = sorted(values) or [0.0]
    return {
        "count": len(values),
        "p50": found[len(found) // 2],
        "p99": found[len(found) * 99 // 100],
        "max": found[-1],
    }


def timed(probe: Probe, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def around(*args: Any, **kwargs: Any) -> Any:
        begun = time.time_ns()
        try:
            return real(*args, **kwargs)
        finally:
            probe.steps.append((name, begun, time.time_ns()))

    return around


def installed(probe: Probe, stack: ExitStack) -> None:
    """Put the probe around what it looks at; everything still does what it did."""
    turn, inject, told, hint = LiveShell.turn, LiveShell.inject, LiveProfile._told, Reloads.hint
    answer = Reloads._answer

    def turned(shell: LiveShell) -> None:
        begun = time.perf_counter_ns()
        turn(shell)
        probe.turned(begun, time.perf_counter_ns())

    def injected(shell: LiveShell, event: Any) -> None:
        inject(shell, event)
        if isinstance(event, ProfileApplied):
            probe.taken(event)

    def heard(live: LiveProfile, outcome: AnyOutcome) -> AnyOutcome:
        heard = told(live, outcome)
        probe.outcome(live, heard)
        return heard

    def hinted(reloads: Reloads, who: str = "edit") -> None:
        probe.steps.append(("hint", time.time_ns(), time.time_ns()))
        hint(reloads, who)

    async def answered(reloads: Reloads, request: Request) -> AnyOutcome | None:
        probe.busy = True
        try:
            return await answer(reloads, request)
        finally:
            probe.busy = False

    for owner, name, new in (
        (LiveShell, "turn", turned),
        (LiveShell, "inject", injected),
        (LiveProfile, "_told", heard),
        (Reloads, "hint", hinted),
        (Reloads, "_answer", answered),
    ):
        stack.enter_context(patch.object(owner, name, new))
    for place, name in STEPS:
        stack.enter_context(patch.object(place, name, timed(probe, name, getattr(place, name))))


def main() -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    probe = Probe(int(sys.argv[1]))
    with Signals() as signals, ExitStack() as stack:
        installed(probe, stack)
        probe.start()
        try:
            return command.run_with(parser.parse_args(sys.argv[2:]), signals)
        except CannotStart as error:
            print(f"tradebot: {error}", file=sys.stderr)
            return error.exit_code
        finally:
            probe.end()


if __name__ == "__main__":
    sys.exit(main())
