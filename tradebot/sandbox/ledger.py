"""What becomes of one account's orders, and what is it told of it? Asked by the exchange for every order and event.

The matching core shared with paper decides; here its executions become the reports and positions that an account's
stream carries, in Binance's order: NEW and the position, each TRADE and the position, the end and the position.
The core knows an order by its order id, as a client's id may come again once its order ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Final, Literal

from msgspec import Struct

from tradebot.domain.account import AccountImage, AccountOrder
from tradebot.domain.events import BookSeen, FillReported, OrderClosed, OrderRefused, TradeSeen
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import EXACT, ONE, ZERO, floor_to
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.sandbox.ledger_fees import AccountFees
from tradebot.sandbox.ledger_reports import Positions, execution_report
from tradebot.sandbox.orders import (
    AccountEvent,
    BalanceChanged,
    Execution,
    FeeRates,
    HeldOrder,
    OwnTrade,
)
from tradebot.sandbox.wire_errors import ApiError, rejected
from tradebot.venues.account import Account
from tradebot.venues.book import Take, Wanted
from tradebot.venues.matching import Execution as CoreExecution
from tradebot.venues.matching import Matching
from tradebot.venues.refusals import INSUFFICIENT_BALANCE

_NONE: Final[dict[int, HeldOrder]] = {}


class Changes(Struct):
    """What one step changed, to be stored together and then told: absolute new values, and events in order."""

    account: str
    orders: dict[int, HeldOrder]
    trades: list[OwnTrade]
    balances: dict[str, Balance]
    events: list[AccountEvent]
    refusal: ApiError | None = None


class Numbers(Struct):
    """The exchange's counters: the next order, trade and execution."""

    order: int = 1
    trade: int = 1
    execution: int = 1


class _Holdings(Account):
    """The core's account, which lets go of every order that ended: the exchange keeps those itself."""

    def retire(self, order: AccountOrder) -> None:
        self.touch(order)
        self.orders.pop(order.client_id, None)
        self.fills.pop(order.client_id, None)


class Desk:
    """One account: its balances, its open orders by id and by client's id, and the core that works them."""

    def __init__(
        self,
        account: str,
        instruments: Mapping[str, Instrument],
        rates: FeeRates,
        worth: Callable[[str, str], Decimal],
        numbers: Numbers,
        balances: Mapping[str, Balance],
        open_orders: Sequence[HeldOrder],
    ) -> None:
        self.account = account
        self.rates = rates
        self.updated_ms = max((order.updated_ms for order in open_orders), default=0)
        self.open: dict[int, HeldOrder] = {}
        self.by_client_id: dict[str, HeldOrder] = {}
        self._open_in: dict[str, dict[int, HeldOrder]] = {}
        for order in open_orders:
            self._hold(order)
        self._numbers = numbers
        self._instruments = instruments
        self._by_symbol = {each.base + each.quote: each for each in instruments.values()}
        image = AccountImage(
            dict(balances),
            {str(order.order_id): self._core_order(order, "open") for order in open_orders},
            next_order=numbers.order,
            next_trade=numbers.trade,
        )
        self._holdings = _Holdings(image, 0)
        self._core = Matching(instruments, AccountFees.at(rates, self._holdings.free, worth), ONE, self._holdings)
        self._shown = Positions(balances)

    @property
    def balances(self) -> Mapping[str, Balance]:
        """What the account holds, by asset."""
        return self._holdings.balances

    def free(self, asset: str) -> Decimal:
        """Return what of an asset can be used."""
        return self._holdings.free(asset)

    def open_in(self, symbol: str) -> list[HeldOrder]:
        """Return the open orders of a symbol, oldest first."""
        return list(self._open_in.get(symbol, _NONE).values())

    # -- steps: each returns what it changed -------------------------------------------------------------

    def place(self, order: HeldOrder, book: BookSeen, now_ms: int) -> Changes:
        """Let a new order take effect against `book`; `refusal` in what it returns says that it did not."""
        changes = self._changes()
        self._core.book(book.symbol).show(book.bids, book.asks)
        with localcontext(EXACT):
            core = self._core_order(order, "pending")
            met = self._met(order, book.symbol) if order.prevention != "NONE" else []
            if met and self._short(order):
                changes.refusal = rejected(INSUFFICIENT_BALANCE.message)
                return changes
            if met and order.prevention != "EXPIRE_TAKER":
                self._expire_makers(order, met, changes, now_ms)
            if met and order.prevention != "EXPIRE_MAKER":
                return self._cut_short(order, core, met[0], changes, now_ms)
            self._holdings.take_in(core)
            found = self._core.place(core, now_ms)
            if isinstance(found[0], OrderRefused):
                changes.refusal = ApiError(int(found[0].code), found[0].message)
            else:
                self._admit(order, found, changes, now_ms)
                self._tell(order, found, changes, now_ms)
        return self._settle(changes)

    def cancel(self, order: HeldOrder, cancel_id: str, now_ms: int) -> Changes:
        """Cancel an open order; `cancel_id` is the cancel's own client id."""
        changes = self._changes()
        self._core.cancel(str(order.order_id), now_ms)
        self._end(order, "CANCELED", changes, now_ms, cancel_id=cancel_id)
        return self._settle(changes)

    def expire(self, order: HeldOrder, why: str, now_ms: int) -> Changes:
        """Take an open order off the book by the exchange's own decision."""
        changes = self._changes()
        self._core.cancel(str(order.order_id), now_ms)
        order.expiry = why
        self._end(order, "EXPIRED", changes, now_ms)
        return self._settle(changes)

    def on_market(self, event: BookSeen | TradeSeen, symbol: str, now_ms: int) -> Changes | None:
        """Let the market meet the open orders of a symbol; None where nothing became of it."""
        if not self._open_in.get(symbol):
            return None
        found = self._core.on_market(event, now_ms)
        if not found:
            return None
        changes = self._changes()
        with localcontext(EXACT):
            for execution in found:
                self._tell(self.open[int(execution.client_id)], [execution], changes, now_ms)
        return self._settle(changes)

    def move(self, asset: str, delta: Decimal, now_ms: int) -> Changes:
        """Add to what is free of an asset other than by trading (less than nothing takes away)."""
        changes = self._changes()
        with localcontext(EXACT):
            self._holdings.move(asset, free=delta)
            self._shown.move(asset, free=delta)
        changes.events += [BalanceChanged(asset, delta, now_ms), self._shown.position((asset,), now_ms)]
        self.updated_ms = now_ms
        return self._settle(changes)

    # -- telling -----------------------------------------------------------------------------------------

    def _changes(self) -> Changes:
        return Changes(self.account, {}, [], {}, [])

    def _settle(self, changes: Changes) -> Changes:
        delta = self._holdings.take_delta()
        if delta is not None:
            changes.balances = dict(delta.balances)
            for core in delta.orders.values():
                order = self.open.get(int(core.client_id))
                if order is not None:
                    order.locked, order.ahead = core.locked, core.ahead
        return changes

    def _admit(self, order: HeldOrder, found: Sequence[CoreExecution], changes: Changes, now_ms: int) -> None:
        """Tell that an order was accepted: what it locks is held back until its fills say otherwise."""
        self._numbers.order += 1
        if order.quote_amount:
            order.amount = sum((each.amount for each in found if isinstance(each, FillReported)), ZERO)
        self._hold(order)
        self._shown.lock(order, order.amount, self._by_symbol[order.symbol])
        self._report(order, "NEW", changes, now_ms)

    def _tell(self, order: HeldOrder, found: Sequence[CoreExecution], changes: Changes, now_ms: int) -> None:
        cut = any(isinstance(each, OrderClosed) and each.outcome == "expired" for each in found)
        for each in found:
            if isinstance(each, FillReported):
                self._trade(order, each, changes, now_ms, cut=cut)
            elif isinstance(each, OrderClosed) and each.outcome == "expired":
                order.expiry = each.reason
                self._end(order, "EXPIRED", changes, now_ms)
            elif isinstance(each, OrderClosed) and not order.prevented_match:
                self._drop(order)

    def _trade(self, order: HeldOrder, fill: FillReported, changes: Changes, now_ms: int, *, cut: bool) -> None:
        """Book a fill; `cut` says that the rest of the order expires, whose amount in base may be that of its fills."""
        cost = fill.price * fill.amount
        order.executed += fill.amount
        order.cost += cost
        order.updated_ms = now_ms
        whole = order.executed == order.amount and not order.prevented_match and not cut
        order.status = "FILLED" if whole else "PARTIALLY_FILLED"
        if order.side == "BUY":
            base, quote = fill.amount, -cost
        else:
            base, quote = -fill.amount, cost
        instrument = self._by_symbol[order.symbol]
        self._shown.lock(order, -fill.amount, self._by_symbol[order.symbol])
        self._shown.move(instrument.base, free=base)
        self._shown.move(instrument.quote, free=quote)
        self._shown.move(fill.fee_asset, free=-fill.fee)
        trade = OwnTrade(
            self._numbers.trade,
            self.account,
            order.order_id,
            order.symbol,
            order.side,
            fill.price,
            fill.amount,
            cost,
            fill.fee,
            fill.fee_asset,
            fill.maker,
            now_ms,
        )
        self._numbers.trade += 1
        changes.trades.append(trade)
        self._report(order, "TRADE", changes, now_ms, trade=trade)

    def _end(
        self, order: HeldOrder, execution: Execution, changes: Changes, now_ms: int, *, cancel_id: str = ""
    ) -> None:
        order.updated_ms = now_ms
        if execution == "CANCELED":
            order.status = "CANCELED"
        elif execution == "TRADE_PREVENTION":
            order.status = "EXPIRED_IN_MATCH"
        else:
            order.status = "EXPIRED"
        self._shown.lock(order, order.executed - order.amount, self._by_symbol[order.symbol])
        self._drop(order)
        self._report(order, execution, changes, now_ms, cancel_id=cancel_id)

    def _hold(self, order: HeldOrder) -> None:
        self.open[order.order_id] = order
        self.by_client_id[order.client_id] = order
        self._open_in.setdefault(order.symbol, {})[order.order_id] = order

    def _drop(self, order: HeldOrder) -> None:
        order.locked = order.ahead = ZERO
        self.open.pop(order.order_id, None)
        self._open_in[order.symbol].pop(order.order_id, None)
        if self.by_client_id.get(order.client_id) is order:
            del self.by_client_id[order.client_id]

    def _report(
        self,
        order: HeldOrder,
        execution: Execution,
        changes: Changes,
        now_ms: int,
        *,
        trade: OwnTrade | None = None,
        cancel_id: str = "",
    ) -> None:
        number = self._numbers.execution
        report = execution_report(order, execution, number, now_ms, trade=trade, cancel_id=cancel_id)
        self._numbers.execution += 1
        self.updated_ms = now_ms
        changes.orders[order.order_id] = order
        instrument = self._by_symbol[order.symbol]
        assets = dict.fromkeys((instrument.base, instrument.quote))
        if trade is not None:
            assets[trade.fee_asset] = None
        changes.events += [report, self._shown.position(assets, now_ms)]

    # -- self-trade prevention -----------------------------------------------------------------------------

    def _met(self, order: HeldOrder, pair: str) -> list[HeldOrder]:
        """Return the own resting orders that `order` would trade with, best price first.

        It meets one where the market's better prices are not enough for it.
        """
        if order.type == "LIMIT_MAKER":
            return []
        buys = order.side == "BUY"
        against = [
            each
            for each in self.open_in(order.symbol)
            if each.side != order.side
            and (not order.price or (each.price <= order.price if buys else each.price >= order.price))
        ]
        against.sort(key=lambda each: (each.price if buys else -each.price, each.order_id))
        met = []
        for each in against:
            if self._before(order, pair, each.price)[1]:
                break
            met.append(each)
        return met

    def _before(self, order: HeldOrder, pair: str, price: Decimal) -> tuple[list[Take], bool]:
        """Return what `order` gets at prices strictly better than `price`, and whether that is all it wants."""
        instrument, book = self._instruments[pair], self._core.book(pair)
        side = _side(order)
        strict = price - instrument.tick_size / 2 if side is Side.BUY else price + instrument.tick_size / 2
        return book.plan(Wanted(side, strict, order.amount, order.quote_amount), book.opposite(side), instrument)

    def _short(self, order: HeldOrder) -> bool:
        """Whether the account has less than all of `order` could need."""
        instrument = self._by_symbol[order.symbol]
        if order.side == "SELL":
            return order.amount > self._holdings.free(instrument.base)
        return max(order.price * order.amount, order.quote_amount) > self._holdings.free(instrument.quote)

    def _expire_makers(self, order: HeldOrder, met: Sequence[HeldOrder], changes: Changes, now_ms: int) -> None:
        """Take the resting orders off the book: all of them, or the first where the taker goes as well."""
        for resting in met[:1] if order.prevention == "EXPIRE_BOTH" else met:
            resting.prevented = resting.amount - resting.executed
            resting.prevented_match = self._numbers.execution
            self._core.cancel(str(resting.order_id), now_ms)
            self._end(resting, "TRADE_PREVENTION", changes, now_ms)

    def _cut_short(
        self, order: HeldOrder, core: AccountOrder, resting: HeldOrder, changes: Changes, now_ms: int
    ) -> Changes:
        """Let `order` have what stands before the own order it would meet, and expire the rest of it."""
        instrument = self._by_symbol[order.symbol]
        takes, _ = self._before(order, core.symbol, resting.price)
        if order.tif == "FOK":
            takes = []
        order.prevented_match = resting.prevented_match or self._numbers.execution
        found: list[CoreExecution] = []
        if takes:
            core.type, core.tif, core.price = OrderType.LIMIT, TimeInForce.IOC, takes[-1].price
            core.amount = sum((take.amount for take in takes), ZERO)
            core.quote_amount = ZERO
            self._holdings.take_in(core)
            found = self._core.place(core, now_ms)
            if isinstance(found[0], OrderRefused):
                changes.refusal = ApiError(int(found[0].code), found[0].message)
                return self._settle(changes)
        self._admit(order, found, changes, now_ms)
        self._tell(order, found, changes, now_ms)
        left = order.quote_amount - order.cost if order.quote_amount else ZERO
        order.prevented = (
            floor_to(left / resting.price, instrument.amount_step) if left else order.amount - order.executed
        )
        self._end(order, "TRADE_PREVENTION", changes, now_ms)
        return self._settle(changes)

    def _core_order(self, order: HeldOrder, status: Literal["pending", "open"]) -> AccountOrder:
        """Return the order as the core knows it."""
        return AccountOrder(
            str(order.order_id),
            str(order.order_id),
            self._by_symbol[order.symbol].symbol,
            _side(order),
            OrderType.MARKET if order.type == "MARKET" else OrderType.LIMIT,
            TimeInForce.PO if order.type == "LIMIT_MAKER" else TimeInForce(order.tif),
            order.created_ms,
            order.price,
            order.amount,
            order.quote_amount,
            status,
            order.executed,
            order.cost,
            order.locked,
            order.ahead,
            request=order.order_id,
        )


def _side(order: HeldOrder) -> Side:
    return Side.BUY if order.side == "BUY" else Side.SELL
