"""Where do many own orders stand? Asked by the ccxt venue for all orders of a start, or in doubt, at once.

One list of open orders answers for those in it. Of a symbol of which several others are asked for, its latest orders
are listed, and where several have fills that were not seen its trades are; what no list tells is asked for alone,
so many at once. A list proves that an order is there, never that it is not: absence is proven as for a single query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final

import msgspec

from tradebot.domain.commands import ReconcileOrders
from tradebot.domain.events import Event, OutcomeUnknown
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.exchange.budget import asking
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.outcomes import Failure
from tradebot.exchange.parsing import SeenFill, SeenOrder
from tradebot.exchange.requests import Requests
from tradebot.ports import Clock
from tradebot.venues.ccxt_lookups import Lookups, cause_of
from tradebot.venues.ccxt_orders import OwnOrder, OwnOrders

_MARGIN_MS: Final = 60_000
_FEW: Final = 4
"""From more orders of a symbol on, one list of weight 20 costs less than single questions of weight 4 and more."""


class Together:
    """Answers for many orders, each as if it were asked for alone; `halted` hears of a symbol that is not traded."""

    def __init__(
        self,
        orders: OwnOrders,
        lookups: Lookups,
        requests: Requests,
        offset: ClockOffset,
        clock: Clock,
        deliver: Callable[[Event], None],
        halted: Callable[[str, str], None],
        at_once: int,
    ) -> None:
        self._orders = orders
        self._lookups = lookups
        self._requests = requests
        self._offset = offset
        self._clock = clock
        self._deliver = deliver
        self._halted = halted
        self._gate = asyncio.Semaphore(at_once)

    async def answer(self, command: ReconcileOrders) -> None:
        """Deliver an answer for every order of `command`."""
        by_symbol: dict[str, list[OwnOrder]] = {}
        for query in command.orders:
            by_symbol.setdefault(query.symbol, []).append(self._orders.know(query.client_id, query.symbol))
        with asking("safety"):
            seen = await self._lookups.open_orders(set(by_symbol), self._requests, self._halted)
            if isinstance(seen, Failure):
                for query in command.orders:
                    self._unknown(query.client_id, seen)
                return
            since_ms = command.since_ms - self._offset.offset_ms - _MARGIN_MS
            await _all(self._symbol(symbol, orders, seen, since_ms) for symbol, orders in by_symbol.items())

    async def _symbol(self, symbol: str, orders: list[OwnOrder], seen: Mapping[str, SeenOrder], since_ms: int) -> None:
        found = {order.client_id: seen[order.client_id] for order in orders if order.client_id in seen}
        self._tell_unchanged(orders, found)
        missing = {order.client_id for order in orders if order.client_id not in found}
        if len(missing) > _FEW:
            async with self._gate:
                listed = await self._requests.recent_orders(symbol, since_ms)
            if not isinstance(listed, Failure):
                found.update((each.client_id, each) for each in listed if each.client_id in missing)
                self._tell_unchanged([order for order in orders if order.client_id in missing], found)
        filled = [order for order in orders if order.client_id in found and _news(order, found[order.client_id])]
        fills: Mapping[str, list[SeenFill]] = {}
        if len(filled) > _FEW:
            fills = await self._fills(symbol, since_ms)
        await _all(
            [
                *(self._with_fills(order, found[order.client_id], fills) for order in filled),
                *(self._alone(order) for order in orders if order.client_id not in found),
            ]
        )

    def _tell_unchanged(self, orders: Iterable[OwnOrder], found: Mapping[str, SeenOrder]) -> None:
        """Answer for those whose fills are all known: no further request is needed."""
        for order in orders:
            here = found.get(order.client_id)
            if here is not None and not _news(order, here):
                self._report(order, msgspec.structs.replace(here, fills=()))

    async def _fills(self, symbol: str, since_ms: int) -> Mapping[str, list[SeenFill]]:
        """Return the trades of a symbol by the exchange's order id; none where they could not be asked for."""
        async with self._gate:
            trades = await self._requests.trades(symbol, after_id=None, since_ms=since_ms)
        found: dict[str, list[SeenFill]] = {}
        if not isinstance(trades, Failure):
            for fill in trades:
                found.setdefault(fill.venue_id, []).append(fill)
        return found

    async def _with_fills(self, order: OwnOrder, here: SeenOrder, fills: Mapping[str, list[SeenFill]]) -> None:
        listed = fills.get(here.venue_id, [])
        whole: SeenOrder | Failure
        if _amount(listed) == here.filled:
            whole = msgspec.structs.replace(here, fills=tuple(listed))
        else:
            async with self._gate:
                whole = await self._lookups.with_fills(order, here, self._requests)
        if isinstance(whole, Failure):
            self._unknown(order.client_id, whole)
        else:
            self._report(order, whole)

    async def _alone(self, order: OwnOrder) -> None:
        async with self._gate:
            self._deliver(await self._lookups.answer(order, self._requests))

    def _report(self, order: OwnOrder, here: SeenOrder) -> None:
        self._deliver(self._orders.report(order, here, self._clock.now_ms()))

    def _unknown(self, client_id: str, failure: Failure) -> None:
        self._deliver(OutcomeUnknown(client_id, "query", cause_of(failure), self._clock.now_ms()))


def _news(order: OwnOrder, here: SeenOrder) -> bool:
    return here.filled > order.seen_amount


def _amount(fills: Iterable[SeenFill]) -> Decimal:
    with localcontext(EXACT):
        return sum((fill.amount for fill in fills), ZERO)


async def _all(parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all of them; where one fails or this is cancelled, the others end first."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part)
