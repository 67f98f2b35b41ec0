"""When is a position sold? Asked for every price outside the band of a symbol that is held."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from tradebot.config.sections.exits import Exits as ExitSettings
from tradebot.domain.facts import TrailingArmed
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import bps_down, bps_up, ms
from tradebot.domain.orders import Position
from tradebot.engine.desk import NEVER, OUTSIDE, Desk, SymbolState

HOLD, RETRY = "hold", "exit_retry"


class ExitRules(Protocol):
    """Knows a position's levels and says when one is reached."""

    def arm(self, symbol: SymbolState) -> None:
        """Set the symbol's exit levels from its position (or clear them)."""
        ...

    def reason(self, symbol: SymbolState) -> str:
        """Return why the position is sold at the symbol's last bid, "" where it is kept."""
        ...


class ExitsOff:
    """The null part of exits: nothing is sold, positions stay as they are."""

    def arm(self, symbol: SymbolState) -> None:
        """Clear the levels."""
        clear(symbol)

    def reason(self, symbol: SymbolState) -> str:
        """Return no reason, whatever the price."""
        del symbol
        return ""


class DeclaredExits:
    """Take profit, stop loss, trailing stop and time stop, as the profile declares them.

    Levels are measured from the average price paid before fees, against the bid: the price one would get.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        settings = desk.profile.exits
        self._gain = _factor_up(settings.take_profit_bps)
        self._loss = _factor_down(settings.stop_loss_bps)
        self._trail_from, self._trail = _trailing(settings)
        self._hold_ms = None if settings.max_hold_s is None else ms(settings.max_hold_s)

    def arm(self, symbol: SymbolState) -> None:
        """Set the levels from the position's entry price."""
        position = self.desk.state.ledger.positions.get(symbol.symbol)
        if position is None or not position.lots:
            clear(symbol)
            return
        entry = float(position.entry_price)
        symbol.target = entry * self._gain if self._gain else OUTSIDE
        symbol.stop = entry * self._loss
        symbol.trail_from = entry * self._trail_from if self._trail_from else OUTSIDE
        hold_ms = NEVER if self._hold_ms is None else position.opened_ms + self._hold_ms
        if hold_ms != symbol.hold_ms:
            symbol.hold_ms = hold_ms
            if hold_ms < NEVER:
                self.desk.remind(hold_ms, HOLD, symbol.symbol)

    def reason(self, symbol: SymbolState) -> str:
        """Return the first rule that says sell: stop loss, trailing stop, take profit, time stop."""
        bid = symbol.bid
        if bid <= symbol.stop:
            return "stop_loss"
        if symbol.trail_high:
            if bid > symbol.trail_high:
                symbol.trail_high = bid
            elif bid <= symbol.trail_high * self._trail:
                return "trailing_stop"
        elif bid >= symbol.trail_from:
            symbol.trail_high = bid
            self.desk.emit(TrailingArmed(symbol=symbol.symbol, price=bid))
        if bid >= symbol.target:
            return "take_profit"
        return "time_stop" if self.desk.now >= symbol.hold_ms else ""

    def trail_stop(self, symbol: SymbolState) -> float:
        """Return the trailing stop's present level, 0.0 while it is not armed."""
        return symbol.trail_high * self._trail


def clear(symbol: SymbolState) -> None:
    """Take every exit level off a symbol."""
    symbol.stop = symbol.trail_high = 0.0
    symbol.target = symbol.trail_from = OUTSIDE
    symbol.hold_ms = NEVER


def sellable(instrument: Instrument, position: Position, bid: float) -> Decimal:
    """Return the amount of a position that the venue's filters let us sell at `bid`, 0 where it is dust."""
    amount = instrument.amount_down(position.amount)
    if amount <= 0 or amount < instrument.min_amount:
        return Decimal(0)
    return amount if float(amount) * bid >= float(instrument.min_notional) else Decimal(0)


def _factor_up(bps: Decimal | None) -> float:
    return 0.0 if bps is None else float(bps_up(bps))


def _factor_down(bps: Decimal | None) -> float:
    return 0.0 if bps is None else float(bps_down(bps))


def _trailing(settings: ExitSettings) -> tuple[float, float]:
    trailing = settings.trailing
    if trailing is None:
        return 0.0, 0.0
    return _factor_up(trailing.activate_bps), _factor_down(trailing.distance_bps)
