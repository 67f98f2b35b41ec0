"""What becomes of an event that a fault strikes on its way to a socket? Asked by every socket, for each event."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tradebot.config.faults_file import Step
from tradebot.sandbox.fault_state import Controls
from tradebot.sandbox.faults import Faults, Occasion
from tradebot.sandbox.sockets import Socket

EVENT_DELAY_MS: Final = 1_000
REORDER_MS: Final = 200
"""A reordered event leaves after so long also where no other follows."""

UNKNOWN_FIELDS: Final = {"zz": 1, "newField": {"nested": ["unknown", None]}, "Й": "unknown"}
"""What an event holds beside its own where unknown fields are wanted."""


class Outlet:
    """A socket's way out for events, through the faults that stand; `wrap` is put around each event.

    The messages of one outlet keep their order, but for what a fault reorders.
    """

    def __init__(self, socket: Socket, faults: Faults, controls: Controls) -> None:
        self._socket = socket
        self._faults = faults
        self._controls = controls
        self._behind: tuple[str, ...] = ()

    def put(self, occasion: Occasion, text: str) -> None:
        """Send the event `text` (JSON), or what a fault makes of it."""
        step = None if self._faults.none else self._faults.strike(occasion)
        if step is None:
            self._send(text)
            return
        match step.action:
            case "drop":
                return
            case "duplicate":
                self._send(text)
                self._send(text)
            case "reorder":
                self._behind = (*self._behind, text)
                self._controls.later(step.delay_ms or REORDER_MS, self._catch_up)
            case "delay":
                self._send(text, step.delay_ms or EVENT_DELAY_MS)
            case "unknown_event":
                self._send(_like(text, {"e": "somethingNew", "E": self._controls.clock.now_ms(), **UNKNOWN_FIELDS}))
                self._send(text)
            case "unknown_fields":
                self._send(_with_unknown_fields(text))
            case "half_open" | "disconnect":
                self._end(step, text)
            case _:
                self._controls.apply(step, occasion)
                self._send(text)

    def _end(self, step: Step, text: str) -> None:
        """Spoil the socket: before, the event is the first that is lost, after, the last that was said."""
        after = step.stage == "after"
        if after:
            self._send(text)
        if step.action == "half_open":
            self._socket.go_half_open(after_queue=after)
        else:
            self._socket.abort(after_queue=after)

    def _send(self, text: str, delay_ms: int = 0) -> None:
        self._socket.send(text, delay_ms)
        behind, self._behind = self._behind, ()
        for each in behind:
            self._socket.send(each)

    async def _catch_up(self) -> None:
        """Send what nothing came after."""
        behind, self._behind = self._behind, ()
        for each in behind:
            self._socket.send(each)


def _inside(message: dict[str, Any]) -> str:
    """Return under which key a wrapped event stands, "" where it is bare."""
    return next((key for key in ("event", "data") if isinstance(message.get(key), dict)), "")


def _like(text: str, event: dict[str, Any]) -> str:
    """Return another event, wrapped as the one in `text` is."""
    message = msgspec.json.decode(text)
    key = _inside(message) if isinstance(message, dict) else ""
    return msgspec.json.encode({**message, key: event} if key else event).decode()


def _with_unknown_fields(text: str) -> str:
    message = msgspec.json.decode(text)
    if not isinstance(message, dict):
        return text
    key = _inside(message)
    changed = {**message, key: {**message[key], **UNKNOWN_FIELDS}} if key else {**message, **UNKNOWN_FIELDS}
    return msgspec.json.encode(changed).decode()
