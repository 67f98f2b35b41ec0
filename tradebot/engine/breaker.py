"""Is an action repeated of which nothing comes? Asked by the router at every failure.

A buy of a symbol that keeps failing for one cause is stopped until its time has passed or somebody rearms it. What
protects is never stopped: the attempts of an exit grow rarer, down to one in `fences.exit_pause_max_s`, those of a
cancel by the pauses between queries; and each `fences.rearm_s` it is told as an error anew: a stop loss that cannot be
placed is to be seen. A success ends it, and so does the return of a venue that was not fit.
"""

from __future__ import annotations

from tradebot.domain import facts as f
from tradebot.domain.events import RearmAsked
from tradebot.domain.numbers import ms
from tradebot.domain.venue_facts import Action
from tradebot.engine.desk import Desk
from tradebot.engine.exits import try_now
from tradebot.engine.fences import NOT_ARRIVED, Trouble, key_of

REARM = "rearm"
NOBODY = "an operator"


class Breaker:
    """Counts failures of the same kind, and stops what is beyond the limit; what is counted is in the state."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def on_rearm(self, event: RearmAsked) -> None:
        """Let what is stopped of a symbol be tried again, of all symbols where it names none."""
        for trouble in list(self.desk.state.fences.troubles.values()):
            if event.symbol in {"", trouble.symbol}:
                self._rearm(trouble, event.who or NOBODY)

    def on_due(self, key: str) -> None:
        """Let a stopped action be tried again whose time has passed; an outdated deadline is nothing."""
        trouble = self.desk.state.fences.troubles.get(key)
        if trouble is not None and 0 < trouble.until_ms <= self.desk.now:
            self._rearm(trouble, "time")

    def retune(self) -> None:
        """Set the deadline of everything that is stopped."""
        for key, trouble in self.desk.state.fences.troubles.items():
            if trouble.until_ms:
                self.desk.remind(trouble.until_ms, REARM, key)

    def went_well(self, action: Action, symbol: str) -> None:
        """Take back what slows or stops an action of which something has come."""
        trouble = self.desk.state.fences.stopped(action, symbol)
        if trouble is not None:
            self._rearm(trouble, "its success")

    def venue_is_up(self) -> None:
        """Take back what slows exits and cancels, and what stops buys that did not arrive: the venue has come back."""
        for trouble in list(self.desk.state.fences.troubles.values()):
            if trouble.until_ms and (trouble.action != "buy" or trouble.cause == NOT_ARRIVED):
                self._rearm(trouble, "the venue's return")

    def look(self, action: Action, symbol: str) -> None:
        """Stop an action that has just failed where that was once too often."""
        desk, settings = self.desk, self.desk.profile.fences
        trouble = desk.state.fences.trouble(action, symbol)
        if trouble is None or trouble.until_ms:
            return
        oldest_ms = desk.now - ms(settings.failures_window_s)
        recent = sum(1 for at_ms in trouble.times if at_ms >= oldest_ms)
        if recent < settings.failures:
            return
        until_ms = desk.now + ms(settings.rearm_s)
        desk.emit(
            f.BreakerTripped(
                action=trouble.action,
                symbol=trouble.symbol,
                cause=trouble.cause,
                count=recent,
                until_ms=until_ms,
                generation=desk.state.generation,
            )
        )
        desk.remind(until_ms, REARM, key_of(action, symbol))

    def _rearm(self, trouble: Trouble, who: str) -> None:
        desk = self.desk
        desk.emit(
            f.BreakerRearmed(action=trouble.action, symbol=trouble.symbol, who=who, generation=desk.state.generation)
        )
        symbol = desk.symbols.get(trouble.symbol)
        if symbol is None:
            return
        if trouble.action == "exit" and symbol.exit_wait_ms and trouble.symbol not in desk.state.by_symbol:
            try_now(desk, symbol)
        elif trouble.action == "buy":
            desk.wake(symbol)
