"""What becomes of a request that a fault strikes? Asked by REST and the ws-api, once for each such request.

`struck` calls the request's own work (`accept`) before, after or instead of spoiling the answer, and hands the answer
to a carrier, who knows how the client is reached. Before acceptance means that the work is never done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct

from tradebot.config.faults_file import Step
from tradebot.sandbox.fault_state import BAN_S, Controls
from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.wire_errors import banned

HANG_MS: Final = 60_000
DELAY_MS: Final = 1_000
APART_MS: Final = 50
"""How far an answer and its user event are apart where nothing is said."""

EVENT_WITHIN_S: Final = 5.0
"""How long an answer waits for its event to leave."""

MOST_HIDDEN: Final = 10_000
"""How many orders are remembered as missed by queries."""

JSON: Final = "application/json;charset=UTF-8"
HTML: Final = "text/html"
PAGE: Final = b"<html><head><title>Error</title></head><body><center><h1>Request blocked</h1></center></body></html>"

_SAID: Final[dict[int, tuple[int, str]]] = {
    400: (-1013, "Filter failure: LOT_SIZE"),
    401: (-2015, "Invalid API-key, IP, or permissions for action."),
    403: (-1002, "You are not authorized to execute this request."),
    408: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    418: (-1003, "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates."),
    429: (-1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."),
    503: (-1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}
_UNKNOWN: Final = (-1000, "An unknown error occurred while processing the request.")

Manner = Literal["whole", "hang", "reset", "close", "truncate"]


class Reply(Struct):
    """An answer: its status, its body as it stands on the wire, and how it reaches the client.

    `hang_ms` is how long a hanging one is silent before the connection is reset.
    """

    status: int
    body: bytes
    headers: dict[str, str] = {}
    manner: Manner = "whole"
    content_type: str = JSON
    hang_ms: int = HANG_MS


class Carrier(Protocol):
    """Who brings the answer to the client."""

    async def deliver(self, reply: Reply) -> None:
        """Bring `reply` to the client in its manner; return when it has left."""
        ...


class UserEvents(Protocol):
    """The events of the account that asks, on their way to its sockets."""

    def hold(self) -> None:
        """Let no event leave."""
        ...

    def release(self) -> None:
        """Let those that wait leave, in order."""
        ...

    async def flushed(self, within_s: float) -> bool:
        """Wait until all that happened has left; return whether it has."""
        ...


Accept = Callable[[], Awaitable[Reply]]


def error(status: int, code: int = 0, message: str = "", headers: dict[str, str] | None = None) -> Reply:
    """Return an error in Binance's form; code and words of the status where none are given."""
    usual = _SAID.get(status, _UNKNOWN)
    body = msgspec.json.encode({"code": code or usual[0], "msg": message or usual[1]})
    return Reply(status, body, headers or {})


class Spoiler:
    """Does what the faults' steps say of requests."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._missed: dict[tuple[str, int], int] = {}

    def banned(self) -> Reply | None:
        """Return the refusal of a request that comes during a ban, which it makes longer; None without a ban."""
        seconds = self._controls.ban.asked(_now_s())
        return self._ban(seconds) if seconds else None

    async def struck(
        self, step: Step, occasion: Occasion, accept: Accept, carrier: Carrier, events: UserEvents
    ) -> None:
        """Bring the request on `occasion` to the end that `step` wants."""
        match step.action:
            case "late":
                self._controls.later(step.delay_ms or DELAY_MS, accept)
                await carrier.deliver(_late(step))
            case "delay":
                await self._delayed(step, accept, carrier)
            case "reply_first":
                async with _held(events):
                    await carrier.deliver(await accept())
                    await asyncio.sleep((step.delay_ms or APART_MS) / 1000)
            case "event_first":
                reply = await accept()
                await events.flushed(EVENT_WITHIN_S)
                await asyncio.sleep((step.delay_ms or APART_MS) / 1000)
                await carrier.deliver(reply)
            case "lag":
                await carrier.deliver(self._lagging(step, await accept()))
            case "ban":
                seconds = self._controls.ban.begin(step.retry_after_s or BAN_S, _now_s())
                await carrier.deliver(self._ban(seconds))
            case "hang" | "reset" | "close" | "status" | "truncate" | "cut_json" | "empty_200" | "html" | "maintenance":
                await carrier.deliver(_spoiled(step, await accept() if step.stage == "after" else None))
            case _:
                self._controls.apply(step, occasion)
                await self._controls.gate.passed()
                await carrier.deliver(await accept())

    async def refused(self, step: Step, occasion: Occasion) -> Reply | None:
        """Return how a handshake on `occasion` fails; None where it goes on, after what the step does else."""
        match step.action:
            case "hang" | "reset" | "close" | "status" | "truncate" | "cut_json" | "empty_200" | "html" | "maintenance":
                return _spoiled(step, None)
            case "late" | "delay":
                await asyncio.sleep((step.delay_ms or DELAY_MS) / 1000)
            case "ban":
                return self._ban(self._controls.ban.begin(step.retry_after_s or BAN_S, _now_s()))
            case _:
                self._controls.apply(step, occasion)
                await self._controls.gate.passed()
        return None

    async def _delayed(self, step: Step, accept: Accept, carrier: Carrier) -> None:
        delay_s = (step.delay_ms or DELAY_MS) / 1000
        if step.stage == "before":
            await asyncio.sleep(delay_s)
            await carrier.deliver(await accept())
            return
        reply = await accept()
        await asyncio.sleep(delay_s)
        await carrier.deliver(reply)

    def _ban(self, seconds: int) -> Reply:
        refusal = banned(self._controls.clock.now_ms() + seconds * 1000, seconds)
        return error(refusal.status, refusal.code, refusal.message, {"Retry-After": str(seconds)})

    def _lagging(self, step: Step, reply: Reply) -> Reply:
        """Take out of an answer about orders what the queries do not show yet."""
        if reply.status != 200:
            return reply
        said = msgspec.json.decode(reply.body)
        if isinstance(said, list):
            rows = [row for row in said if not self._hidden(step, row)]
            return msgspec.structs.replace(reply, body=msgspec.json.encode(rows))
        return error(400, -2013, "Order does not exist.") if self._hidden(step, said) else reply

    def _hidden(self, step: Step, row: Any) -> bool:
        if not isinstance(row, dict) or "orderId" not in row:
            return False
        if step.queries:
            key = (str(row.get("symbol", "")), int(row["orderId"]))
            missed = self._missed.pop(key, 0)
            while len(self._missed) >= MOST_HIDDEN:
                del self._missed[next(iter(self._missed))]
            self._missed[key] = missed + 1
            return missed < step.queries
        return self._controls.clock.now_ms() - int(row.get("time", 0)) < (step.for_ms or DELAY_MS)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def _held(events: UserEvents) -> AsyncIterator[None]:
    events.hold()
    try:
        yield
    finally:
        events.release()


def _late(step: Step) -> Reply:
    """Return what a request that is accepted later is answered at once."""
    reply = error(step.status or 504, step.code, step.message)
    if step.reply == "status":
        return reply
    return msgspec.structs.replace(reply, manner=step.reply, hang_ms=step.for_ms or HANG_MS)


def _spoiled(step: Step, reply: Reply | None) -> Reply:
    """Return the answer as the step spoils it; `reply` is the true one, None where nothing was accepted."""
    true = reply if reply is not None else Reply(200, b'{"symbol":"","orderId":0,"status":"NEW"}')
    match step.action:
        case "hang":
            return msgspec.structs.replace(true, manner="hang", hang_ms=step.for_ms or HANG_MS)
        case "reset" | "close" | "truncate":
            return msgspec.structs.replace(true, manner=step.action)
        case "cut_json":
            return Reply(200, true.body[: max(1, len(true.body) // 2)], true.headers)
        case "empty_200":
            return Reply(200, b"", true.headers)
        case "html":
            return Reply(step.status or 403, PAGE, content_type=HTML)
        case "maintenance":
            return error(503, step.code, step.message)
        case _:
            headers = {"Retry-After": str(step.retry_after_s)} if step.retry_after_s else {}
            return error(step.status or 500, step.code, step.message, headers)
