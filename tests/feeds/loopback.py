"""What does an exchange of a test serve? Web sockets and a little REST on loopback, steered by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Self

from aiohttp import WSMsgType, web

from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.instruments import instruments_of
from tradebot.feeds.ccxt_live import CcxtLive


class TestClock:
    """A clock that stands where the test sets it."""

    __test__ = False

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        """Return the present."""
        return self.now


class Heard:
    """The log and the events of a feed, and a way to wait for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.records: list[tuple[str, str]] = []
        self._changed = asyncio.Condition()
        self._news = asyncio.Event()

    def publish(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        self._news.set()

    def emit(self, stream: str, level: str, event_type: str, message: str = "", **fields: Any) -> None:
        """Keep a record."""
        self.records.append((event_type, message))
        self._news.set()

    def told(self, event_type: str) -> int:
        """Return how many records of a type there are."""
        return sum(one == event_type for one, _ in self.records)

    def kinds(self) -> list[str]:
        """Return the types of the records, in order."""
        return [event_type for event_type, _ in self.records]

    async def until(self, holds: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Return once `holds`, looked at after every event and record. Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not holds():
                self._news.clear()
                await self._news.wait()


class Socket:
    """One connection of a client, and the streams it asked for."""

    def __init__(self, ws: web.WebSocketResponse, path: str) -> None:
        self.ws = ws
        self.path = path
        self.streams: set[str] = set()
        self.answers_pings = True

    async def tell(self, payload: Any) -> None:
        """Send one message; text goes as it is."""
        await self.ws.send_str(payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":")))

    def cut_frame(self, length: int, begun: bytes) -> None:
        """Begin a text frame of `length` bytes (126 to 65,535), and send no more of it than `begun`."""
        assert self.ws._req is not None
        assert self.ws._req.transport is not None
        self.ws._req.transport.write(b"\x81\x7e" + length.to_bytes(2, "big") + begun)


OnText = Callable[["MarketServer", Socket, Any], Any]


class MarketServer:
    """Serves Binance's spot market data, or whatever `on_text` makes of a client's messages."""

    __test__ = False

    def __init__(self, ids: Sequence[str] = ("BTCUSDT", "ETHUSDT"), on_text: OnText | None = None) -> None:
        self.ids = list(ids)
        self.sockets: list[Socket] = []
        self.dials = 0
        self.requests: list[str] = []
        self.subscribes: list[list[str]] = []
        self.depths: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self.acks = True
        self.refuses = False
        self.time_ms: Callable[[], int | None] = lambda: None
        """The exchange's time; None is no answer."""
        self.base_url = ""
        self._on_text = on_text
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/v3/exchangeInfo", self._info)
        app.router.add_get("/api/v3/time", self._time)
        app.router.add_get("/api/v3/depth", self._depth)
        app.router.add_get("/{path:.*}", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in self.sockets:
            socket.answers_pings = True
            self.cut(socket)
        await self._runner.cleanup()

    def cut(self, socket: Socket) -> None:
        """Reset a connection."""
        transport = socket.ws._req.transport if socket.ws._req is not None else None
        if transport is not None:
            transport.abort()

    async def subscribed(self, *streams: str) -> None:
        """Return once every stream is listened to on an open connection. Raises TimeoutError."""
        await self.until(lambda: set(streams) <= {name for socket in self.open() for name in socket.streams})

    async def until(self, holds: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Return once `holds`, looked at after every message and connection. Raises TimeoutError."""
        async with asyncio.timeout(limit_s), self._changed:
            await self._changed.wait_for(holds)

    def open(self) -> list[Socket]:
        """Return the connections that stand."""
        return [socket for socket in self.sockets if not socket.ws.closed]

    async def tell(self, stream: str, payload: Any) -> None:
        """Send a message to whoever listens to `stream`."""
        for socket in self.open():
            if stream in socket.streams:
                await socket.tell(payload)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _info(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        return web.json_response({"timezone": "UTC", "serverTime": 1, "symbols": [_symbol(one) for one in self.ids]})

    async def _time(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        await self._notify()
        time_ms = self.time_ms()
        return web.json_response(
            {"serverTime": time_ms} if time_ms is not None else {"code": -1000}, status=200 if time_ms else 500
        )

    async def _depth(self, request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        self.requests.append(f"depth {symbol} {request.query.get('limit')}")
        await self._notify()
        waiting = self.depths[symbol]
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: bool(waiting))
        body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return web.json_response(body, status=400 if "code" in body else 200)

    async def offer(self, symbol: str, *bodies: Mapping[str, Any]) -> None:
        """Answer the next requests of a book with `bodies`, the last of them from then on; a code is an error."""
        self.depths[symbol][:] = bodies
        await self._notify()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            self.dials += 1
            await self._notify()
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        self.dials += 1
        socket = Socket(ws, request.path)
        self.sockets.append(socket)
        await self._notify()
        async for message in ws:
            if message.type is WSMsgType.PING:
                if socket.answers_pings:
                    await ws.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._text(socket, json.loads(message.data))
                await self._notify()
        await self._notify()
        return ws

    async def _text(self, socket: Socket, asked: Any) -> None:
        if self._on_text is not None:
            await self._on_text(self, socket, asked)
            return
        assert asked["method"] == "SUBSCRIBE"
        self.subscribes.append(asked["params"])
        if self.acks:
            await socket.tell({"result": None, "id": asked["id"]})
        socket.streams |= set(asked["params"])


def _symbol(name: str) -> dict[str, Any]:
    quote = next(one for one in ("USDT", "BUSD", "BTC", "ETH", "BNB", "TRY", "RUB", "UPUSDT") if name.endswith(one))
    return {
        "symbol": name,
        "status": "TRADING",
        "baseAsset": name.removesuffix(quote),
        "quoteAsset": quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
        ],
    }


def made(base_url: str, clock: TestClock, name: str = "binance", markets: Sequence[Any] = ()) -> Any:
    """Return a ccxt exchange that speaks to `base_url` alone; `markets` (symbol, id) save asking for them."""
    settings = Exchange(name=name, base_url=base_url)
    exchange = connect(settings, public_taps(settings, Budget(clock)))
    if markets:
        exchange.set_markets([_market(exchange, symbol, market_id) for symbol, market_id in markets])
    return exchange


def _market(exchange: Any, symbol: str, market_id: str) -> Any:
    base, quote = symbol.split("/")
    about = {
        "id": market_id,
        "lowercaseId": market_id.lower(),
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "active": True,
        "precision": {"price": "0.00000001", "amount": "0.00000001"},
        "info": {"wsname": symbol},
    }
    return exchange.safe_market_structure(about)


@contextlib.asynccontextmanager
async def feeding(
    server: MarketServer,
    symbols: Sequence[str],
    settings: CcxtFeed,
    *,
    clock: TestClock | None = None,
    name: str = "binance",
    markets: Sequence[Any] = (),
    keep_alive_s: float = 10.0,
    offset_ms: int = 0,
) -> AsyncIterator[tuple[CcxtLive, Heard]]:
    """Run a feed against `server` for as long as the block lasts."""
    heard, clock = Heard(), clock or TestClock()
    loading = made(server.base_url, clock, name, markets)
    if not markets:
        await loading.load_markets()
    quotes = {one.split("/")[1] for one in symbols}
    by_name = {one.symbol: one for quote in quotes for one in instruments_of(loading.markets, quote)}
    await disconnect(loading)
    feed = CcxtLive(
        lambda: made(server.base_url, clock, name, markets),
        settings,
        [by_name[symbol] for symbol in symbols],
        clock,
        heard,
        offset_ms=lambda: offset_ms,
        keep_alive_s=keep_alive_s,
    )
    task = asyncio.create_task(feed.run(heard.publish))
    try:
        yield feed, heard
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
