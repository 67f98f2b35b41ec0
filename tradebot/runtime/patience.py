"""How does a start wait for an exchange that is away? Asked by wiring for the feed and by the bot for the venue.

A supervisor that starts a bot again and again asks a banning exchange again and again, and each question makes the
ban longer. Here the start waits instead, and asks only when it may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from tradebot.config.secrets import mask
from tradebot.domain.errors import ExchangeAway
from tradebot.ports import Clock, Log
from tradebot.runtime.signals import Signals
from tradebot.storage.home import STARTING

T = TypeVar("T")

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Between two questions to an exchange that names no time: the pause doubles from the first to the longest."""

_LOOK_S: Final = 0.1  # how often a signal is looked for
_AFTER_MS: Final = 100  # a ban ends by the exchange's clock, not by ours
_LET_GO_S: Final = 0.5  # how long a question that is given up may take to close its sockets


class Patience(Protocol):
    """Who asks an exchange at a start. `attempt` raises ExchangeAway where it is worth asking again."""

    def make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `attempt` returns; to be called outside of a running loop."""
        ...

    async def hold(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `attempt` returns."""
        ...

    def show(self, doing: Callable[[str], None]) -> None:
        """Tell `doing` from here on what the start does: that it waits, for what and until when, or that it goes on."""
        ...


class NoPatience:
    """Asks once: an edit that needs an exchange which is away is refused at once, and nobody waits."""

    def make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what one attempt returns. Raises what it raises."""
        return asyncio.run(attempt())

    async def hold(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what one attempt returns. Raises what it raises."""
        return await attempt()

    def show(self, doing: Callable[[str], None]) -> None:
        """Show nothing: nobody waits here."""


NO_PATIENCE: Final = NoPatience()


class StartPatience:
    """Asks until the exchange answers, for at most `limit_s` in all; each cause of waiting is told once.

    Raises ExchangeAway once the time is over, StopAsked as soon as a signal has come.
    """

    def __init__(
        self, limit_s: float, signals: Signals, clock: Clock, log: Log, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._limit_s = limit_s
        self._signals = signals
        self._clock = clock
        self._log = log
        self._say = say
        self._left_s = limit_s
        self._told: set[str] = set()
        self._doing: Callable[[str], None] = lambda _words: None

    def show(self, doing: Callable[[str], None]) -> None:
        """Tell `doing` what the start does, at every question that is not answered and at the one that is."""
        self._doing = doing
        doing(STARTING)

    def make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `attempt` returns; to be called outside of a running loop."""
        return asyncio.run(self.hold(attempt))

    async def hold(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `attempt` returns."""
        loop, pause_s, since_s = asyncio.get_running_loop(), FIRST_PAUSE_S, 0.0
        while True:
            try:
                found = await self._unless_stopped(attempt())
            except ExchangeAway as away:
                since_s = since_s or loop.time()
                left_s = self._left_s - (loop.time() - since_s)
                if left_s <= 0:
                    text = f"{away}; waited {self._limit_s:g} s (exchange.start_patience_s): start again later"
                    raise ExchangeAway(text, away.until_ms) from None
                self._tell(away, loop.time() - since_s, left_s)
                until_ms = away.until_ms
            else:
                if since_s:
                    self._goes_on(loop.time() - since_s)
                return found
            await self._unless_stopped(asyncio.sleep(min(left_s, self._pause_s(until_ms, pause_s))))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _pause_s(self, until_ms: int, pause_s: float) -> float:
        """Return how long nothing is asked: to the end of what the exchange said, or the pause of our own."""
        if not until_ms:
            return pause_s
        return max(0.0, (until_ms + _AFTER_MS - self._clock.now_ms()) / 1000)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. Raises StopAsked, and ends the work, as soon as a signal has come."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                self._signals.check()
                await asyncio.wait({task}, timeout=_LOOK_S)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_LET_GO_S)
        return task.result()

    def _goes_on(self, waited_s: float) -> None:
        self._left_s -= waited_s
        self._doing(STARTING)
        text = f"The exchange answers: the start goes on after {waited_s:.0f} s"
        self._log.emit("events", "INFO", "START_GOES_ON", text, waited_s=round(waited_s, 3))

    def _tell(self, away: ExchangeAway, waited_s: float, left_s: float) -> None:
        now_s = self._clock.now_ms() / 1000
        times = f"it waits since {_utc(now_s - waited_s)} and until {_utc(now_s + left_s)} at most"
        self._doing(mask(f"{STARTING}: {away}; {times}"))
        if str(away) in self._told:
            return
        self._told.add(str(away))
        text = f"{away}; the start waits for it, {self._limit_s:g} s at most (exchange.start_patience_s)"
        self._log.emit("events", "WARNING", "START_WAITS", text, until_ms=away.until_ms, at_most_s=self._limit_s)
        self._say(text)


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
