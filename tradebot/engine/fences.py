"""What is known of the venue that holds trading back? A part of the state, changed by facts; asked by the gates.

A trouble is an action of a symbol that failed for one cause, again and again; anything else that comes of the action
ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, field

from tradebot.domain import facts as f
from tradebot.domain.orders import NOT_NOW, Side
from tradebot.domain.venue_facts import Action, ClockState, VenueState

MOST_FAILURES: Final = 100
"""So many times of failures are kept of one trouble: `fences.failures` is never more."""

NOT_ARRIVED: Final = "never reached the venue"
"""The cause of orders that prove absent."""

_LONGEST_CAUSE: Final = 120


class VenueCondition(Struct):
    """How fit the venue is, since when, and until when it lets nobody ask (0 where it does not say)."""

    state: VenueState = "up"
    reason: str = ""
    since_ms: int = 0
    until_ms: int = 0


class Clock(Struct):
    """How our clock compares to the venue's, as last judged; `offset_ms` is ours minus its."""

    state: ClockState = "right"
    offset_ms: int = 0
    limit_ms: int = 0


class Quarantine(Struct, frozen=True):
    """Why a symbol is not traded, and since when."""

    reason: str
    since_ms: int


class Trouble(Struct):
    """One action of a symbol that fails: the cause, when it failed, and until when it is stopped, 0 while it is not."""

    action: Action
    symbol: str
    cause: str
    times: list[int] = field(default_factory=list)
    until_ms: int = 0


class Fences(Struct):
    """All of it."""

    venue: VenueCondition = field(default_factory=VenueCondition)
    clock: Clock = field(default_factory=Clock)
    quarantine: dict[str, Quarantine] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)  # by `key_of`

    def trouble(self, action: Action, symbol: str) -> Trouble | None:
        """Return the trouble of an action, None where it has none."""
        return self.troubles.get(key_of(action, symbol))

    def stopped(self, action: Action, symbol: str) -> Trouble | None:
        """Return the trouble that stops an action, None where it may be tried."""
        found = self.troubles.get(key_of(action, symbol))
        return found if found is not None and found.until_ms else None


def key_of(action: Action, symbol: str) -> str:
    """Return the name under which an action of a symbol is kept."""
    return f"{action} {symbol}"


def action_of(side: Side) -> Action:
    """Return what an order of this side is an attempt of."""
    return "buy" if side is Side.BUY else "exit"


def cause_of(code: str, message: str) -> str:
    """Return what two failures for the same cause have in common: numbers in the venue's words differ."""
    words = "".join("#" if letter.isdigit() else letter for letter in message)
    while "##" in words:
        words = words.replace("##", "#")
    return f"{code} {words}".strip()[:_LONGEST_CAUSE]


def _failed(fences: Fences, action: Action, symbol: str, cause: str, at_ms: int) -> None:
    key = key_of(action, symbol)
    trouble = fences.troubles.get(key)
    if trouble is None or (trouble.cause != cause and not trouble.until_ms):
        fences.troubles[key] = trouble = Trouble(action, symbol, cause)
    trouble.times.append(at_ms)
    del trouble.times[:-MOST_FAILURES]


def _went_well(fences: Fences, action: Action, symbol: str) -> None:
    trouble = fences.troubles.get(key_of(action, symbol))
    if trouble is not None and not trouble.until_ms:
        del fences.troubles[key_of(action, symbol)]


def _rejected(fences: Fences, fact: f.OrderRejected, at_ms: int) -> bool:
    if fact.code not in NOT_NOW:
        _failed(fences, action_of(fact.side), fact.symbol, cause_of(fact.code, fact.message), at_ms)
    return False


def _cancel_failed(fences: Fences, fact: f.CancelFailed, at_ms: int) -> bool:
    _failed(fences, "cancel", fact.symbol, cause_of(fact.code, fact.message), at_ms)
    return False


def _filled(fences: Fences, fact: f.OrderFilled, at_ms: int) -> bool:
    _went_well(fences, action_of(fact.side), fact.symbol)
    return False


def _done(fences: Fences, fact: f.OrderDone, at_ms: int) -> bool:
    if fact.outcome == "absent":
        _failed(fences, action_of(fact.side), fact.symbol, NOT_ARRIVED, at_ms)
        return False
    _went_well(fences, action_of(fact.side), fact.symbol)
    _went_well(fences, "cancel", fact.symbol)
    return False


def _venue_changed(fences: Fences, fact: f.VenueStateChanged, at_ms: int) -> bool:
    since_ms = fences.venue.since_ms if fact.state == fact.previous else at_ms
    fences.venue = VenueCondition(fact.state, fact.reason, since_ms, fact.until_ms)
    return True


def _clock_judged(fences: Fences, fact: f.ClockJudged, at_ms: int) -> bool:
    fences.clock = Clock(fact.state, fact.offset_ms, fact.limit_ms)
    return True


def _quarantined(fences: Fences, fact: f.SymbolQuarantined, at_ms: int) -> bool:
    fences.quarantine[fact.symbol] = Quarantine(fact.reason, at_ms)
    return False


def _released(fences: Fences, fact: f.SymbolReleased, at_ms: int) -> bool:
    fences.quarantine.pop(fact.symbol, None)
    return False


def _tripped(fences: Fences, fact: f.BreakerTripped, at_ms: int) -> bool:
    key = key_of(fact.action, fact.symbol)
    trouble = fences.troubles.setdefault(key, Trouble(fact.action, fact.symbol, fact.cause))
    trouble.until_ms = fact.until_ms
    return False


def _rearmed(fences: Fences, fact: f.BreakerRearmed, at_ms: int) -> bool:
    fences.troubles.pop(key_of(fact.action, fact.symbol), None)
    return False


RULES: Final[dict[type[f.Fact], Callable[[Fences, Any, int], bool]]] = {
    f.OrderRejected: _rejected,
    f.CancelFailed: _cancel_failed,
    f.OrderFilled: _filled,
    f.OrderDone: _done,
    f.VenueStateChanged: _venue_changed,
    f.ClockJudged: _clock_judged,
    f.SymbolQuarantined: _quarantined,
    f.SymbolReleased: _released,
    f.BreakerTripped: _tripped,
    f.BreakerRearmed: _rearmed,
}
"""How each fact changes the fences; a rule returns whether a gate that is common to all symbols may have opened."""
