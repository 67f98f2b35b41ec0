"""May another request leave? The exchange's own counts and bans; asked before every request over REST.

Limits belong to the address that asks, so all instances that speak to one exchange share one budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradebot.domain.errors import TradebotError
from tradebot.ports import Clock

MINUTE_MS: Final = 60_000
USED_WEIGHT: Final = "x-mbx-used-weight-1m"
RETRY_AFTER: Final = "retry-after"

_POLLING_SHARE: Final = 0.8  # the rest of the minute's weight is kept for trading
_PAUSE_MS: Final = 5_000  # a 429 that names no time
_BAN_MS: Final = 120_000  # the shortest ban Binance documents, where a 418 names no time
_LONGEST_MS: Final = 3 * 86_400_000  # the longest it documents


class HeldBack(TradebotError):
    """A request was not sent, since the exchange wants none before `until_ms` (our clock)."""

    def __init__(self, why: str, until_ms: int) -> None:
        super().__init__(why)
        self.until_ms = until_ms


class Budget:
    """Counts what the exchange says is used, and holds requests back while it must.

    A ban (418) and a Retry-After (429) hold back everything; weight that is nearly used holds back what can wait.
    Source: Binance's REST limits, X-MBX-USED-WEIGHT-1M, Retry-After in seconds, bans of 2 minutes to 3 days.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = -1
        self.limit = 0
        """Request weight a minute; 0 while the exchange has told none."""
        self.used = 0
        """Request weight used in the minute of the last answer."""
        self.closed_until_ms = 0
        """Until when nothing may be sent."""
        self.banned = False
        """Whether the last word was a ban."""
        self.held_back = 0
        """Requests that were not sent."""

    def admit(self, *, urgent: bool) -> None:
        """Let a request leave. Raises HeldBack; `urgent` ones wait for bans and Retry-After only."""
        now = self._clock.now_ms()
        if now < self.closed_until_ms:
            self.held_back += 1
            why = "banned by the exchange" if self.banned else "the exchange asked for a pause"
            raise HeldBack(f"{why} for {(self.closed_until_ms - now) / 1000:.1f} s more", self.closed_until_ms)
        if urgent or not self.limit or now // MINUTE_MS != self._minute or self.used < self.limit * _POLLING_SHARE:
            return
        self.held_back += 1
        raise HeldBack(f"{self.used} of {self.limit} request weight is used", (self._minute + 1) * MINUTE_MS)

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Take an answer's status and headers (any case of their names)."""
        named = {name.lower(): value for name, value in headers.items()}
        now = self._clock.now_ms()
        used = named.get(USED_WEIGHT, "")
        if used.isdecimal():
            self.used, self._minute = int(used), now // MINUTE_MS
        if status in {418, 429}:
            wait = _seconds_ms(named.get(RETRY_AFTER, "")) or (_BAN_MS if status == 418 else _PAUSE_MS)
            self.closed_until_ms = max(self.closed_until_ms, now + min(wait, _LONGEST_MS))
            self.banned = status == 418

    def note_limits(self, limits: Sequence[Any]) -> None:
        """Take `rateLimits` of exchangeInfo; other limits than request weight a minute are the exchange's own."""
        for each in limits:
            if not isinstance(each, Mapping) or each.get("rateLimitType") != "REQUEST_WEIGHT":
                continue
            if each.get("interval") == "MINUTE" and each.get("intervalNum") == 1 and isinstance(each.get("limit"), int):
                self.limit = each["limit"]


def _seconds_ms(text: str) -> int:
    try:
        return max(0, round(float(text) * 1000))
    except (ValueError, OverflowError):
        return 0
