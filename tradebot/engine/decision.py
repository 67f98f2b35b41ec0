"""May this drop be bought? The gates, in a fixed order; asked for every price at or below a buy trigger."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import BPS, ZERO, exact, ms
from tradebot.engine.budget import Budget
from tradebot.engine.controls import Controls
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.venue_gate import shut_by_venue, shut_for_symbol


class Shut(Struct, frozen=True):
    """The first gate that is shut. A `common` one is shut for every symbol until orders or balances change."""

    gate: str
    value: str
    limit: str
    common: bool


class Gates(Protocol):
    """Says which gate stops a buy of a symbol."""

    def shut(self, symbol: SymbolState) -> Shut | None:
        """Return the first gate that is shut, None where the buy may go on."""
        ...

    def common(self, *, held: bool) -> Shut | None:
        """Return the first shut gate that is the same for every symbol that is held (or for every one that is not)."""
        ...

    def further(self, symbol: SymbolState) -> str:
        """Return why a buy of `symbol` under way places no further order, "" where it may."""
        ...


class BuyingOff:
    """The null part of buying: every drop is told and none is bought; a buy under way places no further order."""

    def shut(self, symbol: SymbolState) -> Shut | None:
        """Return the one gate there is."""
        del symbol
        return self.common(held=False)

    def common(self, *, held: bool) -> Shut | None:
        """Return the one gate there is."""
        del held
        return Shut("features.buying", "off", "on", common=True)

    def further(self, symbol: SymbolState) -> str:
        """Return the one reason there is."""
        del symbol
        return "buying off"


class BuyGates:
    """The gates of a buy by the profile in force, which each generation builds anew.

    Common gates stand first, so that what a shut one hides is the same for every price.
    """

    def __init__(self, desk: Desk, budget: Budget, controls: Controls) -> None:
        self.desk = desk
        self.budget = budget
        self.controls = controls
        profile = desk.profile
        self._need = budget.reservation(profile.budget.per_trade_quote)
        self._stale_after_ms = ms(profile.market.stale_after_s)
        self._confirm_ms = ms(profile.drop.confirm_s)

    def shut(self, symbol: SymbolState) -> Shut | None:
        """Return the first gate that is shut for `symbol` at its last quote."""
        if common := self.common(held=symbol.symbol in self.desk.state.ledger.positions):
            symbol.below_since = -1  # a confirmation does not run behind a shut common gate
            return common
        return self._own(symbol)

    def common(self, *, held: bool) -> Shut | None:
        """Return the first shut common gate; a symbol that is held takes no further position."""
        state, limits = self.desk.state, self.desk.profile.budget
        if not state.trading:
            return Shut("reconciled", "no", "yes", common=True)
        if not state.entries_open:
            return Shut("entries", "closed", "open", common=True)
        if state.paused:
            return Shut("paused", f"paused by {state.paused}", "resumed", common=True)
        if venue := shut_by_venue(self.desk):
            return Shut(*venue, common=True)
        positions = state.ledger.positions
        if not held:
            slots = len(positions) + sum(1 for intent in state.buying() if intent.symbol not in positions)
            if slots >= limits.max_positions:
                return Shut("budget.max_positions", str(slots), f"< {limits.max_positions}", common=True)
        free = self.budget.available()
        if free < self._need:
            return Shut("budget", f"{free:f}", f">= {self._need:f}", common=True)
        exposure = sum((position.cost for position in positions.values()), ZERO) + state.outstanding()
        if exposure + limits.per_trade_quote > limits.max_exposure_quote:
            return Shut("budget.max_exposure_quote", f"{exposure:f}", f"<= {limits.max_exposure_quote:f}", common=True)
        return None

    def further(self, symbol: SymbolState) -> str:
        """Return what has come up since the buy was decided, "" where it may go on."""
        desk = self.desk
        if not desk.state.entries_open:
            return "entries closed"
        if desk.state.paused:
            return f"paused by {desk.state.paused}"
        if symbol.symbol in desk.leaving:
            return "symbol leaving"
        if shut := shut_by_venue(desk) or shut_for_symbol(desk, symbol.symbol):
            return f"{shut[0]}: {shut[1]}"
        return "stale data" if desk.now - symbol.seen_ms > self._stale_after_ms else ""

    def _own(self, symbol: SymbolState) -> Shut | None:
        if symbol.symbol in self.desk.leaving:
            symbol.below_since = -1
            return Shut("market.symbols", "leaving", "listed", common=False)
        if shut := shut_for_symbol(self.desk, symbol.symbol):
            symbol.below_since = -1
            return Shut(*shut, common=False)
        if stop := self._stale(symbol) or self._unconfirmed(symbol):
            return stop
        constraints = self.controls.constraints(symbol)
        spread = spread_bps(symbol)
        if spread > float(constraints.max_spread_bps):
            return Shut("execution.max_spread_bps", f"{spread:.2f}", f"<= {constraints.max_spread_bps:f}", common=False)
        return self._too_small(symbol.instrument, symbol.ask)

    def _stale(self, symbol: SymbolState) -> Shut | None:
        """Stop on a price that was old when it came: a feed may lag behind its market."""
        age_ms, most_ms = self.desk.now - symbol.seen_ms, self._stale_after_ms
        if age_ms <= most_ms:
            return None
        symbol.below_since = -1  # an old price confirms nothing
        return Shut("market.stale_after_s", f"{age_ms / 1000:g}", f"<= {most_ms / 1000:g}", common=False)

    def _unconfirmed(self, symbol: SymbolState) -> Shut | None:
        wanted = self._confirm_ms
        if not wanted:
            return None
        if symbol.below_since < 0:
            symbol.below_since = self.desk.now
        seen = self.desk.now - symbol.below_since
        if seen < wanted:
            return Shut("drop.confirm_s", f"{seen / 1000:g}", f">= {wanted / 1000:g}", common=False)
        return None

    def _too_small(self, instrument: Instrument, ask: float) -> Shut | None:
        quote = self.desk.profile.budget.per_trade_quote
        price = exact(ask)
        amount = instrument.amount_down(quote / price)
        if quote < instrument.min_notional:
            return Shut("NOTIONAL", f"{quote:f}", f">= {instrument.min_notional:f}", common=False)
        if amount <= 0 or amount < instrument.min_amount:
            return Shut(
                "LOT_SIZE", f"{amount:f}", f">= {max(instrument.min_amount, instrument.amount_step):f}", common=False
            )
        return None


def spread_bps(symbol: SymbolState) -> float:
    """Return the spread of the last quote over its mid, in basis points."""
    return (symbol.ask - symbol.bid) / (symbol.ask + symbol.bid) * 2.0 * float(BPS)


def capped(desk: Desk, symbol: str) -> bool:
    """Whether another buy of `symbol` would exceed `max_per_symbol_quote` (cost before fees)."""
    limits = desk.profile.budget
    position = desk.state.ledger.positions.get(symbol)
    if position is None:
        return False
    invested = sum((lot.gross_cost for lot in position.lots), Decimal(0))
    return invested + limits.per_trade_quote > limits.max_per_symbol_quote
