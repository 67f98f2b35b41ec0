"""How does one run go, from the first event to the last record? Asked by the command line, with a wired run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

from tradebot.domain.errors import CannotStart, StorageFailed
from tradebot.domain.events import PauseAsked, ProfileApplied, RunStarted, SymbolStatusSeen
from tradebot.domain.venue_facts import DELISTED
from tradebot.ports import Component
from tradebot.runtime.assembly import Assembly
from tradebot.runtime.closing import Closing
from tradebot.runtime.component import ClosePart, NullPart, TaskPart
from tradebot.runtime.coordinator import Ending
from tradebot.runtime.last_resort import LastResort
from tradebot.runtime.leftovers import Held
from tradebot.runtime.places import RemoteAccount
from tradebot.runtime.request import GUARD
from tradebot.runtime.signals import StopAsked
from tradebot.runtime.status import StatusChore, money_of, warming
from tradebot.runtime.supervisor import supervisor_of
from tradebot.runtime.wiring import Run
from tradebot.storage.checking import JournalCheck
from tradebot.storage.home import ENDING


class Bot:
    """One run: starts its parts, trades until it is told to end, ends in order."""

    def __init__(self, run: Run, before: Held) -> None:
        self._run = run
        self._before = before
        self._log = run.telling.log
        self._shell = run.shell
        self._parts = Assembly(run, self._failed)
        self.live = self._parts.live
        self.closing = Closing(run, self._parts.engine, self._parts.feed, self.live, before)
        self._status = StatusChore(run, self.live)
        make = run.options.view
        self._view: Component = NullPart("status") if make is None else make(lambda: self._status.latest, self._log)
        self._supervisor = supervisor_of(os.environ, self._log)
        self._guard = self._make_guard()
        self._check = JournalCheck(run.opened.journal, self._log, self._journal_damaged)
        self._connected = False
        self.threads_started = 0
        self.cancelled_before = 0

    async def main(self) -> Ending:
        """Run until something ends it; return how it ended. Never raises."""
        run, coordinator = self._run, self._run.coordinator
        coordinator.attach()
        try:
            try:
                self._register()
                await self._start()
                await coordinator.wait()
            except StopAsked:
                pass  # the signal is the reason to end, and the coordinator has it
            except CannotStart as error:
                run.telling.start_failed(error)
                coordinator.refuse_start(error, unsent=not self._connected)
            except Exception as error:  # noqa: BLE001 - the supervision border of the run: it ends in order all the same
                coordinator.crash("start", error)
            self.threads_started = len(set(threading.enumerate()) - self._before.threads)
            self.cancelled_before = run.book.cancelled
            self._supervisor.stopping()
            run.opened.home.tell(ENDING)
            with LastResort(run, lambda why: self._parts.watchdog.dump(why, run.clock.now_ms())):
                return await coordinator.end(self.closing, run.loaded.profile.shutdown)
        finally:
            run.signals.on_hangup(None)
            coordinator.detach()
            self._supervisor.close()

    # -- the start ------------------------------------------------------------------------------

    def _register(self) -> None:
        """Register parts (stopped in reverse order) and clean-up callbacks (run in reverse order)."""
        run, parts = self._run, self._parts
        opened, account = run.opened, run.opened.account
        registered: list[Component] = [
            self._view,
            ClosePart("home_lock", opened.home.close),
            NullPart("account_lease", "the home's lock is enough")
            if account is not None
            else ClosePart("account_lease", run.lease.close),
            ClosePart("history", opened.history.close),
            NullPart("account", "at the exchange") if account is None else ClosePart("account", account.close),
            ClosePart("journal", self.closing.close_journal),
            ClosePart("checkpointer", lambda: opened.checkpointer.close(self._timeout_s())),
            run.venue_part,
            self._guard,
            parts.sessions,
            run.telling.metrics_part,
            parts.watchdog,
            parts.feed,
            parts.engine,
            self.live.reloads,
            parts.watcher,
            parts.door,
        ]
        for part in registered:
            run.coordinator.register(part)
        parts.present(registered)
        self._watch()
        run.coordinator.register_callbacks(self.closing.callbacks())

    def _timeout_s(self) -> float:
        return self._run.loaded.profile.shutdown.callback_timeout_s

    def _watch(self) -> None:
        """Let the watchdog ask every part for its sign; one that only works at times is asked while it has work."""
        watch, opened, telling = self._parts.watchdog.watch, self._run.opened, self._run.telling
        journal, pictures, metrics, logs = opened.journal, opened.checkpointer, telling.metrics_part, telling.pipeline
        reloads = self.live.reloads
        watch("engine", lambda: self._shell.cycles)
        watch("market_data", lambda: self._shell.published)
        watch(
            "journal",
            lambda: journal.durable_seq,
            lambda: not journal.failed and journal.durable_seq < journal.last_seq,
        )
        watch("checkpointer", lambda: pictures.settled, lambda: pictures.busy)
        watch("logging_queue", lambda: logs.written, lambda: logs.waiting > 0)
        watch("metrics", lambda: metrics.turns, lambda: metrics.working)
        watch("watcher", self._parts.watcher_looks, self._parts.watcher_watches)
        watch("reload", lambda: reloads.served, lambda: reloads.busy)

    async def _start(self) -> None:
        run, parts, shell = self._run, self._parts, self._shell
        profile, journal = run.loaded.profile, run.opened.journal
        loop = asyncio.get_running_loop()
        journal.on_durable(shell.wake_for_journal)
        journal.on_failure(lambda error: _soon(loop, self._journal_failed, error))
        journal.on_recovery(lambda seq: _soon(loop, self._journal_recovered, seq))
        run.telling.tired.to = lambda name, count, last: _soon(loop, self._tired, (name, count, last))
        run.checkpoints.attach(shell)
        for chore in (parts.health, parts.guard, parts.account, self.live, self._supervisor):
            shell.add_chore(chore)
        if run.options.view is not None:
            shell.add_chore(self._status)
        engine = profile.engine
        text = f"Loop sleeps at most {engine.loop_sleep_s:g} s, backs off {engine.error_backoff_s:g} s after an error"
        self._log.emit("system", "INFO", "ENGINE_LOOP_CONFIG", text, **engine.model_dump(mode="json"))
        await run.patience.hold(run.venue_part.start)
        self._connected = True
        now_ms = run.clock.now_ms()
        self._pause_if_looser(now_ms)
        shell.inject(ProfileApplied(run.generation.number, profile, now_ms, run.instruments))
        self._judge_listing(now_ms)
        shell.inject(RunStarted(run.name, now_ms))
        for part in (self._view, parts.engine, parts.feed, parts.watchdog, run.telling.metrics_part):
            await part.start()
        money = money_of(profile)
        market = f"synthetic market, {money}" if run.feed.synthetic else money
        text = f"Bot started: {run.loaded.name}, run {run.name}, {len(run.engine.symbols)} symbols, {market}"
        self._log.emit("events", "INFO", "BOT_STARTED", text, run=run.name, synthetic=run.feed.synthetic)
        self._tell_cold(now_ms)
        for part in (self.live.reloads, parts.watcher, parts.door, self._guard):
            await part.start()
        run.opened.home.tell("")
        run.signals.on_hangup(lambda: _soon(loop, self.live.reloads.hint, "SIGHUP"))
        self.live.begin()
        self._supervisor.ready()
        self._check.begin()
        seconds = run.options.run_for_s
        if seconds is not None:
            loop.call_later(seconds, run.coordinator.request, f"--for {seconds:g} s are over")

    def _make_guard(self) -> Component:
        """Return who keeps the exchange's dead man's switch from falling, once the orders are reconciled."""
        run, shell, state = self._run, self._shell, self._run.engine.state
        venue, seconds = run.venue, run.loaded.profile.exchange.dead_man_s
        if not seconds or not isinstance(venue, RemoteAccount):
            return NullPart("dead_man")
        keep = venue.keep_guard

        async def guard() -> None:
            await shell.until(lambda: state.trading)
            await keep(shell.lives)

        return TaskPart("dead_man", guard, self._failed)

    def _pause_if_looser(self, now_ms: int) -> None:
        """Buy nothing where falling back to an earlier text loosens a limit: nobody has confirmed that."""
        run, state = self._run, self._run.engine.state
        looser = run.choice.unconfirmed(state.generation, run.generation.number)
        if not looser or state.paused:
            return
        self._shell.inject(PauseAsked(GUARD, now_ms))
        keys = ", ".join(key for key in looser if key) or "a limit, perhaps"
        text = f"buying is paused: the way back loosens {keys}; `tradebot resume` lets it go on"
        self._log.emit("events", "WARNING", "BUYING_PAUSED_BY_GUARD", text, keys=[key for key in looser if key])

    def _judge_listing(self, now_ms: int) -> None:
        """Put what is held of delisted symbols into quarantine; where no venue tells, let out what is listed again."""
        run, shell = self._run, self._shell
        for symbol in run.delisted:
            shell.inject(SymbolStatusSeen(symbol, tradable=False, reason=DELISTED, at_ms=now_ms))
        if run.opened.account is None:
            return
        for symbol in sorted(run.engine.state.fences.quarantine.keys() - set(run.delisted)):
            shell.inject(SymbolStatusSeen(symbol, tradable=True, reason="listed again", at_ms=now_ms))

    def _tell_cold(self, now_ms: int) -> None:
        engine = self._run.engine
        if cold := warming(engine.symbols.values(), now_ms):
            text = f"{cold.symbols} of {len(engine.symbols)} symbols are not bought for {cold.left_ms / 1000:g} s yet"
            text += ": their price windows have to be warm first"
            self._log.emit("events", "INFO", "WINDOWS_COLD", text, symbols=cold.symbols, left_ms=cold.left_ms)

    # -- while it runs --------------------------------------------------------------------------

    def _failed(self, name: str, error: BaseException) -> None:
        self._run.coordinator.crash(name, error)

    def _tired(self, found: tuple[str, int, str]) -> None:
        self.live.tired(*found)

    def _journal_failed(self, error: StorageFailed) -> None:
        if self._run.opened.journal.lost:
            self._shell.fail(error)
            return
        self._run.book.journal_failed_ms = self._run.clock.now_ms()
        self._shell.fault("journal", error, back_off=False)

    def _journal_damaged(self, words: str) -> None:
        self._run.book.journal_damaged = words

    def _journal_recovered(self, seq: int) -> None:
        self._run.book.journal_failed_ms = 0
        self._shell.well("journal")
        self._log.emit(
            "events", "WARNING", "JOURNAL_RECOVERED", f"The journal is written again, up to seq {seq}", seq=seq
        )


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[Any], object], value: object) -> None:
    """Call `call` in the loop's thread, if the loop is still there."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, value)
