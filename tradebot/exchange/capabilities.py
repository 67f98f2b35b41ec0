"""What does an exchange lack, and what does the bot do instead? Asked at start, and by whoever chooses an exchange."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tradebot.exchange.dialects import Dialect, dialect_of

_NEEDED = {
    "createOrder": "orders cannot be placed",
    "cancelOrder": "orders cannot be cancelled",
    "fetchOpenOrders": "open orders cannot be asked for",
    "fetchBalance": "balances cannot be asked for",
    "fetchMyTrades": "fills cannot be asked for",
}


class Lack(Struct, frozen=True):
    """Something an exchange has not. `refused` says that the bot does not trade there for it."""

    what: str
    instead: str
    refused: bool = False


class Capabilities(Struct, frozen=True):
    """What the venue may count on at one exchange."""

    exchange: str
    user_stream: bool
    clock: bool
    tifs: frozenset[str]
    market_buy_by_quote: bool
    market_buy_by_base: bool
    lacks: tuple[Lack, ...]

    @property
    def refusals(self) -> tuple[Lack, ...]:
        """Return the lacks for which the bot does not trade there."""
        return tuple(lack for lack in self.lacks if lack.refused)


def capabilities_of(exchange: Any) -> Capabilities:
    """Return what `exchange`, an instance of ccxt.pro, can do for spot orders, by its `has` and `features`."""
    dialect = dialect_of(exchange.id)
    created = ((getattr(exchange, "features", None) or {}).get("spot") or {}).get("createOrder") or {}
    tifs = frozenset(tif for tif, able in (created.get("timeInForce") or {}).items() if able)
    by_quote = bool(created.get("marketBuyByCost")) and bool(exchange.has.get("createMarketBuyOrderWithCost"))
    lacks = (*_interface(exchange), *_orders(tifs, dialect, by_quote=by_quote), *_client_ids(exchange, dialect))
    return Capabilities(
        exchange=exchange.id,
        user_stream=exchange.has.get("watchOrders") is True,
        clock=exchange.has.get("fetchTime") is True,
        tifs=tifs,
        market_buy_by_quote=by_quote,
        market_buy_by_base=dialect.base_market_buys,
        lacks=lacks,
    )


def _interface(exchange: Any) -> Iterator[Lack]:
    has = exchange.has
    if not exchange.has.get("spot"):
        yield Lack("spot markets", "nothing: the bot trades spot only", refused=True)
    for method, why in _NEEDED.items():
        if not has.get(method):
            yield Lack(method, why, refused=True)
    if has.get("watchOrders") is not True:
        yield Lack("a stream of own orders", "own open orders are asked for every exchange.poll_interval_s")
    if has.get("watchMyTrades") is not True:
        yield Lack("a stream of own trades", "the fills of an order are asked for when it changes")
    if has.get("watchBalance") is not True:
        yield Lack("a stream of balances", "balances are asked for")
    if has.get("fetchTime") is not True:
        yield Lack("its time", "requests are signed with this machine's clock: keep it set by NTP")


def _orders(tifs: frozenset[str], dialect: Dialect, *, by_quote: bool) -> Iterator[Lack]:
    if "IOC" not in tifs:
        yield Lack("IOC orders", "steps that use them are refused, and the next one is tried")
    if "FOK" not in tifs:
        yield Lack("FOK orders", "steps that use them are refused, and the next one is tried")
    if "PO" not in tifs:
        yield Lack("post-only orders", "steps that use them are refused, and the next one is tried")
    if not by_quote:
        yield Lack("market buys by quote amount", "they are refused before they are sent")
    if not dialect.base_market_buys:
        yield Lack(
            "market buys by base amount", "they are refused before they are sent; those by quote amount are sent"
        )


def _client_ids(exchange: Any, dialect: Dialect) -> Iterator[Lack]:
    if dialect.lookup == "scan" and not exchange.has.get("fetchClosedOrders") and not exchange.has.get("fetchOrders"):
        yield Lack(
            "finding an order by its client id, or a list of ended orders",
            "nothing: an order whose answer was lost could never be resolved",
            refused=True,
        )
    elif dialect.lookup == "scan":
        yield Lack("finding an order by its client id", "lists of open and of ended orders are compared")
    elif dialect.lookup == "filter" and not exchange.has.get("fetchClosedOrders"):
        yield Lack("a list of ended orders", "nothing: a lost answer could never be resolved", refused=True)
    elif dialect.lookup == "filter":
        yield Lack("one query for an order by its client id", "open and ended orders are asked for with it")
    if not dialect.raw_reports:
        yield Lack("reports that are complete in themselves", "each change of an own order is asked for over REST")
