"""Who keeps the exchange's dead man's switch from falling? One task, as long as the engine lives; asked by the run.

It is renewed every third of its time, each time only after the engine has shown life: a bot that hangs lets it fall.
From the moment it may have fallen, nothing is bought until it stands again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tradebot.config.sections.exchange import Exchange
from tradebot.exchange.dead_man import DeadMan
from tradebot.exchange.outcomes import Failure, Unknown
from tradebot.exchange.requests import Requests
from tradebot.ports import Log
from tradebot.venues.ccxt_lookups import cause_of

FIRST_PAUSE_S: Final = 0.5
SILENT: Final = "the engine shows no life"

Lives = Callable[[], Awaitable[bool]]
"""Returns True after the engine's next cycle, False where there will be none."""


class DeadMansSwitch:
    """Arms, renews and disarms the switch of one exchange.

    `send` asks for so many ms (0 ends it) and returns None where that is done. `unguarded` is told why the orders are
    not guarded, "" as soon as they are. `words` say what the exchange does when it falls.
    """

    def __init__(
        self,
        seconds: int,
        send: Callable[[int], Awaitable[Failure | None]],
        unguarded: Callable[[str], None],
        log: Log,
        words: str,
    ) -> None:
        self._seconds = seconds
        self._send = send
        self._unguarded = unguarded
        self._log = log
        self._words = words
        self._fall: asyncio.TimerHandle | None = None
        self._failures = 0
        self._cause = ""
        self._over = False
        self._perhaps = False  # whether a request to set it may have had its effect
        self._heard = asyncio.Event()
        self._heard.set()
        self.armed = False
        """Whether it was set in this run and was not ended since."""
        self.fallen = False
        """Whether the orders may be unguarded."""
        self.renewals = 0
        """How often it was set."""

    async def keep(self, lives: Lives) -> None:
        """Arm it and renew it until cancelled; once it was ended, it is set no more."""
        third, loop = self._seconds / 3, asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                alive = await _within(third, lives)
                if alive is False or self._over:  # the engine has ended, or the switch has: nobody may renew it
                    await asyncio.Event().wait()
                self._cause = await self._renew(third) if alive else SILENT
                if self._over:
                    continue
                if not self._cause:
                    self._stands()
                    wait_s = began + third - loop.time()
                else:
                    self._failures += 1
                    wait_s = min(third, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))
                    self._fails(wait_s)
                await asyncio.sleep(max(0.0, wait_s))
        finally:
            self._end_timer()

    async def disarm(self, within_s: float) -> None:
        """End it for good, so that the orders that are left stay; what cannot be ended in time is told."""
        self._over = True
        if not self._heard.is_set():  # a renewal that arrived after the end would set it again
            loop = asyncio.get_running_loop()
            began = loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), within_s / 2)
            within_s -= loop.time() - began
        self._end_timer()
        if not self._perhaps:
            return
        why = await self._ask(0, within_s)
        if why:
            text = f"the dead man's switch could not be ended, {self._words} within {self._seconds} s: {why}"
            self._log.emit("orders", "ERROR", "DEAD_MAN_NOT_DISARMED", text, cause=why)
        else:
            self.armed = self._perhaps = False
            self._log.emit("orders", "INFO", "DEAD_MAN_DISARMED", "the dead man's switch is ended: orders stay")

    async def _renew(self, within_s: float) -> str:
        """Set it; return why that is not known to be done, "" where it is."""
        self._heard.clear()
        try:
            return await self._ask(self._seconds * 1000, within_s)
        finally:
            self._heard.set()

    async def _ask(self, milliseconds: int, within_s: float) -> str:
        loop = asyncio.get_running_loop()
        left_s = loop.time()
        stood, self._perhaps = self._perhaps, True
        try:
            async with asyncio.timeout(within_s):
                failure = await self._send(milliseconds)
        except TimeoutError:
            return f"no answer within {within_s:.1f} s"
        if failure is not None:
            self._perhaps = stood or isinstance(failure, Unknown)
            return cause_of(failure)
        if milliseconds:  # it counts from when the request left: the exchange may have taken it at once
            self._end_timer()
            self._fall = loop.call_at(left_s + self._seconds, self._falls)
        return ""

    def _stands(self) -> None:
        if not self.armed:
            text = f"dead man's switch armed: {self._words} where it hears nothing for {self._seconds} s"
            self._log.emit("orders", "INFO", "DEAD_MAN_ARMED", text, seconds=self._seconds)
        elif self._failures:
            text = f"dead man's switch renewed after {self._failures} failures"
            self._log.emit("orders", "INFO", "DEAD_MAN_RENEWED", text, failures=self._failures)
        self.armed, self.fallen = True, False
        self._failures = 0
        self.renewals += 1
        self._unguarded("")

    def _fails(self, wait_s: float) -> None:
        text = f"dead man's switch not renewed ({self._cause}), again in {wait_s:.1f} s"
        if self._fall is not None and not self.fallen:
            text += f"; it falls in {self._fall.when() - asyncio.get_running_loop().time():.1f} s"
        self._log.emit("orders", "WARNING", "DEAD_MAN_NOT_RENEWED", text, cause=self._cause, failures=self._failures)
        if not self.armed:
            self._falls()

    def _falls(self) -> None:
        """Note that it may have fallen, or never stood."""
        if self.fallen:
            return
        self.fallen = True
        what = "may have fallen" if self.armed else "is not armed"
        cause = self._cause or "no answer yet"
        text = f"the dead man's switch {what}, nothing is bought: {cause}"
        self._log.emit("orders", "ERROR", "DEAD_MAN_FALLEN", text, cause=cause)
        self._unguarded(f"the dead man's switch {what}: {cause}")

    def _end_timer(self) -> None:
        if self._fall is not None:
            self._fall.cancel()
            self._fall = None


async def _within(limit_s: float, lives: Lives) -> bool | None:
    """Return what `lives` says, None where it says nothing in time."""
    try:
        async with asyncio.timeout(limit_s):
            return await lives()
    except TimeoutError:
        return None


def switch_of(
    guard: DeadMan | None, settings: Exchange, requests: Requests, unguarded: Callable[[str], None], log: Log
) -> DeadMansSwitch | None:
    """Return what keeps the switch `guard` by the profile's settings, None where the profile asks for none."""
    if guard is None:
        return None
    armed, words = guard.armed, f"{settings.name} cancels {guard.cancels}"
    return DeadMansSwitch(
        settings.dead_man_s, lambda after_ms: requests.cancel_all_after(after_ms, armed), unguarded, log, words
    )
