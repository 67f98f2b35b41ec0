"""What did a client say to the exchange, and what was it told? Asked by the tests of clients that nobody here wrote.

A wiretap stands between a client and the exchange's own process, in a thread of its own, and passes everything on as it
came: requests, answers, frames, pings. What passes is counted by call and kept.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec
from aiohttp import WSMsgType, web
from yarl import URL

_OWN: Final = {"host", "connection", "transfer-encoding", "content-length", "accept-encoding", "content-encoding"}
_SHAKEN: Final = re.compile(r"sec-websocket-.*|upgrade|date|server")
_WS_API: Final = "/ws-api/"
_SYMBOL: Final = re.compile(r"^[a-z0-9]+(?=@)")
WAIT_S: Final = 20.0


class Heard(NamedTuple):
    """One answer or event: the call or stream it belongs to, its status (0 of an event), and its JSON."""

    call: str
    status: int
    body: Any


class Wiretap:
    """A client's way to the exchange at `upstream`; `url` is where the client has to call."""

    def __init__(self, upstream: str) -> None:
        self.calls: Counter[str] = Counter()
        self.heard: list[Heard] = []
        self.url = ""
        self._upstream = URL(upstream)
        self._news = threading.Condition()
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="wiretap")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    @property
    def ws_url(self) -> str:
        """The address of sockets."""
        return self.url.replace("http", "ws", 1)

    def told(self, call: str) -> list[Any]:
        """Return the JSON of every answer with success to a call, or of every event of a stream."""
        return [each.body for each in tuple(self.heard) if each.call == call and each.status in {0, 200}]

    def until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds`, looked at after everything that passes. Raises AssertionError."""
        with self._news:
            assert self._news.wait_for(holds, WAIT_S), f"waited in vain; heard: {Counter(e.call for e in self.heard)}"

    def _keep(self, call: str, status: int, body: Any) -> None:
        with self._news:
            self.heard.append(Heard(call, status, body))
            self._news.notify_all()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.add_routes([web.route("*", "/{path:.*}", self._pass)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            self._ready.set()
            await self._ended.wait()
            await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        url = URL(f"{self._upstream}{request.raw_path}", encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            plain = {name: value for name, value in headers.items() if not _SHAKEN.fullmatch(name.lower())}
            return await self._pass_socket(request, url, plain)
        call = f"{request.method} {request.path}"
        self.calls[call] += 1
        body = await request.read()
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.read()
            told = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
            self._keep(call, answer.status, _decoded(text))
            return web.Response(status=answer.status, body=text, headers=told)

    async def _pass_socket(self, request: web.Request, url: URL, headers: dict[str, str]) -> web.StreamResponse:
        own = web.WebSocketResponse(autoping=False, autoclose=False, compress=False, max_msg_size=1 << 26)
        async with self._session.ws_connect(
            url, headers=headers, autoping=False, autoclose=False, max_msg_size=1 << 26
        ) as exchange:
            await own.prepare(request)
            talk = _Talk(self, ws_api=request.path.startswith(_WS_API))
            talk.connected(request)
            ways = [
                asyncio.ensure_future(_pump(own, exchange, talk.said)),
                asyncio.ensure_future(_pump(exchange, own, talk.answered)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                await own.close()
        return own


class _Talk:
    """What is said over one socket."""

    def __init__(self, tap: Wiretap, *, ws_api: bool) -> None:
        self._tap = tap
        self._ws_api = ws_api
        self._asked: dict[object, str] = {}
        self._kind = "ws-api" if ws_api else "stream"

    def connected(self, request: web.Request) -> None:
        """Count a handshake, with the streams that its address names."""
        path = re.sub(r"/\d+$", "/{n}", request.path)
        named = [name for name in path.split("/") if "@" in name] + request.query.get("streams", "").split("/")
        base = "/".join(part for part in path.split("/") if "@" not in part)
        self._tap.calls[f"{self._kind} connect {base}"] += 1
        for name in filter(None, named):
            self._tap.calls[f"stream {_SYMBOL.sub('<symbol>', name)}"] += 1

    def said(self, text: str) -> None:
        """Count a message of the client."""
        message = _decoded(text.encode())
        call = f"{self._kind} {message['method']}"
        self._asked[message.get("id")] = call
        self._tap.calls[call] += 1
        if message["method"] == "SUBSCRIBE":
            for name in message["params"]:
                self._tap.calls[f"stream {_SYMBOL.sub('<symbol>', name)}"] += 1

    def answered(self, text: str) -> None:
        """Keep a message of the exchange."""
        message = _decoded(text.encode())
        if isinstance(message, dict) and "id" in message and ("status" in message or "result" in message):
            self._tap._keep(self._asked.pop(message["id"]), message.get("status", 200), message)
        elif isinstance(message, dict) and "error" in message:
            self._tap._keep(self._asked.pop(message["id"], "?"), 400, message)
        elif self._ws_api:
            self._tap._keep(f"event {message['event']['e']}", 0, message["event"])
        elif isinstance(message, dict) and "stream" in message:
            self._tap._keep(f"stream {_SYMBOL.sub('<symbol>', message['stream'])}", 0, message["data"])
        else:
            self._tap._keep(f"stream {_event(message)}", 0, message)


def _event(data: Any) -> str:
    """Return what a message is called whose stream is not named; two kinds do not say it themselves."""
    if isinstance(data, list):
        return f"{data[0]['e']}[]"
    return str(data.get("e") or ("bookTicker" if "b" in data else "partialDepth"))


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text.decode(errors="replace")


Ws = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: Ws, sink: Ws, note: Callable[[str], None]) -> None:
    """Pass frames on until one side closes, then close the other."""
    while True:
        message = await source.receive()
        match message.type:
            case WSMsgType.TEXT:
                note(message.data)
                await sink.send_str(message.data)
            case WSMsgType.PING:
                await sink.ping(message.data)
            case WSMsgType.PONG:
                await sink.pong(message.data)
            case _:
                code = message.data if message.type is WSMsgType.CLOSE and message.data else 1000
                await sink.close(code=code)
                return
