"""What is shown of the fences towards the venue? Frozen copies; asked by the views, the console and the operator."""

from __future__ import annotations

from tradebot.domain.fence_words import fence_rows
from tradebot.domain.views import HaltedView, StoppedView, VenueView
from tradebot.engine.fences import Fences


def fence_lines(fences: Fences, now_ms: int) -> tuple[str, ...]:
    """Return a line each of what holds trading back."""
    rows = fence_rows(venue_view(fences), halted_view(fences), stopped_view(fences), now_ms)
    return tuple(f"{head} {text}" for head, text in rows)


def venue_view(fences: Fences) -> VenueView:
    """Return how fit the venue is."""
    venue, clock = fences.venue, fences.clock
    return VenueView(
        state=venue.state,
        reason=venue.reason,
        since_ms=venue.since_ms,
        until_ms=venue.until_ms,
        clock=clock.state,
        clock_offset_ms=clock.offset_ms,
    )


def halted_view(fences: Fences) -> tuple[HaltedView, ...]:
    """Return the symbols that the venue does not trade."""
    return tuple(
        HaltedView(symbol=name, reason=one.reason, since_ms=one.since_ms)
        for name, one in sorted(fences.quarantine.items())
    )


def stopped_view(fences: Fences) -> tuple[StoppedView, ...]:
    """Return what is stopped or slowed since it kept failing."""
    return tuple(
        StoppedView(
            action=one.action, symbol=one.symbol, cause=one.cause, failures=len(one.times), until_ms=one.until_ms
        )
        for _, one in sorted(fences.troubles.items())
        if one.until_ms
    )
