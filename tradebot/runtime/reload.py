"""What becomes of an edit, a toggle, a rollback? One at a time, in the order they were asked for; asked by all.

The watcher, SIGHUP, the control door and the guards put their requests into one queue. Each is answered with an
outcome; what is in force is always exactly one generation.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import StorageFailed
from tradebot.ports import NotNow
from tradebot.runtime.applying import Applying, Force, in_history
from tradebot.runtime.coordinator import trace
from tradebot.runtime.editing import Edits
from tradebot.runtime.outcomes import AnyOutcome, Pending, Rejected, Unchanged
from tradebot.runtime.request import Request
from tradebot.runtime.returning import Returns
from tradebot.runtime.swapping import Swappable

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

MOST_WAITING = 100
"""Requests that wait at a time; further ones are told to come back."""


class Reloads:
    """Serves the requests. `told` hears every outcome, after it is in force.

    A request may come before `start`; it waits.
    """

    name = "reload"

    def __init__(
        self,
        run: Run,
        bench: Sequence[Swappable],
        force: Force,
        told: Callable[[AnyOutcome], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._run = run
        self._told = told
        self._applying = Applying(run, bench, force)
        self._edits = Edits(run, self._applying, environ, force.loaded.digest)
        self._returns = Returns(run, self._applying, environ)
        self._queue: asyncio.Queue[Request] = asyncio.Queue(MOST_WAITING)
        self._hinted = False
        self._late = ""  # who hinted while the queue was full
        self._closed = ""
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self.served = 0
        """How many requests were answered."""

    # -- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._serve(), name="tradebot-reload")

    async def stop(self) -> None:
        """Let the request under way end, refuse the others, and end."""
        self.close("the run is ending")
        task, self._task = self._task, None
        if task is None:
            return
        if self._busy:
            await asyncio.wait({task}, timeout=self.force.loaded.profile.shutdown.callback_timeout_s)
        task.cancel()
        await asyncio.wait({task})

    def close(self, why: str) -> None:
        """Take no further request; those that wait are answered with `why`."""
        self._closed = self._closed or why
        while not self._queue.empty():
            waiting = self._queue.get_nowait().answer
            if waiting is not None and not waiting.done():
                waiting.set_exception(NotNow(self._closed))

    @property
    def force(self) -> Force:
        """What is in force."""
        return self._applying.force

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._busy

    @property
    def waiting(self) -> Pending | None:
        """The edit that waits for its confirmation."""
        return self._edits.waiting

    def watched(self) -> tuple[str, ...]:
        """Return the files that make up the profile in force."""
        return self._edits.watched()

    @property
    def pinned(self) -> bool:
        """Whether what is in force is not what the files on the disk said when they were last read."""
        return self._edits.disk != self.force.loaded.digest

    # -- asking ---------------------------------------------------------------------------------

    def hint(self, who: str = "edit") -> None:
        """Note that the profile may have changed: it is read as soon as possible, once for many hints."""
        if self._hinted or self._closed:
            return
        if self._queue.full():
            self._late = who
            return
        self._hinted, self._late = True, ""
        self._queue.put_nowait(Request("edit", who, begun=time.monotonic()))

    def breach(self, reason: str) -> None:
        """Take the generation in force back, since a guard was breached."""
        self._put(Request("breach", "guard", why=reason))

    def passed(self, number: int) -> None:
        """Note that generation `number`, whose text is in force, is past its probation."""
        self._put(Request("passed", "guard", number=number))

    def switch_off(self, feature: str, why: str) -> None:
        """Switch a component off that fails again and again."""
        self._put(Request("switch", "tradebot", feature=feature, on=False, why=why))

    async def ask(self, request: Request) -> AnyOutcome:
        """Return what became of `request`. Raises NotNow where it cannot be taken."""
        request.answer = asyncio.get_running_loop().create_future()
        self._put(request)
        return await request.answer

    def _put(self, request: Request) -> None:
        if self._closed:
            raise NotNow(self._closed)
        request.begun = time.monotonic()
        try:
            self._queue.put_nowait(request)
        except asyncio.QueueFull:
            raise NotNow(f"{MOST_WAITING} requests wait already") from None

    # -- serving --------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self._closed:
            self._busy = False
            request = await self._queue.get()
            self._busy = True
            if self._late:
                self.hint(self._late)
            await self._carry_out(request)
            self.served += 1
            try:
                await self._applying.retire()
            except StorageFailed as error:
                self._run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))

    async def _carry_out(self, request: Request) -> None:
        """Serve one request: tell its outcome, then answer whoever asked. Whatever fails ends no other request."""
        refused: NotNow | None = None
        try:
            outcome = await self._answer(request)
        except NotNow as error:
            refused, outcome = error, self._unchanged(request.who, str(error))
        except (StorageFailed, ProfileInvalid) as error:
            outcome = self._rejected(request.who, str(error))
        except Exception as error:  # noqa: BLE001 - the supervision border of the reloads: told, and the next is served
            text = f"{request.kind} by {request.who}: {type(error).__name__}: {error}"
            self._run.telling.log.emit("events", "ERROR", "RELOAD_FAILED", text, traceback=trace(error))
            self._run.telling.failures.failed(self.name, error)
            outcome = self._rejected(request.who, f"{type(error).__name__}, see RELOAD_FAILED in the log")
        self._told(outcome)
        if request.answer is None or request.answer.done():
            return
        if refused is None:
            request.answer.set_result(outcome)
        else:
            request.answer.set_exception(refused)

    async def _answer(self, request: Request) -> AnyOutcome:
        match request.kind:
            case "edit":
                self._hinted = False
                return await self._edits.take(request, confirmed=False)
            case "confirm":
                return await self._edits.take(request, confirmed=True)
            case "rollback":
                return await self._returns.rollback(request)
            case "switch":
                return await self._returns.switch(request)
            case "breach":
                return await self._returns.breached(request)
            case "passed":
                history, now_ms = self._run.opened.history, self._run.clock.now_ms()
                for number in {request.number or 0, self.force.generation.number} - {0}:
                    found = await in_history(history.generation, number)
                    if found is not None and found.state == "applied":
                        await in_history(history.passed, number, now_ms)
                return self._unchanged(request.who, "past its probation")

    def _unchanged(self, who: str, note: str) -> Unchanged:
        return Unchanged(generation=self.force.generation.number, path=self.force.loaded.path, who=who, note=note)

    def _rejected(self, who: str, reason: str) -> Rejected:
        return Rejected(generation=self.force.generation.number, path=self.force.loaded.path, who=who, reason=reason)
