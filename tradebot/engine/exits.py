"""When is a position sold? Asked for every price outside the band of a symbol that is held."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tradebot.config.sections.exits import Exits as ExitSettings
from tradebot.domain.facts import TrailingArmed
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import bps_down, bps_up, ms
from tradebot.domain.orders import Position
from tradebot.engine.desk import NEVER, OUTSIDE, Desk, SymbolState

HOLD, RETRY = "hold", "exit_retry"
FLATTEN = "flatten"
MOST_DOUBLINGS = 30

AWAY = frozenset({"down", "maintenance"})
AWAY_PAUSE_MS = 5_000
"""Between two exits of a symbol while the venue does not work; its return ends the wait."""


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


class SellOff:
    """Sells every position at any price, whatever the profile declares: an operator wants nothing held."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def arm(self, symbol: SymbolState) -> None:
        """Sell at every bid while anything is held; how high a trailing stop had come stays known."""
        high = symbol.trail_high
        clear(symbol)
        if symbol.symbol in self.desk.state.ledger.positions:
            symbol.stop, symbol.trail_high = OUTSIDE, high

    def reason(self, symbol: SymbolState) -> str:
        """Return the one reason there is."""
        del symbol
        return FLATTEN


class Levels(Struct, frozen=True):
    """The bids and the time (ms) at which one position is sold; OUTSIDE, 0.0 and NEVER where there is no such rule."""

    stop: float
    target: float
    trail_from: float
    hold_ms: int


NO_LEVELS = Levels(stop=0.0, target=OUTSIDE, trail_from=OUTSIDE, hold_ms=NEVER)


class ExitLevels:
    """What the profile's exit rules mean for a position: levels, and which of them is reached. Changes nothing.

    Levels are measured from the average price paid before fees, against the bid: the price one would get.
    """

    def __init__(self, settings: ExitSettings) -> None:
        self._gain = _factor_up(settings.take_profit_bps)
        self._loss = _factor_down(settings.stop_loss_bps)
        self._trail_from, self.trail = _trailing(settings)
        self._hold_ms = None if settings.max_hold_s is None else ms(settings.max_hold_s)

    def of(self, position: Position) -> Levels:
        """Return the levels of a position that holds something."""
        entry = float(position.entry_price)
        return Levels(
            stop=entry * self._loss,
            target=entry * self._gain if self._gain else OUTSIDE,
            trail_from=entry * self._trail_from if self._trail_from else OUTSIDE,
            hold_ms=NEVER if self._hold_ms is None else position.opened_ms + self._hold_ms,
        )

    def reached(self, levels: Levels | SymbolState, bid: float, trail_high: float, now_ms: int) -> str:
        """Return the first rule that says sell: stop loss, trailing stop, take profit, time stop; "" where none does.

        `trail_high` is the highest bid since the trailing stop was armed, 0.0 while it is not.
        """
        if bid <= levels.stop:
            return "stop_loss"
        if trail_high and bid <= trail_high * self.trail:
            return "trailing_stop"
        if bid >= levels.target:
            return "take_profit"
        return "time_stop" if now_ms >= levels.hold_ms else ""


class DeclaredExits:
    """Take profit, stop loss, trailing stop and time stop, as the profile declares them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._levels = ExitLevels(desk.profile.exits)

    def arm(self, symbol: SymbolState) -> None:
        """Set the levels from the position's entry price."""
        position = self.desk.state.ledger.positions.get(symbol.symbol)
        if position is None or not position.lots:
            clear(symbol)
            return
        levels = self._levels.of(position)
        symbol.stop, symbol.target, symbol.trail_from = levels.stop, levels.target, levels.trail_from
        if not self._levels.trail:
            symbol.trail_high = 0.0
        if levels.hold_ms != symbol.hold_ms:
            symbol.hold_ms = levels.hold_ms
            if symbol.hold_ms < NEVER:
                self.desk.remind(symbol.hold_ms, HOLD, symbol.symbol)

    def reason(self, symbol: SymbolState) -> str:
        """Return the first rule that says sell, and let the trailing stop follow the bid."""
        bid = symbol.bid
        if bid > symbol.stop:
            if symbol.trail_high:
                symbol.trail_high = max(symbol.trail_high, bid)
            elif bid >= symbol.trail_from:
                symbol.trail_high = bid
                self.desk.emit(TrailingArmed(symbol=symbol.symbol, price=bid, generation=self.desk.state.generation))
        return self._levels.reached(symbol, bid, symbol.trail_high, self.desk.now)

    def trail_stop(self, symbol: SymbolState) -> float:
        """Return the trailing stop's present level, 0.0 while it is not armed."""
        return symbol.trail_high * self._levels.trail


def clear(symbol: SymbolState) -> None:
    """Take every exit level off a symbol."""
    symbol.stop = symbol.trail_high = 0.0
    symbol.target = symbol.trail_from = OUTSIDE
    symbol.hold_ms = NEVER


def wait_after(desk: Desk, symbol: SymbolState, tried_ms: int) -> None:
    """Let the next exit of a symbol wait for `pause_ms` after the one that ended at `tried_ms`."""
    symbol.tried_ms = tried_ms
    symbol.exit_wait_ms = tried_ms + pause_ms(desk, symbol.symbol)
    desk.remind(symbol.exit_wait_ms, RETRY, symbol.symbol)


def pause_ms(desk: Desk, symbol: str) -> int:
    """Return the wait between two exits of a symbol: `exits.check_interval_s`, or longer where they keep failing.

    From `fences.failures` failures on it doubles with each, up to `fences.exit_pause_max_s`, at which a halted symbol
    begins. While the venue does not work it is not shorter than `AWAY_PAUSE_MS`: its return ends the wait.
    """
    profile, fences = desk.profile, desk.state.fences
    usual = ms(profile.exits.check_interval_s)
    if fences.venue.state in AWAY:
        usual = max(usual, min(AWAY_PAUSE_MS, ms(profile.fences.exit_pause_max_s)))
    longest = max(usual, ms(profile.fences.exit_pause_max_s))
    if symbol in fences.quarantine:
        return longest
    trouble = fences.stopped("exit", symbol)
    if trouble is None:
        return usual
    beyond = max(0, len(trouble.times) - profile.fences.failures + 1)
    return min(usual << min(beyond, MOST_DOUBLINGS), longest)


def wait_for_venue(desk: Desk, symbol: SymbolState) -> bool:
    """Whether the venue lets nobody ask just now: then the exit waits until it does."""
    venue = desk.state.fences.venue
    if venue.state != "banned" or venue.until_ms <= desk.now:
        return False
    symbol.tried_ms, symbol.exit_wait_ms = 0, venue.until_ms
    desk.remind(symbol.exit_wait_ms, RETRY, symbol.symbol)
    return True


def try_now(desk: Desk, symbol: SymbolState) -> None:
    """Let the exits of a symbol be looked at as soon as possible, whether or not a price comes."""
    symbol.tried_ms = 0
    symbol.exit_wait_ms = desk.now
    desk.remind(desk.now, RETRY, symbol.symbol)


def sellable(instrument: Instrument, position: Position, bid: float, most: Decimal | None = None) -> Decimal:
    """Return the amount of a position that the venue's filters let us sell at `bid`, 0 where it is dust.

    It is `most` at most, where the account is known to hold less.
    """
    amount = instrument.amount_down(position.amount if most is None else min(position.amount, most))
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
