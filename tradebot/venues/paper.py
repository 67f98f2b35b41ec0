"""What would an exchange answer? Asked by both shells where no real order may be sent.

Latency is laid around the matching core: a request takes effect after its entry latency, an order at the first
market event of its symbol at or after its arrival, with that event's own prices; a cancel of an order in effect by
time alone, at its arrival. A cancel never overtakes its order: it waits with it. Queries are answered by time alone,
from what is so when they are sent. Events carry the time of their effect; they are due when the answer arrives.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from typing import Final

from tradebot.config.sections.venue import Paper
from tradebot.domain.account import AccountDelta, AccountImage, AccountOrder
from tradebot.domain.commands import (
    CancelOrder,
    Command,
    PlaceOrder,
    QueryBalances,
    QueryOrder,
    ReconcileOrders,
)
from tradebot.domain.events import (
    BalancesReported,
    BookSeen,
    Event,
    OrderClosed,
    OrderNotFound,
    OrderRefused,
    OrderReported,
    QuoteSeen,
    TradeSeen,
)
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import exact
from tradebot.domain.orders import Side
from tradebot.ports import Due
from tradebot.venues.account import LIVE, Account
from tradebot.venues.fees import Fees
from tradebot.venues.latency import Latency
from tradebot.venues.matching import Execution, Matching
from tradebot.venues.refusals import DUPLICATE, UNKNOWN_ORDER, refusal_on_sight

NEVER_MS: Final = 2**62

_PRICED: Final = (QuoteSeen, TradeSeen, BookSeen)


class PaperVenue:
    """A simulated exchange account: no clock, no randomness but the seed's, nothing waits.

    The shell calls `on_market` for the symbols it watches, `advance` at `next_due_ms`, and stores `take_delta()`
    before it delivers any answer. Without `advance` nothing is lost: what arrived by then takes effect with the next
    request or the next market event of the symbol, at its own time.
    """

    def __init__(
        self,
        settings: Paper,
        instruments: Mapping[str, Instrument],
        quote: str,
        seed: int,
        image: AccountImage | None = None,
    ) -> None:
        keep = settings.keep_orders
        self._account = Account.opened(quote, settings.initial_quote, keep) if image is None else Account(image, keep)
        self._instruments = dict(instruments)
        fees = Fees.of(
            settings.maker_fee_bps,
            settings.taker_fee_bps,
            in_quote=settings.fee_in == "quote",
            places=settings.fee_places,
        )
        self._core = Matching(self._instruments, fees, exact(settings.participation), self._account)
        self._latency = Latency(settings.entry_latency_ms, settings.response_latency_ms, settings.jitter_ms, seed)
        self._lanes: dict[str, list[AccountOrder]] = {}  # orders on their way, by symbol, in order of arrival
        self._live: dict[str, AccountOrder] = {}  # on their way or in effect
        self._canceling: dict[str, AccountOrder] = {}  # live, with cancels on their way
        self._watched: dict[str, int] = {}  # live orders by symbol
        for order in self._account.orders.values():
            if order.status in LIVE:
                self._begin(order)

    # -- what the shells call --------------------------------------------------------------------------

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Take a command at `now_ms`; return what will be answered, and when, as far as it is settled already.

        Raises TypeError for a command that is none of place, cancel, query order, reconcile orders, query balances.
        """
        answers = self.advance(now_ms) if self._canceling else []
        match command:
            case PlaceOrder():
                self._place(command, now_ms, answers)
            case CancelOrder():
                self._cancel(command, now_ms, answers)
            case QueryOrder():
                answers.append((self._query_due(now_ms), self._report(command, now_ms)))
            case ReconcileOrders():
                due_ms = self._query_due(now_ms)
                answers.extend((due_ms, self._report(query, now_ms)) for query in command.orders)
            case QueryBalances():
                answers.append((self._query_due(now_ms), BalancesReported(dict(self._account.balances), now_ms)))
            case _:
                raise TypeError(f"no venue takes {type(command).__name__}")
        return answers

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        """Observe the market at `now_ms`; return what follows for own orders of its symbol."""
        if not isinstance(event, _PRICED) or event.symbol not in self._watched:
            return []
        answers: list[Due] = []
        if self._canceling:
            self._run_cancels((now_ms + 1, 0), now_ms, answers, event.symbol)
        self._answer(self._core.on_market(event, now_ms), now_ms, answers)
        lane = self._lanes.get(event.symbol)
        if lane and lane[0].arrives_ms <= now_ms:
            self._run_lane(lane, event, now_ms, answers)
        return answers

    def watches(self, symbol: str) -> bool:
        """Whether a market event of `symbol` could change anything here (an order open or on its way)."""
        return symbol in self._watched

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to do: the first arrival of a cancel of an order in effect, or far away."""
        if not self._canceling:
            return NEVER_MS
        return min((each.cancels[0][0] for each in self._canceling.values() if each.status == "open"), default=NEVER_MS)

    def advance(self, now_ms: int) -> list[Due]:
        """Let the cancels that arrived by `now_ms` take effect, at their own time; return the answers."""
        answers: list[Due] = []
        self._run_cancels((now_ms + 1, 0), now_ms, answers)
        return answers

    def take_delta(self, *, everything: bool = False) -> AccountDelta | None:
        """Return what changed since the last call, or None.

        That a queue before an order became shorter is told along with the next change, or when `everything` is asked.
        """
        return self._account.take_delta(everything=everything)

    def add_instruments(self, instruments: Iterable[Instrument]) -> None:
        """Take orders in these symbols from here on; one that is known keeps its filters."""
        for instrument in instruments:
            self._instruments.setdefault(instrument.symbol, instrument)

    def image(self) -> AccountImage:
        """Return a copy of the account; a venue made from it goes on from here.

        What stands in the market is not in it: the first events after a restart show it anew.
        """
        return self._account.image()

    # -- requests --------------------------------------------------------------------------------------

    def _place(self, command: PlaceOrder, now_ms: int, answers: list[Due]) -> None:
        account = self._account
        request = account.count_request()
        arrives = now_ms + self._latency.entry_ms(request)
        order = AccountOrder(
            command.client_id,
            str(account.next_order),
            command.symbol,
            command.side,
            command.type,
            command.tif,
            arrives,
            command.price,
            command.amount,
            command.quote_amount,
            request=request,
        )
        refusal = DUPLICATE if order.client_id in self._live else refusal_on_sight(order, self._instruments)
        if refusal is not None:
            answers.append((arrives + self._latency.response_ms(request), refusal.of_order(order.client_id, arrives)))
            return
        if order.symbol not in self._watched:
            self._core.book(order.symbol).hide()  # nobody looked since the last order
        account.take_in(order)
        self._begin(order)

    def _cancel(self, command: CancelOrder, now_ms: int, answers: list[Due]) -> None:
        request = self._account.count_request()
        arrives = now_ms + self._latency.entry_ms(request)
        order = self._live.get(command.client_id)
        if order is None or order.symbol != command.symbol:
            due = arrives + self._latency.response_ms(request)
            answers.append((due, UNKNOWN_ORDER.of_cancel(command.client_id, arrives)))
            return
        order.cancels = tuple(sorted((*order.cancels, (arrives, request))))
        self._account.touch(order)
        self._canceling[order.client_id] = order

    def _report(self, command: QueryOrder, now_ms: int) -> Event:
        order = self._account.orders.get(command.client_id)
        if order is None or order.symbol != command.symbol:
            # of an order too old to be held, only that it existed is known
            return OrderNotFound(command.client_id, not self._account.knew(command.client_id), now_ms)
        fills = tuple(self._account.fills.get(order.client_id, ()))
        return OrderReported(order.client_id, order.venue_id, order.status, order.filled, fills, now_ms)

    def _query_due(self, now_ms: int) -> int:
        """Return when a query sent now is answered; queries change nothing, so their latency hangs on the time."""
        return now_ms + self._latency.entry_ms(now_ms) + self._latency.response_ms(now_ms)

    # -- effects ---------------------------------------------------------------------------------------

    def _begin(self, order: AccountOrder) -> None:
        self._live[order.client_id] = order
        self._watched[order.symbol] = self._watched.get(order.symbol, 0) + 1
        if order.cancels:
            self._canceling[order.client_id] = order
        if order.status == "pending":
            lane = self._lanes.setdefault(order.symbol, [])
            insort(lane, order, key=lambda each: (each.arrives_ms, each.request))

    def _end(self, order: AccountOrder, ended_ms: int, now_ms: int, answers: list[Due]) -> None:
        """Let go of an order that ended at `ended_ms`; every cancel still on its way will find it gone."""
        del self._live[order.client_id]
        self._watched[order.symbol] -= 1
        if not self._watched[order.symbol]:
            del self._watched[order.symbol]
        if self._canceling.pop(order.client_id, None) is None:
            return
        for arrives, request in order.cancels:
            at_ms = max(arrives, ended_ms)
            due = max(now_ms, at_ms + self._slower_ms(order.request, request))
            answers.append((due, UNKNOWN_ORDER.of_cancel(order.client_id, at_ms)))
        order.cancels = ()
        self._account.touch(order)

    def _run_lane(
        self, lane: list[AccountOrder], event: QuoteSeen | TradeSeen | BookSeen, now_ms: int, answers: list[Due]
    ) -> None:
        """Let the orders that arrived take effect, in order of arrival, with their cancels in between."""
        while lane and lane[0].arrives_ms <= now_ms:
            order, shown = lane[0], None
            if isinstance(event, TradeSeen):
                if (order.side is Side.BUY) is not event.buyer_taker:
                    break  # the trade says nothing of the price this order would meet
                shown = self._core.book(order.symbol).printed(order.side, event.price, event.size)
            if self._canceling:  # this order may need what an earlier one's cancel sets free
                self._run_cancels((order.arrives_ms, order.request), now_ms, answers, order.symbol, since_ms=now_ms)
            del lane[0]
            self._answer(self._core.place(order, now_ms, shown), now_ms, answers)
        if self._canceling:
            self._run_cancels((now_ms + 1, 0), now_ms, answers, event.symbol, since_ms=now_ms)

    def _run_cancels(
        self, before: tuple[int, int], now_ms: int, answers: list[Due], symbol: str = "", *, since_ms: int = 0
    ) -> None:
        """Cancel the orders in effect (of one symbol, or of all) whose cancel (arrival, request) came `before`.

        A cancel takes effect at its arrival, but not before `since_ms`, when its order did.
        """
        due = [
            (*order.cancels[0], order)
            for order in self._canceling.values()
            if order.status == "open" and order.cancels[0] < before and (not symbol or order.symbol == symbol)
        ]
        for arrives, request, order in sorted(due, key=lambda each: each[:2]):
            at_ms = max(arrives, since_ms)
            order.cancels = order.cancels[1:]
            ended = self._core.cancel(order.client_id, at_ms)
            answers.append((max(now_ms, at_ms + self._slower_ms(order.request, request)), ended))
            self._end(order, at_ms, now_ms, answers)

    def _slower_ms(self, order: int, cancel: int) -> int:
        """Return the response latency of what ends a cancel: never before what its order answered earlier."""
        return max(self._latency.response_ms(order), self._latency.response_ms(cancel))

    def _answer(self, events: list[Execution], now_ms: int, answers: list[Due]) -> None:
        """Add the events of effects at `now_ms`, each with the time its answer arrives."""
        for event in events:
            order = self._live[event.client_id]
            answers.append((now_ms + self._latency.response_ms(order.request), event))
            if isinstance(event, OrderClosed | OrderRefused):
                self._end(order, now_ms, now_ms, answers)
