"""What has held trading back at the venue? Facts of its state, clock, halted symbols and breakers; asked by `facts`."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from tradebot.domain.fact import Fact, Level, Stream

VenueState = Literal["up", "degraded", "down", "banned", "maintenance"]
"""Fit to trade; answering badly; not answering; refusing this address for a time; closed by its own word."""

ClockState = Literal["right", "off", "wrong"]
"""Near the venue's clock, off enough to warn, too far off to buy."""

Action = Literal["buy", "exit", "cancel"]
"""What a breaker stops or slows for one symbol."""

LEVELS: Final[dict[VenueState | ClockState | Action, Level]] = {
    "degraded": "WARNING",
    "down": "ERROR",
    "banned": "ERROR",
    "maintenance": "WARNING",
    "off": "WARNING",
    "wrong": "ERROR",
    "buy": "WARNING",
    "exit": "ERROR",
    "cancel": "ERROR",
}
"""How loud each is told; what is not named is INFO."""


DELISTED: Final = "delisted"
"""The reason of a quarantine that no waiting ends: the venue does not know the symbol any more."""


class VenueStateChanged(Fact, frozen=True):
    """The venue came into another state; `until_ms` is when it lets us ask again, 0 where it does not say."""

    event_type: ClassVar[str] = "VENUE_STATE_CHANGED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "venue_state_changes"

    state: VenueState
    previous: VenueState
    reason: str
    until_ms: int = 0
    generation: int = 0


class ClockJudged(Fact, frozen=True):
    """Our clock came nearer to the venue's or went farther off than `limit_ms`; `offset_ms` is ours minus its."""

    event_type: ClassVar[str] = "CLOCK_JUDGED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "clock_judgements"

    state: ClockState
    previous: ClockState
    offset_ms: int
    limit_ms: int
    generation: int = 0


class SymbolQuarantined(Fact, frozen=True):
    """The venue does not trade a symbol any more: it is not bought, its exits are tried slowly, others go on."""

    event_type: ClassVar[str] = "SYMBOL_QUARANTINED"
    level: ClassVar[Level] = "WARNING"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "symbols_quarantined"

    symbol: str
    reason: str
    generation: int = 0


class SymbolReleased(Fact, frozen=True):
    """The venue trades a symbol again."""

    event_type: ClassVar[str] = "SYMBOL_RELEASED"
    stream: ClassVar[Stream] = "events"

    symbol: str
    reason: str
    generation: int = 0


class BreakerTripped(Fact, frozen=True):
    """The same action failed for the same cause too often: buys stop until `until_ms`, exits and cancels slow down."""

    event_type: ClassVar[str] = "BREAKER_TRIPPED"
    stream: ClassVar[Stream] = "events"
    metric: ClassVar[str] = "breakers_tripped"

    action: Action
    symbol: str
    cause: str
    count: int
    until_ms: int
    generation: int = 0


class BreakerRearmed(Fact, frozen=True):
    """An action may be tried again, since its time has passed or somebody asked for it."""

    event_type: ClassVar[str] = "BREAKER_REARMED"
    stream: ClassVar[Stream] = "events"

    action: Action
    symbol: str
    who: str
    generation: int = 0


def loudness(fact: Fact) -> Level:
    """Return how loud a fact of this page is told; any other as its kind."""
    if isinstance(fact, VenueStateChanged | ClockJudged):
        return LEVELS.get(fact.state, "INFO")
    if isinstance(fact, BreakerTripped):
        return LEVELS[fact.action]
    return fact.level
