"""How are market streams served to a test? The core and its streams on loopback, without REST."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
from aiohttp import web

from tests.sandbox.faults_kit import book
from tradebot.config.faults_file import SocketPace
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_state import Controls, SkewedClock
from tradebot.sandbox.faults import Faults
from tradebot.sandbox.market_rules import rules_of
from tradebot.sandbox.sockets import Gate, Sockets
from tradebot.sandbox.store import Store
from tradebot.sandbox.streams import PATHS, Streams
from tradebot.sandbox.streams_board import Board

INSTRUMENTS = tuple(
    Instrument(f"{base}/USDT", base, "USDT", Decimal("0.01"), Decimal("0.00001"), min_notional=Decimal(5))
    for base in ("BTC", "ETH")
)


class Served:
    """The exchange's public side, and a session of a client."""

    def __init__(self, pace: SocketPace) -> None:
        self.clock = SkewedClock(lambda: int(time.time() * 1000))
        store = Store(None)
        self.exchange = Exchange(rules_of(INSTRUMENTS), store, self.clock.now_ms())
        self.gate = Gate()
        self.sockets = Sockets(pace, self.gate)
        self.faults = Faults()
        self.controls = Controls(self.exchange, self.clock, self.sockets, self.gate)
        self.board = Board(self.exchange.market.symbols, self.clock.now_ms)
        self.exchange.subscribe_market(self.board.put)
        self.streams = Streams(self.board, self.sockets, self.faults, self.controls)
        self.store = store
        self.session: aiohttp.ClientSession
        self.url = ""

    def market(self, *events: Event) -> None:
        """Let the market move."""
        for event in events:
            self.exchange.on_market(event, self.clock.now_ms())


@asynccontextmanager
async def streaming(pace: SocketPace | None = None) -> AsyncIterator[Served]:
    """Serve the market streams until the end; the book of BTC/USDT stands already."""
    served = Served(pace or SocketPace())
    served.market(book(100.0, 101.0))
    app = web.Application()
    app.add_routes([web.get(path, served.streams.serve) for path in PATHS])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    served.board.start()
    try:
        async with aiohttp.ClientSession() as served.session:
            yield served
    finally:
        await served.controls.close()
        await served.sockets.close()
        await served.board.stop()
        await runner.cleanup()
        served.store.close()
