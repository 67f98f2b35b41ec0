"""What do the tests of sockets and faults stand on? A small exchange of two symbols, served on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tradebot.domain.events import BookSeen, TradeSeen

KEY, SECRET = "test-key", "test-secret"
WAIT_S = 10.0


def book(bid: float, ask: float, *, size: float = 5.0, symbol: str = "BTC/USDT", depth: int = 3) -> BookSeen:
    """Return a book of a few levels, a whole unit apart."""
    bids = tuple((bid - level, size + level) for level in range(depth))
    asks = tuple((ask + level, size + level) for level in range(depth))
    return BookSeen(symbol, bids, asks, int(time.time() * 1000))


def trade(price: float, size: float = 1.0, *, symbol: str = "BTC/USDT", buyer_taker: bool = True) -> TradeSeen:
    """Return a public trade, now."""
    return TradeSeen(symbol, price, size, buyer_taker, int(time.time() * 1000))


def money(text: str) -> Decimal:
    """Return an amount as the wire has it."""
    return Decimal(text)


class Wire:
    """One raw websocket client, which reads JSON."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps(message))

    async def hear(self) -> Any:
        """Return the next message; raises AssertionError where the socket ended."""
        message = await asyncio.wait_for(self.socket.receive(), WAIT_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def ask(self, method: str, parameters: object = None, number: object = 1) -> Any:
        """Send a request and return its answer; what comes before it is dropped."""
        request: dict[str, object] = {"method": method, "id": number}
        if parameters is not None:
            request["params"] = parameters
        await self.say(request)
        while True:
            answer = await self.hear()
            if isinstance(answer, dict) and "id" in answer:
                return answer

    async def ended(self) -> aiohttp.WSMessage:
        """Read on until the socket ends; return its last message."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), WAIT_S)
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                return message


def signed(parameters: Mapping[str, object], *, now_ms: int | None = None) -> str:
    """Return REST parameters with timestamp and signature."""
    query = urlencode({**parameters, "timestamp": now_ms if now_ms is not None else int(time.time() * 1000)})
    return f"{query}&signature={hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def signed_ws(parameters: Mapping[str, object], *, now_ms: int | None = None) -> dict[str, object]:
    """Return ws-api parameters with key, timestamp and signature."""
    told = {"apiKey": KEY, "timestamp": now_ms if now_ms is not None else int(time.time() * 1000), **parameters}
    text = "&".join(f"{key}={_plain(value)}" for key, value in sorted(told.items()))
    return {**told, "signature": hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@asynccontextmanager
async def wire(session: aiohttp.ClientSession, url: str, *, autoping: bool = True) -> AsyncIterator[Wire]:
    """Open a websocket."""
    async with session.ws_connect(url, autoping=autoping, max_msg_size=1 << 24) as socket:
        yield Wire(socket)
