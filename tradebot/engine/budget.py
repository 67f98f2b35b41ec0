"""How much quote may still be spent? Asked by every buy."""

from __future__ import annotations

from decimal import Decimal

from tradebot.domain.commands import QueryBalances
from tradebot.domain.events import BalancesReported, BalancesUnavailable
from tradebot.domain.facts import AccountOpened, BalanceRefreshed, BalanceRefreshFailed
from tradebot.domain.numbers import ZERO, bps_up, ms
from tradebot.engine.desk import Desk

REFRESH, TIMEOUT = "balance", "balance_timeout"


class Budget:
    """Quote that is ours, less what buys have reserved; refreshed from the venue after it has changed."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._asked_ms = -1  # when the answer under way was asked for
        self._last_ms = -1  # when the balance was last told
        self._planned_ms = -1  # when the next refresh was planned, -1 while none is
        self._cash_asked = ZERO  # the ledger's cash when it was asked for
        self._cash_seen: Decimal | None = None
        self._misses = 0  # failures since the balance was last told
        self.told = False  # whether the venue has told its balances in this run

    @property
    def asked(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked_ms >= 0

    @property
    def asked_ms(self) -> int:
        """When the answer that is awaited was asked for, -1 while none is."""
        return self._asked_ms

    def available(self) -> Decimal:
        """Return the quote a new buy may reserve.

        The lower of the ledger's cash and the venue's total carried on by our own fills since it was told,
        less reservations and `keep_free_quote`.
        """
        state = self.desk.state
        cash = state.ledger.cash
        if state.venue_total is not None:
            cash = min(cash, state.venue_total + cash - state.cash_then)
        return cash - state.outstanding() - self.desk.profile.budget.keep_free_quote

    def reservation(self, quote_amount: Decimal) -> Decimal:
        """Return what a buy of `quote_amount` sets aside: the amount and the fee reserve."""
        return quote_amount * bps_up(self.desk.profile.budget.fee_reserve_bps)

    def ask(self) -> None:
        """Ask the venue for the balances, once at a time."""
        if self._asked_ms >= 0:
            return
        self._asked_ms = self.desk.now
        self._cash_asked = self.desk.state.ledger.cash
        state = self.desk.state
        self.desk.stirred = {*state.by_symbol, *(order.symbol for order in state.orders.values())}
        self.desk.send(QueryBalances())
        self.desk.remind(self._timeout_ms(), TIMEOUT, str(self._asked_ms))

    def changed(self) -> None:
        """Plan a refresh: the cash moved since the last one (nothing else could make it differ)."""
        if self._planned_ms >= 0 or self._asked_ms >= 0 or self.desk.state.ledger.cash == self._cash_seen:
            return
        self._planned_ms = self.desk.now
        self.desk.remind(self._refresh_ms(), REFRESH, "")

    def retune(self) -> None:
        """Let the planned refresh and the answer under way follow the settings now in force."""
        if self._planned_ms >= 0:
            self.desk.remind(self._refresh_ms(), REFRESH, "")
        if self._asked_ms >= 0:
            self.desk.remind(self._timeout_ms(), TIMEOUT, str(self._asked_ms))

    def on_refresh(self) -> None:
        """Handle the planned refresh's time."""
        self._planned_ms = -1
        self.ask()

    def on_timeout(self, asked: str) -> None:
        """Handle the time limit of an answer: counted; the last balance stands, the next interval asks again."""
        if self._asked_ms >= 0 and str(self._asked_ms) == asked:
            self._failed("no answer within budget.refresh_timeout_s")

    def on_report(self, event: BalancesReported) -> None:
        """Take the venue's balances."""
        state = self.desk.state
        # a fill that crossed the answer may be in it or not: only a later answer tells
        self._cash_seen = self._cash_asked if self._asked_ms >= 0 and state.ledger.is_open else None
        self._asked_ms = -1
        self._misses = 0
        self.told = True
        asset = state.ledger.quote
        balance = event.balances.get(asset)
        total = balance.total if balance else ZERO
        if not state.ledger.is_open:
            self.desk.emit(AccountOpened(asset=asset, amount=total))
        else:
            self.desk.emit(BalanceRefreshed(asset=asset, total=total))
        self._last_ms = self.desk.now
        if self._cash_seen is None:
            self._cash_seen = state.ledger.cash
        self.changed()

    def on_unavailable(self, event: BalancesUnavailable) -> None:
        """Take a failed balance request."""
        if self._asked_ms >= 0:
            self._failed(event.cause)

    def _refresh_ms(self) -> int:
        profile = self.desk.profile
        wait_ms = ms(profile.budget.refresh_interval_s)
        if self._misses and not self.told:  # the start waits for it, and with the start every exit
            wait_ms = min(wait_ms, profile.execution.query_interval_ms * 2 ** min(self._misses - 1, 20))
        return max(self._planned_ms, self._last_ms + wait_ms)

    def _timeout_ms(self) -> int:
        return self._asked_ms + ms(self.desk.profile.budget.refresh_timeout_s)

    def _failed(self, cause: str) -> None:
        self._asked_ms = -1
        self._last_ms = self.desk.now
        self._misses += 1
        self.desk.emit(BalanceRefreshFailed(cause=cause))
        self._cash_seen = None
        self.changed()
