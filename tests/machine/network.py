"""What becomes of each request and its answer on the way? Asked by the machine's steps and by its client.

A request lies here until the test lets it arrive, or loses it; an answer until the test lets it come back, or something
else in its place. The client's patience ends by itself. A request that nobody waits for any more may still arrive.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Final, Literal

import aiohttp
from msgspec import Struct, field

from tests.machine.disk import Fuse
from tests.machine.far import PREFIX, WIRE, Far, Row, refusal_of
from tradebot.domain.numbers import ZERO
from tradebot.sandbox.orders import OrderRequest
from tradebot.sandbox.wire_errors import ApiError, no_such_order

Kind = Literal["place", "cancel", "order", "open", "orders", "trades", "balances", "time", "info"]

RECV_WINDOW_MS: Final = 5_000
AHEAD_MS: Final = 1_000
LONGEST_BALANCE_LAG_MS: Final = 700
TIMEOUT_S: Final = 10.0
LONGEST_LAG_MS: Final = 12_000
"""How long what is asked for may lag behind what is: less than the wait before absence is believed."""

SIGNED: Final = frozenset({"place", "cancel", "order", "open", "orders", "trades", "balances"})


class Lost(Exception):
    """The connection broke."""


class Answer(Struct, frozen=True):
    """An answer as it comes: its body None where it is no JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Request(Struct):
    """One request under way; `stamp_ms` is the exchange's time by the client when it was signed."""

    kind: Kind
    what: Row
    stamp_ms: int
    sent_ms: int
    future: asyncio.Future[Answer]
    urgent: bool
    arrived: bool = False
    dead: bool = False
    answer: Answer | None = None
    told: str = ""  # what was said in the place of the answer

    @property
    def client_id(self) -> str:
        """The own order it is about, "" for none."""
        return str(self.what.get("client_id", ""))


NOT_DONE: Final[tuple[str, ...]] = (
    "reset",
    "refused",
    "html 502",
    "500",
    "-1008",
    "429",
    "-1015",
    "418",
    "-2010",
    "-1021",
)
"""What may be said of a request that never had its effect."""

DONE_UNSAID: Final[tuple[str, ...]] = ("reset", "cut", "truncated", "html 502", "500", "-1007", "-1006", "403")
"""What may be said of one that had."""


NOT_KNOWN: Final[tuple[str, ...]] = ("reset", "html 502", "500", "-1007")
"""What may be said of one that is still under way."""


class Network:
    """Everything under way between one bot (or those before it) and the exchange."""

    def __init__(self, far: Far, fuse: Fuse) -> None:
        self._fuse = fuse
        self.far = far
        self.requests: list[Request] = []
        self.instant = False
        """Whether every request arrives and is answered at once, truthfully."""
        self.banned_until_ms = 0
        self.down = False
        """Whether no connection can be made."""
        self.placed: dict[str, list[Request]] = {}
        """Every request to place an order, by its client id."""

    # -- the client's side --------------------------------------------------------------------------------

    async def carry(self, kind: Kind, what: Row, stamp_ms: int, *, urgent: bool) -> Answer:
        """Send a request and wait for its answer. Raises Lost and TimeoutError, and Killed before or after it left."""
        self._fuse.pass_by()
        loop = asyncio.get_running_loop()
        request = Request(kind, what, stamp_ms, self.far.now, loop.create_future(), urgent)
        if self.down:
            raise Lost("no connection") from _no_connection()
        if kind == "place":
            self.placed.setdefault(request.client_id, []).append(request)
        if self.instant:
            self.arrive(request, 0)
            assert request.answer is not None
            return request.answer
        self.requests.append(request)
        self._fuse.pass_by()
        timer = loop.call_later(TIMEOUT_S, _give_up, request)
        try:
            return await request.future
        finally:
            timer.cancel()

    # -- what the test does -------------------------------------------------------------------------------

    def under_way(self) -> list[Request]:
        """Return the requests that have not arrived."""
        return [each for each in self.requests if not each.arrived and not each.dead]

    def unanswered(self) -> list[Request]:
        """Return the requests that arrived and whose client still waits."""
        return [each for each in self.requests if each.arrived and not each.future.done()]

    def may_arrive(self, request: Request) -> bool:
        """Whether a request can still have an effect."""
        return not request.arrived and not request.dead and self.far.now - request.stamp_ms <= RECV_WINDOW_MS

    def arrive(self, request: Request, lag_ms: int) -> None:
        """Let a request arrive: it is done or refused, and its answer is ready."""
        request.arrived = True
        request.answer = self._answer(request, lag_ms)

    def repeat(self, request: Request) -> None:
        """Let the connection send a request again whose answer got lost on it: what cancels, and what only asks."""
        if request.kind != "place":
            self.arrive(request, 0)

    def reply(self, request: Request) -> None:
        """Let the answer come."""
        if request.answer is not None and not request.future.done():
            request.future.set_result(request.answer)
        self._tidy()

    def lose(self, request: Request, how: str) -> None:
        """Let a request that has not arrived never arrive, and something be said of it."""
        request.dead = True
        if how == "refused" and not request.future.done():
            error = Lost("no connection")
            error.__cause__ = _no_connection()
            request.future.set_exception(error)
        elif how == "-2010" and request.kind != "place":
            self._say(request, "reset")
        else:
            self._say(request, how)
        self._tidy()

    def mislead(self, request: Request, how: str) -> None:
        """Let the client be told that something went wrong with a request that is still under way, and may arrive."""
        self._say(request, how)
        self._tidy()

    def spoil(self, request: Request, how: str) -> None:
        """Let something else come in the place of the answer to a request that arrived."""
        self._say(request, how)
        self._tidy()

    def forget(self) -> None:
        """Let nobody wait any more: the client is gone. What is under way stays under way."""
        for request in self.requests:
            request.future.cancel()
        self._tidy()

    def _tidy(self) -> None:
        self.requests = [
            each for each in self.requests if not each.future.done() or (not each.arrived and not each.dead)
        ]

    def _say(self, request: Request, how: str) -> None:
        if request.future.done():
            return
        request.told = how
        if how in {"reset", "truncated"}:
            request.future.set_exception(Lost(how))
        else:
            request.future.set_result(self._said(how))

    def _said(self, how: str) -> Answer:
        if how == "418":
            self.banned_until_ms = max(self.banned_until_ms, self.far.now + 20_000)
            return self._ban()
        known = {
            "html 502": Answer(502, None),
            "403": Answer(403, None),
            "cut": Answer(200, None),
            "500": Answer(500, {"code": -1000, "msg": "An unknown error occurred while processing the request."}),
            "-1008": Answer(503, {"code": -1008, "msg": "Server is currently overloaded."}),
            "-1007": Answer(504, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
            "-1006": Answer(500, {"code": -1006, "msg": "An unexpected response was received."}),
            "429": Answer(429, {"code": -1003, "msg": "Too many requests."}, {"retry-after": "2"}),
            "-1015": Answer(429, {"code": -1015, "msg": "Too many new orders."}, {"retry-after": "2"}),
            "-2010": Answer(400, {"code": -2010, "msg": "Order would trigger a rule of the day."}),
            "-1021": Answer(400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}),
        }
        return known[how]

    def _ban(self) -> Answer:
        wait_s = max(1, -(-(self.banned_until_ms - self.far.now) // 1000))
        body = {"code": -1003, "msg": "Way too much request weight used; IP banned."}
        return Answer(418, body, {"retry-after": str(wait_s)})

    # -- the exchange's side --------------------------------------------------------------------------------

    def _answer(self, request: Request, lag_ms: int) -> Answer:
        now = self.far.now
        if now < self.banned_until_ms:
            return self._ban()
        if request.kind in SIGNED and not -AHEAD_MS <= now - request.stamp_ms <= RECV_WINDOW_MS:
            return self._said("-1021")
        try:
            return Answer(200, self._done(request, lag_ms))
        except ApiError as error:
            status, body = refusal_of(error)
            return Answer(status, body)

    def _done(self, request: Request, lag_ms: int) -> Any:
        far, what = self.far, request.what
        symbol = what.get("symbol")
        match request.kind:
            case "place":
                return far.place(_order_request(what))
            case "cancel":
                return far.cancel(what["symbol"], what["client_id"])
            case "order":
                far.exchange.rules_of(WIRE[what["symbol"]])
                order_id = int(what["order_id"]) if what["order_id"] else None
                found = far.order(what["symbol"], order_id, what["client_id"], lag_ms)
                if found is None:
                    raise no_such_order()
                return found
            case "open":
                return far.listed(symbol, lag_ms, only_open=True)
            case "orders":
                return far.listed(symbol, lag_ms, only_open=False, since_ms=what["since_ms"])
            case "trades":
                return far.traded(
                    what["symbol"], lag_ms, order_id=what["order_id"], from_id=what["from_id"],
                    since_ms=what["since_ms"],
                )  # fmt: skip
            case "balances":
                return _balances(far.balances(min(lag_ms, LONGEST_BALANCE_LAG_MS)))
            case "time":
                return {"serverTime": far.now}
            case "info":
                rows = [{"symbol": name, "status": far.exchange.rules[name].status} for name in what["symbols"]]
                return {"symbols": rows}


def _order_request(what: Row) -> OrderRequest:
    assert str(what["client_id"]).startswith(PREFIX)
    return OrderRequest(
        WIRE[what["symbol"]], what["side"], what["type"], what["client_id"], what["tif"],
        Decimal(what["amount"] or ZERO), Decimal(what["price"] or ZERO), Decimal(what["cost"] or ZERO),
    )  # fmt: skip


def _balances(held: dict[str, tuple[Decimal, Decimal]]) -> Row:
    return {
        "balances": [],
        "free": {asset: str(free) for asset, (free, _) in held.items()},
        "used": {asset: str(locked) for asset, (_, locked) in held.items()},
        "total": {asset: str(free + locked) for asset, (free, locked) in held.items()},
    }


def _give_up(request: Request) -> None:
    if not request.future.done():
        request.future.set_exception(TimeoutError("no answer"))


def _no_connection() -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(None, OSError("refused"))  # type: ignore[arg-type]
