"""What is one process of the bot, from its start to the instruction that kills it? Asked by the machine's world.

Engine, dispatch, outbox, live shell and ccxt venue are the product's own; loop, clock, disk and network are the test's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from tests.engine.hand import make_profile
from tests.machine.client import client
from tests.machine.disk import Disk
from tests.machine.far import INSTRUMENTS, PREFIX
from tests.machine.loop import TurnedLoop
from tests.machine.network import Network, Request
from tradebot.domain.events import Event, ProfileApplied, RunStarted
from tradebot.domain.facts import Fact, Level, Stream
from tradebot.engine.engine import Engine
from tradebot.exchange.construction import Ccxt
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.hooks import Taps
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.live import LiveShell
from tradebot.runtime.outbox import Outbox
from tradebot.venues.ccxt_spot import CcxtSpot

_BASE: Final[dict[str, Any]] = {
    "budget": {"per_trade_quote": 100, "max_per_symbol_quote": 200, "max_positions": 3, "refresh_interval_s": 1},
    "exits": {"take_profit_bps": 100, "stop_loss_bps": 150, "max_hold_s": 600, "check_interval_s": 1},
    "execution": {"max_slippage_bps": 500, "max_spread_bps": 500},
    "fences": {"buy_when_degraded": True, "rearm_s": 60},
}
VARIANTS: Final = tuple(
    make_profile(_BASE | changes)
    for changes in (
        {},
        {"execution": {"steps": [{"type": "market"}], "max_slippage_bps": 500, "max_spread_bps": 500}},
        {
            "execution": {
                "steps": [{"tif": "PO"}, {"tif": "GTC"}, {"tif": "FOK"}],
                "wait_ms": {"GTC": 4_000},
                "max_slippage_bps": 500,
                "max_spread_bps": 500,
            },
            "exits": {"take_profit_bps": 50, "stop_loss_bps": 100, "max_hold_s": 60, "steps": [{"type": "market"}]},
        },
        {
            "budget": {"per_trade_quote": 60, "max_per_symbol_quote": 300, "max_positions": 2, "fee_reserve_bps": 50},
            "exits": {"take_profit_bps": 100, "stop_loss_bps": "off", "max_hold_s": 120, "steps": [{"tif": "GTC"}]},
        },
    )
)
"""The profiles that edits go between."""

BROKEN: Final = frozenset({"VENUE_REQUEST_BROKE", "ENGINE_LOOP_ERROR", "VENUE_REPORT_UNREADABLE"})
"""What the product says when something of its own is wrong."""


class NoMeter:
    """A meter that nobody reads."""

    def count(self, name: str, amount: float = 1, /) -> None:
        """Count nothing."""

    def observe(self, name: str, value_ms: float, /) -> None:
        """Keep nothing."""

    def gauge(self, name: str, value: float, /) -> None:
        """Set nothing."""


class Clock:
    """The bot's clock: the true time, and how far it is off."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now

    def now_ms(self) -> int:
        """Return the present."""
        return self._now()


class Venue(CcxtSpot):
    """The product's venue, whose instances speak to the machine's network."""

    def __init__(self, network: Network, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._network = network

    def _connect(self, taps: Taps, *, throttled: bool) -> Ccxt:
        exchange = client(self._network, self._clock.now_ms, taps)
        self._instances.append(exchange)
        self.trading = self.__dict__.get("trading") if not taps.urgent else exchange
        return exchange

    trading: Any

    def hear(self, message: dict[str, Any]) -> None:
        """Let the user stream tell something."""
        self.trading.handle_order_update(None, message)


class Bot:
    """One run. `heard` is told the facts of each event, before anything of them leaves."""

    def __init__(
        self,
        disk: Disk,
        network: Network,
        now_ms: Callable[[], int],
        loop_s: float,
        run: str,
        heard: Callable[[Sequence[Fact]], None],
    ) -> None:
        self.disk = disk
        self.network = network
        self.run = run
        self.loop = TurnedLoop(loop_s)
        self.clock = Clock(now_ms)
        self.broken: list[str] = []
        self._heard = heard
        profile = VARIANTS[disk.variant]
        self.engine = Engine(profile, INSTRUMENTS)
        document = disk.document
        self.engine.restore(document, disk.read(int(document["seq"]) if document else 0))
        self.venue = Venue(
            network,
            profile.exchange,
            Credentials("key", "secret"),
            quote="USDT",
            id_prefix=PREFIX,
            clock=self.clock,
            deliver=self._deliver,
            log=self,
            failed=self._failed,
            symbols=[each.symbol for each in INSTRUMENTS],
        )
        outbox = Outbox(self.venue, disk, self._fault)
        self.dispatch = Dispatch(self.engine, disk, self, outbox)
        self.shell = LiveShell(self.dispatch, self.venue, self.clock, profile.engine, self, NoMeter())
        self.shell._loop = self.loop  # its own run is this test's: a request that leaves ends a turn here as there

    def begin(self) -> None:
        """Start the venue and the run."""
        self.network.instant = True
        try:
            started = self.loop.begin(self.venue.start())
        finally:
            self.network.instant = False
        started.result()
        now = self.clock.now_ms()
        self.inject(ProfileApplied(self.disk.generation, VARIANTS[self.disk.variant], now, INSTRUMENTS))
        self.inject(RunStarted(self.run, now))
        self.turn()

    # -- what the test does -----------------------------------------------------------------------------

    def inject(self, event: Event) -> None:
        """Let an event of the bot's own happen now."""
        self._within(lambda: self.shell.inject(event))

    def publish(self, event: Event) -> None:
        """Let the feed tell something."""
        self.shell.publish(event)

    def turn(self) -> None:
        """Let everything in the process go as far as it can at this time."""
        for _ in range(1_000):
            self.loop.turn()
            self._within(self.shell.turn)
            if self.shell.fatal is not None:
                raise self.shell.fatal
            if not self.loop.ready and not self.shell.answers_waiting:
                return
        raise AssertionError("the bot never rests")

    def hear(self, message: dict[str, Any]) -> None:
        """Let the user stream tell something."""
        self._within(lambda: self.venue.hear(message))

    def connect(self, *, up: bool) -> None:
        """Let the user stream be connected, or lost."""
        self._within(self.venue.up if up else lambda: self.venue.down("its socket was lost"))

    def next_due_ms(self, now_ms: int) -> int:
        """Return when something in the process is due (true time), counted from `now_ms`."""
        timer_ms = now_ms + max(0.0, self.loop.next_due_s - self.loop.time()) * 1000
        wall = self.clock.now_ms()
        machine_ms = now_ms + max(1, self.dispatch.next_due_ms - wall)
        return min(int(timer_ms) + 1 if timer_ms < 2**60 else 2**62, machine_ms)

    def kill(self) -> None:
        """End the process at this instruction."""
        self.loop.kill()
        self.network.forget()

    # -- what the product calls ---------------------------------------------------------------------------

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        """Hear facts, as the recorder."""
        self._heard(facts)

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Hear a record, as the log."""
        if event_type in BROKEN:
            self.broken.append(f"{event_type} {message}")

    def _deliver(self, event: Event) -> None:
        self.shell.deliver(event)

    def _failed(self, name: str, error: BaseException) -> None:
        self.broken.append(f"{name} failed: {type(error).__name__}: {error}")

    def _fault(self, what: str, error: Exception) -> None:
        self.broken.append(f"{what}: {type(error).__name__}: {error}")

    def _within(self, call: Callable[[], object]) -> None:
        asyncio._set_running_loop(self.loop)
        try:
            call()
        finally:
            asyncio._set_running_loop(None)


def worst_quote(request: Request) -> Decimal:
    """Return the most a request to buy can cost, before fees."""
    what = request.what
    return Decimal(what["cost"]) if what["cost"] else Decimal(what["price"] or 0) * Decimal(what["amount"] or 0)
