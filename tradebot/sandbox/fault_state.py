"""What is out of order with the exchange as a whole? Asked by the faults' steps and the control paths.

Halted and delisted symbols, a skewed clock, a ban, a freeze, streams that end, a shutdown that is announced.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol

import msgspec

from tradebot.config.faults_file import Step
from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.sockets import Gate, Room, Sockets
from tradebot.sandbox.wire_errors import ApiError

FREEZE_MS: Final = 5_000
BAN_S: Final = 120
LONGEST_BAN_S: Final = 259_200
"""Binance's bans last from two minutes to three days."""

WAKER_S: Final = 0.5
"""How long the child that ends a stop may take to end itself."""

MOST_LATE: Final = 1_000
"""How many requests may be on their way late at a time."""


class Market(Protocol):
    """What the exchange lets be done to its symbols."""

    def set_status(self, symbol: str, status: str) -> None:
        """Trade a symbol or do not: TRADING, HALT or BREAK. Raises ApiError where nobody knows it."""
        ...

    def delist(self, symbol: str, now_ms: int) -> None:
        """Take a symbol off the exchange. Raises ApiError where nobody knows it."""
        ...


class SkewedClock:
    """The exchange's clock: the true time in ms UTC, and how far it is put ahead of it."""

    def __init__(self, true_ms: Callable[[], int], skew_ms: int = 0) -> None:
        self._true_ms = true_ms
        self.skew_ms = skew_ms

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self._true_ms() + self.skew_ms


class Ban:
    """A ban of the client's address: every request while it lasts makes it twice as long."""

    def __init__(self) -> None:
        self._last_s = 0
        self._until_s = 0.0

    def begin(self, seconds: int, now_s: float) -> int:
        """Ban for so long; return the seconds."""
        self._last_s = min(seconds, LONGEST_BAN_S)
        self._until_s = now_s + self._last_s
        return self._last_s

    def asked(self, now_s: float) -> int:
        """Return Retry-After for a request that comes now, longer each time; 0 where nobody is banned."""
        if now_s >= self._until_s:
            return 0
        return self.begin(self._last_s * 2, now_s)

    def lasts(self, now_s: float) -> bool:
        """Whether somebody is banned now."""
        return now_s < self._until_s

    def lift(self) -> None:
        """Let requests in again."""
        self._until_s = 0.0


class Controls:
    """Everything that can be done to the running exchange, by a step or by an operator."""

    def __init__(self, market: Market, clock: SkewedClock, sockets: Sockets, gate: Gate) -> None:
        self.market = market
        self.clock = clock
        self.sockets = sockets
        self.gate = gate
        self.ban = Ban()
        self._late: set[asyncio.Task[None]] = set()
        self._thaw: asyncio.TimerHandle | None = None

    def apply(self, step: Step, occasion: Occasion) -> None:
        """Do a step that concerns the exchange as a whole; any other step does nothing here."""
        match step.action:
            case "halt" | "resume" | "delist":
                self.trade(occasion.symbol, step.action)
            case "skew":
                self.clock.skew_ms = step.skew_ms
            case "freeze":
                self.freeze(step.for_ms or FREEZE_MS, step.how)
            case "terminate":
                self.terminate()
            case "shutdown_notice":
                self.announce_shutdown()

    def trade(self, symbol: str, how: Literal["halt", "resume", "delist"]) -> bool:
        """Pause a symbol's trading, let it go on, or take it off the exchange; return whether it is known."""
        try:
            if how == "delist":
                self.market.delist(symbol, self.clock.now_ms())
            else:
                self.market.set_status(symbol, "BREAK" if how == "halt" else "TRADING")
        except ApiError:
            return False
        return True

    def freeze(self, for_ms: int, how: Literal["silent", "stopped"] = "silent") -> None:
        """Answer nobody for so long; `stopped` stops the process itself, and a child lets it go on."""
        if how == "stopped":
            _stop_the_process(for_ms / 1000)
            return
        self.gate.close()
        if self._thaw is not None:
            self._thaw.cancel()
        self._thaw = asyncio.get_running_loop().call_later(for_ms / 1000, self.thaw)

    def thaw(self) -> None:
        """Answer again."""
        if self._thaw is not None:
            self._thaw.cancel()
            self._thaw = None
        self.gate.open()

    def disconnect(self, room: Room | None = None) -> int:
        """Reset the sockets of a room, or all; return how many."""
        chosen = self.sockets.of(room)
        for each in chosen:
            each.abort()
        return len(chosen)

    def half_open(self, room: Room | None = None) -> int:
        """Let the sockets of a room, or all, say and answer nothing more; return how many."""
        chosen = self.sockets.of(room)
        for each in chosen:
            each.go_half_open()
        return len(chosen)

    def terminate(self) -> int:
        """End every user's event stream, as the exchange does where a subscription runs out; return how many."""
        return sum(each.end_stream() for each in self.sockets.of("user"))

    def announce_shutdown(self) -> int:
        """Tell every socket that the server will be shut down; return how many."""
        event = {"e": "serverShutdown", "E": self.clock.now_ms()}
        text = msgspec.json.encode(event).decode()
        wrapped = msgspec.json.encode({"event": event}).decode()
        for each in self.sockets.of():
            each.send(wrapped if each.room == "user" else text)
        return len(self.sockets.of())

    def later(self, delay_ms: int, act: Callable[[], Awaitable[object]]) -> None:
        """Do something after so long, whoever has left meanwhile; beyond `MOST_LATE` it is never done."""
        if len(self._late) >= MOST_LATE:
            return

        async def waiting() -> None:
            await asyncio.sleep(delay_ms / 1000)
            await act()

        task = asyncio.ensure_future(waiting())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Let nothing late happen any more."""
        self.thaw()
        for task in tuple(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


def _stop_the_process(for_s: float) -> None:
    """Stop this process, as SIGSTOP does, until a child lets it go on."""
    words = f"sleep {for_s:.3f}; kill -CONT {os.getpid()}"
    with subprocess.Popen(["/bin/sh", "-c", words], start_new_session=True) as waker:  # noqa: S603 - our own words
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            waker.wait(WAKER_S)
        except subprocess.TimeoutExpired:  # somebody else let it go on before
            os.killpg(waker.pid, signal.SIGKILL)
