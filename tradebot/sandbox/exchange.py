"""What does the sandbox exchange do with a request, and whom does it tell? Asked by REST, ws-api, streams and faults.

Synchronous, without clock or sockets: every method takes `now_ms` (ms UTC of the server's clock), stores what changed
before it tells anybody or returns, and raises `ApiError` where Binance refuses. `account` is the API key.

    open_account(account, balances, rates)                  once for each key, before anything else
    check(account, OrderRequest, now_ms)                    every rule that hangs on neither book nor balances
    place(account, OrderRequest, now_ms) -> Placed
    cancel(account, symbol, order_id | None, client_id | None, cancel_id, now_ms, only="") -> Canceled
    cancel_all(account, symbol, cancel_id, now_ms) -> [Canceled]
    expire(account, order_id, why, now_ms)                  the exchange's own decision
    query(account, symbol, order_id | None, client_id | None) -> HeldOrder
    open_orders(account, symbol | None) -> [HeldOrder]      all_orders(…) -> [HeldOrder], my_trades(…) -> [OwnTrade]
    balances(account) -> {asset: Balance}                   rates(account) -> FeeRates
    deposit(account, asset, amount, now_ms)                 convert_dust(account, assets, now_ms)
    on_market(event, now_ms)                                what a feed tells, with its own pairs (BTC/USDT)
    set_status(symbol, status)                              TRADING, HALT, BREAK: told in exchangeInfo, orders refused
    delist(symbol, now_ms)                                  the symbol is gone, its open orders expire

Streams, each `put` called synchronously in order and never raising; what they return ends the subscription:

    subscribe_account(account, put: Callable[[AccountEvent], None]) -> Callable[[], None]
    subscribe_market(put: Callable[[MarketEvent], None]) -> Callable[[], None]

`market.symbols[symbol]` holds book, `update_id`, trades, minutes and the day of a symbol (`sandbox.market`), and
`rules[symbol]` its exchangeInfo object (`sandbox.market_rules`). Account events are structs (`sandbox.orders`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Final

from tradebot.domain.errors import CannotStart, StorageFailed
from tradebot.domain.events import BookSeen, Event, TradeSeen
from tradebot.domain.numbers import EXACT, ONE, ZERO, exact
from tradebot.domain.orders import Balance
from tradebot.sandbox.ledger import Changes, Desk
from tradebot.sandbox.market import BookChanged, Market, MarketEvent
from tradebot.sandbox.market_rules import SymbolRules
from tradebot.sandbox.orders import (
    AccountEvent,
    Canceled,
    FeeRates,
    HeldOrder,
    OrderRequest,
    OwnTrade,
    Placed,
)
from tradebot.sandbox.store import Store
from tradebot.sandbox.wire_errors import ApiError, invalid_symbol, no_such_order, rejected, unknown_order

DUST_ASSET: Final = "BNB"
_DUST_FEE: Final = Decimal("0.02")
_UNIT: Final = Decimal("0.00000001")
_CENTS: Final = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "BTC")


class Exchange:
    """Accounts and markets, as the module says."""

    def __init__(self, rules: Iterable[SymbolRules], store: Store, began_ms: int) -> None:
        self.rules: dict[str, SymbolRules] = {each.symbol: each for each in rules}
        self.market = Market({each.pair: each.symbol for each in self.rules.values()}, began_ms)
        self._store = store
        self._numbers = store.load_numbers()
        self._pairs = {each.pair: each.symbol for each in self.rules.values()}
        self._instruments = {each.pair: each.instrument for each in self.rules.values()}
        self._desks: dict[str, Desk] = {}
        self._accounts: dict[str, list[Callable[[AccountEvent], None]]] = {}
        self._publics: list[Callable[[MarketEvent], None]] = []
        self.on_failure: Callable[[StorageFailed], None] = _raised_anyway
        """Told when something could not be stored, which is then raised: nothing more may be answered."""

    # -- accounts --------------------------------------------------------------------------------------

    def open_account(self, account: str, balances: Mapping[str, Decimal], rates: FeeRates) -> bool:
        """Open an account, as it was stored or with `balances`; return whether it is new.

        Raises CannotStart where it has open orders of symbols that this market does not have, or StorageFailed.
        """
        stored = self._store.load_account(account)
        held, orders = stored or ({asset: Balance(amount) for asset, amount in balances.items()}, [])
        gone = sorted({order.symbol for order in orders} - set(self.rules))
        if gone:
            raise CannotStart(
                f"{self._store.path}: the account has open orders of {', '.join(gone)}, which this market does not have"
            )
        desk = Desk(account, self._instruments, rates, self.price_of, self._numbers, held, orders)
        self._desks[account] = desk
        if stored is None:
            self._store.save(Changes(account, {}, [], dict(held), []), self._numbers)
        return stored is None

    def knows(self, account: str) -> bool:
        """Whether the account exists."""
        return account in self._desks

    def balances(self, account: str) -> Mapping[str, Balance]:
        """Return what the account holds, by asset."""
        return self._desks[account].balances

    def rates(self, account: str) -> FeeRates:
        """Return the account's fee rates."""
        return self._desks[account].rates

    def updated_ms(self, account: str) -> int:
        """Return when the account last changed, 0 where it never did."""
        return self._desks[account].updated_ms

    def deposit(self, account: str, asset: str, amount: Decimal, now_ms: int) -> None:
        """Add to what is free of an asset; less than nothing takes away. Raises ApiError where there is not enough."""
        desk = self._desks[account]
        if desk.free(asset) + amount < ZERO:
            raise rejected("Account has insufficient balance for requested action.")
        self._settle(desk.move(asset, amount, now_ms))

    # -- orders ----------------------------------------------------------------------------------------

    def check(self, account: str, request: OrderRequest, now_ms: int) -> None:
        """Raise ApiError where an order breaks a rule, whatever the market and the balances are."""
        rules = self.rules_of(request.symbol)
        desk = self._desks[account]
        average = exact(self.market.symbols[request.symbol].average(now_ms, rules.average_minutes or 5))
        open_here = desk.open_in(request.symbol)
        buys = sum((each.amount - each.executed for each in open_here if each.side == "BUY"), ZERO)
        held = desk.balances.get(rules.base, Balance(ZERO)).total
        with localcontext(EXACT):
            rules.check(request, average, len(open_here), held, buys)

    def place(self, account: str, request: OrderRequest, now_ms: int) -> Placed:
        """Place an order; its client id must be that of no open order. Raises ApiError."""
        self.check(account, request, now_ms)
        desk = self._desks[account]
        if request.client_id in desk.by_client_id:
            raise rejected("Duplicate order sent.")
        order = HeldOrder(
            self._numbers.order,
            account,
            request.symbol,
            request.client_id,
            request.side,
            request.type,
            request.tif,
            created_ms=now_ms,
            updated_ms=now_ms,
            working_ms=now_ms,
            amount=request.amount,
            price=request.price,
            quote_amount=request.quote_amount,
            prevention=request.prevention,
        )
        seen = self.market.symbols[request.symbol]
        book = BookSeen(self.rules[request.symbol].pair, seen.bids, seen.asks, now_ms)
        changes = self._settle(desk.place(order, book, now_ms))
        if changes.refusal is not None:
            raise changes.refusal
        return Placed(order, tuple(trade for trade in changes.trades if trade.order_id == order.order_id))

    def cancel(
        self,
        account: str,
        symbol: str,
        order_id: int | None,
        client_id: str | None,
        cancel_id: str,
        now_ms: int,
        *,
        only: str = "",
    ) -> Canceled:
        """Cancel an open order by its id or the client's; with both, both must be its own.

        `only` is the one status it may have (ONLY_NEW: "NEW"). Raises ApiError.
        """
        self.rules_of(symbol)
        desk = self._desks[account]
        order = desk.open.get(order_id) if order_id is not None else desk.by_client_id.get(client_id or "")
        if order is None or order.symbol != symbol or client_id not in {None, order.client_id}:
            raise unknown_order()
        if only and order.status != only:
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        self._settle(desk.cancel(order, cancel_id, now_ms))
        return Canceled(order, cancel_id)

    def cancel_all(self, account: str, symbol: str, cancel_id: str, now_ms: int) -> list[Canceled]:
        """Cancel every open order of a symbol. Raises ApiError where there is none."""
        self.rules_of(symbol)
        desk = self._desks[account]
        orders = desk.open_in(symbol)
        if not orders:
            raise unknown_order()
        for order in orders:
            self._settle(desk.cancel(order, cancel_id, now_ms))
        return [Canceled(order, cancel_id) for order in orders]

    def expire(self, account: str, order_id: int, why: str, now_ms: int) -> None:
        """Take an open order off the book by the exchange's decision. Raises ApiError where there is none."""
        order = self._desks[account].open.get(order_id)
        if order is None:
            raise unknown_order()
        self._settle(self._desks[account].expire(order, why, now_ms))

    def query(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> HeldOrder:
        """Return an order by its id or the client's (the open one, else the latest). Raises ApiError."""
        self.rules_of(symbol)
        desk = self._desks[account]
        order = desk.open.get(order_id) if order_id is not None else desk.by_client_id.get(client_id or "")
        if order is None or order.symbol != symbol or client_id not in {None, order.client_id}:
            order = self._store.order(account, symbol, order_id, client_id)
        if order is None:
            raise no_such_order()
        return order

    def open_orders(self, account: str, symbol: str | None = None) -> list[HeldOrder]:
        """Return the open orders, of one symbol or all. Raises ApiError."""
        desk = self._desks[account]
        if symbol is None:
            return list(desk.open.values())
        self.rules_of(symbol)
        return desk.open_in(symbol)

    def all_orders(
        self,
        account: str,
        symbol: str,
        *,
        from_id: int | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 500,
    ) -> list[HeldOrder]:
        """Return orders of a symbol, oldest first; without a beginning the latest `limit`. Raises ApiError."""
        self.rules_of(symbol)
        return self._store.orders(account, symbol, from_id=from_id, from_ms=from_ms, to_ms=to_ms, limit=limit)

    def my_trades(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        from_id: int | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 500,
    ) -> list[OwnTrade]:
        """Return own trades of a symbol, oldest first; without a beginning the latest `limit`. Raises ApiError."""
        self.rules_of(symbol)
        return self._store.trades(
            account, symbol, order_id=order_id, from_id=from_id, from_ms=from_ms, to_ms=to_ms, limit=limit
        )

    # -- dust ------------------------------------------------------------------------------------------

    def price_of(self, asset: str, quote: str) -> Decimal:
        """Return the price of one asset in another by their own market, 1 of itself, 0 where there is none."""
        if asset == quote:
            return ONE
        market = self.market.symbols.get(self._pairs.get(f"{asset}/{quote}", ""))
        return exact(market.last_price) if market is not None else ZERO

    def worth(self, asset: str, other: str) -> Decimal:
        """Return the price of `asset` in `other`, by way of a common quote where they have no market; 0 without."""
        direct = self.price_of(asset, other)
        if direct:
            return direct
        for quote in _CENTS:
            mine, its = self.price_of(asset, quote), self.price_of(other, quote)
            if mine and its:
                return mine / its
        return ZERO

    def dust_of(self, account: str) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        """Return (asset, free, worth in BTC, worth in BNB) of all that is worth less than the smallest order."""
        found = []
        for asset, balance in sorted(self._desks[account].balances.items()):
            in_bnb = (balance.free * self.worth(asset, DUST_ASSET)).quantize(_UNIT, ROUND_DOWN)
            least = min((each.least_notional for each in self.rules.values() if each.base == asset), default=ZERO)
            quote = next((each.quote for each in self.rules.values() if each.base == asset), "")
            if asset != DUST_ASSET and in_bnb and balance.free * self.worth(asset, quote) < least:
                in_btc = (balance.free * self.worth(asset, "BTC")).quantize(_UNIT, ROUND_DOWN)
                found.append((asset, balance.free, in_btc, in_bnb))
        return found

    def convert_dust(
        self, account: str, assets: Sequence[str], now_ms: int
    ) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        """Turn all that is free of `assets` into BNB; return (asset, amount, fee in BNB, BNB received) of each.

        Raises ApiError, and converts nothing, where one of them has no price or nothing is free.
        """
        desk = self._desks[account]
        done: list[tuple[str, Decimal, Decimal, Decimal]] = []
        for asset in dict.fromkeys(assets):
            free, each = desk.free(asset), self.worth(asset, DUST_ASSET)
            if not free or not each or asset == DUST_ASSET:
                raise ApiError(-9000, "Only assets with a small balance and a price can be converted.")
            whole = (free * each).quantize(_UNIT, ROUND_DOWN)
            fee = (whole * _DUST_FEE).quantize(_UNIT)
            done.append((asset, free, fee, whole - fee))
        for asset, amount, _, received in done:
            self._settle(desk.move(asset, -amount, now_ms))
            self._settle(desk.move(DUST_ASSET, received, now_ms))
        return done

    # -- the market ------------------------------------------------------------------------------------

    def rules_of(self, symbol: str) -> SymbolRules:
        """Return the rules of a symbol. Raises ApiError where nobody knows it."""
        found = self.rules.get(symbol)
        if found is None:
            raise invalid_symbol()
        return found

    def on_market(self, event: Event, now_ms: int) -> None:
        """Let the market move: public streams are told first, then open orders meet it."""
        changed = self.market.observe(event)
        if changed is None or changed.symbol not in self.rules:
            return
        for put in tuple(self._publics):
            put(changed)
        rules = self.rules[changed.symbol]
        if rules.status != "TRADING":
            return
        met: BookSeen | TradeSeen
        if isinstance(changed, BookChanged):
            met = BookSeen(rules.pair, changed.bids, changed.asks, changed.at_ms)
        else:
            met = TradeSeen(rules.pair, changed.price, changed.size, not changed.buyer_maker, changed.at_ms)
        for desk in self._desks.values():
            changes = desk.on_market(met, changed.symbol, now_ms)
            if changes is not None:
                self._settle(changes)

    def set_status(self, symbol: str, status: str) -> None:
        """Trade a symbol or do not: TRADING, HALT or BREAK. Raises ApiError."""
        self.rules_of(symbol).status = status

    def delist(self, symbol: str, now_ms: int) -> None:
        """Take a symbol off the exchange; its open orders expire. Raises ApiError."""
        self.rules_of(symbol)
        for desk in self._desks.values():
            for order in desk.open_in(symbol):
                self._settle(desk.expire(order, "EXCHANGE_CANCELED", now_ms))
        del self.rules[symbol]

    # -- telling ---------------------------------------------------------------------------------------

    def subscribe_account(self, account: str, put: Callable[[AccountEvent], None]) -> Callable[[], None]:
        """Tell `put` what happens to an account from here on; return what ends it, harmless when called twice."""
        puts = self._accounts.setdefault(account, [])
        puts.append(put)
        return lambda: puts.remove(put) if put in puts else None

    def subscribe_market(self, put: Callable[[MarketEvent], None]) -> Callable[[], None]:
        """Tell `put` what happens in the market from here on; return what ends it, harmless when called twice."""
        self._publics.append(put)
        return lambda: self._publics.remove(put) if put in self._publics else None

    def _settle(self, changes: Changes) -> Changes:
        if changes.orders or changes.balances or changes.trades:
            try:
                self._store.save(changes, self._numbers)
            except StorageFailed as error:
                self.on_failure(error)
                raise
        for event in changes.events:
            for put in tuple(self._accounts.get(changes.account, ())):
                put(event)
        return changes


def _raised_anyway(_error: StorageFailed) -> None:
    """Tell nobody: the error is raised to whoever asked."""
