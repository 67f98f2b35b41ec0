"""What does one request become? Asked by the door: it is read, checked, asked of the operator, and answered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import msgspec
from aiohttp import web

from tradebot.config.secrets import mask
from tradebot.config.sections.control import Control
from tradebot.control.connection import TAKE_S, Connection, problem
from tradebot.control.messages import (
    HEARTBEAT,
    MOST_BODY_BYTES,
    STREAM,
    WHO,
    DriftAnswer,
    HistoryQuery,
    Rearm,
    Reload,
    Request,
    Rollback,
    Route,
    Switching,
    matching,
)
from tradebot.control.openapi import document_text
from tradebot.control.stream import Audience, Listener
from tradebot.domain.errors import TradebotError
from tradebot.domain.views import Done, OutcomeView
from tradebot.ports import Log, NotNow, Operator

BODY_S = 5.0
"""Longest time until a request's body has come."""

MOST_WHO = 64

GOES_ON = "; what was asked goes on, and the log and `tradebot status` tell what became of it"


class Asked(msgspec.Struct, frozen=True):
    """A request, read and checked."""

    who: str
    name: str
    body: Request | None
    query: Request | None


class Declined(Exception):
    """A request is not answered as asked."""

    def __init__(self, status: int, error: str, where: str, **headers: str) -> None:
        super().__init__(error)
        self.response = problem(status, error, where, **headers)


Ask = Callable[[Operator, Asked], Any]


def _reload(operator: Operator, body: Reload, who: str) -> Awaitable[OutcomeView]:
    return operator.reload(confirm=body.confirm, shown=body.shown, who=who)


def _settle_drift(operator: Operator, body: DriftAnswer, who: str) -> Done:
    return operator.settle_drift(body.what, body.action, body.price, who=who)


ASKS: dict[str, Ask] = {
    "status": lambda operator, _: operator.status(),
    "snapshot": lambda operator, _: operator.snapshot(),
    "features": lambda operator, _: operator.features(),
    "history": lambda operator, asked: operator.history(cast("HistoryQuery", asked.query).limit),
    "reload": lambda operator, asked: _reload(operator, cast("Reload", asked.body), asked.who),
    "rollback": lambda operator, asked: operator.rollback(cast("Rollback", asked.body).generation, who=asked.who),
    "switch": lambda operator, asked: operator.switch(asked.name, cast("Switching", asked.body).on, who=asked.who),
    "pause": lambda operator, asked: operator.pause(who=asked.who),
    "resume": lambda operator, asked: operator.resume(who=asked.who),
    "drift": lambda operator, _: operator.drift(),
    "compare_drift": lambda operator, _: operator.compare_drift(),
    "settle_drift": lambda operator, asked: _settle_drift(operator, cast("DriftAnswer", asked.body), asked.who),
    "flatten": lambda operator, asked: operator.flatten(who=asked.who),
    "rearm": lambda operator, asked: operator.rearm(cast("Rearm", asked.body).symbol, who=asked.who),
    "stop": lambda operator, asked: operator.stop(who=asked.who),
}
"""What each route asks of the operator; the document and the event stream are the door's own."""


class Desk:
    """Answers requests. What was asked of the operator is never cancelled, whoever stops waiting for it."""

    def __init__(self, operator: Operator, settings: Control, log: Log) -> None:
        self._operator = operator
        self._settings = settings
        self._log = log
        self._works: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.audience = Audience(operator.listen)
        self._answering = 0
        self.idle = asyncio.Event()
        """Set while no request is being answered; streams are not counted."""
        self.idle.set()

    def tune(self, settings: Control) -> None:
        """Take new settings."""
        self._settings = settings
        self.audience.tune(settings.stream_queue)

    def close(self) -> None:
        """Tell everybody who still waits that the door closes."""
        if not self._closing.done():
            self._closing.set_result(None)
        self.audience.end()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = cast("Connection", request.protocol)
        connection.within(None)  # from here on each step has its own bound
        try:
            route, name = _route(request)
            if route.name == "events":
                response = await self._stream(request, route, connection)
            else:
                response = await self._answer(request, connection, route, name)
        except Declined as declined:
            response = declined.response
        finally:
            connection.within(TAKE_S)
        response.force_close()
        return response

    async def _answer(
        self, request: web.BaseRequest, connection: Connection, route: Route, name: str
    ) -> web.StreamResponse:
        self._answering += 1
        self.idle.clear()
        try:
            asked = Asked(_who(request), name, await _body(request, route), _query(request, route))
            if route.name == "openapi":
                return web.Response(text=document_text(), content_type="application/json")
            answer = await self._ask(route, asked, connection)
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
        except Declined:
            raise
        except Exception as error:
            raise self._failed(route, error) from error
        finally:
            self._answering -= 1
            if not self._answering:
                self.idle.set()

    async def _ask(self, route: Route, asked: Asked, connection: Connection) -> Any:
        """Return the operator's answer. Raises Declined, and what the operator raises."""
        answer = ASKS[route.name](self._operator, asked)
        if not inspect.isawaitable(answer):
            return answer
        work = asyncio.ensure_future(answer)
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        longest_s = self._settings.request_timeout_s
        await asyncio.wait(
            {work, self._closing, connection.gone}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED
        )
        if work.done():
            return work.result()
        work.add_done_callback(lambda late: self._ended_late(route, late))
        why = "the door closes" if self._closing.done() else f"not done within {longest_s:g} s"
        raise Declined(504, why + GOES_ON, route.path)

    def _failed(self, route: Route, error: Exception) -> Declined:
        if isinstance(error, NotNow):
            return Declined(409, str(error), route.path)
        self._log.emit("system", "ERROR", "CONTROL_REQUEST_FAILED", f"{route.path}: {type(error).__name__}: {error}")
        # Texts of our own errors are written for the operator; a foreign one's may hold anything.
        text = str(error) if isinstance(error, TradebotError) else f"failed with {type(error).__name__}; see the log"
        return Declined(500, mask(text), route.path)

    def _ended_late(self, route: Route, work: asyncio.Future[Any]) -> None:
        """Tell what became of work that nobody waits for any more."""
        if work.cancelled():
            self._log.emit("system", "WARNING", "CONTROL_REQUEST_LATE", f"{route.path}: cancelled, nobody waited")
            return
        error = work.exception()
        if error is None or isinstance(error, NotNow):
            how = "done" if error is None else str(error)
            self._log.emit("system", "INFO", "CONTROL_REQUEST_LATE", f"{route.path}: {how}, after its asker had gone")
        else:
            text = f"{route.path}: {type(error).__name__}: {error}"
            self._log.emit("system", "ERROR", "CONTROL_REQUEST_FAILED", text)

    async def _stream(self, request: web.BaseRequest, route: Route, connection: Connection) -> web.StreamResponse:
        if self._closing.done():
            raise Declined(503, "the door closes", route.path)
        listener = self._listener(_who(request), connection)
        try:
            self.audience.join(listener)
        except Exception as error:
            raise self._failed(route, error) from error
        connection.gone.add_done_callback(lambda _: listener.end())
        response = web.StreamResponse(headers={"Content-Type": STREAM, "Cache-Control": "no-store"})
        response.force_close()
        try:
            with suppress(ConnectionError):  # it has gone, or was too slow
                await response.prepare(request)
                await response.write(HEARTBEAT)
                while lines := await listener.take():
                    await response.write(lines)
        finally:
            self.audience.leave(listener)
        return response

    def _listener(self, who: str, connection: Connection) -> Listener:
        most = self._settings.stream_queue

        def too_slow() -> None:
            text = f"a listener that let {most} records wait was disconnected ({who})"
            self._log.emit("system", "INFO", "CONTROL_LISTENER_TOO_SLOW", text)
            connection.abort()

        return Listener(most, too_slow)


def _route(request: web.BaseRequest) -> tuple[Route, str]:
    found = matching(request.path)
    if not found:
        raise Declined(404, "there is no such request; GET /v1/openapi.json tells what there is", request.path[:200])
    for route, name in found:
        if route.method == request.method:
            return route, name
    allowed = ", ".join(route.method for route, _ in found)
    raise Declined(405, f"{request.method[:20]} is not understood here, but {allowed}", request.path, Allow=allowed)


def _who(request: web.BaseRequest) -> str:
    told = request.headers.get(WHO, "").strip()[:MOST_WHO]
    return "".join(letter if letter.isprintable() else "?" for letter in told) or "door"


async def _body(request: web.BaseRequest, route: Route) -> Request | None:
    """Return the body as `route` declares it. Raises Declined."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while len(data) <= MOST_BODY_BYTES and (part := await request.content.readany()):
                data += part
    except TimeoutError:
        raise Declined(408, f"the request's body did not come within {BODY_S:g} s", route.path) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Declined(400, f"the request's body was cut off ({type(error).__name__})", route.path) from None
    if len(data) > MOST_BODY_BYTES:
        raise Declined(413, f"a request holds at most {MOST_BODY_BYTES} bytes", route.path)
    if route.body is None:
        if data:
            raise Declined(400, "takes no body", route.path)
        return None
    try:
        return msgspec.json.decode(bytes(data) or b"{}", type=route.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _misread(error, route.path) from None


def _query(request: web.BaseRequest, route: Route) -> Request | None:
    """Return what stands behind the path's question mark. Raises Declined."""
    told = dict(request.query)
    if len(told) != len(request.query):
        raise Declined(400, "the same key twice", route.path)
    if route.query is None:
        if told:
            raise Declined(400, f"takes no {next(iter(told))[:50]!r}", route.path)
        return None
    try:
        return msgspec.convert(told, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise _misread(error, route.path) from None


def _misread(error: Exception, path: str) -> Declined:
    """Return what a decoder found, with the place it names."""
    text, _, place = str(error).partition(" - at `$.")
    return Declined(400, text, f"{path}: {place.rstrip('`')}" if place else path)
