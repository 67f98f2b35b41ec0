"""Which fault strikes a request over HTTP, and how does the client feel it? Asked by the server, around every request.

The control paths (`/sandbox…`) are never struck, and answered also while the exchange is frozen or bans.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from tradebot.config.faults_file import Step
from tradebot.sandbox.fault_replies import Reply, Spoiler
from tradebot.sandbox.fault_state import Controls
from tradebot.sandbox.faults import Faults, Occasion
from tradebot.sandbox.sockets import reset
from tradebot.sandbox.userdata_audience import Audiences

CONTROL: Final = "/sandbox"

_KINDS: Final = {
    ("GET", "ping"): "ping",
    ("GET", "time"): "time",
    ("GET", "exchangeInfo"): "exchangeInfo",
    ("GET", "depth"): "depth",
    ("GET", "trades"): "trades.recent",
    ("GET", "aggTrades"): "trades.aggregate",
    ("GET", "klines"): "klines",
    ("GET", "avgPrice"): "avgPrice",
    ("GET", "ticker/24hr"): "ticker.24hr",
    ("GET", "ticker/price"): "ticker.price",
    ("GET", "ticker/bookTicker"): "ticker.book",
    ("GET", "account"): "account.status",
    ("GET", "account/commission"): "account.commission",
    ("GET", "rateLimit/order"): "account.rateLimits.orders",
    ("POST", "order"): "order.place",
    ("POST", "order/test"): "order.test",
    ("DELETE", "order"): "order.cancel",
    ("POST", "order/cancelReplace"): "order.cancelReplace",
    ("GET", "order"): "order.status",
    ("GET", "openOrders"): "openOrders.status",
    ("DELETE", "openOrders"): "openOrders.cancelAll",
    ("GET", "allOrders"): "allOrders",
    ("GET", "myTrades"): "myTrades",
}
GONE_S: Final = 0.05
"""How often a hanging request looks whether its client has left: the server tells it in no other way."""

_CLIENT_IDS: Final = ("origClientOrderId", "newClientOrderId")
_OWN_HEADERS: Final = frozenset({"content-length", "content-type", "date", "server", "transfer-encoding"})


def kind_of(method: str, path: str) -> str:
    """Return the kind of a request by its method and path."""
    if path.startswith("/sapi/"):
        return "sapi"
    if path.startswith("/ws-api"):
        return "connect.user"
    if path.startswith(("/ws", "/stream")):
        return "connect.market"
    return _KINDS.get((method, path.removeprefix("/api/v3/").removeprefix("/api/v1/")), "unknown")


async def occasion_of(request: web.Request) -> Occasion:
    """Return what a fault may know a request by; its body is read, and kept for the handler."""
    told = dict(request.query)
    if request.method != "GET" and request.can_read_body:
        told.update(parse_qsl(await request.text()))
    client_id = next((told[name] for name in _CLIENT_IDS if told.get(name)), "")
    return Occasion(kind_of(request.method, request.path), told.get("symbol", ""), client_id)


class RestCarrier:
    """Brings answers to a client over HTTP."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse = web.Response(status=500)
        """What the server is handed at the end."""

    async def deliver(self, reply: Reply) -> None:
        """Write the answer in its manner; a client that has left meanwhile needs none."""
        with suppress(ConnectionError):
            match reply.manner:
                case "whole":
                    await self._write(reply, len(reply.body))
                case "truncate":
                    await self._write(reply, len(reply.body) // 2)
                case "hang":
                    await self._hang(reply.hang_ms / 1000)
                case "reset":
                    reset(self._request)
                case "close":
                    self._close()

    async def _hang(self, most_s: float) -> None:
        """Say nothing until the client leaves, or the time is over."""
        for _ in range(max(1, round(most_s / GONE_S))):
            if self._request.transport is None:
                return
            await asyncio.sleep(GONE_S)
        reset(self._request)

    async def _write(self, reply: Reply, count: int) -> None:
        headers = CIMultiDict(reply.headers)
        headers[hdrs.CONTENT_TYPE] = reply.content_type
        headers[hdrs.CONTENT_LENGTH] = str(len(reply.body))
        self.response = web.StreamResponse(status=reply.status, headers=headers)
        await self.response.prepare(self._request)
        if count:
            await self.response.write(reply.body[:count])
        if count < len(reply.body):
            self._close()
            return
        await self.response.write_eof()

    def _close(self) -> None:
        """End the connection after what was written, without the rest."""
        self.response.force_close()
        if self._request.transport is not None:
            self._request.transport.close()


class RestFaults:
    """The outermost layer of the HTTP server."""

    def __init__(self, faults: Faults, controls: Controls, spoiler: Spoiler, audiences: Audiences) -> None:
        self._faults = faults
        self._controls = controls
        self._spoiler = spoiler
        self._audiences = audiences

    @property
    def middleware(self) -> Middleware:
        """Return the layer as the server wants it."""
        return web.middleware(self._around)

    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        await self._controls.gate.passed()
        carrier = RestCarrier(request)
        refusal = self._spoiler.banned()
        if refusal is not None:
            await carrier.deliver(refusal)
            return carrier.response
        if self._faults.none:
            return await handler(request)
        occasion = await occasion_of(request)
        step = self._faults.strike(occasion)
        if step is None:
            return await handler(request)
        if occasion.kind.startswith("connect."):
            return await self._connecting(step, occasion, request, handler, carrier)

        async def accept() -> Reply:
            return _reply_of(await _answered(request, handler))

        events = self._audiences.of(request.headers.get("X-MBX-APIKEY", ""))
        await self._spoiler.struck(step, occasion, accept, carrier, events)
        return carrier.response

    async def _connecting(
        self, step: Step, occasion: Occasion, request: web.Request, handler: Handler, carrier: RestCarrier
    ) -> web.StreamResponse:
        """Let a handshake fail as the step wants, or go on after it."""
        reply = await self._spoiler.refused(step, occasion)
        if reply is None:
            return await handler(request)
        await carrier.deliver(reply)
        return carrier.response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error


def _reply_of(response: web.StreamResponse) -> Reply:
    body = response.body if isinstance(response, web.Response) else b""
    if not isinstance(body, bytes):
        body = b""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _OWN_HEADERS}
    kind = response.headers.get(hdrs.CONTENT_TYPE, response.content_type)
    return Reply(response.status, body, headers, content_type=kind)
