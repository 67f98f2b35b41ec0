"""What does the exchange say of an account? A picture of it, over signed REST or from the core itself. Asked by
`comparing`, by rehearsals and by the crash matrix.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from msgspec import Struct

from tradebot.domain.orders import Balance
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.orders import OPEN, HeldOrder, OwnTrade
from tradebot.sandbox.signing import signed_query
from tradebot.sandbox.store import Store

PAGE: Final = 1_000
"""The most orders or trades that Binance gives at once (`limit` of allOrders and myTrades)."""

ANSWER_S: Final = 30.0
_PATIENCE: Final = 5
_LONGEST_PAUSE_S: Final = 61.0

KEY: Final = "test-key"
_SECRET: Final = "-".join(("test", "secret"))

Kept = TypeVar("Kept")


class SeenOrder(Struct, frozen=True):
    """One order at the exchange: its words, its ids, amounts in base, `cost` in quote."""

    order_id: str
    client_id: str
    symbol: str
    side: str
    kind: str
    tif: str
    price: Decimal
    amount: Decimal
    quote_amount: Decimal
    executed: Decimal
    cost: Decimal
    status: str


class SeenFill(Struct, frozen=True):
    """One own trade at the exchange."""

    trade_id: str
    order_id: str
    symbol: str
    side: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool


class Picture(Struct, frozen=True):
    """An account as the exchange tells it; `open_ids` are the order ids that its list of open orders has."""

    orders: tuple[SeenOrder, ...]
    fills: tuple[SeenFill, ...]
    balances: Mapping[str, Balance]
    open_ids: frozenset[str]


class Account:
    """The account of a key, over REST, as its owner asks."""

    def __init__(self, url: str, key: str = KEY, secret: str = _SECRET) -> None:
        self.url = url
        self._key = key
        self._secret = secret

    def ask(self, path: str, **params: object) -> Any:
        """Return the answer to a signed GET below /api/v3; one refused for its weight is asked again when it may."""
        return self._get(lambda: f"{path}?{self._signed(params)}")

    def public(self, path: str) -> Any:
        """Return the answer to a GET that needs no key."""
        return self._get(lambda: path)

    def _signed(self, params: Mapping[str, object]) -> str:
        stamp = {"timestamp": int(time.time() * 1000), "recvWindow": 60_000}
        return str(signed_query(self._secret, {**params, **stamp}))

    def _get(self, asked: Callable[[], str]) -> Any:
        for _ in range(_PATIENCE):
            request = urllib.request.Request(f"{self.url}/api/v3/{asked()}", headers={"X-MBX-APIKEY": self._key})  # noqa: S310 - loopback
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - loopback
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code not in {418, 429}:
                    raise AssertionError(f"{error.code}: {error.read().decode(errors='replace')}") from error
                time.sleep(min(float(error.headers.get("Retry-After", 1)), _LONGEST_PAUSE_S))
        raise AssertionError(f"{self.url} refused {_PATIENCE} times")

    def picture(self, symbols: Iterable[str] | None = None) -> Picture:
        """Return the account's picture; `symbols` are the exchange's (BTCUSDT), None means all of exchangeInfo.

        The account stands still meanwhile. Every page of orders and trades is read.
        """
        named = symbols or [each["symbol"] for each in self.public("exchangeInfo")["symbols"]]
        orders: list[SeenOrder] = []
        fills: list[SeenFill] = []
        for symbol in sorted(named):
            orders += [_order_of(row) for row in self._pages("allOrders", "orderId", "orderId", symbol)]
            fills += [_fill_of(row) for row in self._pages("myTrades", "fromId", "id", symbol)]
        balances = {
            row["asset"]: Balance(Decimal(row["free"]), Decimal(row["locked"]))
            for row in self.ask("account")["balances"]
        }
        open_ids = frozenset(str(row["orderId"]) for row in self.ask("openOrders"))
        return Picture(tuple(orders), tuple(fills), balances, open_ids)

    def _pages(self, path: str, start: str, name: str, symbol: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        first = 0
        while True:
            page = self.ask(path, symbol=symbol, limit=PAGE, **{start: first})
            found += page
            if len(page) < PAGE:
                return found
            first = int(page[-1][name]) + 1


def core_picture(exchange: Exchange, account: str = KEY) -> Picture:
    """Return the picture of an account from the exchange's core itself, delisted symbols included."""
    store = exchange._store
    orders: list[SeenOrder] = []
    fills: list[SeenFill] = []
    for symbol in sorted(exchange.market.symbols):
        placed, traded = partial(_orders, store, account, symbol), partial(_trades, store, account, symbol)
        orders += map(_held, _whole(placed, _order_id))
        fills += map(_traded, _whole(traded, _trade_id))
    open_ids = frozenset(str(each.order_id) for each in exchange.open_orders(account))
    return Picture(tuple(orders), tuple(fills), dict(exchange.balances(account)), open_ids)


def _whole(page: Callable[[int], list[Kept]], number: Callable[[Kept], int]) -> list[Kept]:
    """Return every page's rows; `page` gives those from a number on."""
    found: list[Kept] = []
    first = 0
    while True:
        more = page(first)
        found += more
        if len(more) < PAGE:
            return found
        first = number(more[-1]) + 1


def _orders(store: Store, account: str, symbol: str, first: int) -> list[HeldOrder]:
    return store.orders(account, symbol, from_id=first, from_ms=None, to_ms=None, limit=PAGE)


def _trades(store: Store, account: str, symbol: str, first: int) -> list[OwnTrade]:
    return store.trades(account, symbol, order_id=None, from_id=first, from_ms=None, to_ms=None, limit=PAGE)


def _order_id(order: HeldOrder) -> int:
    return order.order_id


def _trade_id(trade: OwnTrade) -> int:
    return trade.trade_id


def is_open(order: SeenOrder) -> bool:
    """Whether the order may still be filled."""
    return order.status in OPEN


def _order_of(row: Mapping[str, Any]) -> SeenOrder:
    return SeenOrder(
        order_id=str(row["orderId"]),
        client_id=row["clientOrderId"],
        symbol=row["symbol"],
        side=row["side"],
        kind=row["type"],
        tif=row["timeInForce"],
        price=Decimal(row["price"]),
        amount=Decimal(row["origQty"]),
        quote_amount=Decimal(row["origQuoteOrderQty"]),
        executed=Decimal(row["executedQty"]),
        cost=Decimal(row["cummulativeQuoteQty"]),
        status=row["status"],
    )


def _fill_of(row: Mapping[str, Any]) -> SeenFill:
    return SeenFill(
        trade_id=str(row["id"]),
        order_id=str(row["orderId"]),
        symbol=row["symbol"],
        side="BUY" if row["isBuyer"] else "SELL",
        price=Decimal(row["price"]),
        amount=Decimal(row["qty"]),
        fee=Decimal(row["commission"]),
        fee_asset=row["commissionAsset"],
        maker=row["isMaker"],
    )


def _held(order: HeldOrder) -> SeenOrder:
    return SeenOrder(
        order_id=str(order.order_id),
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        kind=order.type,
        tif=order.tif,
        price=order.price,
        amount=order.amount,
        quote_amount=order.quote_amount,
        executed=order.executed,
        cost=order.cost,
        status=order.status,
    )


def _traded(trade: OwnTrade) -> SeenFill:
    return SeenFill(
        trade_id=str(trade.trade_id),
        order_id=str(trade.order_id),
        symbol=trade.symbol,
        side=trade.side,
        price=trade.price,
        amount=trade.amount,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        maker=trade.maker,
    )
