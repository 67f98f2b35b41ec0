"""How is each request worded for ccxt, and its answer read? Asked by the venue; nothing is ever sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from tradebot.domain.commands import PlaceOrder
from tradebot.domain.inventory import OpenOrder
from tradebot.domain.numbers import plain
from tradebot.domain.orders import Balance, OrderType, TimeInForce
from tradebot.exchange.capabilities import Capabilities
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import Dialect, dialect_of
from tradebot.exchange.evidence import TRAIL, Trail, followed
from tradebot.exchange.outcomes import Accepted, Failure, NeverSent, Outcome, Refused, Unknown, failure_of
from tradebot.exchange.parsing import (
    SeenFill,
    SeenOrder,
    Unreadable,
    balances_of,
    fills_of,
    order_of,
    orders_of,
    standing_of,
)
from tradebot.exchange.quick_orders import QuickOrders

T = TypeVar("T")

_PAGE: Final = 1000
_MOST_PAGES: Final = 20
_LIST: Final = 100
_IN_NO_LIST: Final = "in no list of orders"
_HOLDERS: Final = ("data", "result", "orders", "fills", "balances", "accounts")


class Requests:
    """Speaks to one instance of ccxt. Every method returns what is proven, and raises only when it is cancelled."""

    def __init__(self, exchange: Any, credentials: Credentials, can: Capabilities) -> None:
        self._exchange = exchange
        self._dialect: Dialect = dialect_of(exchange.id)
        self._hide = credentials.hide
        self._can = can
        self._quick = QuickOrders(exchange)

    async def place(self, command: PlaceOrder) -> Outcome:
        """Send an order once. Prices and amounts leave as texts, exactly as decided.

        A cancelled wait is Unknown, like every answer that does not prove anything; the caller is not cancelled by it.
        """
        reason = self._refuse(command)
        if reason:
            return NeverSent(reason)
        try:
            wire = self._dialect.to_wire(command.client_id)
        except ValueError as error:
            return NeverSent(str(error))
        send = self._quick.send(command, wire) or self._worded(command, wire)
        answer = await self._ask(send, though_cancelled=True)
        return _read(answer, lambda found: Accepted(order_of(found, command.symbol, self._dialect)))

    def _worded(self, command: PlaceOrder, wire: str) -> Callable[[], Awaitable[Any]]:
        """Return what lets ccxt word and send an order."""
        params: dict[str, Any] = {self._dialect.place_param: wire}
        exchange, symbol, side = self._exchange, command.symbol, command.side.value
        if command.type is OrderType.LIMIT:
            if command.tif is TimeInForce.PO:
                params["postOnly"] = True
            else:
                params["timeInForce"] = command.tif.value
            price = plain(command.price)
            return partial(exchange.create_order, symbol, "limit", side, plain(command.amount), price, params)
        if command.quote_amount:
            return partial(exchange.create_market_buy_order_with_cost, symbol, plain(command.quote_amount), params)
        return partial(exchange.create_order, symbol, "market", side, plain(command.amount), None, params)

    async def cancel(self, client_id: str, symbol: str, venue_id: str) -> SeenOrder | Failure | None:
        """Ask for a cancel; return the order where the answer tells how it ended, None where it only says yes.

        The answer's own client id is the cancel's on some exchanges: the order's is put in its place.
        """
        try:
            wire = self._dialect.to_wire(client_id)
        except ValueError as error:
            return NeverSent(str(error))
        by, params = self._dialect.cancel_by, {}
        order_id: str | None = venue_id or None
        if by == "client_id":
            order_id, params = None, {self._dialect.find_param: wire}
        elif by == "wire_id":
            order_id = wire
        elif order_id is None:
            return NeverSent("the exchange cancels by its own id, which is not known yet")
        answer = await self._ask(lambda: self._exchange.cancel_order(order_id, symbol, params))
        if isinstance(answer, Failure):
            return answer
        try:
            order = order_of(answer, symbol, self._dialect)
        except Unreadable:
            return None
        return order if order.status in {"canceled", "expired"} and order.client_id == client_id else None

    async def find(self, client_id: str, symbol: str, venue_id: str) -> SeenOrder | Failure:
        """Return the order as the exchange holds it now; Refused "absent" where it knows none."""
        try:
            wire = self._dialect.to_wire(client_id)
        except ValueError as error:
            return NeverSent(str(error))
        exchange, dialect = self._exchange, self._dialect
        if dialect.lookup == "order":
            params = {dialect.find_param: wire}
            found = await self._ask(lambda: exchange.fetch_order(wire, symbol, params))
            return _read(found, lambda answer: _same(order_of(answer, symbol, dialect), client_id))
        return await self._look_through(client_id, symbol, wire, venue_id)

    async def by_venue_id(self, symbol: str, venue_id: str) -> SeenOrder | Failure:
        """Return an order by the exchange's own id."""
        params = {"acknowledged": True} if self._exchange.id == "bybit" else {}
        found = await self._ask(lambda: self._exchange.fetch_order(venue_id, symbol, params))
        return _read(found, lambda answer: order_of(answer, symbol, self._dialect))

    async def open_orders(self, symbol: str | None) -> list[SeenOrder] | Failure:
        """Return the open orders of a symbol, or of all of them (None), everybody's of the account."""
        return await self._list(lambda: self._exchange.fetch_open_orders(symbol), partial(self._orders, symbol or ""))

    async def everything_open(self, symbols: Sequence[str]) -> list[SeenOrder] | Failure:
        """Return the open orders of the account, everybody's; of `symbols` alone where the exchange lists by symbol.

        A list that is as long as the exchange's longest may be cut off, and is Unknown.
        """
        listed = await self._all_open(None)
        if not isinstance(listed, Refused | NeverSent) or getattr(listed, "held_back", False):
            return listed
        found: list[SeenOrder] = []
        for symbol in symbols:
            listed = await self._all_open(symbol)
            if isinstance(listed, Failure):
                return listed
            found += listed
        return found if symbols else listed

    async def standing(self, symbols: Sequence[str]) -> list[OpenOrder] | Failure:
        """Return the open orders of the account, everybody's; of `symbols` alone where the exchange has no list of all.

        A list that is as long as the exchange's longest may be cut off, and is Unknown.
        """
        found: list[OpenOrder] = []
        for symbol in symbols if self._listing().get("symbolRequired") else (None,):
            listed = await self._whole_list(symbol, partial(standing_of, dialect=self._dialect))
            if isinstance(listed, Failure):
                return listed
            found += listed
        return found

    async def cancel_all_after(self, milliseconds: int, armed: Callable[[Any], bool]) -> Failure | None:
        """Set the dead man's switch, or end it (0); return None where that is done.

        `armed` reads from an answer whether the switch is set.
        """
        answer = await self._ask(lambda: self._exchange.cancel_all_orders_after(milliseconds))
        if isinstance(answer, Failure):
            return answer
        return None if not milliseconds or armed(answer) else Unknown("the answer does not say that it is set")

    async def recent_orders(self, symbol: str, since_ms: int | None) -> list[SeenOrder] | Failure:
        """Return open and ended orders of a symbol since a time of the exchange's (None: the latest)."""
        exchange = self._exchange
        if exchange.has.get("fetchOrders") is True:
            return await self._list(
                lambda: exchange.fetch_orders(symbol, since_ms, _PAGE), partial(self._orders, symbol)
            )
        still_open = await self.open_orders(symbol)
        if isinstance(still_open, Failure):
            return still_open
        ended = await self._list(partial(self._ended(), symbol, since_ms, _LIST), partial(self._orders, symbol))
        return ended if isinstance(ended, Failure) else [*still_open, *ended]

    async def fills(self, symbol: str, venue_id: str) -> list[SeenFill] | Failure:
        """Return the trades of one order, as far as the exchange tells them already."""
        exchange = self._exchange
        if exchange.id == "binance":
            return await self._pages(symbol, {"orderId": venue_id})
        if exchange.has.get("fetchOrderTrades") is True and self._dialect.trades_by_order:
            fetch = partial(exchange.fetch_order_trades, venue_id, symbol)
        else:
            fetch = partial(exchange.fetch_my_trades, symbol, None, _LIST)
        seen = await self._list(fetch, partial(self._fills, symbol))
        return seen if isinstance(seen, Failure) else [fill for fill in seen if fill.venue_id == venue_id]

    async def trades(self, symbol: str, *, after_id: int | None, since_ms: int | None) -> list[SeenFill] | Failure:
        """Return own trades of a symbol: after a trade id where the exchange counts them, else since a time of its.

        Where that is told in one list it may be cut off: `may_go_on` says so.
        """
        if self._exchange.id == "binance":
            params = {"fromId": after_id + 1} if after_id is not None else {}
            return await self._pages(symbol, params, since_ms if after_id is None else None)
        fetch = partial(self._exchange.fetch_my_trades, symbol, since_ms, _LIST)
        return await self._list(fetch, partial(self._fills, symbol))

    def may_go_on(self, listed: Sequence[SeenFill]) -> bool:
        """Whether trades that were told in one list may be more than it holds."""
        return self._exchange.id != "binance" and len(listed) >= _LIST

    async def balances(self) -> dict[str, Balance] | Failure:
        """Return every balance that is not nothing."""
        return await self._list(self._exchange.fetch_balance, balances_of)

    def _refuse(self, command: PlaceOrder) -> str:
        """Say what the exchange cannot do of an order; "" where it can."""
        can = self._can
        if command.type is OrderType.LIMIT:
            return "" if command.tif in can.tifs or command.tif == "GTC" else f"{can.exchange} has no {command.tif}"
        if command.quote_amount and not can.market_buy_by_quote:
            return f"{can.exchange} has no market buy by quote amount"
        if command.side == "buy" and not command.quote_amount and not can.market_buy_by_base:
            return f"{can.exchange} has no market buy by base amount"
        return ""

    def _listing(self) -> Mapping[str, Any]:
        """Return what ccxt knows of the exchange's lists of open orders."""
        spot = (getattr(self._exchange, "features", None) or {}).get("spot") or {}
        return spot.get("fetchOpenOrders") or {}

    async def _all_open(self, symbol: str | None) -> list[SeenOrder] | Failure:
        return await self._whole_list(symbol, partial(self._orders, symbol or ""))

    async def _whole_list(self, symbol: str | None, read: Callable[[Any], list[T]]) -> list[T] | Failure:
        limit = self._listing().get("limit")
        listed = await self._list(partial(self._exchange.fetch_open_orders, symbol, None, limit), read)
        if limit is not None and not isinstance(listed, Failure) and len(listed) >= limit:
            return Unknown(f"the list of open orders may go on beyond {limit}")
        return listed

    async def _look_through(self, client_id: str, symbol: str, wire: str, venue_id: str) -> SeenOrder | Failure:
        exchange, dialect = self._exchange, self._dialect
        if dialect.lookup == "scan":
            seen = await (self.by_venue_id(symbol, venue_id) if venue_id else self.recent_orders(symbol, None))
            return seen if isinstance(seen, SeenOrder | Failure) else _among(seen, client_id)
        params = {dialect.find_param: wire}
        for fetch in (exchange.fetch_open_orders, self._ended()):
            listed = await self._list(partial(fetch, symbol, None, _LIST, params), partial(self._orders, symbol))
            if isinstance(listed, Failure):
                return listed
            found = _among(listed, client_id)
            if isinstance(found, SeenOrder):
                return found
        return Refused("", _IN_NO_LIST, "absent")

    def _ended(self) -> Callable[..., Awaitable[Any]]:
        """Return what lists ended orders, canceled ones among them: ccxt may hold only filled ones for closed."""
        exchange = self._exchange
        both = exchange.has.get("fetchCanceledAndClosedOrders") is True
        return exchange.fetch_canceled_and_closed_orders if both else exchange.fetch_closed_orders  # type: ignore[no-any-return]

    def _orders(self, symbol: str, answer: Any) -> list[SeenOrder]:
        return orders_of(answer, symbol, self._dialect)

    def _fills(self, symbol: str, answer: Any) -> list[SeenFill]:
        return fills_of(answer, symbol, self._dialect)

    async def _pages(
        self, symbol: str, params: dict[str, Any], since_ms: int | None = None
    ) -> list[SeenFill] | Failure:
        """Return every trade of Binance's myTrades, page by page; an order's pages go on by trade id."""
        rows: dict[str, SeenFill] = {}
        for _ in range(_MOST_PAGES):
            page = partial(self._exchange.fetch_my_trades, symbol, since_ms, _PAGE, params)
            seen = await self._list(page, partial(self._fills, symbol))
            if isinstance(seen, Failure):
                return seen
            rows.update((fill.trade_id, fill) for fill in seen)
            if len(seen) < _PAGE:
                return list(rows.values())
            params, since_ms = {**params, "fromId": max(int(fill.trade_id) for fill in seen) + 1}, None
        return Unknown(f"more than {_MOST_PAGES * _PAGE} trades of {symbol}")

    async def _list(self, call: Callable[[], Awaitable[Any]], read: Callable[[Any], T]) -> T | Failure:
        """Return what `read` makes of an answer that holds a list, even an empty one.

        ccxt takes an answer without one for an empty list, which would be no open order, no trade, no balance.
        """
        with followed() as trail:
            answer = await self._ask(call)
        if not isinstance(answer, Failure) and not _holds_list(trail.answer):
            return Unknown("the answer holds no list")
        return _read(answer, read)

    async def _ask(self, call: Callable[[], Awaitable[Any]], *, though_cancelled: bool = False) -> Any:
        """Return ccxt's answer, or the Failure its error proves; `though_cancelled` judges a cancelled wait, too."""
        with followed(TRAIL.get()) as trail:
            try:
                return await call()
            except asyncio.CancelledError as error:
                if not though_cancelled:
                    raise
                return self._failure(error, trail)
            except Exception as error:  # noqa: BLE001 - the border to ccxt: every error is judged
                return self._failure(error, trail)

    def _failure(self, error: BaseException, trail: Trail) -> Failure:
        codes = self._exchange.exceptions.get("exact")
        return failure_of(error, trail, exchange=self._exchange.id, codes=codes, hide=self._hide)


def _read(answer: Any, read: Callable[[Any], T]) -> T | Failure:
    if isinstance(answer, Failure):
        return answer
    try:
        return read(answer)
    except Unreadable as error:
        return Unknown(str(error))


def _among(orders: list[SeenOrder], client_id: str) -> SeenOrder | Refused:
    """Return the order of a client id, as absent where none has it."""
    return next((each for each in orders if each.client_id == client_id), Refused("", _IN_NO_LIST, "absent"))


def _holds_list(answer: Any) -> bool:
    return isinstance(answer, list) or (
        isinstance(answer, Mapping) and any(answer.get(key) is not None for key in _HOLDERS)
    )


def _same(order: SeenOrder, client_id: str) -> SeenOrder:
    """Return `order` where it is the one that was asked for. Raises Unreadable."""
    if order.client_id and order.client_id != client_id:
        raise Unreadable("another order was answered")
    return order


def absent(failure: object) -> bool:
    """Whether an answer says that there is no such order."""
    return isinstance(failure, Refused) and failure.why == "absent"
