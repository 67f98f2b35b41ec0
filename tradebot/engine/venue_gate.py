"""May anything be bought at this venue just now, and what is done when that changes? Asked by the gates, and by the
engine for the venue's news of itself.

Exits go on as far as the venue lets them: a ban ends by its own time, and what came of exits in between slows them by
`exits.pause_ms`. When the venue is fit again, orders in doubt are asked for and exits are tried at once.
"""

from __future__ import annotations

from collections.abc import Callable

from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.venue_facts import DELISTED
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.exits import try_now


def shut_by_venue(desk: Desk) -> tuple[str, str, str] | None:
    """Return (gate, value, limit) where venue or clock let nothing be bought, None where they do."""
    venue, clock = desk.state.fences.venue, desk.state.fences.clock
    if rival := desk.state.drifts.rival:
        return "rival", f"run {rival} trades under our name", "nobody else"
    if venue.state != "up" and not (venue.state == "degraded" and desk.profile.fences.buy_when_degraded):
        return "venue", f"{venue.state}: {venue.reason}", "up"
    if clock.state == "wrong":
        return "clock", f"{clock.offset_ms} ms off", f"< {clock.limit_ms} ms"
    return None


def shut_for_symbol(desk: Desk, symbol: str) -> tuple[str, str, str] | None:
    """Return (gate, value, limit) where one symbol may not be bought: it is halted, or buying it keeps failing."""
    fences = desk.state.fences
    if (quarantine := fences.quarantine.get(symbol)) is not None:
        return "quarantine", quarantine.reason, "traded"
    if (item := desk.state.drifts.item_of(symbol)) is not None:
        return "drift", f"{item.missing:f} {item.asset} missing", "settled"
    if (trouble := fences.stopped("buy", symbol)) is not None:
        return "breaker", trouble.cause, "rearmed"
    return None


class VenueGate:
    """Takes the venue's news of itself; each change is told once, with its reason.

    `ask_again` asks for every order in doubt at once; `returned` takes back what failed while it was not fit.
    """

    def __init__(self, desk: Desk, ask_again: Callable[[], None], returned: Callable[[], None]) -> None:
        self.desk = desk
        self._ask_again = ask_again
        self._returned = returned

    def on_venue(self, event: e.VenueStateSeen) -> None:
        """Take the venue's state; nothing where it is what is known."""
        desk, known = self.desk, self.desk.state.fences.venue
        if (event.state, event.until_ms) == (known.state, known.until_ms):
            return
        desk.emit(
            f.VenueStateChanged(
                state=event.state,
                previous=known.state,
                reason=event.reason,
                until_ms=event.until_ms,
                generation=desk.state.generation,
            )
        )
        if event.state == "up":
            self._ask_again()
            self._returned()
            for name in desk.state.ledger.positions:
                self._try_exit(name)

    def on_clock(self, event: e.ClockSeen) -> None:
        """Take the verdict on the clock; nothing where it is what is known."""
        desk, known = self.desk, self.desk.state.fences.clock
        if event.state == known.state:
            return
        desk.emit(
            f.ClockJudged(
                state=event.state,
                previous=known.state,
                offset_ms=event.offset_ms,
                limit_ms=event.limit_ms,
                generation=desk.state.generation,
            )
        )

    def on_symbol(self, event: e.SymbolStatusSeen) -> None:
        """Put a symbol that is not traded into quarantine, and take one that is out of it."""
        desk, generation = self.desk, self.desk.state.generation
        symbol = desk.symbols.get(event.symbol)
        known = desk.state.fences.quarantine.get(event.symbol)
        if event.tradable and known is not None:
            desk.emit(f.SymbolReleased(symbol=event.symbol, reason=event.reason, generation=generation))
            if symbol is not None:
                desk.wake(symbol)
                self._try_exit(event.symbol)
        elif (
            not event.tradable
            and symbol is not None
            and (known is None or (event.reason == DELISTED and known.reason != DELISTED))
        ):
            desk.emit(f.SymbolQuarantined(symbol=event.symbol, reason=event.reason, generation=generation))

    def _try_exit(self, name: str) -> None:
        """Let an exit that waits be tried now."""
        symbol: SymbolState | None = self.desk.symbols.get(name)
        if symbol is not None and symbol.exit_wait_ms and name not in self.desk.state.by_symbol:
            try_now(self.desk, symbol)
