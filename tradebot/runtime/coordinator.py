"""Who ends the run, and in which order? The one owner of signals, stages and clean-up; asked by the bot.

A run ends in stages: the gate closes, the open orders are settled, the venue itself is asked what is left there,
everything is written, everything is closed. Each stage has its deadline, names what did not end in time, and goes on.
A second signal jumps to the final write; what is left is looked at all the same, for a moment.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct, field

from tradebot.config.secrets import mask
from tradebot.config.sections.shutdown import Shutdown
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.domain.facts import Level
from tradebot.domain.inventory import Inventory
from tradebot.ports import Component, Log
from tradebot.runtime.cleanup import VITAL, Callback, Done, run_callback, said, tell
from tradebot.runtime.inventory import tell as tell_inventory
from tradebot.runtime.signals import Signals

FORCED_S: Final = 1.0
"""How long the venue is asked what is left there after a second signal."""

GRACE_S: Final = 0.5
"""How much of a limit is kept back from one who keeps to it himself."""


class Trading(Protocol):
    """What the coordinator ends: the part that trades."""

    async def close_gate(self, reason: str) -> None:
        """Open and escalate no buy from here on, and begin with the open orders as the policy says."""
        ...

    async def settle_orders(self) -> None:
        """Return when the open orders are as the policy wants them, by the venue's own evidence."""
        ...

    def open_orders(self) -> Sequence[str]:
        """Return the client ids of own orders that are not known to be over."""
        ...

    async def inventory(self, limit_s: float) -> Inventory:
        """Return what is left at the venue, by its own word, within `limit_s`."""
        ...

    def known_inventory(self, cause: str) -> Inventory:
        """Return what is left as far as it is known here, where the venue could not be asked, by `cause`."""
        ...


class Ending(Struct):
    """How a run ended."""

    code: ExitCode = ExitCode.CLEAN
    reason: str = ""
    error: str = ""
    fatal_reload: str = ""
    start_refused: ExitCode = ExitCode.CLEAN
    refusal: str = ""
    """Why the start was refused before anything could be sent; "" where something could, or it was not refused."""
    forced: bool = False
    orders_at_start: int = 0
    orders_left: tuple[str, ...] = ()
    inventory: Inventory | None = None
    stragglers: list[str] = field(default_factory=list)
    callbacks: list[Done] = field(default_factory=list)
    took_s: float = 0.0


class Coordinator:
    """Waits for the reason to end, then ends everything in order."""

    def __init__(self, signals: Signals, log: Log, say: Callable[[str], None]) -> None:
        self._signals = signals
        self._log = log
        self._say = say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._force = asyncio.Event()
        self._told_signal = False
        self._parts: list[Component] = []
        self._callbacks: list[Callback] = []
        self.ending = Ending()

    # -- before the main loop -------------------------------------------------------------------

    def attach(self) -> None:
        """Take over the signals for the running loop; those that came before count."""
        self._loop = asyncio.get_running_loop()
        self._signals.attach(self._wake)
        self.note_signals()

    def detach(self) -> None:
        """Leave the signals alone again, before the loop closes."""
        self._signals.attach(None)

    def register(self, part: Component) -> None:
        """Take care of `part`: it is stopped in reverse order of registration."""
        self._parts.append(part)
        self._log.emit("system", "DEBUG", "COMPONENT_REGISTERED", f"{part.name} registered", component=part.name)

    def register_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Take the clean-up callbacks; they run in reverse order."""
        self._callbacks = list(callbacks)
        names = [callback.name for callback in callbacks]
        text = f"{len(names)} clean-up callbacks registered; they run in reverse order"
        self._log.emit("system", "INFO", "CLEANUP_CALLBACKS_REGISTERED", text, callbacks=names)

    # -- the reason to end ----------------------------------------------------------------------

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked.is_set()

    def request(self, reason: str) -> None:
        """Ask for a clean end; the first reason stands."""
        if not self._asked.is_set():
            self.ending.reason = reason
            self._log.emit("events", "INFO", "SHUTDOWN_REQUESTED", f"Shutdown requested: {reason}", reason=reason)
            self._asked.set()

    def crash(self, what: str, error: BaseException) -> None:
        """End the run with exit code 1 because of `error`; the traceback goes to the log."""
        text = mask(f"{what}: {type(error).__name__}: {error}")
        self._log.emit("events", "ERROR", "CRASHED", text, traceback=trace(error))
        if not self.ending.error:
            self.ending.error = text
            self._say(f"crashed: {text}")
        if not self._asked.is_set():
            self.ending.reason = "crash"
            self._asked.set()

    def refuse_start(self, error: CannotStart, *, unsent: bool = False) -> None:
        """End the run with the exit code of `error`: the start met what an operator must mend, nothing crashed.

        `unsent` says that nothing can have been sent: then what is at the venue is none of this run's, it is neither
        asked nor told, and the reason is left to be said last of all.
        """
        if self.ending.start_refused is ExitCode.CLEAN:
            self.ending.start_refused = error.exit_code
            if unsent:
                self.ending.refusal = str(error)
            else:
                self._say(f"not started: {error}")
        if not unsent:
            self.request("start refused")
        elif not self._asked.is_set():
            self.ending.reason = "start refused"
            self._asked.set()

    def fatal_reload(self, reason: str) -> None:
        """End the run cleanly with exit code 4: an edit could be neither kept nor taken back."""
        if not self.ending.fatal_reload:
            self.ending.fatal_reload = reason
            self._say(f"fatal reload: {reason}")
        self.request("fatal reload")

    async def wait(self) -> None:
        """Return when the run is to end."""
        await self._asked.wait()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.note_signals)

    def note_signals(self) -> None:
        """Tell the signals that have come and were not told yet; the first asks for the end, the second forces it."""
        received = self._signals.received
        if received and not self._told_signal:
            self._told_signal = True
            text = f"Shutdown signal received: {received[0]}"
            self._log.emit("events", "INFO", "SHUTDOWN_SIGNAL", text, signal=received[0])
            if not self._asked.is_set():
                self.ending.reason = received[0]
                self._asked.set()
        if len(received) > 1 and not self._force.is_set():
            self.ending.forced = True
            text = f"second signal ({received[1]}): forcing the exit, state is written first"
            self._log.emit("events", "WARNING", "SHUTDOWN_FORCED", text, signal=received[1])
            self._say(text)
            self._force.set()

    # -- the end --------------------------------------------------------------------------------

    async def end(self, trading: Trading, limits: Shutdown) -> Ending:
        """Run the stages; return how it ended. Never raises."""
        begun = time.monotonic()
        ending = self.ending
        ending.orders_at_start = len(trading.open_orders())
        gate = trading.close_gate(ending.reason)
        await self._stage("entries", limits.entries_deadline_s, gate, lambda: ["buys on their way"], always=True)
        if not ending.refusal:
            await self._stage("orders", limits.orders_deadline_s, trading.settle_orders(), trading.open_orders)
            ending.inventory = await self._inventory(trading, limits.verify_deadline_s)
            ending.orders_left = ending.inventory.left
            tell_inventory(self._log, ending.inventory)
        write_end = time.monotonic() + limits.write_deadline_s
        await self._callbacks_of("write", write_end, limits.callback_timeout_s)
        ending.code = self._code()
        close_end = time.monotonic() + limits.close_deadline_s
        await self._stop_parts(close_end - limits.close_deadline_s / 2)
        ending.took_s = time.monotonic() - begun
        await self._callbacks_of("close", close_end, limits.callback_timeout_s)
        ending.took_s = time.monotonic() - begun
        return ending

    def _code(self) -> ExitCode:
        ending = self.ending
        if ending.error:
            return ExitCode.CRASHED
        if ending.start_refused:
            return ending.start_refused
        if ending.fatal_reload:
            return ExitCode.FATAL_RELOAD
        if ending.inventory is not None and ending.inventory.breach:
            return ExitCode.ORDERS_LEFT
        return ExitCode.FORCED if ending.forced else ExitCode.CLEAN

    async def _inventory(self, trading: Trading, limit_s: float) -> Inventory:
        """Return what is left at the venue; after a second signal only a moment is spent on asking."""
        own_s = max(limit_s / 2, limit_s - GRACE_S)
        asking = asyncio.create_task(trading.inventory(own_s), name="tradebot-inventory")
        forced = asyncio.create_task(self._force.wait(), name="tradebot-forced")
        begun = time.monotonic()
        await asyncio.wait({asking, forced}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done() and forced.done():
            left_s = limit_s - (time.monotonic() - begun)
            await asyncio.wait({asking}, timeout=max(0.0, min(FORCED_S, left_s)))
        forced.cancel()
        cause = "the exit was forced" if self._force.is_set() else f"no end within {limit_s:g} s"
        if not asking.done():
            asking.cancel()  # not awaited: one that ignores it must not hold up the rest
            self.ending.stragglers.append("verify: inventory")
        elif (error := asking.exception()) is None:
            return asking.result()
        else:
            cause = f"{type(error).__name__}: {error}"
            self._log.emit("system", "ERROR", "SHUTDOWN_STAGE", f"stage verify: {cause}", traceback=trace(error))
        return trading.known_inventory(cause)

    async def _stage(
        self,
        name: str,
        limit_s: float,
        work: Coroutine[Any, Any, None],
        left: Callable[[], Sequence[str]],
        *,
        always: bool = False,
    ) -> None:
        """Run one stage before the final write; a second signal ends it at once, though one for `always` is begun."""
        if self._force.is_set() and not always:
            work.close()
            self._straggle(name, left(), "skipped")
            return
        done = await run_callback(Callback(name, "write", said(work)), limit_s, self._force)
        if done.outcome == "done":
            self._log.emit("system", "INFO", "SHUTDOWN_STAGE", f"stage {name}: done", stage=name, took_ms=done.took_ms)
        else:
            self._straggle(name, left(), f"{done.outcome} ({done.text})")

    def _straggle(self, stage: str, names: Sequence[str], what: str) -> None:
        self.ending.stragglers.extend(f"{stage}: {name}" for name in names)
        text = f"stage {stage}: {what}; left: {', '.join(names) or 'nothing'}"
        self._log.emit("system", "WARNING", "SHUTDOWN_STAGE", text, stage=stage, stragglers=list(names))

    async def _callbacks_of(self, stage: str, end: float, each_s: float) -> None:
        """Run the callbacks of a stage in reverse order, until `end` (monotonic).

        What is left of the stage's time is shared fairly, so that none is starved by one before it; a vital one
        may take half of it.
        """
        todo = [callback for callback in reversed(self._callbacks) if callback.stage == stage]
        for place, callback in enumerate(todo):
            left_s = max(0.0, end - time.monotonic())
            share_s = left_s / (len(todo) - place)
            if callback.said:
                tell(self._log, Done(callback.name, "done", "last of all"))
            if callback.vital:
                done = await run_callback(callback, max(share_s, VITAL * left_s))
            elif self._force.is_set() and callback.work is not None:
                done = Done(callback.name, "skipped", "the exit was forced")
            else:
                done = await run_callback(callback, min(each_s, share_s), self._force)
            self._note(callback, done)

    def _note(self, callback: Callback, done: Done) -> None:
        self.ending.callbacks.append(done)
        if done.outcome in {"timed out", "failed"}:
            self.ending.stragglers.append(f"{callback.stage}: {done.name} {done.outcome}")
            if callback.vital and callback.stage == "write" and not self.ending.error:
                self.ending.error = f"{done.name} {done.outcome}: {done.text}"
                self._say(self.ending.error)
        if not callback.said:
            tell(self._log, done)

    async def _stop_parts(self, end: float) -> None:
        parts = list(reversed(self._parts))
        for place, part in enumerate(parts):
            share_s = max(0.0, end - time.monotonic()) / (len(parts) - place)
            stop = Callback(part.name, "close", said(part.stop()))
            done = await run_callback(stop, share_s)
            level: Level = "DEBUG" if done.outcome == "done" else "ERROR"
            text = (
                f"{part.name} stopped" if done.outcome == "done" else f"{part.name}: stop {done.outcome}: {done.text}"
            )
            self._log.emit("system", level, "COMPONENT_STOPPED", text, component=part.name, took_ms=done.took_ms)
            if done.outcome != "done":
                self.ending.stragglers.append(f"close: {part.name} {done.outcome}")


def trace(error: BaseException) -> str:
    """Return the traceback of `error`, causes included, as text without keys."""
    return mask("".join(traceback.format_exception(error)))
