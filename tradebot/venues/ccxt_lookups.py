"""Where does an own order stand, and is it proven absent? Asked by the ccxt venue for queries and reconciliation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event, OrderNotFound, OutcomeUnknown
from tradebot.domain.numbers import ms
from tradebot.exchange.budget import one_by_one
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.outcomes import Failure, NeverSent, Refused, Unknown
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests, absent
from tradebot.ports import Clock
from tradebot.venues.ccxt_orders import OwnOrder, OwnOrders

_MARGIN_MS: Final = 60_000
MOST_STRANGERS: Final = 20
"""So many unknown orders are looked at for one that may be ours."""


class Lookups:
    """Asks for orders. "No such order" is believed late: a query may lag behind the order it is about.

    It is proven once `recv_window_ms` and `not_found_after_s` have passed since the request had left for certain,
    `not_found_misses` queries in a row found nothing, and neither a list of orders nor a trade tells of it.
    Source: Binance takes a request until its window ends, waits 10 s for its engine, and answers queries from memory
    before its database.
    """

    def __init__(self, orders: OwnOrders, offset: ClockOffset, settings: Exchange, clock: Clock) -> None:
        self._orders = orders
        self._offset = offset
        self._clock = clock
        self._patience_ms = settings.recv_window_ms + ms(settings.not_found_after_s)
        self._misses = settings.not_found_misses

    async def look(self, order: OwnOrder, requests: Requests) -> SeenOrder | Failure:
        """Return an order with the fills that were not seen yet, as far as the exchange tells them already."""
        found = await requests.find(order.client_id, order.symbol, order.venue_id)
        if absent(found) and order.venue_id:
            found = await requests.by_venue_id(order.symbol, order.venue_id)
        if isinstance(found, Failure):
            return found
        return await self.with_fills(order, found, requests)

    async def with_fills(self, order: OwnOrder, found: SeenOrder, requests: Requests) -> SeenOrder | Failure:
        """Return `found` with its fills, asked for where those that were seen do not make up what it says."""
        if found.filled <= order.seen_amount:
            return msgspec.structs.replace(found, fills=())
        fills = await requests.fills(order.symbol, found.venue_id)
        return fills if isinstance(fills, Failure) else msgspec.structs.replace(found, fills=tuple(fills))

    async def answer(self, order: OwnOrder, requests: Requests) -> Event:
        """Return the answer to a query of an order: reported, not found (conclusively or not), or unknown."""
        if not order.placed_here and not order.asked_ms:
            order.asked(self._clock.now_ms())
            order.doubted = True
        found = await self.look(order, requests)
        if isinstance(found, SeenOrder):
            return self._orders.report(order, found, self._clock.now_ms())
        if not absent(found):
            return OutcomeUnknown(order.client_id, "query", cause_of(found), self._clock.now_ms())
        order.misses += 1
        conclusive = self._due(order) and await self._no_trace(order, requests)
        if conclusive:
            self._orders.gone(order)
        return OrderNotFound(order.client_id, conclusive, self._clock.now_ms())

    async def open_orders(
        self, symbols: AbstractSet[str], requests: Requests, halted: Callable[[str, str], None]
    ) -> dict[str, SeenOrder] | Failure:
        """Return own open orders by client id; a symbol that is not traded any more is told to `halted`."""
        found: dict[str, SeenOrder] = {}
        each: list[str | None] = [*sorted(symbols)] if one_by_one(len(symbols)) else [None]
        while each:
            symbol = each.pop(0)
            listed = await requests.open_orders(symbol)
            if not isinstance(listed, Failure):
                found.update((seen.client_id, seen) for seen in listed if self._orders.owns(seen.client_id))
            elif symbol is None and isinstance(listed, Refused | NeverSent) and not _held_back(listed):
                each = [*sorted(symbols)]  # some exchanges list them by symbol only
            elif symbol is None or not not_traded(symbol, listed, halted):
                return listed
        return found

    async def strangers(self, symbol: str, venue_ids: set[str], requests: Requests) -> list[SeenOrder] | None:
        """Return the own orders among the latest of some known by the exchange's id only; None where asking failed."""
        found = []
        for venue_id in sorted(venue_ids, key=lambda text: (len(text), text))[-MOST_STRANGERS:]:
            seen = await requests.by_venue_id(symbol, venue_id)
            if isinstance(seen, Failure):
                return None
            if self._orders.owns(seen.client_id):
                found.append(seen)
        return found

    def _due(self, order: OwnOrder) -> bool:
        if order.venue_id or not order.asked_ms or order.misses < self._misses:
            return False
        # by both clocks: one that is set forward would end the wait at once
        waited_ms = (asyncio.get_running_loop().time() - order.asked_s) * 1000
        return min(waited_ms, self._clock.now_ms() - order.asked_ms) >= self._patience_ms

    async def _no_trace(self, order: OwnOrder, requests: Requests) -> bool:
        """Whether neither orders nor trades since its request hold it; one that does makes it known."""
        since = order.asked_ms - self._offset.offset_ms - _MARGIN_MS if order.placed_here else None
        listed = await requests.recent_orders(order.symbol, since)
        if isinstance(listed, Failure):
            return False
        trades = await requests.trades(order.symbol, after_id=None, since_ms=since)
        if isinstance(trades, Failure):
            return False
        named = {seen.venue_id for seen in listed}
        strange = {
            fill.venue_id
            for fill in trades
            if fill.venue_id not in named and not self._orders.client_id_of(order.symbol, fill.venue_id)
        }
        others = await self.strangers(order.symbol, strange, requests)
        if others is None or len(strange) > MOST_STRANGERS:
            return False
        return all(seen.client_id != order.client_id for seen in [*listed, *others])


def not_traded(symbol: str, failure: Failure, halted: Callable[[str, str], None]) -> bool:
    """Whether it failed since the exchange does not trade the symbol any more, which `halted` is told then."""
    if not isinstance(failure, Refused) or failure.why != "closed":
        return False
    halted(symbol, f"{failure.code} {failure.message}")
    return True


def _held_back(failure: Failure) -> bool:
    return isinstance(failure, NeverSent) and failure.held_back


def cause_of(failure: Failure) -> str:
    """Return in words why something is not known."""
    if isinstance(failure, Unknown | NeverSent):
        return failure.cause
    kind = "refused" if isinstance(failure, Refused) else "already there"
    return f"{kind}: {failure.code} {failure.message}".strip()
