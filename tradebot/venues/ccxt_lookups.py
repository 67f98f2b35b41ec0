"""Where does an own order stand, and is it proven absent? Asked by the ccxt venue for queries and reconciliation."""

from __future__ import annotations

from typing import Final

import msgspec

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event, OrderNotFound, OutcomeUnknown
from tradebot.domain.numbers import ms
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
            order.asked_ms, order.doubted = self._clock.now_ms(), True
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
        return self._clock.now_ms() >= order.asked_ms + self._patience_ms

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


def cause_of(failure: Failure) -> str:
    """Return in words why something is not known."""
    if isinstance(failure, Unknown | NeverSent):
        return failure.cause
    kind = "refused" if isinstance(failure, Refused) else "already there"
    return f"{kind}: {failure.code} {failure.message}".strip()
