"""Where do real orders go? A spot account of any exchange that ccxt speaks to; asked by the live shell.

Requests leave at once, each order's in their own order; answers come later, as events handed to `deliver` in the
loop's thread. Nothing of ccxt's own state is believed: reports are taken raw, and what was missed is asked for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import aiohttp

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.commands import Command
from tradebot.domain.errors import CannotStart, TradebotError
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ms
from tradebot.exchange.away import why_not
from tradebot.exchange.budget import Budget, asking
from tradebot.exchange.capabilities import Capabilities, capabilities_of
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.construction import Ccxt, connect, disconnect
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dead_man import required
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps
from tradebot.exchange.instruments import instruments_of
from tradebot.exchange.parsing import SeenOrder, Unreadable
from tradebot.exchange.permissions import check_key, refused_key
from tradebot.exchange.requests import Requests
from tradebot.ports import Clock, Due, Log
from tradebot.venues.ccxt_deadman import switch_of
from tradebot.venues.ccxt_ending import AtTheEnd
from tradebot.venues.ccxt_lanes import Lanes
from tradebot.venues.ccxt_lookups import Lookups
from tradebot.venues.ccxt_orders import OwnOrders
from tradebot.venues.ccxt_others import Others, Runs, every_run_is_ours
from tradebot.venues.ccxt_reconcile import Reconciler, poll_interval_s
from tradebot.venues.ccxt_reports import report_of
from tradebot.venues.ccxt_requests import Answering
from tradebot.venues.ccxt_stream import UserStream, symbols_by_id
from tradebot.venues.ccxt_warm import keep_warm
from tradebot.venues.ccxt_watch import Gauge, Watch

NEVER_MS: Final = 2**62

Failed = Callable[[str, BaseException], None]
"""Told (name of the part, the error) when a part fails by itself."""


def no_gauge(_name: str, _value: float) -> None:
    """Set no gauge: nobody looks."""


class NotRunning(TradebotError):
    """A command came before the venue was started or after it was stopped; it was not sent."""


class CcxtSpot:
    """A spot account at an exchange: a venue and a component.

    `id_prefix` is what every own client id begins with; all other orders and their fills are left alone. `symbols` are
    those whose trading is watched, every one in the quote currency where there are none. `budget` is that of the
    processes that ask together; `is_our_run` knows the runs whose orders are our own. `listing` is an instance of ccxt
    that holds the exchange's markets of just now: they serve the first start, a later one asks anew.
    """

    name = "venue"

    def __init__(
        self,
        settings: Exchange,
        credentials: Credentials,
        *,
        quote: str,
        id_prefix: str,
        clock: Clock,
        deliver: Callable[[Event], None],
        log: Log,
        failed: Failed,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        budget: Budget | None = None,
        symbols: Sequence[str] = (),
        gauge: Gauge = no_gauge,
        is_our_run: Runs = every_run_is_ours,
        listing: Ccxt | None = None,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._quote = quote
        self._clock = clock
        self._deliver = deliver
        self._log = log
        self._failed = failed
        self._connector = connector
        self._dialect = dialect_of(settings.name)
        self._wanted = tuple(symbols)
        self._listing = listing
        self.budget = budget or Budget(clock, settings.requests)
        self.offset = ClockOffset(self._exchange_time, clock)
        self.watch = Watch(settings, self.budget, self.offset, clock, deliver, log, gauge, self._compare)
        self.orders = OwnOrders(self.offset, id_prefix)
        self.others = Others(id_prefix, is_our_run, self._watched, clock, deliver, log, gauge)
        self.stream_up = False
        """Whether the exchange tells of own orders by itself just now."""
        self.dials = 0
        """How often the user stream was lost, or could not be had, since it last stood."""
        self.reconciliations = 0
        self._instances: list[Ccxt] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._lanes: Lanes | None = None
        self.end: AtTheEnd | None = None
        """What the account is asked for when a run ends, while it is connected."""
        self._symbols: Mapping[str, str] = {}
        self._instruments: Sequence[Instrument] = ()
        self._due = asyncio.Event()
        self._hints: dict[str, None] = {}
        self._whole = False
        self._settling = 0  # comparisons still due soon after a connection

    # -- the venue ------------------------------------------------------------------------------------

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Send a command; its answers are delivered later. Raises NotRunning, then nothing was sent."""
        if self._lanes is None:
            raise NotRunning("the venue is not running")
        self._lanes.put(command)
        return []

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        """Observe nothing: the exchange sees the market itself."""
        return []

    def watches(self, symbol: str) -> bool:
        """Whether a market event could change anything here: never."""
        return False

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do: never."""
        return NEVER_MS

    def advance(self, now_ms: int) -> list[Due]:
        """Do nothing: answers are delivered."""
        return []

    def instruments(self) -> Sequence[Instrument]:
        """Return the active spot markets in the quote currency, once it is started."""
        return self._instruments

    # -- the component --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, and return when orders can be sent. Raises CannotStart; nothing stays open then."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every task and socket; an order whose request is under way is told as unknown."""
        lanes, self._lanes, self.end = self._lanes, None, None
        if lanes is not None:
            await lanes.stop()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        instances, self._instances = self._instances, []
        for exchange in instances:
            await disconnect(exchange)
        self.stream_up = False

    async def _start(self) -> None:
        settings = self._settings
        trading_taps = Taps(self.budget, self._dialect, urgent=True)
        trading_taps.on_report = self._on_report
        trading_taps.on_connected = self._on_connected
        polling_taps = Taps(self.budget, self._dialect, urgent=False)
        trading_taps.on_fate = polling_taps.on_fate = self.watch.health.fate
        polling = self._connect(polling_taps, throttled=True)
        trading = self._connect(trading_taps, throttled=not self._dialect.weight_headers)
        can = capabilities_of(trading)
        self._say_lacks(can)
        guard = required(trading, settings)
        requests = Requests(trading, self._credentials, can), Requests(polling, self._credentials, can)
        with asking("safety"):
            markets = await self._load(polling, trading)
            if can.clock:
                await self._first_time()
            for exchange in self._instances:
                self.offset.apply_to(exchange)
            await self._check_key(requests[1])
            await check_key(polling, self._credentials, allow_withdrawals=settings.allow_withdrawals, log=self._log)
        lookups = Lookups(self.orders, self.offset, settings, self._clock)
        answering = Answering(
            *requests, self.orders, lookups, self.offset, self._clock, self._deliver, self._instruments,
            self.watch.halted, settings.lookups_at_once,
        )  # fmt: skip
        switch = switch_of(guard, settings, requests[1], self.watch.health.unguarded, self._log)
        self.end = end = AtTheEnd((trading_taps, polling_taps), requests[1], self.orders.owns, self._watched, switch)
        self._lanes = lanes = Lanes(end.knowing(partial(self._handle, answering)), self._on_free)
        reconciler = Reconciler(
            self.orders, lookups, requests[1], self.offset, self._clock, self._deliver, lanes.busy, self.watch.halted,
            ms(settings.reconcile_interval_s),
        )  # fmt: skip
        self._spawn("reconcile", self._keep_reconciled(reconciler, lanes))
        self._spawn("others", self.others.keep_looking(requests[1], float(settings.reconcile_interval_s)))
        self.watch.tells_time = can.clock
        self.watch.begin(markets, self._watched())
        self._spawn("health", self.watch.keep_fit())
        self._spawn("markets", self.watch.keep_markets(polling, self._watched))
        if can.clock:
            self._spawn("clock", self.watch.keep_time())
            self._spawn("warm", keep_warm(trading, self.offset.measure))
        if can.user_stream:
            self.watch.health.stream(up=False)
            stream = UserStream(trading, self, self._dialect, settings.request_timeout_s, settings.renew_after_s)
            self._spawn("stream", stream.run())

    def _connect(self, taps: Taps, *, throttled: bool) -> Ccxt:
        connector = self._connector() if self._connector is not None else None
        exchange = connect(
            self._settings, taps, credentials=self._credentials, throttled=throttled, connector=connector
        )
        self._instances.append(exchange)
        return exchange

    def _say_lacks(self, can: Capabilities) -> None:
        if can.refusals:
            what = "; ".join(f"{lack.what} ({lack.instead})" for lack in can.refusals)
            raise CannotStart(f"{can.exchange} cannot be traded on, it lacks {what}")
        for lack in can.lacks:
            self._log.emit("system", "INFO", "VENUE_LACK", f"{can.exchange} lacks {lack.what}: {lack.instead}")

    def _watched(self) -> set[str]:
        """Return the symbols whose trading matters: those of the profile, and those with orders."""
        wanted = self._wanted or (one.symbol for one in self._instruments)
        return {*wanted, *(order.symbol for order in self.orders.live())}

    async def _load(self, polling: Ccxt, trading: Ccxt) -> Mapping[str, Any]:
        listing, self._listing = self._listing, None
        if listing is not None:
            polling.set_markets_from_exchange(listing)
        try:
            markets = await polling.load_markets()
        except Exception as error:  # noqa: BLE001 - the border to ccxt: a start says what is wrong and ends
            raise self._why_not("its markets could not be loaded", error) from None
        trading.set_markets_from_exchange(polling)
        self._symbols = symbols_by_id(markets)
        self._instruments = instruments_of(markets, self._quote, self._wanted)
        return dict(markets)

    async def _first_time(self) -> None:
        try:
            await self.offset.measure(3)
        except Exception as error:  # noqa: BLE001 - the border to ccxt: a start says what is wrong and ends
            raise self._why_not("its time could not be asked for", error) from None
        if abs(self.offset.offset_ms) > self._settings.max_clock_offset_ms:
            raise CannotStart(
                f"this machine's clock is {self.offset.offset_ms} ms ahead of {self._settings.name}'s, more than "
                f"exchange.max_clock_offset_ms = {self._settings.max_clock_offset_ms}: set it right first"
            )

    def _why_not(self, what: str, error: Exception) -> CannotStart:
        return why_not(self._settings.name, what, error, self.budget, self._clock)

    async def _check_key(self, requests: Requests) -> None:
        found = await requests.balances()
        if (refused := refused_key(self._settings.name, found)) is not None:
            raise refused

    # -- what happens by itself -----------------------------------------------------------------------

    def up(self) -> None:
        """Note that the user stream is connected: what happened before is asked for."""
        self.stream_up = True
        self.watch.health.stream(up=True)
        after = f" after {self.dials} attempts" if self.dials > 1 else ""
        self.dials = 0
        self._log.emit("system", "INFO", "VENUE_STREAM_OPENED", f"{self._settings.name} tells of own orders{after}")
        # one at once; where the subscription follows the connection by some time, another after it
        self._settling = 0 if self._dialect.raw_reports else 2
        self._compare()

    def down(self, cause: str) -> None:
        """Note that the user stream is lost, or is still: own orders are asked for until it is back. Told once."""
        lost, self.stream_up = self.stream_up, False
        self.watch.health.stream(up=False)
        self.dials += 1
        if self.dials == 1:
            text = f"{self._settings.name} tells of own orders no more: {self._credentials.hide(cause)}"
            self._log.emit("system", "WARNING", "VENUE_STREAM_LOST", text)
        if lost:
            self._compare()

    def changed(self, order: SeenOrder) -> None:
        """Note that an own order changed: it is asked for."""
        if self.orders.owns(order.client_id):
            self._hints[order.client_id] = None
            self._due.set()

    def _on_connected(self, url: str) -> None:
        if not self._dialect.raw_reports:
            self.up()

    def _on_report(self, message: Mapping[str, Any]) -> None:
        try:
            seen, reason = report_of(message, self._symbols)
        except Unreadable as error:
            self._log.emit("system", "WARNING", "VENUE_REPORT_UNREADABLE", f"{error}: own orders are asked for")
            self._compare()
            return
        self.others.seen(seen)
        if not self.orders.owns(seen.client_id):
            self.orders.foreign += 1
            return
        for event in self.orders.take(seen, seen.client_id, self._clock.now_ms(), reason):
            self._deliver(event)

    def _compare(self) -> None:
        self._whole = True
        self._due.set()

    def _on_free(self, client_id: str) -> None:
        if client_id in self._hints:
            self._due.set()

    async def _handle(self, answering: Answering, command: Command) -> None:
        try:
            await answering.handle(command)
        except asyncio.CancelledError:
            answering.failed(command, "the venue was stopped")
            raise
        except Exception as error:  # noqa: BLE001 - the supervision border of a request: told, and booked as unknown
            what = f"{type(command).__name__}: {type(error).__name__}: {self._credentials.hide(str(error))}"
            self._log.emit("system", "ERROR", "VENUE_REQUEST_BROKE", what)
            answering.failed(command, type(error).__name__)

    async def _keep_reconciled(self, reconciler: Reconciler, lanes: Lanes) -> None:
        settings, told = self._settings, ""
        while True:
            slow = self.stream_up and not self._settling
            whole = await self._wait(float(settings.reconcile_interval_s) if slow else self._poll_s())
            fault = ""
            for client_id in [each for each in self._hints if not lanes.busy(each)]:
                del self._hints[client_id]
                with asking("safety"):
                    fault = fault or await reconciler.refresh(client_id)
            if whole or fault:
                self._settling = max(0, self._settling - 1)
                with asking("safety"):
                    fault = await reconciler.run()
                self.watch.health.compared(fault)
            if fault:
                if _story(fault) != _story(told):
                    self._log.emit("system", "WARNING", "VENUE_NOT_RECONCILED", fault)
                await asyncio.sleep(float(settings.poll_interval_s))
                self._compare()
            elif whole:
                self.reconciliations += 1
            told = fault

    def _poll_s(self) -> float:
        return poll_interval_s(self._settings, len({one.symbol for one in self.orders.live()}), self.budget.limit)

    async def _wait(self, limit_s: float) -> bool:
        """Wait until something is to be asked for; return whether it is everything."""
        try:
            async with asyncio.timeout(limit_s):
                await self._due.wait()
        except TimeoutError:
            self._whole = True
        self._due.clear()
        whole, self._whole = self._whole, False
        return whole

    async def _exchange_time(self) -> int:
        return int(await self._instances[-1].fetch_time())

    def _spawn(self, part: str, main: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(main, name=f"tradebot-venue-{part}")
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(self.name, error)


def _story(fault: str) -> str:
    """Return a fault without its numbers: one that counts down is told once."""
    return re.sub(r"[0-9.]+", "#", fault)
