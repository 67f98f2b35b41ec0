"""What did a run do? `Tally` counts facts as they come and keeps its own books; asked by replays and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain.books import EXACT, Books, total
from tradebot.domain.facts import (
    AccountOpened,
    BalanceRefreshed,
    BalanceRefreshFailed,
    DriftAdopted,
    Fact,
    IntentEnded,
    IntentOpened,
    IntentStale,
    OrderAccepted,
    OrderBecameUnknown,
    OrderDone,
    OrderFilled,
    OrderNeverSent,
    OrderPlanned,
    OrderRejected,
    OrderSeen,
    OrderSent,
    OrderWaitEnded,
    PositionClosed,
)
from tradebot.domain.figures import Counts, Movement, Summary, SymbolSummary
from tradebot.domain.ledger import Ledger
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Intent, Order, OrderState, Side


class _OpenIntent(Struct):
    side: Side
    sent: bool = False
    filled: bool = False


_COUNTED: dict[type[Fact], str] = {
    BalanceRefreshFailed: "balance_failures",
    IntentStale: "intents_stale",
    OrderWaitEnded: "orders_timed_out",
}
"""Facts of which only the number tells something, with the count they raise."""


class Tally:
    """Counts facts in their order and keeps its own books of the fills.

    `add` every fact of the journal from its beginning; `begin` where the run to be reported starts, so that cash,
    positions and open intents from before are its opening state. `mark` (or `mark_prices`) tells the equity.
    """

    def __init__(self) -> None:
        """Begin with empty books and nothing counted."""
        self.books = Books()
        self._intents: dict[int, _OpenIntent] = {}
        self._sent_unfilled: set[int] = set()  # over, sent, no fill: a late fill still counts
        self._buys_pending = 0
        self._intent_of: dict[str, int] = {}  # orders planned and not over
        self._unknown: set[str] = set()
        self._stirred = True
        self._reset(None)
        handlers: dict[type[Fact], Callable[[Any], None]] = {
            AccountOpened: self._account_opened,
            BalanceRefreshed: self._balance_refreshed,
            IntentOpened: self._intent_opened,
            IntentEnded: self._intent_ended,
            OrderPlanned: self._order_planned,
            OrderSent: self._order_sent,
            OrderNeverSent: self._order_never_sent,
            OrderAccepted: self._order_known,
            OrderSeen: self._order_known,
            OrderRejected: self._order_rejected,
            OrderBecameUnknown: self._order_unknown,
            OrderFilled: self._order_filled,
            OrderDone: self._order_done,
            PositionClosed: self._position_closed,
            DriftAdopted: self._adopted,
        }
        self._handlers = handlers

    def _reset(self, at_ms: int | None) -> None:
        self.counts = Counts(pending_max=self._buys_pending)
        self.from_ms: int | None = at_ms
        self.to_ms = at_ms or 0
        self.pnl = ZERO
        self._adopted_quote = ZERO
        self._trade_error = ZERO
        self._symbols: dict[str, SymbolSummary] = {}
        self._fees_before = self.books.fees_quote
        self._dust_adopted_before = self.books.dust_adopted_quote
        self._take_opening()
        self._peak = 0.0
        self._drawdown = 0.0
        self._share = 0.0
        self._share_max = 0.0
        self._share_time = 0.0
        self._marked_from: int | None = None
        self._marked_to = 0
        self._quiet_error: Decimal | None = None
        if at_ms is not None and self.books.quote:
            self.mark_prices(at_ms, {})

    def begin(self, at_ms: int) -> None:
        """Start counting anew at `at_ms`; what is owned and under way stays as the opening state."""
        self._sent_unfilled.clear()
        for intent in self._intents.values():
            intent.sent = intent.filled  # one that was sent before counts as sent here if it fills here
        self._reset(at_ms)

    def take_over(self, ledger: Ledger, intents: Iterable[Intent], orders: Iterable[Order]) -> None:
        """Begin with what was owned and under way at one moment, where the facts before it are gone."""
        self.books.take_over(ledger)
        for intent in intents:
            self._intents[intent.intent_id] = _OpenIntent(intent.side, filled=bool(intent.filled))
            self._buys_pending += intent.side is Side.BUY
        for order in orders:
            self._intent_of[order.client_id] = order.intent_id
            if order.state is OrderState.UNKNOWN:
                self._unknown.add(order.client_id)

    def add(self, fact: Fact, at_ms: int) -> None:
        """Count one fact that happened at `at_ms`."""
        handler = self._handlers.get(type(fact))
        if handler is not None:
            if self.from_ms is None:
                self.from_ms = at_ms
            self.to_ms = at_ms
            handler(fact)
            return
        counted = _COUNTED.get(type(fact))
        if counted is not None:
            setattr(self.counts, counted, getattr(self.counts, counted) + 1)

    def _take_opening(self) -> None:
        """Remember what the run begins with, valued at the last fills."""
        self._initial = self.books.cash
        self._equity_initial = total([self.books.cash, *map(self.books.value, self.books.holdings)])
        self._open_before = self.books.open_gain()
        self._dust_before = self.books.dust_value()

    # -- equity -----------------------------------------------------------------------------------

    def mark_prices(self, at_ms: int, prices: Mapping[str, float]) -> float:
        """Mark the equity at these last prices (by symbol); return it."""
        equity, invested = self.books.equity(prices)
        self.mark(at_ms, equity, invested)
        return equity

    def mark(self, at_ms: int, equity: float, invested: float = 0.0) -> None:
        """Take `equity` (quote) at `at_ms`, of which `invested` is in positions."""
        if equity > self._peak:
            self._peak = equity
        elif self._peak > 0.0:
            fall = (self._peak - equity) / self._peak
            self._drawdown = max(self._drawdown, fall)
        if self._marked_from is None:
            self._marked_from = at_ms
        else:
            self._share_time += self._share * (at_ms - self._marked_to)
        self._marked_to = at_ms
        self._share = invested / equity if equity > 0.0 else 0.0
        self._share_max = max(self._share_max, self._share)

    # -- the account ------------------------------------------------------------------------------

    def _account_opened(self, fact: AccountOpened) -> None:
        self.books.open(fact.asset, fact.amount)
        self._take_opening()
        self.mark_prices(self.to_ms, {})

    def _balance_refreshed(self, fact: BalanceRefreshed) -> None:
        """Compare the venue's quote with the books, if nothing stirred since the refresh before this one."""
        self.counts.balance_refreshes += 1
        if fact.asset == self.books.quote and not self._stirred and not self._intents and not self._unknown:
            self._quiet_error = EXACT.abs(EXACT.subtract(fact.total, self.books.cash))
        self._stirred = False

    # -- intents ----------------------------------------------------------------------------------

    def _intent_opened(self, fact: IntentOpened) -> None:
        self._stirred = True
        self._intents[fact.intent_id] = _OpenIntent(fact.side)
        self.counts.intents += 1
        if fact.side is Side.BUY:
            self._buys_pending += 1
            self.counts.pending_max = max(self.counts.pending_max, self._buys_pending)

    def _intent_ended(self, fact: IntentEnded) -> None:
        self._stirred = True
        intent = self._intents.pop(fact.intent_id, None)
        if intent is None:
            return
        if intent.side is Side.BUY:
            self._buys_pending -= 1
        if intent.sent and not intent.filled:
            self._sent_unfilled.add(fact.intent_id)

    # -- orders -----------------------------------------------------------------------------------

    def _order_planned(self, fact: OrderPlanned) -> None:
        self._intent_of[fact.client_id] = fact.intent_id

    def _order_sent(self, fact: OrderSent) -> None:
        self._stirred = True
        self.counts.orders += 1
        intent = self._intents.get(self._intent_of.get(fact.client_id, -1))
        if intent is not None and not intent.sent:
            intent.sent = True
            self.counts.intents_sent += 1

    def _order_never_sent(self, fact: OrderNeverSent) -> None:
        self.counts.orders_never_sent += 1
        self._over(fact.client_id)

    def _order_known(self, fact: OrderAccepted | OrderSeen) -> None:
        self._unknown.discard(fact.client_id)

    def _order_rejected(self, fact: OrderRejected) -> None:
        self.counts.orders_rejected += 1
        self._over(fact.client_id)

    def _order_unknown(self, fact: OrderBecameUnknown) -> None:
        if fact.client_id not in self._unknown:
            self._unknown.add(fact.client_id)
            self.counts.orders_unknown += 1

    def _order_done(self, fact: OrderDone) -> None:
        self._stirred = True
        self._over(fact.client_id)

    def _over(self, client_id: str) -> None:
        self._unknown.discard(client_id)
        self._intent_of.pop(client_id, None)

    def _order_filled(self, fact: OrderFilled) -> None:
        self._stirred = True
        fee = self.books.fill(fact)
        self.counts.fills += 1
        intent = self._intents.get(fact.intent_id)
        if intent is not None:
            if not intent.sent:  # the fill is the proof that the request left
                intent.sent = True
                self.counts.intents_sent += 1
            if not intent.filled:
                intent.filled = True
                self.counts.intents_filled += 1
        elif fact.intent_id in self._sent_unfilled:
            self._sent_unfilled.discard(fact.intent_id)
            self.counts.intents_filled += 1
        row = self._row(fact.symbol)
        row.fills += 1
        row.fees = EXACT.add(row.fees, fee)
        notional = EXACT.multiply(fact.price, fact.amount)
        if fact.side is Side.BUY:
            row.bought = EXACT.add(row.bought, notional)
        else:
            row.sold = EXACT.add(row.sold, notional)
        self.mark(self.to_ms, *self.books.equity())

    # -- trades -----------------------------------------------------------------------------------

    def _position_closed(self, fact: PositionClosed) -> None:
        own = self.books.close(fact)
        self._trade_error = EXACT.add(self._trade_error, EXACT.abs(EXACT.subtract(fact.pnl, own)))
        self.pnl = EXACT.add(self.pnl, fact.pnl)
        row = self._row(fact.symbol)
        row.trades += 1
        row.pnl = EXACT.add(row.pnl, fact.pnl)
        self.counts.trades += 1
        if fact.pnl > 0:
            row.wins += 1
            self.counts.wins += 1
        elif fact.pnl < 0:
            self.counts.losses += 1

    def _adopted(self, fact: DriftAdopted) -> None:
        """Book what came or went by hand; it is neither a gain nor a fall of the equity."""
        self._stirred = True
        if not fact.symbol:
            self._quiet_error = None  # what it differed by is booked: it is compared anew
        before, _ = self.books.equity()
        worth = self.books.adopt(fact)
        equity, invested = self.books.equity()
        self._peak += equity - before
        self._adopted_quote = EXACT.add(self._adopted_quote, worth)
        self.counts.adoptions += 1
        self.mark(self.to_ms, equity, invested)

    def _row(self, symbol: str) -> SymbolSummary:
        row = self._symbols.get(symbol)
        if row is None:
            row = self._symbols[symbol] = SymbolSummary(symbol)
        return row

    # -- the result -------------------------------------------------------------------------------

    def _movement(self, prices: Mapping[str, float]) -> Movement:
        dust = self.books.dust_value(prices)
        adopted = EXACT.subtract(self.books.dust_adopted_quote, self._dust_adopted_before)
        return Movement(
            open_quote=self.books.open_gain(prices),
            open_before_quote=self._open_before,
            dust_quote=EXACT.add(EXACT.subtract(dust, self._dust_before), adopted),
            dust_value_quote=dust,
            dust_adopted_quote=adopted,
        )

    def _drawdown_at(self, equity: Decimal) -> float:
        """Return the largest fall from a peak as a share, where the equity stands at `equity` now."""
        return max(self._drawdown, (self._peak - float(equity)) / self._peak) if self._peak > 0.0 else self._drawdown

    def _distances(self, balances: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
        """Return the distance of the fills from everything that could be compared with them, by its name."""
        found = {name: self.books.difference(told) for name, told in balances.items()}
        if self._quiet_error is not None:
            found["the venue's quote balance"] = self._quiet_error
        if self.counts.trades:
            found["the PnL of the trades"] = self._trade_error
        return found

    def summary(
        self,
        prices: Mapping[str, float] | None = None,
        balances: Mapping[str, Mapping[str, Decimal]] | None = None,
    ) -> Summary:
        """Return the figures so far.

        `prices` are last prices by symbol (else the last fill's). `balances` are, by a name for people (the ledger,
        the venue's account), totals by asset that must equal the fills to the last unit.
        """
        prices = prices or {}
        rows = {symbol: msgspec.structs.replace(row) for symbol, row in self._symbols.items()}
        value = cost = ZERO
        positions = 0
        for symbol, held in self.books.holdings.items():
            if not held.amount and symbol not in rows:
                continue
            row = rows.setdefault(symbol, SymbolSummary(symbol))
            row.held, row.held_cost, row.held_value = held.amount, held.cost_held(), self.books.value(symbol, prices)
            cost, value = EXACT.add(cost, row.held_cost), EXACT.add(value, row.held_value)
            positions += held.position() > 0
        distances = self._distances(balances or {})
        equity = EXACT.add(self.books.cash, value)
        marked = self._marked_to - self._marked_from if self._marked_from is not None else 0
        return Summary(
            quote=self.books.quote,
            from_ms=self.from_ms or 0,
            to_ms=self.to_ms,
            counts=msgspec.structs.replace(self.counts),
            initial_quote=self._initial,
            final_quote=self.books.cash,
            pnl_quote=self.pnl,
            fees_quote=EXACT.subtract(self.books.fees_quote, self._fees_before),
            held_cost_quote=cost,
            held_value_quote=value,
            equity_initial_quote=self._equity_initial,
            equity_quote=equity,
            max_drawdown_pct=self._drawdown_at(equity) * 100.0,
            exposure_mean=self._share_time / marked if marked else self._share,
            exposure_max=self._share_max,
            positions_held=positions,
            intents_open=len(self._intents),
            orders_unknown_open=len(self._unknown),
            conservation_error=total(distances.values()) if distances else None,
            compared=tuple(sorted(distances)),
            symbols=tuple(sorted(rows.values(), key=lambda row: row.symbol)),
            adopted_quote=self._adopted_quote,
            movement=self._movement(prices),
        )
