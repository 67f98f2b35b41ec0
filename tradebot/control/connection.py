"""How long may one connection take? Asked by the door for every client: nobody holds a place by being slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from aiohttp import web

from tradebot.control.messages import Problem

HEAD_S = 5.0
"""Longest time until a request's head has come."""

TAKE_S = 5.0
"""Longest time for taking an answer."""

TURNED_AWAY_S = 1.0
"""Longest time for the first words of a client that is turned away."""


def problem(status: int, error: str, where: str, **headers: str) -> web.Response:
    """Return the answer that says why there is none."""
    body = msgspec.json.encode(Problem(error, where))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


class Connection(web.RequestHandler):
    """One client, one request; aborted where it takes longer than it was last given."""

    __slots__ = ("_deadline", "gone")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, **settings: Any) -> None:
        super().__init__(server, loop=loop, **settings)
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when the client has gone."""
        self._deadline: asyncio.TimerHandle | None = None
        self.within(HEAD_S)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._end()
        super().connection_lost(exc)

    def within(self, seconds: float | None) -> None:
        """Abort the connection in so many seconds; None lets it be."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._loop.call_later(seconds, self.abort)

    def abort(self) -> None:
        """End the connection without a word."""
        if self.transport is None:
            self._end()
        else:
            self.transport.abort()

    def _end(self) -> None:
        self.within(None)
        if not self.gone.done():
            self.gone.set_result(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what nobody expected to fail; that goes to the log of the server."""
        self.within(TAKE_S)
        kind = type(exc).__name__ if exc is not None else message or "unknown"
        if status >= 500:
            self.log_exception("The control door failed", exc_info=exc)
            response = problem(status, f"failed with {kind}; see the log", "door")
        else:
            response = problem(status, f"not understood as HTTP ({kind})", "request")
        response.force_close()
        return response


class Connections(web.Server):
    """Makes a `Connection` of every client, and knows those that have not gone."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **settings: Any) -> None:
        super().__init__(handler, **settings)
        self.present: set[Connection] = set()

    def __call__(self) -> Connection:
        """Return the next one; it counts from here on, before anything was read from it."""
        client = Connection(self, self._loop, **self._kwargs)
        self.present.add(client)
        client.gone.add_done_callback(lambda _: self.present.discard(client))
        return client


class TurnedAway(asyncio.Protocol):
    """A client beyond the most there may be: told so once it has said something, and let go."""

    def __init__(self, others: set[TurnedAway], most: int) -> None:
        self._others = others
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first words, but not long."""
        self._transport = cast("asyncio.Transport", transport)
        self._others.add(self)
        self._deadline = asyncio.get_running_loop().call_later(TURNED_AWAY_S, self.abort)

    def data_received(self, data: bytes) -> None:
        """Say it and close."""
        if self._transport is None or self._transport.is_closing():
            return
        body = msgspec.json.encode(Problem(f"{self._most} clients are connected already; come back later", "door"))
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Retry-After: 1\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + body)
        self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._others.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        self._transport = None

    def abort(self) -> None:
        """End it without a word."""
        if self._transport is not None:
            self._transport.abort()


def settings_of_http() -> dict[str, Any]:
    """Return what the HTTP server is told: no access log, a short wait for the rest of what is not read, no unpacking.

    A connection serves one request, so none is kept alive.
    """
    return {"access_log": None, "lingering_time": 1.0, "keepalive_timeout": 0.0, "auto_decompress": False}
