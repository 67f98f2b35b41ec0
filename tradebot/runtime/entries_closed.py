"""What may still leave once the entries are closed? Asked by the dispatch, which swaps its outbox for this one.

Nothing here can buy: what goes to the venue is a `Sale`, which has no side, a cancel or a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Self

from msgspec import Struct

from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryOrder, ReconcileOrders
from tradebot.domain.errors import TradebotError
from tradebot.domain.events import Event, RequestNotSent
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.ports import Due, Venue
from tradebot.runtime.outbox import Outbox

WHY: Final = "EntriesClosed"
"""Why a buy was not sent."""

Question = CancelOrder | QueryOrder | ReconcileOrders | QueryBalances
"""What asks or cancels, and places nothing."""


class EntriesClosed(TradebotError):
    """A buy came to a door that has no way to buy; it was not sent."""


class Sale(Struct, frozen=True):
    """An order that sells. It names no side, so that there is none to be wrong."""

    client_id: str
    symbol: str
    type: OrderType
    tif: TimeInForce
    send_by_ms: int
    price: Decimal = ZERO
    amount: Decimal = ZERO

    @classmethod
    def of(cls, place: PlaceOrder) -> Self | None:
        """Return what of an order sells, None where it buys."""
        if place.side is not Side.SELL:
            return None
        return cls(place.client_id, place.symbol, place.type, place.tif, place.send_by_ms, place.price, place.amount)


class ExitDoor:
    """The way to a venue that is left: selling, cancelling, asking."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def sell(self, sale: Sale, now_ms: int) -> list[Due]:
        """Send an order that sells."""
        return self._venue.submit(
            PlaceOrder(
                client_id=sale.client_id,
                symbol=sale.symbol,
                side=Side.SELL,
                type=sale.type,
                tif=sale.tif,
                send_by_ms=sale.send_by_ms,
                price=sale.price,
                amount=sale.amount,
            ),
            now_ms,
        )

    def ask(self, question: Question, now_ms: int) -> list[Due]:
        """Send a cancel or a question."""
        return self._venue.submit(question, now_ms)


class _Exits:
    """A venue as the outbox wants one, behind an exit door."""

    def __init__(self, door: ExitDoor) -> None:
        self._door = door

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Send what sells or asks. Raises EntriesClosed for a buy, TypeError for what no venue takes."""
        if isinstance(command, Question):
            return self._door.ask(command, now_ms)
        if not isinstance(command, PlaceOrder):
            raise TypeError(f"no venue takes {type(command).__name__}")
        sale = Sale.of(command)
        if sale is None:
            raise EntriesClosed(f"{command.client_id} buys")
        return self._door.sell(sale, now_ms)

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        """Observe nothing: the shell shows the market to the venue itself."""
        return []

    def watches(self, symbol: str) -> bool:
        """Whether a market event could change anything here: never."""
        return False


class ExitOutbox(Outbox):
    """Takes over from an outbox: its sales go on waiting, its buys are taken back, and no buy ever leaves again."""

    __slots__ = ()

    def __init__(self, before: Outbox, now_ms: int) -> None:
        given = before.hand_over()
        super().__init__(_Exits(ExitDoor(given.venue)), given.journal, given.on_fault)
        self.news, self.answers, self.sent = before.news, before.answers, before.sent
        for client_id, item in given.waiting.items():
            if item.place.side is Side.SELL:
                self._waiting[client_id] = item
            else:
                self.news.append(RequestNotSent(client_id, WHY, now_ms))

    def put(self, commands: Sequence[Command], seq: int, now_ms: int) -> None:
        """Take `commands`, decided by facts up to `seq`; a buy among them is never sent, and told so."""
        kept = []
        for command in commands:
            if isinstance(command, PlaceOrder) and Sale.of(command) is None:
                self.news.append(RequestNotSent(command.client_id, WHY, now_ms))
            else:
                kept.append(command)
        super().put(kept, seq, now_ms)
