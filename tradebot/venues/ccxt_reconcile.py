"""What was missed? Open orders, own orders and own trades compared over REST; asked after every (re)connect.

The user stream tells what happens while it is up and nothing of before; where there is none, this is all there is.
Asking is frugal: the open orders tell what has changed, and only of that the trades are asked for; the trades of every
symbol with an order are once in `exchange.reconcile_interval_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event
from tradebot.exchange.budget import weight_of_open_orders
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.outcomes import Failure
from tradebot.exchange.parsing import SeenFill, SeenOrder
from tradebot.exchange.requests import Requests, absent
from tradebot.ports import Clock
from tradebot.venues.ccxt_lookups import Lookups, cause_of, not_traded
from tradebot.venues.ccxt_orders import OwnOrder, OwnOrders

_MARGIN_MS: Final = 60_000
_MINUTE_S: Final = 60


def poll_interval_s(settings: Exchange, symbols: int, limit: int) -> float:
    """Return how often the open orders of so many symbols are asked for while the exchange does not tell of them.

    `limit` is the request weight of a minute, 0 where the exchange tells none.
    """
    share = limit * settings.requests.watching_pct / 100
    needed_s = weight_of_open_orders(symbols) * _MINUTE_S / share if share else 0.0
    return max(float(settings.poll_interval_s), needed_s)


class Reconciler:
    """Compares and delivers what is new. `busy` says whether a request of an order is under way: then it is left.

    A symbol that the exchange does not know any more is told to `halted` and passed over: the others are compared.
    Every `thorough_ms` nothing is taken from the open orders alone.
    """

    def __init__(
        self,
        orders: OwnOrders,
        lookups: Lookups,
        requests: Requests,
        offset: ClockOffset,
        clock: Clock,
        deliver: Callable[[Event], None],
        busy: Callable[[str], bool],
        halted: Callable[[str, str], None],
        thorough_ms: int,
    ) -> None:
        self._halted = halted
        self._every_ms = thorough_ms
        self._thorough_ms = 0
        self._orders = orders
        self._lookups = lookups
        self._requests = requests
        self._offset = offset
        self._clock = clock
        self._deliver = deliver
        self._busy = busy
        self._begun_ms = clock.now_ms()
        self._since_ms: dict[str, int] = {}
        self._last_trade: dict[str, int] = {}

    async def run(self) -> str:
        """Compare once; return why it could not be finished, "" where it was."""
        begun_ms = self._clock.now_ms()
        symbols = {order.symbol for order in self._orders.live()}
        seen = await self._lookups.open_orders(symbols, self._requests, self._halted)
        if isinstance(seen, Failure):
            return f"open orders: {cause_of(seen)}"
        for found in seen.values():
            if self._busy(found.client_id):
                continue
            fault = await self._refresh(self._orders.know(found.client_id, found.symbol), found)
            if fault:
                return fault
        for order in self._orders.live():
            if order.client_id in seen or self._busy(order.client_id):
                continue
            fault = await self._missing(order)
            if fault:
                return fault
        thorough = begun_ms >= self._thorough_ms
        doubted = {order.symbol for order in self._orders.live() if order.doubted}
        touched = (symbols if thorough else doubted) | self._orders.touched
        self._orders.touched.clear()
        for symbol in sorted(touched):
            fault = await self._trades(symbol)
            if fault:
                self._orders.touched |= touched  # all of them again
                return fault
        if thorough:
            self._thorough_ms = begun_ms + self._every_ms
        return ""

    async def refresh(self, client_id: str) -> str:
        """Ask for one order that changed; return why it could not be done, "" where it was."""
        order = self._orders.get(client_id)
        return await self._missing(order) if order is not None else ""

    async def _refresh(self, order: OwnOrder, seen: SeenOrder) -> str:
        if order.ended_as is not None:
            return ""  # a list that is older than what was seen since
        if seen.filled <= order.seen_amount:
            self._tell(self._orders.take(seen, order.client_id, self._clock.now_ms(), ""))
            return ""
        whole = await self._lookups.with_fills(order, seen, self._requests)
        if isinstance(whole, Failure):
            return f"fills of {order.client_id}: {cause_of(whole)}"
        self._tell(self._orders.take(whole, order.client_id, self._clock.now_ms(), ""))
        return ""

    async def _missing(self, order: OwnOrder) -> str:
        whole = await self._lookups.look(order, self._requests)
        if isinstance(whole, SeenOrder):
            self._tell(self._orders.take(whole, order.client_id, self._clock.now_ms(), "found by reconciliation"))
            return ""
        if absent(whole) or self._closed(order.symbol, whole):
            return ""
        return f"order {order.client_id}: {cause_of(whole)}"

    async def _trades(self, symbol: str) -> str:
        begun_ms = self._clock.now_ms()
        since = self._since_ms.get(symbol, self._begun_ms) - self._offset.offset_ms - _MARGIN_MS
        fills = await self._requests.trades(symbol, after_id=self._last_trade.get(symbol), since_ms=since)
        if isinstance(fills, Failure):
            return "" if self._closed(symbol, fills) else f"trades of {symbol}: {cause_of(fills)}"
        strange: dict[str, list[SeenFill]] = {}
        for fill in fills:
            client_id = self._orders.client_id_of(symbol, fill.venue_id)
            order = self._orders.get(client_id) if client_id else None
            if order is not None:
                self._tell(self._orders.take_fills(order, [fill], self._clock.now_ms()))
            else:
                strange.setdefault(fill.venue_id, []).append(fill)
        if strange and self._orders.doubts(symbol):
            others = await self._lookups.strangers(symbol, set(strange), self._requests)
            if isinstance(others, Failure):
                return f"trades of {symbol}: whose they are could not be asked: {cause_of(others)}"
            for seen in others:
                order = self._orders.know(seen.client_id, symbol)
                self._tell(self._orders.take(seen, seen.client_id, self._clock.now_ms(), "found by its trade"))
                self._tell(self._orders.take_fills(order, strange[seen.venue_id], self._clock.now_ms()))
        numbers = [int(fill.trade_id) for fill in fills if fill.trade_id.isdecimal()]
        if numbers:
            self._last_trade[symbol] = max(numbers)
        # exchanges that do not count trades tell of some days, and so many, from the time they are asked for
        self._since_ms[symbol] = begun_ms
        return ""

    def _closed(self, symbol: str, failure: Failure) -> bool:
        """Whether it failed since the exchange does not trade the symbol any more."""
        return not_traded(symbol, failure, self._halted)

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._deliver(event)
