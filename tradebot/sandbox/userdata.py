"""How is the exchange traded on, and listened to, over one socket? Asked by every client of `/ws-api/v3`.

A request is {id, method, params}; its answer {id, status, result, rateLimits} or {id, status, error, rateLimits}, the
id as it was sent. Signed requests carry key and signature themselves: there is no session. Events of a subscription
come as {subscriptionId, event}. Binance, "WebSocket API".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from tradebot.sandbox.calls import ORDERS_COUNTED, Answer, Calls
from tradebot.sandbox.fault_events import Outlet
from tradebot.sandbox.fault_replies import Reply, Spoiler
from tradebot.sandbox.fault_state import Controls
from tradebot.sandbox.faults import Faults, Occasion
from tradebot.sandbox.signing import ws_signed
from tradebot.sandbox.sockets import Socket, Sockets
from tradebot.sandbox.userdata_audience import Audiences
from tradebot.sandbox.wire_errors import ApiError

RATE_LIMITS_WANTED: Final = "returnRateLimits"
"""The parameter of a connection or a request that may leave the limits out of answers."""

WEIGHT: Final = 2
"""What a request about subscriptions weighs."""

MOST_AT_WORK: Final = 1_000
"""How many requests of one socket may be unanswered; further ones wait to be read."""

MOST_ID: Final = 36

OF_SOCKET: Final = (
    *("userDataStream.subscribe.signature", "userDataStream.unsubscribe"),
    *("session.status", "session.subscriptions"),
)
"""The methods that concern the socket they are asked on."""


class Call(Struct, frozen=True):
    """A request as it was understood; its parameters as texts, as its signature has them.

    `rate_limits` says whether its answer tells them, as the connection's address or the request itself wanted.
    """

    id: int | str | None
    method: str
    parameters: dict[str, str]
    address: str
    rate_limits: bool = True


class Client:
    """One socket of the ws-api."""

    def __init__(
        self, api: WsApi, socket: Socket, outlet: Outlet, address: str, since_ms: int, *, rate_limits: bool
    ) -> None:
        self.socket = socket
        self.since_ms = since_ms
        self.outlet = outlet
        self._api = api
        self._address = address
        self._rate_limits = rate_limits
        self._at_work: set[asyncio.Task[None]] = set()

    async def said(self, text: str) -> None:
        """Begin with a request; wait while too many are unanswered."""
        while len(self._at_work) >= MOST_AT_WORK:
            await asyncio.wait(self._at_work, return_when=asyncio.FIRST_COMPLETED)
        if self._api.faultless:
            call = _read(text, self._address, rate_limits=self._rate_limits)
            answer = call if isinstance(call, Reply) else self._api.answer(call, self)
            self.socket.send(answer.body.decode())
            return
        task = asyncio.ensure_future(self._work(text))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _work(self, text: str) -> None:
        call = _read(text, self._address, rate_limits=self._rate_limits)
        carrier = WsCarrier(self.socket)
        if isinstance(call, Reply):
            await carrier.deliver(call)
            return
        await self._api.through_faults(call, self, carrier)

    async def left(self) -> None:
        """Answer nothing more, and end its streams."""
        for task in tuple(self._at_work):
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        for end in tuple(self.socket.streams.values()):
            end()


class WsCarrier:
    """Brings answers to a client over its socket; what HTTP calls an empty or cut body is such a message here."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def deliver(self, reply: Reply) -> None:
        """Send the answer in its manner."""
        match reply.manner:
            case "whole":
                self._socket.send(reply.body.decode(errors="replace"))
            case "truncate":
                self._socket.send(reply.body[: len(reply.body) // 2].decode(errors="replace"))
                self._socket.abort(after_queue=True)
            case "reset" | "close":
                self._socket.abort()
            case "hang":
                return
        await self._socket.flushed(reply.hang_ms / 1000)


class WsApi:
    """The sockets of the ws-api."""

    def __init__(
        self,
        calls: Calls,
        sockets: Sockets,
        faults: Faults,
        controls: Controls,
        spoiler: Spoiler,
        audiences: Audiences,
    ) -> None:
        self._calls = calls
        self._sockets = sockets
        self._faults = faults
        self._controls = controls
        self._spoiler = spoiler
        self._audiences = audiences

    @property
    def faultless(self) -> bool:
        """Whether no request can be struck."""
        return self._faults.none and not self._controls.ban.lasts(asyncio.get_running_loop().time())

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until it ends."""
        async with self._sockets.opened("user", request) as socket:
            outlet = Outlet(socket, self._faults, self._controls)
            wanted = request.query.get(RATE_LIMITS_WANTED) != "false"
            since_ms = self._controls.clock.now_ms()
            client = Client(self, socket, outlet, request.remote or "", since_ms, rate_limits=wanted)
            try:
                async for text in socket.messages():
                    await client.said(text)
            finally:
                await client.left()
        return socket.response

    async def through_faults(self, call: Call, client: Client, carrier: WsCarrier) -> None:
        """Answer a request, or do what a fault makes of it."""
        refusal = self._spoiler.banned()
        if refusal is not None:
            await carrier.deliver(self.wrapped(call, refusal))
            return
        parameters = call.parameters
        client_id = parameters.get("origClientOrderId") or parameters.get("newClientOrderId", "")
        occasion = Occasion(call.method, parameters.get("symbol", ""), client_id, via="ws")
        step = self._faults.strike(occasion)
        if step is None:
            await carrier.deliver(self.answer(call, client))
            return

        async def accept() -> Reply:
            return self._result(call, client)

        events = self._audiences.of(parameters.get("apiKey", ""))
        await self._spoiler.struck(step, occasion, accept, _Wrapping(self, call, carrier), events)

    def answer(self, call: Call, client: Client) -> Reply:
        """Return the whole answer to a request."""
        return self.wrapped(call, self._result(call, client))

    def wrapped(self, call: Call, reply: Reply) -> Reply:
        """Return a result or an error as the message that answers the request.

        A body that is no JSON (cut, empty, HTML) is sent as it is.
        """
        try:
            body = msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            return reply
        if "Retry-After" in reply.headers:
            now_ms = self._controls.clock.now_ms()
            body |= {"data": {"serverTime": now_ms, "retryAfter": now_ms + int(reply.headers["Retry-After"]) * 1000}}
        said: dict[str, Any] = {"id": call.id, "status": reply.status}
        said["result" if reply.status == 200 else "error"] = body
        if call.rate_limits:
            said["rateLimits"] = self._limits(call)
        return msgspec.structs.replace(reply, body=msgspec.json.encode(said))

    def _limits(self, call: Call) -> list[dict[str, Any]]:
        """Return the limits the request counts to; those of orders where it was one of a key that is known."""
        key, orders = call.parameters.get("apiKey", ""), call.method in ORDERS_COUNTED
        account = key if self._calls.exchange.knows(key) else ""
        now_ms = self._controls.clock.now_ms()
        return self._calls.limits.told(call.address, account, now_ms, orders=orders and bool(account))

    def _result(self, call: Call, client: Client) -> Reply:
        answer = self._answer(call, client)
        return Reply(answer.status, msgspec.json.encode(answer.body), dict(answer.headers))

    def _answer(self, call: Call, client: Client) -> Answer:
        """Return the answer of the exchange's own call, or of what concerns this socket alone."""
        if call.method in self._calls and not call.method.startswith("sapi."):
            sent = {name: value for name, value in call.parameters.items() if name != RATE_LIMITS_WANTED}
            return self._calls.answer(call.method, sent, call.address, ws_signed(call.parameters))
        try:
            self._calls.limits.ask(call.address, WEIGHT, self._controls.clock.now_ms())
            return Answer(200, self._of_socket(call, client), {})
        except ApiError as refusal:
            told = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
            return Answer(refusal.status, refusal.body(), told)

    def _of_socket(self, call: Call, client: Client) -> Any:
        match call.method:
            case "userDataStream.subscribe.signature":
                now_ms = self._controls.clock.now_ms()
                account = self._calls.keys.verify(ws_signed(call.parameters), call.parameters, now_ms)
                return {"subscriptionId": self._audiences.subscribe(account, client.socket, client.outlet)}
            case "userDataStream.unsubscribe":
                return _unsubscribe(call, client.socket)
            case "session.status":
                return {
                    "apiKey": None,
                    "authorizedSince": None,
                    "connectedSince": client.since_ms,
                    "returnRateLimits": call.rate_limits,
                    "serverTime": self._controls.clock.now_ms(),
                    "userDataStream": bool(client.socket.streams),
                }
            case "session.subscriptions":
                return [{"subscriptionId": number} for number in client.socket.streams]
        raise ApiError(-1000, f"Unknown method '{call.method[:60]}'")


class _Wrapping:
    """Brings the spoiled answer of one request: what is cut is the message as a whole."""

    def __init__(self, api: WsApi, call: Call, carrier: WsCarrier) -> None:
        self._api = api
        self._call = call
        self._carrier = carrier

    async def deliver(self, reply: Reply) -> None:
        """Send the answer in its manner."""
        await self._carrier.deliver(self._api.wrapped(self._call, reply))


def _unsubscribe(call: Call, socket: Socket) -> dict[str, Any]:
    """End one stream of the socket, or all where none is named."""
    named = call.parameters.get("subscriptionId")
    if named is None:
        socket.end_stream()
        return {}
    end = socket.streams.get(int(named)) if named.isdecimal() else None
    if end is None:
        raise ApiError(-1130, "Data sent for parameter 'subscriptionId' is not valid.")
    end()
    return {}


def _read(text: str, address: str, *, rate_limits: bool) -> Call | Reply:
    """Return the request in a message, or what answers a message that is none."""
    number: int | str | None = None
    try:
        said = msgspec.json.decode(text)
        if not isinstance(said, dict):
            raise ApiError(-1135, "Invalid 'JSON Request': an object is wanted")
        number = _id(said.get("id"))
        method, parameters = said.get("method"), said.get("params", {})
        if not isinstance(method, str) or not isinstance(parameters, Mapping):
            raise ApiError(-1135, "Invalid 'method' or 'params' in the request.")
    except msgspec.DecodeError:
        return _refusal(None, ApiError(-1135, "Invalid 'JSON Request'"))
    except ApiError as error:
        return _refusal(number, error)
    told = {str(key): _text(value) for key, value in parameters.items() if value is not None}
    return Call(number, method, told, address, told.get(RATE_LIMITS_WANTED, "" if rate_limits else "false") != "false")


def _id(number: Any) -> int | str | None:
    """Return a request's id. Raises ApiError where it is no number, short text or null."""
    if number is None or (isinstance(number, int) and not isinstance(number, bool)):
        return number
    if isinstance(number, str) and len(number) <= MOST_ID:
        return number
    raise ApiError(-1135, "Invalid 'id' in JSON request; expected an integer, string matching '^[a-zA-Z0-9-_]{1,36}$'")


def _refusal(number: int | str | None, error: ApiError) -> Reply:
    body: dict[str, Any] = {"id": number, "status": error.status, "error": error.body(), "rateLimits": []}
    return Reply(error.status, msgspec.json.encode(body))


def _text(value: Any) -> str:
    """Return a parameter as the signature has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case list() | dict():
            return msgspec.json.encode(value).decode()
    return str(value)
