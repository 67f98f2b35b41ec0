"""What follows from facts? Exit levels, waits, bands, the end of positions; asked after every event that told any."""

from __future__ import annotations

from decimal import Decimal

from tradebot.config.sections.drop import Drop as DropSettings
from tradebot.domain import facts as f
from tradebot.domain.numbers import EXACT, ROUGH, ZERO, bps_down, ms
from tradebot.domain.orders import Position, Side
from tradebot.engine import band
from tradebot.engine.budget import Budget
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.exits import clear, sellable, try_now, wait_after
from tradebot.engine.parts import Parts
from tradebot.engine.watchlist import Watchlist


class _Drop:
    """The numbers of the drop settings, as every symbol needs them."""

    def __init__(self, settings: DropSettings) -> None:
        self.common = _trigger(settings.threshold_bps)
        self.own = {name: _trigger(own.threshold_bps) for name, own in settings.symbol.items()}
        self.cooldown_ms, self.debounce_ms = ms(settings.cooldown_s), ms(settings.debounce_s)


def _trigger(threshold_bps: Decimal) -> tuple[Decimal, float]:
    """Return a threshold and the factor from anchor to buy trigger."""
    return threshold_bps, float(bps_down(threshold_bps))


class FollowUp:
    """Lets symbols, deadlines and budget follow what has just been told."""

    def __init__(self, desk: Desk, budget: Budget, parts: Parts, watchlist: Watchlist) -> None:
        self.desk = desk
        self.watchlist = watchlist
        self.budget = budget
        self.parts = parts
        self._drop = _Drop(desk.profile.drop)

    def run(self) -> None:
        """Go through the facts of this event; facts told here are followed up too."""
        desk = self.desk
        seen = 0
        failing = False
        touched: dict[str, None] = {}
        while seen < len(desk.facts):
            fact = desk.facts[seen]
            seen += 1
            if isinstance(fact, f.OrderFilled):
                if fact.symbol not in desk.symbols:
                    self.watchlist.take_back(fact.symbol)
                touched[fact.symbol] = None
                self.budget.changed()
            elif isinstance(fact, f.IntentEnded):
                touched[fact.symbol] = None
                self._intent_ended(fact)
                failing |= fact.side is Side.SELL and desk.state.fences.trouble("exit", fact.symbol) is not None
            elif isinstance(fact, f.PositionClosed):
                touched[fact.symbol] = None
                self._position_closed(fact)
            elif isinstance(fact, f.IntentOpened):
                touched[fact.symbol] = None
            elif isinstance(fact, f.DriftAdopted):
                self._adopted(fact, touched)
        desk.stirred.update(touched)
        if failing:
            self.budget.ask()  # somebody else may have sold it
        for name in touched:
            if name in desk.leaving and desk.idle(name):
                self.watchlist.remove(name)
                continue
            symbol = desk.symbols[name]
            if symbol.blocked:
                desk.wake(symbol)  # its own orders or position changed: it is looked at anew
            self.settle(symbol)

    def settle(self, symbol: SymbolState) -> None:
        """Recompute what a symbol's own orders and position decide: exit levels, waits, trigger, band."""
        drop = self._drop
        symbol.threshold_bps, symbol.factor = drop.own.get(symbol.symbol, drop.common)
        self.parts.exits.arm(symbol)
        closed = self.desk.state.closed.get(symbol.symbol)
        cooled_ms = closed.at_ms + drop.cooldown_ms if closed else 0
        symbol.rest_ms = max(cooled_ms, symbol.last_buy_ms + drop.debounce_ms)
        band.refresh(self.desk, self.parts.exits, symbol)

    def settle_all(self) -> None:
        """Recompute it for every symbol by the profile in force; each decides on its next price, whatever held it."""
        self._drop = _Drop(self.desk.profile.drop)
        for symbol in self.desk.symbols.values():
            self.desk.wake(symbol)
            self.settle(symbol)
        self.desk.blocked.clear()

    def _intent_ended(self, fact: f.IntentEnded) -> None:
        """Close a position of which nothing sellable is left; plan the next attempt where an exit waits for one."""
        desk = self.desk
        symbol = desk.symbols[fact.symbol]
        position = desk.state.ledger.positions.get(fact.symbol)
        if position is None:
            return
        bid = symbol.bid or float(position.entry_price)
        if not sellable(symbol.instrument, position, bid):
            self.close(position, fact.purpose if fact.side is Side.SELL else "unsellable")
        elif fact.side is Side.SELL:
            wait_after(desk, symbol, desk.now)
        elif symbol.exit_wait_ms or desk.state.flattening:  # an exit ended this buy
            try_now(desk, symbol)

    def _adopted(self, fact: f.DriftAdopted, touched: dict[str, None]) -> None:
        """Let the budget, or the position of which something came or went without a trade, follow."""
        self.budget.changed()
        if not fact.symbol:
            return
        touched[fact.symbol] = None
        position = self.desk.state.ledger.positions.get(fact.symbol)
        symbol = self.desk.symbols[fact.symbol]
        if position is not None and fact.change < 0:
            bid = symbol.bid or float(fact.price)
            if not sellable(symbol.instrument, position, bid):
                self.close(position, "adopted")

    def close(self, position: Position, reason: str) -> None:
        """End a position: what is left of it is dust."""
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
        symbol.exit_wait_ms = symbol.tried_ms = 0
        if self.desk.profile.drop.rearm and fact.reason == "stop_loss":
            symbol.anchor.reset()


def _average(worth: Decimal, amount: Decimal) -> Decimal:
    return ROUGH.divide(worth, amount) if amount else ZERO
