"""Is the exchange fit to trade on? Judged by its own answers alone; asked by the venue, which tells the engine.

What proves that it works is any whole answer, a refusal too; what proves the contrary is a request without one, a
status of 5xx, or a page where an answer should be. It is fit again by answers only, never by time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tradebot.config.sections.exchange_health import Health as Settings
from tradebot.domain.venue_facts import VenueState
from tradebot.exchange.budget import Budget
from tradebot.exchange.evidence import chain, evidence_of
from tradebot.ports import Clock

MAINTENANCE: Final = frozenset({"-1008", "-1016"})
"""Binance's codes of a server that takes no work: overloaded, shutting down."""

_ON_MAINTENANCE: Final = "OnMaintenance"
"""ccxt's class of what other exchanges say of it."""


class Verdict(Struct, frozen=True):
    """What the exchange is, why, and until when it lets nobody ask (0 where it does not say)."""

    state: VenueState
    reason: str
    until_ms: int = 0


class Health:
    """Counts answers and failures, and tells every change of the verdict."""

    def __init__(self, settings: Settings, budget: Budget, clock: Clock, tell: Callable[[Verdict], None]) -> None:
        self._settings = settings
        self._budget = budget
        self._clock = clock
        self._tell = tell
        self._failures = 0
        self._answers = 0
        self._maintenance = False
        self._words = ""
        self._uncompared = 0
        self._fault = ""
        self._stream_lost_ms = 0
        self._answered_ms = 0
        self._unguarded = ""
        self.verdict = Verdict("up", "it answers")

    def fate(self, error: BaseException | None) -> None:
        """Take what became of a request: the error it raised, None where it was answered."""
        if error is not None and (words := _failure(error)):
            self._failures += 1
            self._answers = 0
            self._words = words
            self._maintenance = _closed(error)
        else:
            self._answers += 1
            self._answered_ms = self._clock.now_ms()
            if self.verdict.state == "up" or self._answers >= self._settings.up_after:
                self._failures = 0
        self.judge()

    def compared(self, fault: str) -> None:
        """Take how a comparison of orders ended: why it could not be finished, "" where it was."""
        self._uncompared = self._uncompared + 1 if fault else 0
        self._fault = fault
        self.judge()

    def stream(self, *, up: bool) -> None:
        """Take whether the exchange tells of own orders by itself."""
        if up:
            self._stream_lost_ms = 0
        elif not self._stream_lost_ms:
            self._stream_lost_ms = self._clock.now_ms()
        self.judge()

    def unguarded(self, why: str) -> None:
        """Take why orders that should be guarded by a dead man's switch are not, "" as soon as they are."""
        self._unguarded = why
        self.judge()

    def judge(self) -> None:
        """Tell the verdict where it is another one: to be called from time to time, since bans of others count."""
        found, known = self._found(), self.verdict
        if (found.state, found.until_ms) != (known.state, known.until_ms):
            self.verdict = found
            self._tell(found)

    def _found(self) -> Verdict:
        now, settings, words = self._clock.now_ms(), self._settings, f"{self._failures} failures, {self._words}"
        until_ms, state = self._budget.closed_until_ms, self.verdict.state
        if until_ms > now:
            if self._budget.banned:
                return Verdict("banned", "this address is banned from asking", until_ms)
            return Verdict("degraded", "it asked for a pause", until_ms)
        if state == "banned" and self._answered_ms <= self.verdict.until_ms:
            return self.verdict  # the ban is over by time, not yet by an answer
        if self._failures >= settings.degraded_after and self._maintenance:
            return Verdict("maintenance", words)
        if self._failures >= settings.down_after:
            return Verdict("down", words)
        if self._unguarded:
            return Verdict("down", self._unguarded)
        if self._failures >= settings.degraded_after:
            return Verdict("degraded", words)
        return self._lesser(now)

    def _lesser(self, now: int) -> Verdict:
        """Return the verdict of an exchange that answers."""
        if self._uncompared >= self._settings.degraded_after:
            return Verdict("degraded", f"orders cannot be compared: {self._fault}")
        if self._stream_lost_ms and now - self._stream_lost_ms >= self._settings.stream_grace_s * 1000:
            return Verdict("degraded", "it tells of own orders no more, they are asked for")
        spent_ms = self._budget.orders_spent_until_ms()
        if spent_ms > now:
            return Verdict("degraded", "the account's number of orders is used up", spent_ms)
        if self.verdict.state == "degraded" and self.verdict.until_ms and self._answered_ms <= self.verdict.until_ms:
            return self.verdict  # a pause is over by time, not yet by an answer
        return Verdict("up", "it answers")


def _failure(error: BaseException) -> str:
    """Return in words why a request proves that the exchange does not work, "" where it proves that it does.

    418 and 429 are told by the budget.
    """
    evidence = evidence_of(error)
    if evidence is None:
        return " from ".join(dict.fromkeys(type(each).__name__ for each in chain(error)))
    if evidence.http_status in {418, 429}:
        return ""
    if evidence.http_status >= 500 or evidence.http_status == 408 or not evidence.readable or _closed(error):
        return f"HTTP {evidence.http_status}{f', code {evidence.venue_code}' if evidence.venue_code else ''}"
    return ""


def _closed(error: BaseException) -> bool:
    evidence = evidence_of(error)
    code = evidence.venue_code if evidence is not None else ""
    return code in MAINTENANCE or any(one.__name__ == _ON_MAINTENANCE for one in type(error).__mro__)
