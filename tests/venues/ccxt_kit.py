"""What does a ccxt venue trade on in a test? A little Binance on loopback: scripted answers, a user stream by hand."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from tests.exchange.binance_answers import account, api_restrictions, exchange_info
from tests.exchange.little_exchange import Asked, LittleExchange, little_exchange, says
from tests.runtime.telling import Told
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.events import Event
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.exchange.credentials import Credentials
from tradebot.venues.ccxt_spot import CcxtSpot, no_gauge
from tradebot.venues.ccxt_watch import Gauge

E = TypeVar("E", bound=Event)

KEYS = Credentials("key-of-this-test", "secret-of-this-test")
QUICK: dict[str, Any] = {
    "poll_interval_s": 0.1,
    "reconcile_interval_s": 60,
    "clock_interval_s": 60,
    "not_found_after_s": 0.0,
    "recv_window_ms": 100,
}


class WallClock:
    """The time, with what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


class Bench:
    """A venue on a little Binance, and everything it delivered."""

    def __init__(self, server: LittleExchange) -> None:
        self.server = server
        self.events: list[Event] = []
        self.told = Told()
        self.broken: list[BaseException] = []
        self.clock = WallClock()
        self.sockets: list[web.WebSocketResponse] = []
        self.subscriptions = 0
        self.answers_subscriptions = True
        self.refuses_subscriptions: dict[str, Any] | None = None
        """The error that a subscription is answered with."""
        self.answering = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._news = asyncio.Event()
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT", "ETH/USDT")))
        server.on("GET", "/account", says(account(USDT="1000.00000000")))
        server.on("GET", "/apiRestrictions", says(api_restrictions()))
        server.on("GET", "/openOrders", says([]))
        server.on("GET", "/myTrades", says([]))
        server.on("GET", "/allOrders", says([]))
        server.on("GET", "/time", self._time)
        server.on("GET", "/ws-api/v3", self._socket)

    def venue(self, gauge: Gauge = no_gauge, symbols: Sequence[str] = (), **settings: Any) -> CcxtSpot:
        """Return a venue, not started."""
        return CcxtSpot(
            self.server.settings(**{**QUICK, **settings}),
            KEYS,
            quote="USDT",
            id_prefix="a-",
            clock=self.clock,
            deliver=self.deliver,
            log=self.told,
            failed=lambda _name, error: self.broken.append(error),
            gauge=gauge,
            symbols=symbols,
        )

    def deliver(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def passes(self, venue: CcxtSpot, span_ms: int) -> None:
        """Let so much time have passed since the orders that have not ended were sent, by every clock."""
        self.clock.ahead_ms += span_ms
        for order in venue.orders.live():
            order.asked_s -= span_ms / 1000

    async def heard(self, kind: type[E], count: int = 1) -> list[E]:
        """Wait for so many events of a kind; return all of it."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, looking after every event and every hundredth of a second."""
        while not holds():
            self._news.clear()
            try:
                async with asyncio.timeout(0.01):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def push(self, event: dict[str, Any]) -> None:
        """Send an event over the newest user stream."""
        await self.sockets[-1].send_json({"subscriptionId": 0, "event": event})

    async def _time(self, _asked: Asked) -> web.StreamResponse:
        return web.json_response({"serverTime": time.time_ns() // 1_000_000})

    async def _socket(self, asked: Asked) -> web.StreamResponse:
        return await self.serve_socket(asked, lambda _said: None)

    async def serve_socket(self, asked: Asked, hear: Callable[[dict[str, Any]], None]) -> web.StreamResponse:
        """Serve one user stream; `hear` gets each of its requests."""
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(asked.request)
        self.sockets.append(socket)
        while True:
            await self.reads.wait()
            message = await socket.receive()
            if message.type is not WSMsgType.TEXT:
                return socket
            said = message.json()
            hear(said)
            if said["method"] != "userDataStream.subscribe.signature" or not self.answers_subscriptions:
                continue
            if self.refuses_subscriptions is not None:
                await socket.send_json({"id": said["id"], "status": 400, "error": self.refuses_subscriptions})
                continue
            self.subscriptions += 1
            await socket.send_json({"id": said["id"], "status": 200, "result": {"subscriptionId": 0}})
            self._news.set()


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Serve until left; nothing may be open then but what serves."""
    async with little_exchange() as server:
        yield Bench(server)


@asynccontextmanager
async def running(bench: Bench, **settings: Any) -> AsyncIterator[CcxtSpot]:
    """Run a venue whose user stream is up, and stop it."""
    venue = bench.venue(**settings)
    await venue.start()
    try:
        await bench.until(lambda: venue.stream_up and venue.reconciliations > 0)
        yield venue
    finally:
        await venue.stop()
        assert bench.broken == []


_SEQ = itertools.count(1)


def order(client_id: str = "a-1-1", **more: Any) -> PlaceOrder:
    """Return a limit buy of 0.002 BTC at 50 000 USDT."""
    wanted: dict[str, Any] = {
        "client_id": client_id,
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "tif": TimeInForce.GTC,
        "send_by_ms": 2**60,
        "price": Decimal("50000.00"),
        "amount": Decimal("0.00200"),
    }
    return PlaceOrder(**{**wanted, **more})


def execution(client_id: str = "a-1-1", **more: Any) -> dict[str, Any]:
    """Return an execution report of that order; fields that a test says win."""
    return {
        "e": "executionReport",
        "E": 1_700_000_000_000,
        "s": "BTCUSDT",
        "c": client_id,
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.00200000",
        "p": "50000.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 28,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": 1_700_000_000_000,
        "t": -1,
        "I": next(_SEQ),
        "w": True,
        "m": False,
        "M": False,
        "O": 1_700_000_000_000,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        **more,
    }


def trade(trade_id: int, amount: str, total: str, **more: Any) -> dict[str, Any]:
    """Return the execution report of one trade of that order, `total` filled with it."""
    done = Decimal(total) >= Decimal("0.002")
    fields = {"x": "TRADE", "X": "FILLED" if done else "PARTIALLY_FILLED", "t": trade_id, "l": amount, "z": total}
    return execution(**{**fields, "L": "50000.00", "n": "0.00001", "N": "BNB", "m": True, **more})
