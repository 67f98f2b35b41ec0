"""What is known of the account's own orders? Asked by the ccxt venue for every report, answer and reconciliation.

Reports come twice, late and out of order: a fill counts once by its trade id, the cumulative amount only grows, and
an end is final. What is new becomes events, everything else is silence.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Literal

from tradebot.domain.events import Event, FillReported, OrderAcknowledged, OrderClosed, OrderReported
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.parsing import SeenFill, SeenOrder

Ended = Literal["filled", "canceled", "expired", "rejected"]


class OwnOrder:
    """One own order. `asked_ms` is a time by which its request had left for certain, 0 while it is under way; `asked_s`
    is the same by the loop's clock, which nobody sets.

    `doubted` says that it may exist though the exchange has not told of it: a trade of a stranger may be its own.
    `filled` is the exchange's cumulative amount, `seen_amount` the sum of the `fills` that were told.
    """

    __slots__ = (
        *(
            "asked_ms",
            "asked_s",
            "client_id",
            "doubted",
            "ended_as",
            "filled",
            "fills",
            "misses",
            "placed_here",
            "seen_amount",
            "symbol",
        ),
        "venue_id",
    )

    def __init__(self, client_id: str, symbol: str, *, placed_here: bool) -> None:
        self.client_id = client_id
        self.symbol = symbol
        self.placed_here = placed_here
        self.venue_id = ""
        self.asked_ms = 0
        self.asked_s = 0.0
        self.misses = 0
        self.doubted = False
        self.ended_as: Ended | None = None
        self.filled: Decimal = ZERO
        self.seen_amount: Decimal = ZERO
        self.fills: set[str] = set()

    def asked(self, now_ms: int) -> None:
        """Note that its request has left for certain by now; needs a running loop."""
        self.asked_ms, self.asked_s = now_ms, asyncio.get_running_loop().time()


def run_of(client_id: str, prefix: str) -> str:
    """Return the run in a client id of the form `<prefix><run>-<seq>`, "" where it is no such id.

    An instance may be the beginning of another one (`a` of `a-b`): what follows the prefix tells them apart.
    """
    run, dash, seq = client_id.removeprefix(prefix).partition("-")
    return run if dash and seq.isdecimal() and client_id.startswith(prefix) else ""


class OwnOrders:
    """Keeps what was seen of own orders; ended ones are kept for late fills, the oldest let go of beyond `keep`."""

    def __init__(self, offset: ClockOffset, id_prefix: str, keep: int = 2_000) -> None:
        self._offset = offset
        self._prefix = id_prefix
        self._keep = keep
        self._live: dict[str, OwnOrder] = {}
        self._ended: OrderedDict[str, OwnOrder] = OrderedDict()
        self._by_venue_id: dict[tuple[str, str], str] = {}
        self.foreign = 0
        """Reports of orders that are not ours, which are left alone."""
        self.touched: set[str] = set()
        """Symbols in which something happened since somebody cleared it."""

    def owns(self, client_id: str) -> bool:
        """Whether an order of this client id is ours: it carries our prefix, whichever run placed it."""
        return run_of(client_id, self._prefix) != ""

    def get(self, client_id: str) -> OwnOrder | None:
        """Return an order that is known."""
        return self._live.get(client_id) or self._ended.get(client_id)

    def know(self, client_id: str, symbol: str, *, placed_here: bool = False) -> OwnOrder:
        """Return an order, from here on known."""
        order = self.get(client_id)
        if order is None:
            order = self._live[client_id] = OwnOrder(client_id, symbol, placed_here=placed_here)
        return order

    def live(self) -> list[OwnOrder]:
        """Return the orders that have not ended."""
        return list(self._live.values())

    def gone(self, order: OwnOrder) -> None:
        """Note that an order was refused or is absent, unless it was seen; it stays known, should it appear."""
        if not order.venue_id:
            self._set_aside(order)

    def client_id_of(self, symbol: str, venue_id: str) -> str:
        """Return whose trade it is, "" where the order is not known."""
        return self._by_venue_id.get((symbol, venue_id), "")

    def doubts(self, symbol: str) -> bool:
        """Whether an order of `symbol` may exist without the exchange having told of it."""
        return any(
            order.doubted and order.symbol == symbol
            for orders in (self._live, self._ended)
            for order in orders.values()
        )

    def take(self, seen: SeenOrder, client_id: str, now_ms: int, reason: str) -> list[Event]:
        """Take the exchange's picture of an order; return what is new of it: that it exists, its fills, its end."""
        order = self.know(client_id, seen.symbol)
        events: list[Event] = []
        if not order.venue_id:
            self._name(order, seen.venue_id)
            events.append(OrderAcknowledged(client_id, seen.venue_id, now_ms))
        order.misses = 0
        events += self.take_fills(order, seen.fills, now_ms)
        order.filled = max(order.filled, seen.filled)
        if seen.status is not None and seen.status != "open" and order.ended_as is None:
            self._end(order, seen.status)
            events.append(OrderClosed(client_id, seen.status, order.filled, reason, now_ms))
        return events

    def take_fills(self, order: OwnOrder, fills: Iterable[SeenFill], now_ms: int) -> list[Event]:
        """Return the fills of an order that were not seen before."""
        return [self._fill(order, fill, now_ms) for fill in fills if self._first(order, fill)]

    def report(self, order: OwnOrder, seen: SeenOrder, now_ms: int) -> OrderReported:
        """Return the answer to a query: the whole picture, new or not; what was seen to end stays ended."""
        if not order.venue_id:
            self._name(order, seen.venue_id)
        order.misses = 0
        reported = tuple(self._fill(order, fill, now_ms) for fill in seen.fills)
        for fill in seen.fills:
            self._first(order, fill)
        order.filled = max(order.filled, seen.filled)
        if seen.status is not None and seen.status != "open" and order.ended_as is None:
            self._end(order, seen.status)
        status = order.ended_as or "open"
        return OrderReported(order.client_id, order.venue_id, status, order.filled, reported, now_ms)

    def _name(self, order: OwnOrder, venue_id: str) -> None:
        order.venue_id = venue_id
        order.doubted = False
        if order.ended_as is None:
            self._ended.pop(order.client_id, None)
            self._live[order.client_id] = order
        self._by_venue_id[order.symbol, venue_id] = order.client_id

    def _first(self, order: OwnOrder, fill: SeenFill) -> bool:
        if fill.trade_id in order.fills:
            return False
        order.fills.add(fill.trade_id)
        order.seen_amount = EXACT.add(order.seen_amount, fill.amount)
        self.touched.add(order.symbol)
        return True

    def _fill(self, order: OwnOrder, fill: SeenFill, now_ms: int) -> FillReported:
        return FillReported(
            client_id=order.client_id,
            symbol=order.symbol,
            trade_id=fill.trade_id,
            price=fill.price,
            amount=fill.amount,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            maker=fill.maker,
            at_ms=self._offset.local_ms(fill.at_ms, now_ms),
        )

    def _end(self, order: OwnOrder, how: Ended) -> None:
        order.ended_as = how
        self._set_aside(order)

    def _set_aside(self, order: OwnOrder) -> None:
        self.touched.add(order.symbol)
        self._live.pop(order.client_id, None)
        self._ended[order.client_id] = order
        for old in list(_beyond(self._ended, self._keep)):
            del self._ended[old.client_id]
            self._by_venue_id.pop((old.symbol, old.venue_id), None)


def _beyond(orders: OrderedDict[str, OwnOrder], keep: int) -> Iterator[OwnOrder]:
    """Yield the oldest orders that are more than `keep`."""
    surplus = len(orders) - keep
    for index, order in enumerate(orders.values()):
        if index >= surplus:
            return
        yield order
