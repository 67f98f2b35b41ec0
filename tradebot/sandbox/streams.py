"""How are market streams followed? Asked by every client of the public sockets.

`/ws`, `/ws/<stream>/…`, `/stream?streams=…` as Binance has them, and `/stream/ws` for clients that tell spot from
futures by `/stream` in the address. A number instead of a stream is nothing: ccxt counts its sockets so.
SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the property `combined`; an id comes back as it was sent.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from aiohttp import web

from tradebot.sandbox.fault_events import Outlet
from tradebot.sandbox.fault_state import Controls
from tradebot.sandbox.faults import Faults, Occasion
from tradebot.sandbox.sockets import Socket, Sockets
from tradebot.sandbox.streams_board import ALL_SYMBOLS, Board

_STREAM: Final = re.compile(r"[\w.-]{1,40}@[A-Za-z]+\d*(_\d+[smhdwM])?(@1000?ms)?")
_COUNTED: Final = re.compile(r"\d+")


PATHS: Final = ("/ws", "/ws/{streams:.+}", "/stream", "/stream/ws", "/stream/ws/{streams:.+}")
"""Where the streams are reached."""


class Refused(Exception):
    """A message that is not obeyed, with Binance's code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class Listener:
    """One socket and the streams it follows."""

    def __init__(self, socket: Socket, outlet: Outlet, board: Board, most: int, *, combined: bool) -> None:
        self._socket = socket
        self._outlet = outlet
        self._board = board
        self._most = most
        self._combined = combined
        self._streams: dict[str, None] = {}

    def hear(self, stream: str, occasion: Occasion, text: str) -> None:
        """Send a message of a stream; wrapped with the stream's name where the client wants it."""
        self._outlet.put(occasion, f'{{"stream":"{stream}","data":{text}}}' if self._combined else text)

    def follow(self, streams: list[str]) -> None:
        """Follow streams. Raises Refused where one has no such name, or where they become too many."""
        for stream in streams:
            if not ALL_SYMBOLS.fullmatch(stream) and not _STREAM.fullmatch(stream):
                raise Refused(2, f"Invalid request: no stream is called {stream[:60]}")
        new = dict.fromkeys(stream for stream in streams if stream not in self._streams)
        if len(self._streams) + len(new) > self._most:
            raise Refused(2, f"Invalid request: a socket follows at most {self._most} streams")
        for stream in new:
            self._streams[stream] = None
            self._board.follow(stream, self)

    def leave(self, streams: list[str]) -> None:
        """Follow streams no more; those not followed are passed over."""
        for stream in streams:
            if stream in self._streams:
                del self._streams[stream]
                self._board.leave(stream, self)

    def leave_all(self) -> None:
        """Follow nothing any more."""
        self.leave(list(self._streams))

    def said(self, text: str) -> None:
        """Obey a message of the client, and answer it."""
        number: Any = None
        try:
            request = _read(text)
            number = request.get("id")
            answer: dict[str, Any] = {"result": self._obey(request), "id": number}
        except Refused as refused:
            answer = {"error": {"code": refused.code, "msg": refused.words}, "id": number}
        self._socket.send(msgspec.json.encode(answer).decode())

    def _obey(self, request: dict[str, Any]) -> Any:
        parameters = request.get("params", [])
        match request.get("method"):
            case "SUBSCRIBE":
                self.follow(_names(parameters))
            case "UNSUBSCRIBE":
                self.leave(_names(parameters))
            case "LIST_SUBSCRIPTIONS":
                return list(self._streams)
            case "SET_PROPERTY":
                self._set(parameters)
            case "GET_PROPERTY":
                if parameters != ["combined"]:
                    raise Refused(0, "Unknown property")
                return self._combined
            case None:
                raise Refused(2, "Invalid request: missing field `method`")
            case other:
                raise Refused(2, f"Invalid request: unknown variant {str(other)[:60]}")
        return None

    def _set(self, parameters: Any) -> None:
        match parameters:
            case ["combined", bool(value)]:
                self._combined = value
            case _:
                raise Refused(0, "Unknown property")


class Streams:
    """The sockets of the public market streams."""

    def __init__(self, board: Board, sockets: Sockets, faults: Faults, controls: Controls) -> None:
        self._board = board
        self._sockets = sockets
        self._faults = faults
        self._controls = controls

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until it ends."""
        named = [name for name in request.match_info.get("streams", "").split("/") if name]
        named = [name for name in named if not _COUNTED.fullmatch(name)]
        asked = [name for name in request.query.get("streams", "").split("/") if name]
        combined = request.path == "/stream"
        pace = self._sockets.pace
        async with self._sockets.opened("market", request, pace.messages_per_s) as socket:
            outlet = Outlet(socket, self._faults, self._controls)
            listener = Listener(socket, outlet, self._board, pace.most_streams, combined=combined)
            try:
                try:
                    listener.follow([*named, *asked])
                except Refused as refused:
                    await socket.close(1008, refused.words)
                async for text in socket.messages():
                    listener.said(text)
            finally:
                listener.leave_all()
        return socket.response


def _read(text: str) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refused(3, f"Invalid JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused(2, "Invalid request: an object is wanted")
    number = request.get("id")
    if not (number is None or (isinstance(number, int | str) and not isinstance(number, bool))):
        raise Refused(2, "Invalid request: request ID must be an unsigned integer")
    return request


def _names(parameters: Any) -> list[str]:
    if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
        raise Refused(2, "Invalid request: params must be an array of strings")
    return parameters
