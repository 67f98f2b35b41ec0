"""Does an operator hold buying back, or want nothing held? Asked by the engine, for every such word and after facts."""

from __future__ import annotations

from collections.abc import Callable

from tradebot.domain.events import FlattenAsked, PauseAsked, ResumeAsked
from tradebot.domain.facts import BuyingPaused, BuyingResumed, FlattenBegun, FlattenDone
from tradebot.engine.desk import Desk
from tradebot.engine.exits import FLATTEN, try_now
from tradebot.engine.router import Router

NOBODY = "an operator"


class Halt:
    """Pauses buying, lets it go on, and sells everything off.

    Paused, a buy under way finishes the order it has and places no other. Flattening, every buy is cancelled and every
    position sold, again and again, whatever the exit rules say; it survives a restart and ends with the last position,
    or when buying is resumed.
    """

    def __init__(self, desk: Desk, router: Router, renew: Callable[[], None]) -> None:
        self.desk = desk
        self.router = router
        self._renew = renew  # lets the parts and every symbol's levels follow the state

    def on_pause(self, event: PauseAsked) -> None:
        """Buy nothing from here on."""
        state = self.desk.state
        if not state.paused:
            self.desk.emit(BuyingPaused(who=event.who or NOBODY, generation=state.generation))

    def on_resume(self, event: ResumeAsked) -> None:
        """Buy again; what is still held stays, and an exit that only sold off is ended."""
        state = self.desk.state
        if not state.paused:
            return
        flattening = state.flattening
        kept = tuple(state.ledger.positions) if flattening else ()
        self.desk.emit(BuyingResumed(who=event.who or NOBODY, kept=kept, generation=state.generation))
        if flattening:
            self._renew()
            for intent in list(state.intents.values()):
                if intent.reason == FLATTEN:
                    self.router.stop(intent, "resumed")

    def on_flatten(self, event: FlattenAsked) -> None:
        """Pause, end every buy under way, and sell every position."""
        state = self.desk.state
        if state.flattening:
            return
        self.on_pause(PauseAsked(who=event.who, at_ms=event.at_ms))
        positions = tuple(state.ledger.positions)
        self.desk.emit(FlattenBegun(who=event.who or NOBODY, positions=positions, generation=state.generation))
        self._renew()
        self.go_on()

    def go_on(self) -> None:
        """End the buys under way and look at every position now: at the beginning, and after a restart."""
        state = self.desk.state
        for intent in list(state.buying()):
            if not intent.ending:
                self.router.stop(intent, FLATTEN)
        for name in state.ledger.positions:
            symbol = self.desk.symbols.get(name)
            if symbol is not None and name not in state.by_symbol:
                try_now(self.desk, symbol)

    def follow(self) -> None:
        """Tell the end of a flattening once nothing is held nor under way."""
        state = self.desk.state
        if state.trading and not state.ledger.positions and not state.intents and not state.orders:
            self.desk.emit(FlattenDone(generation=state.generation))
            self._renew()
