"""What follows from facts? Exit levels, waits, bands, the end of positions; asked after every event that told any."""

from __future__ import annotations

from decimal import Decimal

from tradebot.domain import facts as f
from tradebot.domain.numbers import EXACT, ROUGH, ZERO, bps_down, ms
from tradebot.domain.orders import Position, Side
from tradebot.engine import band
from tradebot.engine.budget import Budget
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.exits import RETRY, clear, sellable
from tradebot.engine.parts import Parts


class FollowUp:
    """Lets symbols, deadlines and budget follow what has just been told."""

    def __init__(self, desk: Desk, budget: Budget, parts: Parts) -> None:
        self.desk = desk
        self.budget = budget
        self.parts = parts

    def run(self) -> None:
        """Go through the facts of this event; facts told here are followed up too."""
        desk = self.desk
        seen = 0
        touched: dict[str, None] = {}
        while seen < len(desk.facts):
            fact = desk.facts[seen]
            seen += 1
            if isinstance(fact, f.OrderFilled):
                touched[fact.symbol] = None
                self.budget.changed()
            elif isinstance(fact, f.IntentEnded):
                touched[fact.symbol] = None
                self._intent_ended(fact)
            elif isinstance(fact, f.PositionClosed):
                touched[fact.symbol] = None
                self._position_closed(fact)
            elif isinstance(fact, f.IntentOpened):
                touched[fact.symbol] = None
        for name in touched:
            symbol = desk.symbols[name]
            if symbol.blocked:
                desk.wake(symbol)  # its own orders or position changed: it is looked at anew
            self.settle(symbol)

    def settle(self, symbol: SymbolState) -> None:
        """Recompute what a symbol's own orders and position decide: exit levels, waits, trigger, band."""
        drop = self.desk.profile.drop
        override = drop.symbol.get(symbol.symbol)
        symbol.threshold_bps = override.threshold_bps if override else drop.threshold_bps
        symbol.factor = float(bps_down(symbol.threshold_bps))
        self.parts.exits.arm(symbol)
        closed = self.desk.state.closed.get(symbol.symbol)
        cooled_ms = closed.at_ms + ms(drop.cooldown_s) if closed else 0
        symbol.rest_ms = max(cooled_ms, symbol.last_buy_ms + ms(drop.debounce_s))
        band.refresh(self.desk, self.parts.exits, symbol)

    def _intent_ended(self, fact: f.IntentEnded) -> None:
        """Close a position of which nothing sellable is left; plan the next attempt where an exit waits for one."""
        desk = self.desk
        symbol = desk.symbols[fact.symbol]
        position = desk.state.ledger.positions.get(fact.symbol)
        if position is None:
            return
        bid = symbol.bid or float(position.entry_price)
        if not sellable(symbol.instrument, position, bid):
            self._close(position, fact.purpose if fact.side is Side.SELL else "unsellable")
        elif fact.side is Side.SELL:
            symbol.exit_wait_ms = desk.now + ms(desk.profile.exits.check_interval_s)
            desk.remind(symbol.exit_wait_ms, RETRY, fact.symbol)
        elif symbol.exit_wait_ms:  # an exit ended this buy
            desk.remind(desk.now, RETRY, fact.symbol)

    def _close(self, position: Position, reason: str) -> None:
        self.desk.emit(
            f.PositionClosed(
                symbol=position.symbol,
                reason=reason,
                opened_ms=position.opened_ms,
                entry_price=_average(position.gross_spent, position.gross_bought),
                exit_price=_average(position.gross_proceeds, position.sold),
                amount=position.sold,
                cost=position.spent,
                proceeds=position.proceeds,
                fees=position.fees,
                pnl=EXACT.subtract(position.proceeds, position.spent),
                dust=position.amount,
                generation=self.desk.state.generation,
            )
        )

    def _position_closed(self, fact: f.PositionClosed) -> None:
        """Take the exit levels off; after a stop loss let the anchor form anew."""
        symbol = self.desk.symbols[fact.symbol]
        clear(symbol)
        symbol.exit_wait_ms = 0
        if self.desk.profile.drop.rearm and fact.reason == "stop_loss":
            symbol.anchor.reset()


def _average(worth: Decimal, amount: Decimal) -> Decimal:
    return ROUGH.divide(worth, amount) if amount else ZERO
