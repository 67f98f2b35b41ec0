"""How is one client's socket kept? Asked by the market streams and the ws-api.

Every message to a client waits in one ordered, bounded queue; who does not read is cut off. The exchange sends
pings, closes what answers none and what has lived for its day. Rules of Binance's websocket documents.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

from aiohttp import WSCloseCode, WSMsgType, web

from tradebot.config.faults_file import SocketPace

Room = Literal["market", "user"]
"""Which kind of socket: market streams, or the ws-api with the user's events."""

MOST_BYTES: Final = 1 << 20
"""Longest message taken from a client."""

MOST_WAITING: Final = 64 << 20
"""How many characters may wait for one slow reader, however few messages they are."""

CLOSE_S: Final = 1.0
"""How long a close waits for the client's own."""

NEVER: Final = 1_000_000_000
"""A message limit that is none, per second."""


_HALF_OPEN: Final = "<half open>"
_ABORT: Final = "<abort>"
"""What stands in the queue for something that is done to the socket, and is never sent."""


class Gate:
    """Whether the exchange answers at all; while it is shut, everybody waits."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    @property
    def shut(self) -> bool:
        """Whether everybody waits."""
        return not self._open.is_set()

    def close(self) -> None:
        """Answer nobody from here on."""
        self._open.clear()

    def open(self) -> None:
        """Answer again, also what came meanwhile."""
        self._open.set()

    async def passed(self) -> None:
        """Wait until the exchange answers."""
        await self._open.wait()


class Socket:
    """One client's socket, from its handshake to its end; made by `Sockets.opened`."""

    def __init__(self, room: Room, request: web.Request, pace: SocketPace, gate: Gate, most_per_s: int) -> None:
        self.room: Room = room
        self.ended = asyncio.Event()
        """Set once it is over, for whatever reason."""
        self.half_open = False
        self.streams: dict[int, Callable[[], None]] = {}
        """How each of the user's event streams on it is ended, by subscription id."""
        self._request = request
        self._pace = pace
        self._gate = gate
        self._ws = web.WebSocketResponse(autoping=False, autoclose=False, compress=False, max_msg_size=MOST_BYTES)
        self._waiting = 0
        self._queue: deque[tuple[str, float]] = deque()
        self._news = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._taken: deque[float] = deque(maxlen=most_per_s + 1)
        self._pong_s = 0.0
        self._closing = False

    @property
    def response(self) -> web.WebSocketResponse:
        """Return what the HTTP server is handed at the end."""
        return self._ws

    def send(self, text: str, delay_ms: int = 0) -> None:
        """Queue a message, to leave so long after the one before it; cut the socket off where the queue is full."""
        if self.ended.is_set():
            return
        if len(self._queue) >= self._pace.queue_messages or self._waiting > MOST_WAITING:
            self.abort()
            return
        self._enqueue(text, delay_ms / 1000)

    def _enqueue(self, text: str, delay_s: float) -> None:
        self._waiting += len(text)
        self._queue.append((text, delay_s))
        self._drained.clear()
        self._news.set()

    async def flushed(self, within_s: float) -> bool:
        """Wait until everything queued has left, at most `within_s`; return whether it has."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), within_s)
        return self._drained.is_set()

    def go_half_open(self, *, after_queue: bool = False) -> None:
        """Keep the connection, say nothing any more, answer nothing; at once, or after what is queued."""
        if after_queue:
            self._enqueue(_HALF_OPEN, 0.0)
        else:
            self.half_open = True

    def abort(self, *, after_queue: bool = False) -> None:
        """End the connection by a reset, without a word; at once, or after what is queued."""
        if after_queue:
            self._enqueue(_ABORT, 0.0)
            return
        self.ended.set()
        reset(self._request)

    def end_stream(self) -> int:
        """End the user's event streams on this socket; return how many there were."""
        ended = len(self.streams)
        for end in tuple(self.streams.values()):
            end()
        return ended

    async def close(self, code: int = WSCloseCode.GOING_AWAY, words: str = "") -> None:
        """End it as the protocol wants; the client's own close is awaited only for a moment."""
        if self._closing:
            return
        self._closing = True
        if not self.half_open:
            with suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(self._ws.close(code=code, message=words.encode()), CLOSE_S)
        if self.half_open:
            reset(self._request)
        self.ended.set()

    async def messages(self) -> AsyncIterator[str]:
        """Yield what the client says, until it leaves, says too much, or is cut off."""
        loop = asyncio.get_running_loop()
        while not self.ended.is_set():
            message = await self._ws.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                break
            await self._gate.passed()
            if self.half_open:
                continue
            if message.type is WSMsgType.PONG:
                self._pong_s = loop.time()
                continue
            if self._too_many(loop.time()):
                await self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                break
            if message.type is WSMsgType.PING:
                await self._quietly(self._ws.pong(message.data))
            elif message.type is WSMsgType.TEXT:
                yield message.data
            else:
                await self.close(WSCloseCode.UNSUPPORTED_DATA, "Text is wanted")
                break

    def _too_many(self, now_s: float) -> bool:
        """Count a message; return whether the limit of one second is passed."""
        self._taken.append(now_s)
        return len(self._taken) == self._taken.maxlen and now_s - self._taken[0] < 1

    async def _quietly(self, sending: Awaitable[None]) -> None:
        """Send what needs the client; where it has gone, the reading side notices."""
        with suppress(ConnectionError):
            await sending

    async def write(self) -> None:
        """Send what is queued, in order, until cancelled."""
        while True:
            while self._queue:
                text, delay_s = self._queue[0]
                if delay_s:
                    await asyncio.sleep(delay_s)
                await self._gate.passed()
                if text is _HALF_OPEN:
                    self.half_open = True
                elif text is _ABORT:
                    self.abort()
                    return
                elif not self.half_open:
                    try:
                        await self._ws.send_str(text)
                    except ConnectionError:
                        self.abort()
                        return
                self._queue.popleft()
                self._waiting -= len(text)
            self._drained.set()
            self._news.clear()
            await self._news.wait()

    async def keep(self) -> None:
        """Ping; end the socket that answers none, or whose day is over."""
        loop = asyncio.get_running_loop()
        born_s = self._pong_s = loop.time()
        pace = self._pace
        while True:
            left_s = born_s + pace.lifetime_s - loop.time()
            await asyncio.sleep(max(0.0, min(pace.ping_interval_s, left_s)))
            await self._gate.passed()
            now_s = loop.time()
            if now_s - born_s >= pace.lifetime_s:
                await self.close(WSCloseCode.GOING_AWAY, "24 hours are over")
                return
            if self.half_open:
                continue
            if now_s - self._pong_s > pace.pong_deadline_s:
                self.abort()
                return
            await self._quietly(self._ws.ping(str(int(now_s * 1000)).encode()))

    async def prepare(self) -> None:
        """Shake hands."""
        await self._ws.prepare(self._request)


class Sockets:
    """Every socket that is open."""

    def __init__(self, pace: SocketPace, gate: Gate) -> None:
        self.pace = pace
        self._gate = gate
        self._open: set[Socket] = set()

    def of(self, room: Room | None = None) -> list[Socket]:
        """Return the sockets of a room, or all."""
        return [each for each in self._open if room is None or each.room == room]

    @asynccontextmanager
    async def opened(self, room: Room, request: web.Request, most_per_s: int = NEVER) -> AsyncIterator[Socket]:
        """Shake hands, keep the socket alive inside, and end it afterwards.

        Raises HTTPBadRequest, which ends the request, where the client is gone before its handshake ends.
        """
        socket_ = Socket(room, request, self.pace, self._gate, min(most_per_s, 100_000))
        try:
            await socket_.prepare()
        except ConnectionError as error:
            raise web.HTTPBadRequest(text="the client has gone") from error  # heard by nobody, and no error of ours
        self._open.add(socket_)
        tasks = [asyncio.ensure_future(socket_.write()), asyncio.ensure_future(socket_.keep())]
        try:
            yield socket_
        finally:
            self._open.discard(socket_)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket_.close()

    async def close(self) -> None:
        """End every socket as the protocol wants."""
        await asyncio.gather(*(each.close(WSCloseCode.GOING_AWAY, "the exchange closes") for each in self.of()))


def reset(request: web.BaseRequest) -> None:
    """End a connection so that the client sees a reset by its peer."""
    transport = request.transport
    if transport is None:
        return
    wire = transport.get_extra_info("socket")
    if wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
