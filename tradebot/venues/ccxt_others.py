"""What do others do on the account? Orders that no run of ours placed; asked by the ccxt venue for every order it sees.

They are noted and left alone. One that comes under our own name while we run is another bot's with the same instance:
that is told to the engine, which buys no more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tradebot.domain.events import Event, RivalSeen
from tradebot.exchange.budget import asking
from tradebot.exchange.outcomes import Failure
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests
from tradebot.ports import Clock, Log
from tradebot.venues.ccxt_orders import run_of
from tradebot.venues.ccxt_watch import Gauge

FOREIGN_GAUGE: Final = "foreign_orders_open"
_MOST: Final = 1_000
"""So many orders of others are remembered; the oldest are told again when they are seen again."""

Runs = Callable[[str], bool]
"""Whether a run of this name is one of ours."""


def every_run_is_ours(_run: str) -> bool:
    """Hold every run for one of ours: nobody keeps a journal."""
    return True


class Others:
    """Notes orders that are not ours. `watched` are the symbols whose orders are told, `prefix` begins our own ids."""

    def __init__(
        self,
        prefix: str,
        is_ours: Runs,
        watched: Callable[[], Iterable[str]],
        clock: Clock,
        deliver: Callable[[Event], None],
        log: Log,
        gauge: Gauge,
    ) -> None:
        self._prefix = prefix
        self.is_ours = is_ours
        self._watched = watched
        self._clock = clock
        self._deliver = deliver
        self._log = log
        self._gauge = gauge
        self._open: dict[str, str] = {}  # symbol by the exchange's id
        self._told: OrderedDict[str, None] = OrderedDict()
        self._before: set[str] | None = None  # client ids of strange orders under our name that stood at the start

    def seen(self, order: SeenOrder) -> None:
        """Take the news of one order, whosever it is."""
        run = run_of(order.client_id, self._prefix)
        if not run:
            self._foreign(order)
            self._count()
        elif not self.is_ours(run):
            self._rival(order, run)

    async def keep_looking(self, requests: Requests, interval_s: float) -> None:
        """List all open orders of the account, now and at every interval: what nobody tells is seen then.

        Where the exchange lists by symbol, those of the watched symbols.
        """
        while True:
            with asking("poll"):
                listed = await requests.everything_open(sorted(self._watched()))
            if not isinstance(listed, Failure):
                self.take_list(listed)
            await asyncio.sleep(interval_s)

    def take_list(self, orders: Sequence[SeenOrder]) -> None:
        """Take everything that is open on the account; the first list is what stood before us."""
        strange = {one.client_id for one in orders if self._is_strange(one.client_id)}
        if self._before is None:
            self._before = strange
        for gone in self._open.keys() - {one.venue_id for one in orders}:
            del self._open[gone]
        for order in orders:
            self.seen(order)
        self._count()

    @property
    def listed(self) -> bool:
        """Whether it is known what stood before us."""
        return self._before is not None

    def _is_strange(self, client_id: str) -> bool:
        run = run_of(client_id, self._prefix)
        return bool(run) and not self.is_ours(run)

    def _foreign(self, order: SeenOrder) -> None:
        if order.status != "open" or order.symbol not in self._watched():
            self._open.pop(order.venue_id, None)
            return
        self._open[order.venue_id] = order.symbol
        if order.venue_id in self._told:
            return
        self._told[order.venue_id] = None
        if len(self._told) > _MOST:
            self._told.popitem(last=False)
        text = f"{order.symbol}: somebody else placed an order on the account ({order.venue_id}), it is left alone"
        self._log.emit("events", "INFO", "FOREIGN_ORDER_SEEN", text, symbol=order.symbol, venue_id=order.venue_id)

    def _rival(self, order: SeenOrder, run: str) -> None:
        """Tell of an order under our name that came while we run: one that stood at the start may be a lost journal's.

        Before the first list nothing is known of what stood.
        """
        if order.status == "open" and self._before is not None and order.client_id not in self._before:
            self._deliver(RivalSeen(order.client_id, run, self._clock.now_ms()))

    def _count(self) -> None:
        self._gauge(FOREIGN_GAUGE, len(self._open))
