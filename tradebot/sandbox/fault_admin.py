"""How are faults steered while the exchange runs? Asked by whoever rehearses, over HTTP below `/sandbox`.

    GET    /sandbox                    what is out of order: faults with counts, clock, sockets, freeze
    POST   /sandbox/faults             a fault, or {"fault": [...]}, with the keys of the faults file; answers the names
    GET    /sandbox/faults             DELETE /sandbox/faults, DELETE /sandbox/faults/{name}
    POST   /sandbox/market/{how}       halt, resume or delist {"symbol": "BTCUSDT"}
    POST   /sandbox/clock              {"skew_ms": -7000}
    POST   /sandbox/freeze             {"for_ms": 5000, "how": "silent" or "stopped"}; DELETE lets it go on
    POST   /sandbox/ban                {"retry_after_s": 120}; DELETE lifts it
    POST   /sandbox/sockets            {"action": "disconnect", "half_open" or "terminate", "room": "market" or "user"}
    POST   /sandbox/key                {"key": "test-key", "flags": {"enableWithdrawals": true}}, see apiRestrictions
    POST   /sandbox/shutdown-notice    tells every socket `serverShutdown`

A body that cannot be used is answered 400 with {"error": words}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from tradebot.config.faults_file import faults_in
from tradebot.sandbox.fault_state import BAN_S, FREEZE_MS, LONGEST_BAN_S, Controls
from tradebot.sandbox.faults import Faults
from tradebot.sandbox.signing import Keyring
from tradebot.sandbox.sockets import Room
from tradebot.sandbox.wire_errors import ApiError

LONGEST_FREEZE_MS = 86_400_000

T = TypeVar("T")


class _Symbol(Struct, forbid_unknown_fields=True):
    symbol: str


class _Clock(Struct, forbid_unknown_fields=True):
    skew_ms: int


class _Freeze(Struct, forbid_unknown_fields=True):
    for_ms: int = FREEZE_MS
    how: Literal["silent", "stopped"] = "silent"


class _Ban(Struct, forbid_unknown_fields=True):
    retry_after_s: int = BAN_S


class _SocketsAsked(Struct, forbid_unknown_fields=True):
    action: Literal["disconnect", "half_open", "terminate"]
    room: Room | None = None


class _Key(Struct, forbid_unknown_fields=True):
    key: str
    flags: dict[str, bool]


class Admin:
    """The control paths."""

    def __init__(self, faults: Faults, controls: Controls, keys: Keyring) -> None:
        self._faults = faults
        self._controls = controls
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        """Return where they are reached."""
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[object]]]] = [
            ("GET", "", self._state),
            ("POST", "/faults", self._add),
            ("GET", "/faults", self._told),
            ("DELETE", "/faults", self._clear),
            ("DELETE", "/faults/{name}", self._remove),
            ("POST", "/market/{how:halt|resume|delist}", self._market),
            ("POST", "/clock", self._clock),
            ("POST", "/freeze", self._freeze),
            ("DELETE", "/freeze", self._thaw),
            ("POST", "/ban", self._ban),
            ("DELETE", "/ban", self._lift),
            ("POST", "/sockets", self._sockets),
            ("POST", "/shutdown-notice", self._shutdown),
            ("POST", "/key", self._key),
        ]
        return [web.route(method, f"/sandbox{path}", _answering(act)) for method, path, act in table]

    async def _state(self, _: web.Request) -> object:
        controls = self._controls
        rooms: tuple[Room, ...] = ("market", "user")
        return {
            "now_ms": controls.clock.now_ms(),
            "skew_ms": controls.clock.skew_ms,
            "frozen": controls.gate.shut,
            "sockets": {room: len(controls.sockets.of(room)) for room in rooms},
            "faults": self._faults.told(),
        }

    async def _add(self, request: web.Request) -> object:
        try:
            told = msgspec.json.decode(await request.read())
        except msgspec.DecodeError as error:
            raise ValueError(f"no JSON: {error}") from error
        return {"added": [self._faults.add(fault) for fault in faults_in(told)]}

    async def _told(self, _: web.Request) -> object:
        return {"faults": self._faults.told()}

    async def _clear(self, _: web.Request) -> object:
        self._faults.clear()
        return {}

    async def _remove(self, request: web.Request) -> object:
        name = request.match_info["name"]
        if not self._faults.remove(name):
            raise ValueError(f"no fault is called {name}")
        return {}

    async def _market(self, request: web.Request) -> object:
        symbol = (await _body(request, _Symbol)).symbol
        how: dict[str, Literal["halt", "resume", "delist"]] = {"halt": "halt", "resume": "resume", "delist": "delist"}
        if not self._controls.trade(symbol, how[request.match_info["how"]]):
            raise ValueError(f"no symbol is called {symbol}")
        return {}

    async def _clock(self, request: web.Request) -> object:
        self._controls.clock.skew_ms = (await _body(request, _Clock)).skew_ms
        return {"now_ms": self._controls.clock.now_ms()}

    async def _freeze(self, request: web.Request) -> object:
        asked = await _body(request, _Freeze)
        if not 0 < asked.for_ms <= LONGEST_FREEZE_MS:
            raise ValueError(f"for_ms is from 1 to {LONGEST_FREEZE_MS}")
        if asked.how == "stopped":
            # the answer leaves first: a stopped process says nothing
            asyncio.get_running_loop().call_later(0.05, self._controls.freeze, asked.for_ms, asked.how)
        else:
            self._controls.freeze(asked.for_ms)
        return {}

    async def _thaw(self, _: web.Request) -> object:
        self._controls.thaw()
        return {}

    async def _ban(self, request: web.Request) -> object:
        seconds = (await _body(request, _Ban)).retry_after_s
        if not 0 < seconds <= LONGEST_BAN_S:
            raise ValueError(f"retry_after_s is from 1 to {LONGEST_BAN_S}")
        self._controls.ban.begin(seconds, asyncio.get_running_loop().time())
        return {}

    async def _lift(self, _: web.Request) -> object:
        self._controls.ban.lift()
        return {}

    async def _sockets(self, request: web.Request) -> object:
        asked = await _body(request, _SocketsAsked)
        if asked.action == "terminate":
            return {"ended": self._controls.terminate()}
        act = self._controls.disconnect if asked.action == "disconnect" else self._controls.half_open
        return {"sockets": act(asked.room)}

    async def _key(self, request: web.Request) -> object:
        asked = await _body(request, _Key)
        try:
            self._keys.permit(asked.key, asked.flags)
        except ApiError as error:
            raise ValueError("no key is called so") from error
        return self._keys.flags(asked.key)

    async def _shutdown(self, _: web.Request) -> object:
        return {"sockets": self._controls.announce_shutdown()}


def _answering(act: Callable[[web.Request], Awaitable[object]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler that answers what `act` returns, and says why where it cannot be done."""

    async def handler(request: web.Request) -> web.Response:
        try:
            return _json(200, await act(request))
        except ValueError as error:
            return _json(400, {"error": str(error)})

    return handler


async def _body(request: web.Request, kind: type[T]) -> T:
    """Return the body as `kind`. Raises ValueError in words."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def _json(status: int, said: Any) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(said), content_type="application/json")
