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

from msgspec import structs

from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import StorageFailed
from tradebot.ports import NotNow
from tradebot.runtime.applying import Applying, Force
from tradebot.runtime.coordinator import trace
from tradebot.runtime.editing import Edits, GaveWay
from tradebot.runtime.outcomes import AnyOutcome, Applied, Fatal, Pending, Rejected, RolledBack, Unchanged
from tradebot.runtime.request import EDIT, GUARD, Request
from tradebot.runtime.returning import Returns
from tradebot.runtime.swapping import Swappable

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

MOST_WAITING = 100
"""Requests that wait at a time; further ones are told to come back."""


class Reloads:
    """Serves the requests. `told` hears every outcome, after it is in force, and returns what is answered.

    A request may come before `start`; it waits.
    """

    name = "reload"

    def __init__(
        self,
        run: Run,
        bench: Sequence[Swappable],
        force: Force,
        told: Callable[[AnyOutcome], AnyOutcome],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._run = run
        self._told = told
        self._applying = Applying(run, bench, force)
        self._edits = Edits(run, self._applying, environ, lambda: not self._queue.empty())
        self._returns = Returns(run, self._applying, environ)
        self._queue: asyncio.Queue[Request] = asyncio.Queue()  # bounded where it is asked
        self._hint: Request | None = None  # the one that waits
        self._closed = ""
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self.breaches: list[Request] = []
        """Breaches that the end of the run came before: their texts are still to be condemned."""
        self.served = 0
        """How many requests were answered."""

    # -- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._serve(), name="tradebot-reload")

    async def stop(self, patience_s: float | None = None) -> None:
        """Let the request under way end, within `patience_s` (None: a callback's time), refuse the others, and end."""
        self.close("the run is ending")
        task = self._task
        if task is None:
            return
        if self._busy:
            most_s = self.force.loaded.profile.shutdown.callback_timeout_s
            await asyncio.wait({task}, timeout=most_s if patience_s is None else min(most_s, patience_s))
        task.cancel()
        await asyncio.wait({task})
        self._task = None

    def close(self, why: str) -> None:
        """Take no further request; those that wait are answered with `why`."""
        self._closed = self._closed or why
        while not self._queue.empty():
            request = self._queue.get_nowait()
            if request.kind == "breach":
                self.breaches.append(request)
            waiting = request.answer
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

    def watched(self) -> tuple[tuple[str, ...], str]:
        """Return the files that make up the profile on the disk, and the fingerprint they had when last read."""
        return self._edits.files, self._edits.mark

    @property
    def pinned(self) -> bool:
        """Whether what is in force is not what the files on the disk said when they were last read."""
        return self._edits.disk != self.force.loaded.digest

    # -- asking ---------------------------------------------------------------------------------

    def hint(self, who: str = EDIT) -> None:
        """Note that the profile may have changed: it is read as soon as possible, once for many hints."""
        if self._hint is None:
            self._hint = Request("edit", who)
            self._put(self._hint)
        elif who != EDIT:
            self._hint.who = who

    def breach(self, number: int, reason: str) -> None:
        """Take the text of generation `number` back, since a guard was breached."""
        self._put(Request("breach", GUARD, number=number, why=reason))

    def passed(self, number: int) -> None:
        """Note that generation `number` is past its probation."""
        self._put(Request("passed", GUARD, number=number))

    def switch_off(self, feature: str, why: str) -> None:
        """Switch a component off that fails again and again."""
        self._put(Request("switch", "tradebot", feature=feature, on=False, why=why))

    async def ask(self, request: Request) -> AnyOutcome:
        """Return what became of `request`. Raises NotNow where it cannot be taken."""
        if self._closed:
            raise NotNow(self._closed)
        if self._queue.qsize() >= MOST_WAITING:
            raise NotNow(f"{MOST_WAITING} requests wait already")
        request.answer = asyncio.get_running_loop().create_future()
        self._put(request)
        return await request.answer

    def _put(self, request: Request) -> None:
        """Queue a request. The bot's own are never turned away: few of a kind can wait; at the end they are void."""
        if not self._closed:
            request.begun = time.monotonic()
            self._queue.put_nowait(request)

    # -- serving --------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self._closed:
            self._busy = False
            request = await self._queue.get()
            self._busy = True
            await self._carry_out(request)
            self.served += 1

    async def _carry_out(self, request: Request) -> None:
        """Serve one request: tell its outcome, then answer whoever asked. Whatever fails ends no other request."""
        refused: NotNow | None = NotNow("the run ended while this was under way; the next start says what is in force")
        outcome: AnyOutcome | None = None
        try:
            outcome = await self._outcome(request)
            if outcome is not None:
                outcome = self._told(outcome)
            refused = None
        except NotNow as error:
            refused = error
        except Exception as error:  # noqa: BLE001 - the supervision border of the reloads: told, and the next is served
            refused, outcome = None, self._failed(request, error) if outcome is None else outcome
        finally:
            self._reply(request, refused, outcome)
        try:
            await self._applying.retire()
        except StorageFailed as error:
            self._history_failed(error)

    def _reply(self, request: Request, refused: NotNow | None, outcome: AnyOutcome | None) -> None:
        """Answer whoever asked; nobody is left waiting."""
        if request.answer is None or request.answer.done():
            return
        if refused is not None:
            request.answer.set_exception(refused)
        elif outcome is not None:
            request.answer.set_result(outcome)

    async def _outcome(self, request: Request) -> AnyOutcome | None:
        """Return what became of a request, None for one that nobody need hear of. Raises NotNow."""
        try:
            outcome = await self._answer(request)
        except NotNow:
            raise
        except ProfileInvalid as invalid:
            return structs.replace(self._rejected(request), faults=tuple(invalid.faults))
        except StorageFailed as error:
            return self._rejected(request, str(error))
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(request, error)
        if isinstance(outcome, Applied | Unchanged) and outcome.restored:
            try:
                await self._edits.restored()
            except StorageFailed as error:  # what is in force stays so
                self._history_failed(error)
        waiting = self._edits.waiting
        if waiting is not None and isinstance(outcome, Applied | RolledBack):
            self.hint(waiting.who)  # what waits would change something else now
        return outcome

    async def _answer(self, request: Request) -> AnyOutcome | None:
        match request.kind:
            case "edit":
                if request is self._hint:
                    self._hint = None
                try:
                    return await self._edits.take(request, confirmed=False)
                except GaveWay:
                    self.hint(request.who)
                    return None
            case "confirm":
                return await self._edits.take(request, confirmed=True)
            case "rollback":
                request.astray = self.pinned
                return await self._returns.rollback(request)
            case "switch":
                return await self._returns.switch(request)
            case "breach":
                return await self._returns.breached(request)
            case "passed":
                await self._returns.passed(request)
                return None

    def _failed(self, request: Request, error: Exception) -> Rejected | Fatal:
        """Tell what nobody expected; where it came between a swap and its record, nothing is known to be sound."""
        text = f"{request.kind} by {request.who}: {type(error).__name__}: {error}"
        self._run.telling.log.emit("events", "ERROR", "RELOAD_FAILED", text, traceback=trace(error))
        force, why = self.force, f"{type(error).__name__}, see RELOAD_FAILED in the log"
        if self._applying.torn:
            reason = f"it is not known what is in force: {why}"
            return Fatal(generation=force.generation.number, path=force.loaded.path, who=request.who, reason=reason)
        return self._rejected(request, why)

    def _history_failed(self, error: StorageFailed) -> None:
        self._run.telling.log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))

    def _rejected(self, request: Request, reason: str = "") -> Rejected:
        force = self.force
        return Rejected(generation=force.generation.number, path=force.loaded.path, who=request.who, reason=reason)
