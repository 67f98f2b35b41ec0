"""What is answered to each command? Asked by the ccxt venue's lanes: outcomes become events, nothing is sent twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryOrder, ReconcileOrders
from tradebot.domain.events import (
    BalancesReported,
    BalancesUnavailable,
    CancelRefused,
    Event,
    OrderRefused,
    OutcomeUnknown,
)
from tradebot.domain.market import Instrument
from tradebot.domain.orders import HELD_BACK, NO_CONNECTION, OrderType, Side
from tradebot.exchange.budget import Priority, asking
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.outcomes import Accepted, AlreadyThere, Failure, NeverSent, Outcome, Refused, Unknown
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests, absent
from tradebot.ports import Clock
from tradebot.venues.ccxt_lookups import Lookups, cause_of
from tradebot.venues.ccxt_orders import OwnOrder, OwnOrders
from tradebot.venues.ccxt_together import Together

NEVER_SENT = "NeverSent"
"""The code of a refusal of our own: the request did not leave."""


class Answering:
    """Sends one command after the other and delivers what is answered.

    `halted` is told (symbol, why) of a symbol that the exchange does not trade.
    """

    def __init__(
        self,
        trading: Requests,
        polling: Requests,
        orders: OwnOrders,
        lookups: Lookups,
        offset: ClockOffset,
        clock: Clock,
        deliver: Callable[[Event], None],
        instruments: Iterable[Instrument],
        halted: Callable[[str, str], None],
        lookups_at_once: int,
    ) -> None:
        self._halted = halted
        self._together = Together(orders, lookups, trading, offset, clock, deliver, halted, lookups_at_once)
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._trading = trading
        self._polling = polling
        self._orders = orders
        self._lookups = lookups
        self._offset = offset
        self._clock = clock
        self._deliver = deliver

    async def handle(self, command: Command) -> None:
        """Send a command and deliver its answers. Raises TypeError for one that no venue takes."""
        match command:
            case PlaceOrder():
                await self._place(command)
            case CancelOrder():
                await self._cancel(self._orders.know(command.client_id, command.symbol))
            case QueryOrder():
                await self._query(self._orders.know(command.client_id, command.symbol))
            case ReconcileOrders():
                await self._together.answer(command)
            case QueryBalances():
                await self._balances()
            case _:
                raise TypeError(f"no venue takes {type(command).__name__}")

    def failed(self, command: Command, cause: str) -> None:
        """Deliver that nothing is known of a command whose handling broke."""
        now = self._clock.now_ms()
        match command:
            case PlaceOrder(client_id=client_id, symbol=symbol):
                order = self._orders.know(client_id, symbol, placed_here=True)
                order.asked(now)
                order.doubted = not order.venue_id
                self._deliver(OutcomeUnknown(client_id, "place", cause, now))
            case CancelOrder(client_id=client_id):
                self._deliver(OutcomeUnknown(client_id, "cancel", cause, now))
            case QueryOrder(client_id=client_id):
                self._deliver(OutcomeUnknown(client_id, "query", cause, now))
            case ReconcileOrders(orders=orders):
                for query in orders:
                    self._deliver(OutcomeUnknown(query.client_id, "query", cause, now))
            case _:
                self._deliver(BalancesUnavailable(cause, now))

    async def _place(self, command: PlaceOrder) -> None:
        order = self._orders.know(command.client_id, command.symbol, placed_here=True)
        off_grid = self._off_grid(command)
        if off_grid:
            self._orders.gone(order)
            cause = "price or amount is not on the exchange's grid: not sent, since ccxt would round it"
            self._deliver(OrderRefused(order.client_id, off_grid, cause, self._clock.now_ms()))
            return
        priority: Priority = "entry" if command.side is Side.BUY else "exit"
        with asking(priority):
            outcome: Outcome = await self._trading.place(command)
        order.asked(self._clock.now_ms())
        if await self._clock_is_right_now(outcome) and self._clock.now_ms() <= command.send_by_ms:
            # refused for its timestamp, before the exchange looked at it: the one request that may leave again
            with asking(priority):
                outcome = await self._trading.place(command)
            order.asked(self._clock.now_ms())
        now = order.asked_ms
        match outcome:
            case Accepted(seen):
                await self._accepted(order, seen)
            case Refused(code, message, why):
                self._orders.gone(order)
                if why == "closed":
                    self._halted(order.symbol, f"{code} {message}")
                self._deliver(OrderRefused(order.client_id, code, message, now))
            case NeverSent(cause, held_back, unreachable):
                self._orders.gone(order)
                code = HELD_BACK if held_back else NO_CONNECTION if unreachable else NEVER_SENT
                self._deliver(OrderRefused(order.client_id, code, cause, now))
            case AlreadyThere(code, message):
                order.doubted = True
                self._deliver(OutcomeUnknown(order.client_id, "place", f"{code} {message}", now))
                await self._query(order)
            case Unknown(cause):
                order.doubted = not order.venue_id
                self._deliver(OutcomeUnknown(order.client_id, "place", cause, now))

    def _off_grid(self, command: PlaceOrder) -> str:
        """Return the filter that a limit order's price or amount breaks by its step, "" where it breaks none."""
        instrument = self._instruments.get(command.symbol)
        if instrument is None or command.type is not OrderType.LIMIT:
            return ""
        if command.price % instrument.tick_size:
            return "PRICE_FILTER"
        return "LOT_SIZE" if command.amount % instrument.amount_step else ""

    async def _accepted(self, order: OwnOrder, seen: SeenOrder) -> None:
        if seen.client_id and seen.client_id != order.client_id:
            cause = "the answer tells of another order"
            order.doubted = not order.venue_id
            self._deliver(OutcomeUnknown(order.client_id, "place", cause, self._clock.now_ms()))
            return
        self._tell(self._orders.take(seen, order.client_id, self._clock.now_ms(), ""))
        if seen.status is None:  # the exchange names only its id: what became of it is asked for
            await self._query(order)

    async def _cancel(self, order: OwnOrder) -> None:
        seen = await self._trading.cancel(order.client_id, order.symbol, order.venue_id)
        if await self._clock_is_right_now(seen):
            seen = await self._trading.cancel(order.client_id, order.symbol, order.venue_id)
        now = self._clock.now_ms()
        if isinstance(seen, SeenOrder):
            self._tell(self._orders.take(seen, order.client_id, now, ""))
        elif seen is None or absent(seen):
            # a cancel whose answer was lost is repeated by the connection, and the second finds nothing: only the
            # order itself tells what became of it
            await self._query(order)
        elif isinstance(seen, Refused):
            self._deliver(CancelRefused(order.client_id, seen.code, seen.message, now))
        else:
            self._deliver(OutcomeUnknown(order.client_id, "cancel", cause_of(seen), now))

    async def _query(self, order: OwnOrder) -> None:
        answer = await self._lookups.answer(order, self._trading)
        self._deliver(answer)

    async def _balances(self) -> None:
        found = await self._polling.balances()
        if await self._clock_is_right_now(found):
            found = await self._polling.balances()
        now = self._clock.now_ms()
        if isinstance(found, Failure):
            self._deliver(BalancesUnavailable(cause_of(found), now))
        else:
            self._deliver(BalancesReported(found, now))

    async def _clock_is_right_now(self, answer: object) -> bool:
        """Whether a request was refused for its timestamp, and the clock could be measured anew."""
        if not isinstance(answer, Refused) or answer.why != "clock":
            return False
        try:
            await self._offset.measure_anew()
        except Exception:  # noqa: BLE001 - the border to ccxt: without a measurement the refusal stands
            return False
        return True

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._deliver(event)
