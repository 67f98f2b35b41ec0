"""What does an order meet in the market? Asked by every exchange simulated here: order in, market in, executions out.

Nothing here knows of latency or protocols. An order takes effect when it is placed, against what stands in the
book; from then on market events fill it. Takers get what is shown, once; makers queue behind what was shown at
their price. Own orders never trade with each other, and the market does not notice them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Final, Literal

from tradebot.domain.account import AccountOrder
from tradebot.domain.events import (
    BookSeen,
    CancelRefused,
    Event,
    FillReported,
    OrderAcknowledged,
    OrderClosed,
    OrderRefused,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.market import Instrument, split_symbol
from tradebot.domain.numbers import EXACT, ONE, ZERO, exact, floor_to
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.venues.account import Account
from tradebot.venues.book import NO_LEVELS, Book, Levels, Take, Wanted
from tradebot.venues.fees import Fees
from tradebot.venues.refusals import INSUFFICIENT_BALANCE, UNKNOWN_ORDER, WOULD_TAKE, Refusal, filter_failure

Execution = OrderAcknowledged | OrderRefused | FillReported | OrderClosed | CancelRefused
"""What can become of an order, at the time it does."""

UNSEEN: Final = Decimal("Infinity")
"""The queue before an order whose price nobody shows: only a price beyond it fills the order."""


class Resting:
    """An order in the book: its price as a signal, and its place in price and time."""

    __slots__ = ("key", "order", "price")

    def __init__(self, order: AccountOrder) -> None:
        self.order = order
        self.price = float(order.price)
        better_first = -self.price if order.side is Side.BUY else self.price
        self.key = (better_first, order.arrives_ms, order.request)


class Matching:
    """One account's orders against the books of every symbol."""

    def __init__(
        self, instruments: Mapping[str, Instrument], fees: Fees, participation: Decimal, account: Account
    ) -> None:
        self.account = account
        self._instruments = instruments
        self._fees = fees
        self._participation = participation
        self._books: dict[str, Book] = {}
        self._resting: dict[tuple[str, Side], list[Resting]] = {}
        for order in account.orders.values():
            if order.status == "open":
                self._stand(order)

    def book(self, symbol: str) -> Book:
        """Return what is known of the symbol's book."""
        found = self._books.get(symbol)
        if found is None:
            found = self._books[symbol] = Book(self._participation)
        return found

    def place(self, order: AccountOrder, now_ms: int, shown: Levels | None = None) -> list[Execution]:
        """Let `order`, which the account holds as pending, take effect against `shown`, or the book as it stands.

        Returns its acknowledgement with what follows at once, or its refusal.
        """
        with localcontext(EXACT):
            levels = self.book(order.symbol).opposite(order.side) if shown is None else shown
            return self._take_effect(order, levels, now_ms)

    def cancel(self, client_id: str, now_ms: int) -> Execution:
        """Cancel an own order that is in effect; return its end, or the refusal."""
        order = self.account.orders.get(client_id)
        if order is None or order.status != "open":
            return UNKNOWN_ORDER.of_cancel(client_id, now_ms)
        with localcontext(EXACT):
            self._leave(order)
            return self._close(order, "canceled", "", now_ms)

    def on_market(self, event: Event, now_ms: int) -> list[Execution]:
        """Observe a quote, a book or a public trade; return what it does to the resting orders.

        Whole candles say nothing of what stood when, and are not looked at.
        """
        if isinstance(event, TradeSeen):
            side = Side.SELL if event.buyer_taker else Side.BUY
            resting = self._resting.get((event.symbol, side))
            if not resting or event.symbol not in self._instruments:
                return []
            with localcontext(EXACT):
                return self._print(event, resting, now_ms)
        sides = seen_levels(event)
        if sides is None:
            return []
        symbol, bids, asks = sides
        self.book(symbol).show(bids, asks)
        found: list[Execution] = []
        if symbol not in self._instruments:
            return found
        for side in Side:
            resting = self._resting.get((symbol, side))
            if resting:
                with localcontext(EXACT):
                    found += self._pass_by(resting, symbol, side, now_ms)
        return found

    # -- taking effect -------------------------------------------------------------------------------

    def _take_effect(self, order: AccountOrder, levels: Levels, now_ms: int) -> list[Execution]:
        book, instrument = self.book(order.symbol), self._instruments[order.symbol]
        limit = order.price if order.type is OrderType.LIMIT else ZERO
        wanted = Wanted(order.side, limit, order.amount, order.quote_amount)
        takes, whole = book.plan(wanted, levels, instrument)
        refusal = self._refusal(order, instrument, levels, takes, whole=whole)
        if refusal is not None:
            order.status, order.reason = "rejected", refusal.message
            self.account.retire(order)
            return [refusal.of_order(order.client_id, now_ms)]
        order.status = "open"
        self.account.touch(order)
        found: list[Execution] = [OrderAcknowledged(order.client_id, order.venue_id, now_ms)]
        if order.tif is TimeInForce.FOK and order.type is OrderType.LIMIT and not whole:
            takes = []
        for take in takes:
            book.take(order.side, *take.level, take.amount)
            found.append(self._fill(order, instrument, take.price, take.amount, now_ms, maker=False))
        if whole:
            found.append(self._close(order, "filled", "", now_ms))
        elif order.type is OrderType.MARKET:
            found.append(self._close(order, "expired", "INSUFFICIENT_LIQUIDITY", now_ms))
        elif order.tif is TimeInForce.IOC:
            found.append(self._close(order, "expired", "UNFILLED_IOC_QUANTITY_EXPIRED", now_ms))
        elif order.tif is TimeInForce.FOK:
            found.append(self._close(order, "expired", "UNFILLED_FOK_ORDER_EXPIRED", now_ms))
        else:
            self._rest(order, book, instrument)
        return found

    def _refusal(
        self, order: AccountOrder, instrument: Instrument, levels: Levels, takes: list[Take], *, whole: bool
    ) -> Refusal | None:
        """Say no to what breaks a rule only now that the market and the account are known."""
        if order.tif is TimeInForce.PO and levels:
            best = exact(levels[0][0])
            if best <= order.price if order.side is Side.BUY else best >= order.price:
                return WOULD_TAKE
        if order.type is OrderType.MARKET:
            if order.quote_amount and whole and not takes:
                return filter_failure("LOT_SIZE")
            if order.amount and levels and exact(levels[0][0]) * order.amount < instrument.min_notional:
                return filter_failure("NOTIONAL")
        asset, needed = self._needs(order, instrument, takes)
        return INSUFFICIENT_BALANCE if needed > self.account.free(asset) else None

    def _needs(self, order: AccountOrder, instrument: Instrument, takes: list[Take]) -> tuple[str, Decimal]:
        """Return what the order must find free: quote with fees on top on buys, base on sells."""
        if order.side is Side.SELL:
            return instrument.base, order.amount or sum((take.amount for take in takes), ZERO)
        if order.type is OrderType.LIMIT:
            worth = order.price * order.amount
        else:
            worth = order.quote_amount or sum((take.price * take.amount for take in takes), ZERO)
        return instrument.quote, worth * (ONE + self._fees.on_top)

    def _rest(self, order: AccountOrder, book: Book, instrument: Instrument) -> None:
        queue = book.queue_at(order.side, float(order.price))
        order.ahead = UNSEEN if queue is None else queue
        order.locked = self._held_back(order, order.amount - order.filled)
        asset = instrument.quote if order.side is Side.BUY else instrument.base
        self.account.move(asset, free=-order.locked, locked=order.locked)
        self._stand(order)

    # -- the book ------------------------------------------------------------------------------------

    def _stand(self, order: AccountOrder) -> None:
        insort(self._resting.setdefault((order.symbol, order.side), []), Resting(order), key=lambda each: each.key)

    def _leave(self, order: AccountOrder) -> None:
        resting = self._resting[order.symbol, order.side]
        resting[:] = [each for each in resting if each.order is not order]

    def _pass_by(self, resting: list[Resting], symbol: str, side: Side, now_ms: int) -> list[Execution]:
        """Fill the orders of one side that the opposite best went strictly through, and move the queues up."""
        book, instrument = self._books[symbol], self._instruments[symbol]
        levels = book.opposite(side)
        found: list[Execution] = []
        for each in tuple(resting):
            order, price = each.order, each.price
            amount = ZERO
            for level, size in levels:
                if level >= price if side is Side.BUY else level <= price:
                    break
                self._reach_front(order)
                free = floor_to(book.left(side, level, size), instrument.amount_step)
                part = min(free, order.amount - order.filled - amount)
                if part:
                    book.take(side, level, size, part)
                    amount += part
            if amount:
                found += self._make(order, instrument, amount, now_ms)
            if order.ahead and order.status == "open":
                queue = book.queue_at(side, price)
                if queue is not None and queue < order.ahead:
                    order.ahead = queue
                    self.account.age(order)
        return found

    def _print(self, event: TradeSeen, resting: list[Resting], now_ms: int) -> list[Execution]:
        """Hand out what an aggressor of the other side traded: first to better prices, then down the queue."""
        instrument = self._instruments[event.symbol]
        left = exact(event.size)
        queued = ZERO  # of `left`, what went to those who stood at the price before our orders
        found: list[Execution] = []
        for each in tuple(resting):
            order = each.order
            beyond = each.price > event.price if order.side is Side.BUY else each.price < event.price
            if beyond:
                self._reach_front(order)
            elif each.price != event.price:
                break
            else:
                step = min(left, max(ZERO, order.ahead - queued))
                queued += step
                left -= step
                if order.ahead:
                    order.ahead = order.ahead - queued if order.ahead > queued else ZERO
                    self.account.age(order)
            amount = ZERO if order.ahead else floor_to(min(left, order.amount - order.filled), instrument.amount_step)
            if amount:
                left -= amount
                found += self._make(order, instrument, amount, now_ms)
        return found

    def _reach_front(self, order: AccountOrder) -> None:
        if order.ahead:
            order.ahead = ZERO
            self.account.age(order)

    def _make(self, order: AccountOrder, instrument: Instrument, amount: Decimal, now_ms: int) -> list[Execution]:
        """Fill a resting order at its own price; it ends when nothing is left of it."""
        found: list[Execution] = [self._fill(order, instrument, order.price, amount, now_ms, maker=True)]
        if order.filled == order.amount:
            self._leave(order)
            found.append(self._close(order, "filled", "", now_ms))
        return found

    # -- booking -------------------------------------------------------------------------------------

    def _held_back(self, order: AccountOrder, amount: Decimal) -> Decimal:
        """Return what a resting order locks for the `amount` that is not filled yet."""
        if order.side is Side.SELL:
            return amount
        return order.price * amount * (ONE + self._fees.on_top)

    def _fill(
        self, order: AccountOrder, instrument: Instrument, price: Decimal, amount: Decimal, now_ms: int, *, maker: bool
    ) -> FillReported:
        account, cost = self.account, price * amount
        fee, fee_asset = self._fees.charge(instrument, order.side, price, amount, maker=maker)
        order.filled += amount
        order.cost += cost
        released = ZERO
        if order.locked:
            # the rates may have changed since it was locked: the fill's own worth is always let go
            worth = amount if order.side is Side.SELL else order.price * amount
            keep = min(self._held_back(order, order.amount - order.filled), order.locked - worth)
            released, order.locked = order.locked - keep, keep
        received = instrument.base if order.side is Side.BUY else instrument.quote
        if fee_asset not in {received, instrument.quote}:  # paid from what the account holds beside the trade
            account.move(fee_asset, free=-fee)
            fee_inside = ZERO
        else:
            fee_inside = fee
        if order.side is Side.SELL:
            account.move(instrument.base, free=released - amount, locked=-released)
            account.move(instrument.quote, free=cost - fee_inside)
        elif fee_asset == instrument.quote:
            # rounded up, a fee could be a last digit more than an account that spends everything has left
            fee = min(fee, account.free(instrument.quote) + released - cost)
            account.move(instrument.quote, free=released - cost - fee, locked=-released)
            account.move(instrument.base, free=amount)
        else:
            account.move(instrument.quote, free=released - cost, locked=-released)
            account.move(instrument.base, free=amount - fee_inside)
        trade_id = str(account.next_trade)
        fill = FillReported(order.client_id, order.symbol, trade_id, price, amount, fee, fee_asset, maker, now_ms)
        account.book(fill)
        account.touch(order)
        return fill

    def _close(
        self, order: AccountOrder, outcome: Literal["filled", "canceled", "expired"], reason: str, now_ms: int
    ) -> OrderClosed:
        if order.locked:
            base, quote = split_symbol(order.symbol)  # the symbol may not be traded any more
            asset = quote if order.side is Side.BUY else base
            self.account.move(asset, free=order.locked, locked=-order.locked)
            order.locked = ZERO
        order.status, order.reason = outcome, reason
        self.account.retire(order)
        return OrderClosed(order.client_id, outcome, order.filled, reason, now_ms)


def seen_levels(event: Event) -> tuple[str, Levels, Levels] | None:
    """Return symbol, bids and asks that a quote or a book shows, or None for any other event."""
    if isinstance(event, QuoteSeen):
        bids = ((event.bid, event.bid_size),) if event.bid > 0 and event.bid_size > 0 else NO_LEVELS
        asks = ((event.ask, event.ask_size),) if event.ask > 0 and event.ask_size > 0 else NO_LEVELS
        return event.symbol, bids, asks
    if isinstance(event, BookSeen):
        return event.symbol, event.bids, event.asks
    return None
