"""How does the machine meet the real world? One asyncio loop, asked by the bot: drain the queue, wait, again.

A cycle is one drain: the venue's answers that have come due, the machine's deadlines, then what the feed
published. Quotes conflate (only the newest of a symbol is decided on), everything else is lossless.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol

from tradebot.config.sections.engine import Engine as Limits
from tradebot.domain.commands import Command
from tradebot.domain.errors import StorageFailed, TradebotError
from tradebot.domain.events import BookSeen, DeadlineReached, Event, QuoteSeen, TradeSeen
from tradebot.ports import Clock, Due, Log
from tradebot.runtime.account import TimedVenue
from tradebot.runtime.coordinator import trace
from tradebot.runtime.cycle_log import NO_CYCLE_TIMES, CycleLog
from tradebot.runtime.dispatch import Dispatch, StateSuspect
from tradebot.runtime.failures import NO_FAILURES, Failures
from tradebot.runtime.meter import Meter

P = ParamSpec("P")

MARKET = (QuoteSeen, TradeSeen, BookSeen)

SWITCH_S = 0.0005
"""So long another thread (logs, journal, checkpoint) may compute before the loop has its turn again: it gives up the
interpreter at each of its waits, and an order passes several of them. Python's own is ten times as long."""


class Chore(Protocol):
    """Something the loop does between two cycles at its time; it costs the cycle, so it is short."""

    name: str

    @property
    def next_due_ms(self) -> int:
        """When it wants to run."""
        ...

    def run(self, now_ms: int) -> Event | None:
        """Do it; return an event for the machine, if there is one."""
        ...


class TooManyErrors(TradebotError):
    """Input or output failed so often in a row that the run cannot go on."""


class LiveShell:
    """Feeds the machine from one queue and lets nothing outside stop it but a fatal error."""

    def __init__(
        self,
        dispatch: Dispatch,
        venue: TimedVenue,
        clock: Clock,
        limits: Limits,
        log: Log,
        meter: Meter,
        *,
        cycle_log: CycleLog = NO_CYCLE_TIMES,
        failures: Failures = NO_FAILURES,
    ) -> None:
        self._dispatch = dispatch
        self._venue = venue
        self._clock = clock
        self._limits = limits
        self._log = log
        self._meter = meter
        self._cycle_log = cycle_log
        self._failures = failures
        self._chores: list[Chore] = []
        self._queue: deque[Event] = deque()
        self._newest: dict[str, QuoteSeen] = {}
        self._answers: list[tuple[int, int, Event]] = []
        self._answer_count = 0
        self._deadline_told_ms = -1
        self._turning = False
        self._faults: dict[str, int] = {}
        self._backing_off = False
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._over = False
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.fatal: Exception | None = None
        """What ended the loop, if it did not end by being stopped."""
        self.cycles = 0
        self.events = 0
        self.published = 0

    # -- what others call -----------------------------------------------------------------------

    def add_chore(self, chore: Chore) -> None:
        """Run `chore` at its times from here on."""
        self._chores.append(chore)

    def replace_chore(self, old: Chore, new: Chore) -> None:
        """Run `new` in the place of `old` from here on. Raises ValueError where `old` is no chore of this loop."""
        self._chores[self._chores.index(old)] = new
        self.wake()

    def retune(self, limits: Limits) -> None:
        """Keep these limits from here on; the wait under way ends."""
        self._limits = limits
        self.wake()

    def log_cycles(self, cycle_log: CycleLog) -> None:
        """Tell `cycle_log` of every cycle from here on."""
        self._cycle_log = cycle_log

    def publish(self, event: Event) -> None:
        """Take an event of the feed. A feed that runs ahead of the loop works the queue off itself."""
        self.published += 1
        if type(event) is QuoteSeen:
            self._newest[event.symbol] = event
        self._queue.append(event)
        if len(self._queue) >= self._limits.queue_limit and not self._turning and self._loop is not None:
            self._backing_off = False
            self.turn()
        if not self._backing_off:
            self.wake()

    def deliver(self, event: Event) -> None:
        """Take an answer of a remote venue, as it comes: none is lost, and none waits behind prices."""
        self._schedule([(self._clock.now_ms(), event)])
        self.wake()

    def inject(self, event: Event) -> None:
        """Process an event of our own now, before anything that waits. From the loop's thread."""
        try:
            self._feed(event, self._clock.now_ms())
        except (StateSuspect, StorageFailed) as error:
            self.fail(error)
        self.wake()

    def close_entries(self, event: Event) -> None:
        """Process `event`, which closes the entries, and let no buy leave from here on. From the loop's thread.

        A machine that is not to be trusted is asked nothing: what it does has no way to the venue any more.
        """
        if self.fatal is None:
            self.inject(event)
        self._ask(self._dispatch.close_entries, sound=self.fatal is None)

    def send(self, command: Command) -> None:
        """Hand a command to the venue past the machine, which does not know of its cause. From the loop's thread."""
        self._ask_venue(f"venue: {type(command).__name__}", self._venue.submit, command, self._clock.now_ms())
        self.wake()

    def wake(self) -> None:
        """End the idle wait. From the loop's thread."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def wake_for_journal(self, _seq: int) -> None:
        """Let the orders that wait for the journal leave, before anything that waits. From any thread."""
        if self._dispatch.outbox.waiting and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_durable)

    def _send_durable(self) -> None:
        """Send what has become durable; a loop that is over or about to end sends nothing."""
        if self._stopping or self._over or self.fatal is not None:
            return
        self._ask(self._dispatch.poll, later=True)
        self._settle_soon()

    def _settle_soon(self) -> None:
        """Let what is owed of requests be told after their tasks have begun, which wait for the loop already."""
        if self._dispatch.owing and self._loop is not None:
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        if self._dispatch.owing and self.fatal is None:
            self._ask(self._dispatch.settle)

    def _ask(self, ask: Callable[..., Sequence[Due]], **how: bool) -> None:
        try:
            self._schedule(ask(self._clock.now_ms(), **how))
        except (StateSuspect, StorageFailed) as error:
            self.fail(error)
        self.wake()

    def fault(self, what: str, error: Exception, *, back_off: bool = True) -> None:
        """Report that input or output (`what`) failed: log, back off, go on; too often in a row is fatal.

        Without `back_off` the loop itself does not wait: who failed waits by itself.
        """
        source = what.partition(":")[0]
        count = self._faults[source] = self._faults.get(source, 0) + 1
        self._backing_off = self._backing_off or back_off
        self._meter.count("loop_errors")
        text = f"{what}: {type(error).__name__}: {error}"
        self._log.emit(
            "system", "ERROR", "ENGINE_LOOP_ERROR", text, source=source, in_a_row=count, traceback=trace(error)
        )
        self._failures.failed(source, error)
        if count >= self._limits.max_consecutive_errors:
            tired = TooManyErrors(f"{count} errors in a row, the last one {text}")
            tired.__cause__ = error
            self.fail(tired)

    def well(self, source: str) -> None:
        """Note that `source` works: its errors are no longer in a row."""
        if self._faults and self._faults.pop(source, 0):
            self._failures.well(source)

    def fail(self, error: Exception) -> None:
        """End the loop because of `error`."""
        if self.fatal is None:
            self.fatal = error
        self.wake()

    def stop(self) -> None:
        """End the loop after the cycle under way; what the outbox still holds is never sent."""
        self._stopping = True
        self.wake()

    @property
    def answers_waiting(self) -> int:
        """How many answers of the venue are on their way."""
        return len(self._answers)

    async def until(self, true: Callable[[], bool]) -> None:
        """Return as soon as `true()` holds after a cycle, or the loop is over."""
        if true() or self._over or self.fatal is not None:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((true, future))
        await future

    async def lives(self) -> bool:
        """Return True after the next cycle, False where there will be none."""
        before = self.cycles
        if not self._backing_off:
            self.wake()
        await self.until(lambda: self.cycles > before)
        return self.cycles > before and self.fatal is None

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run cycles until stopped. Raises what made the loop end: StateSuspect, StorageFailed, TooManyErrors."""
        self._loop = asyncio.get_running_loop()
        self._log.emit("system", "INFO", "ENGINE_LOOP_START", "Engine loop started")
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # a full collection stops the loop, and over ccxt's markets and code for a tenth of a second
        try:
            while not self._stopping and self.fatal is None:
                self.turn()
                await self._rest()
        finally:
            gc.unfreeze()
            sys.setswitchinterval(switch_s)
            self._loop, self._over = None, True
            text = f"Engine loop stopped after {self.cycles} cycles"
            self._log.emit("system", "INFO", "ENGINE_LOOP_STOP", text, cycles=self.cycles, events=self.events)
            self._tell_watchers(over=True)
        if self.fatal is not None:
            raise self.fatal

    def turn(self) -> None:
        """Run one cycle. Never raises: a fatal error is kept in `fatal`."""
        self._turning = True
        begun = time.perf_counter_ns()
        before = self.events
        try:
            self._drain()
            if not self._dispatch.owing:
                self._do_chores()
            self._settle_soon()
        except (StateSuspect, StorageFailed) as error:
            self.fail(error)
        finally:
            self._turning = False
        self.cycles += 1
        handled = self.events - before
        if handled:
            self._measure((time.perf_counter_ns() - begun) / 1e6, handled)
        self._tell_watchers(over=self.fatal is not None)

    def _drain(self) -> None:
        """Work the queue off. A request that left ends it: its task begins before any event that waits."""
        clock, dispatch, queue, answers = self._clock, self._dispatch, self._queue, self._answers
        self._schedule(dispatch.poll(clock.now_ms(), later=self._loop is not None))
        while self.fatal is None and not self._backing_off and not dispatch.owing:
            now = clock.now_ms()
            if self._venue.next_due_ms <= now:
                self._ask_venue("venue: timer", self._venue.advance, now)
            elif answers and answers[0][0] <= now:
                self._feed(heapq.heappop(answers)[2], now)
            elif dispatch.machine.next_due_ms <= now and now > self._deadline_told_ms:
                self._deadline_told_ms = now
                self._feed(DeadlineReached(now), now)
            elif queue:
                self._market(queue.popleft(), now)
            else:
                return

    def _market(self, event: Event, now: int) -> None:
        if type(event) is QuoteSeen:
            if self._newest.get(event.symbol) is not event:
                self._meter.count("quotes_conflated")
                return
            del self._newest[event.symbol]
        if isinstance(event, MARKET) and self._venue.watches(event.symbol):
            self._ask_venue("venue: market", self._venue.on_market, event, now)
        self._feed(event, now)

    def _ask_venue(self, what: str, ask: Callable[P, Sequence[Due]], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            self._schedule(ask(*args, **kwargs))
            self.well("venue")
        except Exception as error:  # noqa: BLE001 - the supervision border of the venue: told, and gone on
            self.fault(what, error)

    def _feed(self, event: Event, now: int) -> None:
        self.events += 1
        self._schedule(self._dispatch.feed(event, now, later=self._turning and self._loop is not None))

    def _schedule(self, answers: Sequence[Due]) -> None:
        for due_ms, event in answers:
            self._answer_count += 1
            heapq.heappush(self._answers, (due_ms, self._answer_count, event))

    def _do_chores(self) -> None:
        for chore in self._chores:
            now = self._clock.now_ms()
            if chore.next_due_ms > now:
                continue
            try:
                event = chore.run(now)
                self.well(chore.name)
            except Exception as error:  # noqa: BLE001 - the supervision border of the chores: told, and tried again
                self.fault(chore.name, error)
                continue
            if event is not None:
                self._feed(event, now)

    def _measure(self, took_ms: float, handled: int) -> None:
        self._meter.observe("cycle_ms", took_ms)
        if took_ms > self._limits.slow_cycle_s * 1000:
            self._meter.count("slow_cycles")
            text = f"Slow cycle: {took_ms:.0f} ms for {handled} events"
            self._log.emit("system", "WARNING", "ENGINE_SLOW_CYCLE", text, took_ms=took_ms, events=handled)
        self._cycle_log.cycle(took_ms, handled)

    def _tell_watchers(self, *, over: bool) -> None:
        for entry in list(self._watchers):
            true, future = entry
            if future.done():
                self._watchers.remove(entry)
            elif over or true():
                future.set_result(None)
                self._watchers.remove(entry)

    # -- waiting --------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Wait for an event, a due time or the longest idle wait; after an error, for the back-off."""
        if self._stopping or self.fatal is not None:
            return
        delay_s = self._limits.error_backoff_s if self._backing_off else self._idle_s()
        if delay_s <= 0 or (self._queue and not self._backing_off):
            self._backing_off = False
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(delay_s, self.wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._backing_off = False

    def _idle_s(self) -> float:
        now = self._clock.now_ms()
        due = self._dispatch.next_due_ms
        if due <= now:  # told in this very millisecond: again in the next
            due = now + 1
        if self._answers:
            due = min(due, self._answers[0][0])
        due = min(due, self._venue.next_due_ms, *(chore.next_due_ms for chore in self._chores))
        return min(self._limits.loop_sleep_s, (due - now) / 1000)
