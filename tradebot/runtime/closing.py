"""How does a run end in order? Asked by the coordinator: the gate, the orders, the final write, the last records."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tradebot.config.profile import Profile
from tradebot.domain.commands import CancelOrder
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import ShutdownRequested
from tradebot.domain.inventory import Inventory
from tradebot.ports import Component
from tradebot.runtime import last_resort
from tradebot.runtime.checkpoints import whole_picture
from tradebot.runtime.cleanup import VITAL, Callback, SwitchedOff, Work, run_callback, said
from tradebot.runtime.component import TaskPart, in_thread
from tradebot.runtime.dispatch import StateSuspect
from tradebot.runtime.inventory import Stocktaking, wanted
from tradebot.runtime.leftovers import Held, left_since
from tradebot.runtime.live_profile import LiveProfile
from tradebot.runtime.swaps_metrics import NotExporting

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

_OWN: Final = 0.9
"""Share of its time that the final write uses by itself, so that what is late says so."""


class Closing:
    """What of a run the coordinator ends. `seq` is the last fact's, once it is written."""

    def __init__(self, run: Run, engine: TaskPart, feed: Component, live: LiveProfile, before: Held) -> None:
        self._run = run
        self._engine_part = engine
        self._feed_part = feed
        self._live = live
        self._before = before
        self._log = run.telling.log
        self._shell = run.shell
        self._stock = Stocktaking(run)
        self.seq = 0

    @property
    def _profile(self) -> Profile:
        return self._run.loaded.profile

    # -- the end: what the coordinator asks ------------------------------------------------------

    def callbacks(self) -> Sequence[Callback]:
        """Return the clean-up callbacks; the last one runs first, so that state is safe before anything may stall."""
        absent = "not part of this run"
        return [
            Callback("logging_queue", "close", self._stop_logs, vital=True, said=True),
            Callback("dashboard", "close", note=absent),
            Callback("dust_sweeper", "close", note="Dust sweeper stopped: it was never started"),
            Callback("metrics_export", "write", self._export_metrics, vital=True),
            Callback("error_summary", "write", self._error_summary),
            Callback("telegram_summary", "write", note=absent),
            Callback("telegram_shutdown", "write", note=absent),
            Callback("state_persist", "write", self._persist, vital=True),
        ]

    async def close_gate(self, reason: str) -> None:
        """Take no edit any more and close the entries. A suspect machine is not asked: cancels go out directly."""
        self._live.reloads.close("the run is ending")
        policy = self._profile.shutdown.open_orders
        sound = self._shell.fatal is None
        self._shell.close_entries(ShutdownRequested(policy, reason, self._run.clock.now_ms()))
        if not sound and wanted(self._profile.shutdown) == "cancel":
            self._cancel_directly()
        await self._run.venue.close_entries()

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

    async def inventory(self, limit_s: float) -> Inventory:
        """Return what is left at the venue, by its own word, within `limit_s`; then it is as the policy says, or told.

        Where orders are left on purpose, the exchange's dead man's switch is ended: it would cancel them.
        """
        limits, end = self._profile.shutdown, time.monotonic() + limit_s
        if wanted(limits) == "leave":
            await self._run.venue.disarm(limit_s / 2)
        return await self._stock.take(limits, end - time.monotonic())

    def known_inventory(self, cause: str) -> Inventory:
        """Return what is left as far as it is known here: the venue could not be asked, by `cause`."""
        return self._stock.known(self._profile.shutdown, cause)

    def open_orders(self) -> Sequence[str]:
        """Return the client ids of own orders that are not known to be over."""
        return self._run.engine.open_orders()

    async def _persist(self) -> str:
        """Stop deciding, then write what is not written: account, journal, checkpoint; all of it in a vital's time."""
        run, shell, limits = self._run, self._shell, self._profile.shutdown
        own_s = _OWN * VITAL * limits.write_deadline_s
        end = time.monotonic() + own_s
        await self._quieten(end - own_s / 2)
        shell.stop()
        await self._engine_part.wait()
        sound = shell.fatal is None and self._withdraw()
        await in_thread("tradebot-account-save", run.venue.save)
        journal = run.opened.journal
        limit_s = min(limits.callback_timeout_s, max(0.0, end - time.monotonic()) * 2 / 3)
        self.seq = journal.last_seq
        if not await in_thread("tradebot-journal-flush", lambda: journal.flush(limit_s)):
            cause = journal.failed or f"not within {limit_s:.1f} s"
            raise StorageFailed(f"{journal.last_seq - journal.durable_seq} facts are not written: {cause}")
        if not sound:
            return f"journal written (seq {self.seq:,}); no checkpoint of a suspect state"
        if not self._profile.state.persist_on_shutdown:
            return f"journal written (seq {self.seq:,}); no checkpoint, as state.persist_on_shutdown says"
        checkpointer = run.opened.checkpointer
        checkpointer.submit(*whole_picture(run.engine))
        left_s = min(limits.callback_timeout_s, max(0.0, end - time.monotonic()))
        if not await in_thread("tradebot-checkpoint-flush", lambda: checkpointer.flush(left_s)):
            raise StorageFailed(f"the last checkpoint is not written; the journal is (seq {self.seq:,})")
        return f"state written (seq {self.seq:,})"

    def _withdraw(self) -> bool:
        """Take back what has not left; return whether the machine took it. Where it fails, the rest is written."""
        try:
            self._run.dispatch.withdraw("shutdown", self._run.clock.now_ms())
        except (StateSuspect, StorageFailed) as error:
            self._run.coordinator.crash("shutdown", error)
            return False
        return True

    async def _quieten(self, end: float) -> None:
        """End until `end` (monotonic) what gives the machine events; what does not end by then holds up no writing."""
        reloads, error = self._live.reloads, self._run.coordinator.ending.error

        def condemn() -> str:
            self._live.condemn_harmful(error)
            return ""

        def left_s() -> float:
            return min(self._profile.shutdown.callback_timeout_s, max(0.0, end - time.monotonic()))

        half_s = left_s() / 2
        await self._try("reload", said(reloads.stop(half_s / 2)), half_s)
        await self._try("history", condemn, left_s() / 2)
        await self._try("market_data", said(self._feed_part.stop()), left_s() / 2)
        if not self._run.coordinator.ending.forced:
            await self._hear_out(left_s())

    async def _try(self, name: str, work: Work, limit_s: float) -> None:
        """Do `work` for at most `limit_s`; what becomes of it, if it is not done, is told and nothing more."""
        done = await run_callback(Callback(name, "write", work), limit_s)
        if done.outcome == "done":
            return
        self._run.coordinator.ending.stragglers.append(f"write: {name} {done.outcome}")
        text = f"stage write: {name}: {done.outcome} ({done.text}); the state is written all the same"
        self._log.emit("system", "WARNING", "SHUTDOWN_STAGE", text, stage="write", stragglers=[name])

    async def _hear_out(self, limit_s: float) -> None:
        """Wait for the answers on their way: of an order that stays open, what has happened so far is known.

        After `limit_s` the others are heard at the next start.
        """
        heard = asyncio.ensure_future(self._shell.until(lambda: not self._shell.answers_waiting))
        await asyncio.wait({heard}, timeout=limit_s)
        heard.cancel()

    def close_journal(self) -> None:
        """Seal the run and close its journal. Raises StorageFailed where not every fact is written."""
        run, journal = self._run, self._run.opened.journal
        journal.end_run(run.name, run.clock.now_ms(), int(run.coordinator.ending.code))
        if not journal.close(self._profile.shutdown.callback_timeout_s):
            raise StorageFailed(f"{journal.last_seq - journal.durable_seq} facts are not written")

    def _export_metrics(self) -> str:
        part = self._run.telling.metrics_part
        if isinstance(part.inside, NotExporting):
            raise SwitchedOff("metrics off")
        return part.export()

    def _error_summary(self) -> str:
        errors = self._run.telling.errors
        text = errors.words()
        self._log.emit(
            "system", "INFO", "ERROR_SUMMARY", text, errors=errors.of("ERROR"), warnings=errors.of("WARNING")
        )
        return text

    def _stop_logs(self) -> str:
        """Tell which threads are left beside the log's own, then end the log: the last of all."""
        own = {threading.current_thread().name, "log-listener", last_resort.NAME}
        left = [name for name in left_since(self._before, 0, set()).threads if name not in own]
        text = f"Threads left: {', '.join(left) or 'none'}"
        self._log.emit("system", "WARNING" if left else "INFO", "THREADS_CLEANED", text, left=left)
        if not self._run.telling.pipeline.stop(self._profile.shutdown.callback_timeout_s):
            raise StorageFailed("not every record could be written")
        return ""
