"""Who answers as an exchange would, right or wrong? A server on loopback whose every answer a test chooses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec

from aiohttp import web

from tradebot.config.sections.exchange import Exchange

P = ParamSpec("P")

Answer = Callable[["Asked"], Awaitable[web.StreamResponse]]

PATIENCE_S = 20.0


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test's coroutine in a loop of its own, with an end to its patience."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    request: web.Request = field(repr=False)

    @property
    def fields(self) -> dict[str, Any]:
        """Return what was asked for, wherever it stood."""
        if self.body.startswith("{"):
            return {**self.query, **json.loads(self.body)}
        pairs = (each.split("=", 1) for each in self.body.split("&") if "=" in each)
        return {**self.query, **dict(pairs)}


class LittleExchange:
    """Keeps every request, and answers each by the first rule whose method and path fit."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.rules: list[tuple[str, str, Answer]] = []
        self.base_url = ""
        self.over = asyncio.Event()

    def on(self, method: str, path: str, answer: Answer) -> None:
        """Answer `method` (* for any) of paths that end with `path` from here on."""
        self.rules.insert(0, (method, path, answer))

    def calls(self, method: str, path: str) -> list[Asked]:
        """Return the requests of `method` whose path ends with `path`."""
        return [each for each in self.asked if each.method == method and each.path.endswith(path)]

    def settings(self, name: str = "binance", **more: Any) -> Exchange:
        """Return the settings that lead here."""
        return Exchange(**{"name": name, "base_url": self.base_url, "request_timeout_s": 10.0, **more})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            dict(request.headers),
            (await request.read()).decode(),
            request,
        )
        self.asked.append(asked)
        for method, path, answer in self.rules:
            if method in {"*", request.method} and request.path.endswith(path):
                return await answer(asked)
        return web.json_response({"code": -1, "msg": "no rule"}, status=404)


@asynccontextmanager
async def little_exchange() -> AsyncIterator[LittleExchange]:
    """Serve on a free port of loopback until left."""
    exchange = LittleExchange()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", exchange.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exchange.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield exchange
    finally:
        exchange.over.set()
        await runner.cleanup()


def says(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Return an answer of JSON."""

    async def answer(_asked: Asked) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def raw(body: str, status: int = 200, kind: str = "application/json") -> Answer:
    """Return an answer of any text."""

    async def answer(_asked: Asked) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type=kind)

    return answer


def each(*answers: Answer) -> Answer:
    """Return answers one after the other; the last one stays."""
    left = list(answers)

    async def answer(asked: Asked) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(asked)

    return answer


async def reset(asked: Asked) -> web.StreamResponse:
    """Break the connection without an answer."""
    assert asked.request.transport is not None
    asked.request.transport.abort()
    return web.Response()


async def truncated(asked: Asked) -> web.StreamResponse:
    """Break the connection in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "400", "Content-Type": "application/json"})
    await response.prepare(asked.request)
    await response.write(b'{"symbol":"BTCUSDT","orderId":28,')
    assert asked.request.transport is not None
    asked.request.transport.close()
    return response


def hanging(exchange: LittleExchange) -> Answer:
    """Return no answer at all."""

    async def answer(_asked: Asked) -> web.StreamResponse:
        await exchange.over.wait()
        return web.Response()

    return answer
