"""Which fault strikes a request over HTTP, and how does the client feel it? Asked by the server, around every request.

The control paths (`/sandbox…`) are never struck, and answered also while the exchange is frozen or bans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

from aiohttp import hdrs, web
from multidict import CIMultiDict

from tradebot.sandbox.fault_replies import Accept, Reply, Spoiler
from tradebot.sandbox.fault_state import Controls
from tradebot.sandbox.faults import Faults, Occasion
from tradebot.sandbox.sockets import reset
from tradebot.sandbox.userdata_audience import Audiences

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GONE_S: Final = 0.05
"""How often a hanging request looks whether its client has left: the server tells it in no other way."""


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
    """The faults around every request over HTTP, handshakes of sockets among them."""

    def __init__(self, faults: Faults, controls: Controls, spoiler: Spoiler, audiences: Audiences) -> None:
        self._faults = faults
        self._controls = controls
        self._spoiler = spoiler
        self._audiences = audiences

    async def interpose(self, request: web.Request, occasion: Occasion, accept: Accept) -> web.StreamResponse:
        """Answer a request with its own reply, or do what a fault makes of it (`rest.Interpose`)."""
        await self._controls.gate.passed()
        carrier = RestCarrier(request)
        reply = self._spoiler.banned()
        step = None if reply is not None or self._faults.none else self._faults.strike(occasion)
        if step is None:
            await carrier.deliver(reply if reply is not None else await accept())
        else:
            events = self._audiences.of(request.headers.get("X-MBX-APIKEY", ""))
            await self._spoiler.struck(step, occasion, accept, carrier, events)
        return carrier.response

    def around(self, kind: Literal["connect.market", "connect.user"], serve: Handler) -> Handler:
        """Return `serve`, a socket's handler, with the faults of its handshake before it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            await self._controls.gate.passed()
            reply = self._spoiler.banned()
            occasion = Occasion(kind, via="ws")
            step = None if reply is not None or self._faults.none else self._faults.strike(occasion)
            if step is not None:
                reply = await self._spoiler.refused(step, occasion)
            if reply is None:
                return await serve(request)
            carrier = RestCarrier(request)
            await carrier.deliver(reply)
            return carrier.response

        return handler
