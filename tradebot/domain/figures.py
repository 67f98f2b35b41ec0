"""Which figures tell what a run did? The records that `domain.summary.Tally` fills and reports print."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tradebot.domain.numbers import ZERO


class SymbolSummary(Struct):
    """One symbol's figures. Amounts in base, everything else in quote; `held_value` is at the last price known."""

    symbol: str
    trades: int = 0
    wins: int = 0
    fills: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    fees: Decimal = ZERO
    pnl: Decimal = ZERO
    held: Decimal = ZERO
    held_cost: Decimal = ZERO
    held_value: Decimal = ZERO


class Counts(Struct):
    """What happened how often. An intent is a buy or an exit; `fill_rate` wants both.

    `intents_filled` counts intents sent that got any fill: a step that expired and a later one that filled are one.
    `pending_max` is the most buy intents under way at one time. `adoptions` are bookings by hand, which are no trades.
    """

    trades: int = 0
    wins: int = 0
    losses: int = 0
    fills: int = 0
    orders: int = 0
    orders_rejected: int = 0
    orders_timed_out: int = 0
    orders_unknown: int = 0
    orders_never_sent: int = 0
    intents: int = 0
    intents_sent: int = 0
    intents_filled: int = 0
    intents_stale: int = 0
    pending_max: int = 0
    balance_refreshes: int = 0
    balance_failures: int = 0
    adoptions: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return both together; `pending_max` is the larger one."""
        both = Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})
        both.pending_max = max(self.pending_max, other.pending_max)
        return both

    @property
    def fill_rate(self) -> float | None:
        """Share of the sent intents that got any fill, or None where none was sent."""
        return self.intents_filled / self.intents_sent if self.intents_sent else None

    @property
    def balance_failure_rate(self) -> float | None:
        """Share of the balance requests that failed or timed out, or None where none was made."""
        asked = self.balance_refreshes + self.balance_failures
        return self.balance_failures / asked if asked else None


class Movement(Struct, kw_only=True):
    """Why the equity moved besides closed trades and adoptions; all in quote, at the last prices known.

    equity - first equity = PnL + `open_quote` - `open_before_quote` + `dust_quote` + adopted, to the last unit.
    `open_quote` is what the trades under way have won or lost since they were opened, `open_before_quote` the same when
    the run began. `dust_quote` is what dust brought: what closed trades left, what its price did, and none of what
    went by hand, `dust_adopted_quote`. `dust_value_quote` is what it is worth now.
    """

    open_quote: Decimal
    open_before_quote: Decimal
    dust_quote: Decimal
    dust_value_quote: Decimal
    dust_adopted_quote: Decimal


class Summary(Struct, kw_only=True):
    """A run in figures; money in `quote`, shares as fractions of 1, times in ms.

    `initial_quote` and `final_quote` are the quote balance at both ends: final = initial + the cash flows of every fill
    + adopted quote. `adopted_quote` is the worth of all that came (or went, negative) by hand and was adopted.
    `pnl_quote` is what the closed trades won or lost, fees included. `equity_quote` adds what is held at its last
    price. `max_drawdown_pct` and `exposure_*` come from the equity marks, the first and the last equity among them.
    `movement` is None in reports of versions that did not tell it. `conservation_error` is the distance between
    the fills and everything they were `compared` with, 0 when equal to the last unit, None when there was nothing to
    compare with.
    """

    quote: str
    from_ms: int
    to_ms: int
    counts: Counts
    initial_quote: Decimal
    final_quote: Decimal
    pnl_quote: Decimal
    fees_quote: Decimal
    held_cost_quote: Decimal
    held_value_quote: Decimal
    equity_initial_quote: Decimal
    equity_quote: Decimal
    max_drawdown_pct: float
    exposure_mean: float
    exposure_max: float
    positions_held: int
    intents_open: int
    orders_unknown_open: int
    conservation_error: Decimal | None
    compared: tuple[str, ...]
    symbols: tuple[SymbolSummary, ...]
    adopted_quote: Decimal = ZERO
    movement: Movement | None = None
