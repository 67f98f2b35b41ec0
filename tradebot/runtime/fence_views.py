"""What is shown of the fences towards the venue? Frozen copies; asked by the views, the console and the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tradebot.domain.errors import StorageFailed
from tradebot.domain.fence_words import fence_rows
from tradebot.domain.views import HaltedView, StoppedView, VenueView
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.fences import Fences, Trouble
from tradebot.engine.venue_gate import shut_by_venue


class Writing(Protocol):
    """What is looked at of a journal."""

    @property
    def failed(self) -> StorageFailed | None:
        """Why it cannot be written at present."""
        ...


def fence_lines(fences: Fences, symbols: Mapping[str, SymbolState], now_ms: int) -> tuple[str, ...]:
    """Return a line each of what holds trading back; `symbols` are those that are watched."""
    rows = fence_rows(venue_view(fences), halted_view(fences), stopped_view(fences, symbols), now_ms)
    return tuple(f"{head} {text}" for head, text in rows)


def journal_failed(journal: Writing) -> str:
    """Return why the journal cannot be written just now, "" where it can."""
    return str(journal.failed or "")


def buying_held(desk: Desk, failed: str) -> str:
    """Return what holds every buy back beside toggle and pause, "" where nothing does; `failed` as `journal_failed`."""
    if failed:
        return "the journal cannot be written"
    shut = shut_by_venue(desk)
    if shut is None:
        return ""
    gate, value, _ = shut
    return {"venue": f"the venue is {value.partition(':')[0]}", "clock": f"the clock is {value}"}.get(gate, value)


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


def stopped_view(fences: Fences, symbols: Mapping[str, SymbolState]) -> tuple[StoppedView, ...]:
    """Return what is stopped or slowed since it kept failing; `symbols` are those that are watched."""
    return tuple(
        StoppedView(
            action=one.action,
            symbol=one.symbol,
            cause=one.cause,
            failures=len(one.times),
            until_ms=_tried_ms(one, symbols),
        )
        for _, one in sorted(fences.troubles.items())
        if one.until_ms
    )


def _tried_ms(trouble: Trouble, symbols: Mapping[str, SymbolState]) -> int:
    """Return when it is truly tried again, 0 where nothing but its occasion is waited for."""
    if trouble.action == "buy":
        return trouble.until_ms
    symbol = symbols.get(trouble.symbol)
    return symbol.exit_wait_ms if symbol is not None and trouble.action == "exit" else 0
