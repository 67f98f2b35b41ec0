"""What is the exchange of a case? A sandbox exchange in a forked process of its own, which outlives the bot.

It serves until it is asked for the comparison; the script of the case moves its market meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from tests.crash.stage import Slot, Stage
from tests.integration.comparing import compare
from tests.integration.comparing_pictures import core_picture
from tradebot.config.faults_file import FaultsFile
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import BookSeen, TradeSeen
from tradebot.domain.market import Instrument
from tradebot.sandbox.calls import Calls
from tradebot.sandbox.calls_account import AccountCalls
from tradebot.sandbox.calls_market import MarketCalls
from tradebot.sandbox.calls_orders import OrderCalls
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_state import SkewedClock
from tradebot.sandbox.faults_service import Service
from tradebot.sandbox.limits import Limits
from tradebot.sandbox.market_rules import RATE_LIMITS, rules_of
from tradebot.sandbox.orders import Credentials, FeeRates, HeldOrder
from tradebot.sandbox.rest import Rest
from tradebot.sandbox.signing import Keyring
from tradebot.sandbox.store import Store

KEY, SECRET = "test-key", "test-secret"
BEGUN: Final = {"USDT": Decimal(10_000)}
BASES: Final = ("BTC", "ETH", "SOL")
INSTRUMENTS: Final = tuple(
    Instrument(f"{base}/USDT", base, "USDT", Decimal("0.01"), Decimal("0.001"), min_notional=Decimal(5))
    for base in BASES
)
LOOK_S: Final = 0.02
PULSE_S: Final = 0.12


class Verdict(Struct, frozen=True):
    """What the comparison says of a case: every difference in words, and how much was compared."""

    differences: list[str]
    orders: int = 0
    fills: int = 0
    strikes: int = 0


class Floor:
    """The market of a case, as its script moves it. Prices are one for all symbols, sizes in base."""

    def __init__(self, exchange: Exchange, clock: SkewedClock, stage: Stage) -> None:
        self.exchange = exchange
        self.stage = stage
        self._clock = clock
        self._books: dict[str, tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]] = {}
        self._odd = False

    def book(self, base: str, bids: tuple[tuple[float, float], ...], asks: tuple[tuple[float, float], ...]) -> None:
        """Show a book, best level first."""
        self._books[base] = bids, asks
        self._show(base)

    def plain(self, base: str, mid: float, size: float = 50.0) -> None:
        """Show a deep book around a price."""
        self.book(base, ((round(mid - 0.01, 2), size),), ((round(mid + 0.01, 2), size),))

    def trade(self, base: str, price: float, size: float, *, buyer_taker: bool) -> None:
        """Let somebody else trade."""
        now = self._clock.now_ms()
        self.exchange.on_market(TradeSeen(f"{base}/USDT", price, size, buyer_taker, now), now)

    def pulse(self) -> None:
        """Let every best bid say itself anew, so that whoever begins to listen hears a price."""
        self._odd = not self._odd
        for base in self._books:
            self._show(base)

    def _show(self, base: str) -> None:
        bids, asks = self._books[base]
        now = self._clock.now_ms()
        (price, size), *rest = bids
        told = ((price, round(size + 0.001, 3) if self._odd else size), *rest)
        self.exchange.on_market(BookSeen(f"{base}/USDT", told, asks, now), now)

    def resting(self, base: str) -> list[HeldOrder]:
        """Return the bot's open orders of a symbol."""
        return self.exchange.open_orders(KEY, f"{base}USDT")

    def total(self, asset: str) -> Decimal:
        """Return what the bot's account holds."""
        balance = self.exchange.balances(KEY).get(asset)
        return balance.total if balance is not None else Decimal(0)

    async def ready(self) -> int:
        """Wait until a bot trades and has seen every price; return which run it is."""
        await self.until(lambda: self.stage[Slot.RUN] > 0 and self.stage[Slot.READY] == self.stage[Slot.RUN], 60)
        return self.stage[Slot.RUN]

    async def until(self, true: Callable[[], bool], within_s: float) -> bool:
        """Wait until something is true, no longer than so; return whether it is."""
        end = time.monotonic() + within_s
        while not true():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(LOOK_S)
        return True


Script = Callable[[Floor], Coroutine[Any, Any, None]]


async def serve(
    pipe: socket.socket, stage: Stage, script: Script, faults: Mapping[str, Any], home: Path, *, skew_ms: int = 0
) -> None:
    """Serve until a byte comes through `pipe`, then answer with the comparison; the first line told is the port."""
    file = FaultsFile.model_validate(faults)
    clock = SkewedClock(lambda: int(time.time() * 1000), skew_ms)
    store = Store(None)
    exchange = Exchange(rules_of(INSTRUMENTS), store, clock.now_ms())
    floor = Floor(exchange, clock, stage)
    for base in BASES:
        floor.plain(base, 100.0)
    exchange.open_account(KEY, BEGUN, FeeRates(Decimal(10), Decimal(10)))
    keys, limits = Keyring([Credentials(KEY, SECRET)]), Limits(RATE_LIMITS)
    table = {
        **MarketCalls(exchange, RATE_LIMITS).table(),
        **OrderCalls(exchange).table(),
        **AccountCalls(exchange, keys, limits).table(),
    }
    calls = Calls(exchange, keys, limits, clock.now_ms, table)
    service = Service(exchange, calls, clock, file)
    app = web.Application()
    app.add_routes([*Rest(calls, service.interpose).routes(), *service.routes()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await service.start()
    loop = asyncio.get_running_loop()
    playing = [asyncio.create_task(script(floor)), asyncio.create_task(_pulse(floor))]
    await loop.sock_sendall(pipe, f"{runner.addresses[0][1]}\n".encode())
    await loop.sock_recv(pipe, 1)
    for task in playing:
        task.cancel()
    await asyncio.gather(*playing, return_exceptions=True)
    await floor.until(lambda: not service.controls._late, 5)
    strikes = sum(int(each["strikes"]) for each in service.faults.told())
    verdict = _verdict(exchange, home, strikes)
    await loop.sock_sendall(pipe, msgspec.json.encode(verdict) + b"\n")


async def _pulse(floor: Floor) -> None:
    while True:
        await asyncio.sleep(PULSE_S)
        floor.pulse()


def _verdict(exchange: Exchange, home: Path, strikes: int) -> Verdict:
    if not (home / "journal.sqlite").exists():
        return Verdict(["there is no journal"] if core_picture(exchange, KEY).orders else [], strikes=strikes)
    try:
        found = compare(home, core_picture(exchange, KEY), begun=BEGUN)
    except StorageFailed as error:
        return Verdict([f"the journal cannot be read: {error}"], strikes=strikes)
    return Verdict(list(found.words), found.orders, found.fills, strikes)
