"""How does one run go, from the first event to the last record? Asked by the command line, with a wired run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tradebot.config.profile import Profile
from tradebot.domain.commands import CancelOrder
from tradebot.domain.errors import ExitCode, StorageFailed
from tradebot.domain.events import ProfileApplied, RunStarted, ShutdownRequested
from tradebot.ports import Component
from tradebot.runtime.checkpoints import whole_picture
from tradebot.runtime.chores import HealthCheck, JournalGuard
from tradebot.runtime.cleanup import Callback
from tradebot.runtime.component import ClosePart, NullPart, TaskPart, ThreadPart, in_thread
from tradebot.runtime.coordinator import Ending
from tradebot.runtime.leftovers import Held, left_since
from tradebot.runtime.status import StatusChore, warming
from tradebot.runtime.watchdog import Watchdog
from tradebot.runtime.wiring import Run

GENERATION = 1
"""The generation that a run begins with."""

LAST_RESORT = "tradebot-last-resort"


class Bot:
    """One run: starts its parts, trades until it is told to end, ends in order."""

    def __init__(self, run: Run, before: Held) -> None:
        self._run = run
        self._before = before
        self._profile: Profile = run.loaded.profile
        self._log = run.telling.log
        self._shell = run.shell
        self._engine_part = TaskPart("engine", run.shell.run, self._failed)
        self._feed_part = TaskPart("market_data", self._feed, self._failed)
        engine = self._profile.engine
        self._watchdog = Watchdog(
            engine.heartbeat_interval_s,
            engine.heartbeat_timeout_s,
            run.clock,
            self._log,
            run.telling.session.folder / "stackdump.txt",
            run.telling.metrics,
        )
        self._metrics_part = self._metrics()
        self._status = StatusChore(run)
        make = run.options.view
        self._view: Component = NullPart("status") if make is None else make(lambda: self._status.latest)
        self.threads_started = 0
        self.cancelled_before = 0
        self.seq = 0

    async def main(self) -> Ending:
        """Run until something ends it; return how it ended. Never raises."""
        run, coordinator = self._run, self._run.coordinator
        coordinator.attach()
        try:
            try:
                self._register()
                await self._start()
                await coordinator.wait()
            except Exception as error:  # noqa: BLE001 - the supervision border of the run: it ends in order all the same
                coordinator.crash("start", error)
            self.threads_started = len(set(threading.enumerate()) - self._before.threads)
            self.cancelled_before = run.book.cancelled
            with _LastResort(run, lambda why: self._watchdog.dump(why, run.clock.now_ms())):
                return await coordinator.end(self, self._profile.shutdown)
        finally:
            coordinator.detach()

    # -- the start ------------------------------------------------------------------------------

    def _register(self) -> None:
        """Register parts (stopped in reverse order) and clean-up callbacks (run in reverse order)."""
        run, limits = self._run, self._profile.shutdown
        coordinator, opened, timeout = run.coordinator, run.opened, limits.callback_timeout_s
        coordinator.register(self._view)
        coordinator.register(ClosePart("home_lock", opened.home.close))
        coordinator.register(ClosePart("account", opened.account.close))
        coordinator.register(ClosePart("journal", self._close_journal))
        coordinator.register(ClosePart("checkpointer", lambda: opened.checkpointer.close(timeout)))
        coordinator.register(self._metrics_part)
        self._watch()
        coordinator.register(self._watchdog)
        coordinator.register(self._feed_part)
        coordinator.register(self._engine_part)
        coordinator.register_callbacks(self._callbacks())

    def _watch(self) -> None:
        """Let the watchdog ask every part for its sign; one that only works at times is asked while it has work."""
        watch, opened, logs = self._watchdog.watch, self._run.opened, self._run.telling.pipeline
        journal, pictures, metrics = opened.journal, opened.checkpointer, self._metrics_part
        watch("engine", lambda: self._shell.cycles)
        watch("market_data", lambda: self._shell.published)
        watch(
            "journal",
            lambda: journal.durable_seq,
            lambda: not journal.failed and journal.durable_seq < journal.last_seq,
        )
        watch("checkpointer", lambda: pictures.settled, lambda: pictures.busy)
        watch("logging_queue", lambda: logs.written, lambda: logs.waiting > 0)
        if isinstance(metrics, ThreadPart):
            watch("metrics", lambda: metrics.turns, lambda: metrics.working)

    def _callbacks(self) -> Sequence[Callback]:
        """Return the clean-up callbacks; the last one runs first, so that state is safe before anything may stall."""
        absent = "not part of this run"
        summary = self._run.telling.summary
        return [
            Callback("logging_queue", "close", self._stop_logs, vital=True, said=True),
            Callback("dashboard", "close", note=absent),
            Callback("dust_sweeper", "close", note="Dust sweeper stopped: it was never started"),
            Callback(
                "metrics_export", "write", self._export_metrics if summary else None, vital=True, note="metrics off"
            ),
            Callback("error_summary", "write", self._error_summary),
            Callback("telegram_summary", "write", note=absent),
            Callback("telegram_shutdown", "write", note=absent),
            Callback("state_persist", "write", self._persist, vital=True),
        ]

    def _metrics(self) -> ThreadPart | NullPart:
        telling, clock = self._run.telling, self._run.clock
        summary = telling.summary
        if summary is None:
            return NullPart("metrics")
        return ThreadPart(
            "metrics",
            lambda: summary.export(clock.now_ms()),
            self._profile.metrics.export_interval_s,
            self._profile.shutdown.callback_timeout_s,
            self._log,
            "METRICS_EXPORT_FAILED",
        )

    async def _start(self) -> None:
        run, profile, shell = self._run, self._profile, self._shell
        journal = run.opened.journal
        loop = asyncio.get_running_loop()
        journal.on_durable(shell.wake_for_journal)
        journal.on_failure(lambda error: _soon(loop, self._journal_failed, error))
        journal.on_recovery(lambda seq: _soon(loop, self._journal_recovered, seq))
        now_ms, limits = run.clock.now_ms(), profile.engine
        shell.add_chore(
            HealthCheck(profile.market, lambda: list(run.engine.symbols.values()), run.telling.metrics, now_ms)
        )
        shell.add_chore(JournalGuard(journal, limits.queue_limit, shell.fail, limits.heartbeat_interval_s, now_ms))
        if run.options.view is not None:
            shell.add_chore(self._status)
        engine = profile.engine
        text = f"Loop sleeps at most {engine.loop_sleep_s:g} s, backs off {engine.error_backoff_s:g} s after an error"
        self._log.emit("system", "INFO", "ENGINE_LOOP_CONFIG", text, **engine.model_dump(mode="json"))
        now_ms = run.clock.now_ms()
        shell.inject(ProfileApplied(GENERATION, profile, now_ms))
        shell.inject(RunStarted(run.name, now_ms))
        for part in (self._view, self._engine_part, self._feed_part, self._watchdog, self._metrics_part):
            await part.start()
        market = "synthetic market, paper money" if run.feed.synthetic else "paper money"
        text = f"Bot started: {run.loaded.name}, run {run.name}, {len(run.engine.symbols)} symbols, {market}"
        self._log.emit("events", "INFO", "BOT_STARTED", text, run=run.name, synthetic=run.feed.synthetic)
        if cold := warming(run.engine.symbols.values(), now_ms):
            text = (
                f"{cold.symbols} of {len(run.engine.symbols)} symbols are not bought for {cold.left_ms / 1000:g} s yet"
            )
            text += ": their price windows have to be warm first"
            self._log.emit("events", "INFO", "WINDOWS_COLD", text, symbols=cold.symbols, left_ms=cold.left_ms)
        seconds = run.options.run_for_s
        if seconds is not None:
            loop.call_later(seconds, run.coordinator.request, f"--for {seconds:g} s are over")

    # -- while it runs --------------------------------------------------------------------------

    def _failed(self, name: str, error: BaseException) -> None:
        self._run.coordinator.crash(name, error)

    async def _feed(self) -> None:
        """Run the feed; after an error, back off and run it again."""
        shell, feed = self._shell, self._run.feed
        while True:
            published = shell.published
            try:
                await feed.run(shell.publish)
            except Exception as error:  # noqa: BLE001 - the supervision border of the feed: told, and tried again
                if shell.published != published:
                    shell.well("market_data")
                shell.fault("market_data", error, back_off=False)
                await asyncio.sleep(self._profile.engine.error_backoff_s)
            else:
                return

    def _journal_failed(self, error: StorageFailed) -> None:
        if self._run.opened.journal.lost:
            self._shell.fail(error)
        else:
            self._shell.fault("journal", error, back_off=False)

    def _journal_recovered(self, seq: int) -> None:
        self._shell.well("journal")
        self._log.emit(
            "events", "WARNING", "JOURNAL_RECOVERED", f"The journal is written again, up to seq {seq}", seq=seq
        )

    # -- the end: what the coordinator asks ------------------------------------------------------

    async def close_gate(self, reason: str) -> None:
        """Close the entries. On a suspect state the machine is not asked any more: cancels go out directly."""
        policy = self._profile.shutdown.open_orders
        if self._shell.fatal is None:
            self._shell.inject(ShutdownRequested(policy, reason, self._run.clock.now_ms()))
        elif policy == "cancel":
            self._cancel_directly()

    def _cancel_directly(self) -> None:
        now_ms = self._run.clock.now_ms()
        for client_id, order in list(self._run.engine.state.orders.items()):
            text = f"order {client_id} ({order.symbol}): cancel asked, not verified; the next start looks"
            try:
                self._run.venue.submit(CancelOrder(client_id, order.symbol), now_ms)
            except Exception as error:  # noqa: BLE001 - one order that cannot be cancelled must not keep the others
                text = f"order {client_id} ({order.symbol}): cancel failed: {type(error).__name__}: {error}"
            self._log.emit("orders", "WARNING", "CANCEL_UNVERIFIED", text, client_id=client_id, symbol=order.symbol)

    async def settle_orders(self) -> None:
        """Return when no own order is open, or the policy leaves them, or nothing can settle them any more."""
        if self._profile.shutdown.open_orders != "leave":
            await self._shell.until(lambda: not self._run.engine.open_orders())

    def open_orders(self) -> Sequence[str]:
        """Return the client ids of own orders that are not known to be over."""
        return self._run.engine.open_orders()

    async def _persist(self) -> str:
        """Stop deciding, then write what is not written: account, journal, checkpoint."""
        run, shell = self._run, self._shell
        await self._feed_part.stop()
        if not run.coordinator.ending.forced:
            await self._hear_out()
        shell.stop()
        await self._engine_part.wait()
        sound = shell.fatal is None
        if sound:
            run.dispatch.withdraw("shutdown", run.clock.now_ms())
        await in_thread("tradebot-account-save", run.venue.save)
        limits = self._profile.shutdown
        journal, limit_s = run.opened.journal, min(limits.callback_timeout_s, limits.write_deadline_s / 4)
        self.seq = journal.last_seq
        if not await in_thread("tradebot-journal-flush", lambda: journal.flush(limit_s)):
            cause = journal.failed or f"not within {limit_s:g} s"
            raise StorageFailed(f"{journal.last_seq - journal.durable_seq} facts are not written: {cause}")
        if not sound:
            return f"journal written (seq {self.seq:,}); no checkpoint of a suspect state"
        if not self._profile.state.persist_on_shutdown:
            return f"journal written (seq {self.seq:,}); no checkpoint, as state.persist_on_shutdown says"
        checkpointer = run.opened.checkpointer
        checkpointer.submit(*whole_picture(run.engine))
        if not await in_thread("tradebot-checkpoint-flush", lambda: checkpointer.flush(limit_s)):
            raise StorageFailed(f"the last checkpoint is not written; the journal is (seq {self.seq:,})")
        return f"state written (seq {self.seq:,})"

    async def _hear_out(self) -> None:
        """Wait for the answers on their way: of an order that stays open, what has happened so far is known.

        After the time a callback has, the others are heard at the next start.
        """
        heard = asyncio.ensure_future(self._shell.until(lambda: not self._shell.answers_waiting))
        await asyncio.wait({heard}, timeout=self._profile.shutdown.callback_timeout_s)
        heard.cancel()

    def _close_journal(self) -> None:
        run, journal = self._run, self._run.opened.journal
        journal.end_run(run.name, run.clock.now_ms(), int(run.coordinator.ending.code))
        if not journal.close(self._profile.shutdown.callback_timeout_s):
            raise StorageFailed(f"{journal.last_seq - journal.durable_seq} facts are not written")

    def _export_metrics(self) -> str:
        telling = self._run.telling
        if telling.summary is not None and not telling.summary.export(self._run.clock.now_ms()):
            raise StorageFailed("metrics/summary.json is not written")
        return f"{telling.metrics.value('orders_sent'):g} orders sent, {telling.metrics.value('fills'):g} fills"

    def _error_summary(self) -> str:
        errors = self._run.telling.errors
        text = errors.words()
        self._log.emit(
            "system", "INFO", "ERROR_SUMMARY", text, errors=errors.of("ERROR"), warnings=errors.of("WARNING")
        )
        return text

    def _stop_logs(self) -> str:
        """Tell which threads are left beside the log's own, then end the log: the last of all."""
        own = {threading.current_thread().name, "log-listener", LAST_RESORT}
        left = [name for name in left_since(self._before, 0, set()).threads if name not in own]
        text = f"Threads left: {', '.join(left) or 'none'}"
        self._log.emit("system", "WARNING" if left else "INFO", "THREADS_CLEANED", text, left=left)
        if not self._run.telling.pipeline.stop(self._profile.shutdown.callback_timeout_s):
            raise StorageFailed("not every record could be written")
        return ""


class _LastResort:
    """Ends the process when the shutdown itself hangs beyond all its deadlines: said, dumped, exit code 3."""

    def __init__(self, run: Run, dump: Callable[[str], None]) -> None:
        limits = run.loaded.profile.shutdown
        stages = (
            limits.entries_deadline_s + limits.orders_deadline_s + limits.write_deadline_s + limits.close_deadline_s
        )
        self._after_s = (stages + limits.supervisor_deadline_s) / 2
        self._run = run
        self._dump = dump
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=LAST_RESORT, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._done.wait(self._after_s):
            return
        run = self._run
        text = f"the shutdown hangs after {self._after_s:g} s: the process ends now"
        run.telling.log.emit("events", "ERROR", "SHUTDOWN_HANGS", text)
        self._dump(text)
        run.telling.pipeline.stop(run.loaded.profile.shutdown.callback_timeout_s)
        os._exit(ExitCode.FORCED)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[Any], None], value: object) -> None:
    """Call `call` in the loop's thread, if the loop is still there."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, value)
