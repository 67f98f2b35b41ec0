"""Where does an own order stand, and is it proven absent? Asked by the ccxt venue for queries and reconciliation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event, OrderNotFound, OutcomeUnknown
from tradebot.domain.numbers import EXACT, ZERO, ms
from tradebot.exchange.budget import one_by_one
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.outcomes import Failure, NeverSent, Refused, Unknown
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests, absent
from tradebot.ports import Clock
from tradebot.venues.ccxt_orders import OwnOrder, OwnOrders

_MARGIN_MS: Final = 60_000
_NO_TRADE: Final = Decimal("1e-9")
"""No trade is so small a part of an order: an amount that was worked out from a price is off by less."""
_TOO_EARLY: Final = Unknown("its request may still arrive")
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
        if isinstance(fills, Failure):
            return fills
        told = {fill.trade_id: fill.amount for fill in fills if fill.trade_id not in order.fills}
        with localcontext(EXACT):
            amount = sum(told.values(), order.seen_amount)
            filled = amount if ZERO < found.filled - amount < found.filled * _NO_TRADE else found.filled
        return msgspec.structs.replace(found, fills=tuple(fills), filled=filled)

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
        traced = await self._traced(order, requests) if self._due(order) else _TOO_EARLY
        if isinstance(traced, SeenOrder):  # some exchanges know an order by its client id for a time only
            traced = await self.with_fills(order, traced, requests)
            if isinstance(traced, SeenOrder):
                return self._orders.report(order, traced, self._clock.now_ms())
        if traced is None:
            self._orders.gone(order)
        return OrderNotFound(order.client_id, traced is None, self._clock.now_ms())

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

    async def strangers(self, symbol: str, venue_ids: set[str], requests: Requests) -> list[SeenOrder] | Failure:
        """Return the own orders among the latest of some that are known by the exchange's id only."""
        found = []
        for venue_id in sorted(venue_ids, key=lambda text: (len(text), text))[-MOST_STRANGERS:]:
            seen = await requests.by_venue_id(symbol, venue_id)
            if isinstance(seen, Failure):
                return seen
            if self._orders.owns(seen.client_id):
                found.append(seen)
        return found

    def _due(self, order: OwnOrder) -> bool:
        if order.venue_id or not order.asked_ms or order.misses < self._misses:
            return False
        # by both clocks: one that is set forward would end the wait at once
        waited_ms = (asyncio.get_running_loop().time() - order.asked_s) * 1000
        return min(waited_ms, self._clock.now_ms() - order.asked_ms) >= self._patience_ms

    async def _traced(self, order: OwnOrder, requests: Requests) -> SeenOrder | Failure | None:
        """Return the order where a list of orders or a trade since its request tells of it, None where none does."""
        since = order.asked_ms - self._offset.offset_ms - _MARGIN_MS if order.placed_here else None
        listed = await requests.recent_orders(order.symbol, since)
        if isinstance(listed, Failure):
            return listed
        if (found := _among(listed, order.client_id)) is not None:
            return found
        trades = await requests.trades(order.symbol, after_id=None, since_ms=since)
        if isinstance(trades, Failure):
            return trades
        if since is not None and requests.may_go_on(trades):
            return Unknown("not all trades since its request are told")
        named = {seen.venue_id for seen in listed}
        strange = {
            fill.venue_id
            for fill in trades
            if fill.venue_id not in named and not self._orders.client_id_of(order.symbol, fill.venue_id)
        }
        others = await self.strangers(order.symbol, strange, requests)
        if isinstance(others, Failure):
            return others
        if (found := _among(others, order.client_id)) is None and len(strange) > MOST_STRANGERS:
            return Unknown("too many trades of orders that are not known")
        return found


def _among(orders: Iterable[SeenOrder], client_id: str) -> SeenOrder | None:
    return next((seen for seen in orders if seen.client_id == client_id), None)


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
