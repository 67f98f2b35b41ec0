"""In which order do requests leave, and when may they? Asked by the dispatch of both shells.

A place waits until the fact that plans it is durable, and is not sent after its deadline. Everything else
about the same order waits behind it, so no cancel or query ever overtakes its order; a cancel of an order
that has not left takes it back instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from tradebot.config.secrets import mask
from tradebot.domain.commands import (
    CancelOrder,
    Command,
    PlaceOrder,
    QueryBalances,
    QueryOrder,
    ReconcileOrders,
)
from tradebot.domain.events import BalancesUnavailable, Event, OutcomeUnknown, RequestNotSent, RequestSent
from tradebot.ports import Due, Journal, Venue

NEVER_MS: Final = 2**62
"""A time that does not come."""

IoFault = Callable[[str, Exception], None]
"""Told (what was being done, the error) when the world failed."""


class Waiting:
    """One order that has not left: its place, the seq that must be durable first, and queries behind it."""

    __slots__ = ("behind", "needs_seq", "place")

    def __init__(self, place: PlaceOrder, needs_seq: int) -> None:
        self.place = place
        self.needs_seq = needs_seq
        self.behind: deque[QueryOrder] = deque()


class Given(NamedTuple):
    """What an outbox hands over to the one that follows it."""

    venue: Venue
    journal: Journal
    on_fault: IoFault | None
    waiting: dict[str, Waiting]


class Outbox:
    """Holds requests until they may leave, and hands them to the venue.

    With `on_fault`, an exception of the venue is told there and becomes the event "outcome unknown"
    (the request may have left); without it, the exception goes on to the caller.
    """

    __slots__ = ("_journal", "_on_fault", "_venue", "_waiting", "answers", "news", "sent")

    def __init__(self, venue: Venue, journal: Journal, on_fault: IoFault | None = None) -> None:
        self._venue = venue
        self._journal = journal
        self._on_fault = on_fault
        self._waiting: dict[str, Waiting] = {}
        self.news: list[Event] = []
        """Events of our own (sent, not sent, unknown), to be processed before anything else."""
        self.answers: list[Due] = []
        """What the venue will answer, and when."""
        self.sent = 0
        """Requests handed to the venue."""

    @property
    def waiting(self) -> Collection[str]:
        """The client ids of orders that have not left yet, in the order they were planned."""
        return self._waiting.keys()

    @property
    def next_due_ms(self) -> int:
        """The time at which the first waiting order is too late to be sent; `NEVER_MS` when none waits."""
        return min((item.place.send_by_ms + 1 for item in self._waiting.values()), default=NEVER_MS)

    def put(self, commands: Sequence[Command], seq: int, now_ms: int) -> None:
        """Take `commands`, decided by facts up to `seq`; hand on at once what may leave."""
        for command in commands:
            if isinstance(command, PlaceOrder):
                self._waiting[command.client_id] = Waiting(command, seq)
                self.flush(now_ms)
            elif isinstance(command, CancelOrder):
                self._cancel(command, now_ms)
            elif isinstance(command, QueryOrder) and command.client_id in self._waiting:
                self._waiting[command.client_id].behind.append(command)
            elif isinstance(command, ReconcileOrders):
                self._reconcile(command, now_ms)
            else:
                self._submit(command, now_ms)

    def hand_over(self) -> Given:
        """Give away what waits here and where it was to go; nothing leaves from here any more."""
        waiting, self._waiting = self._waiting, {}
        return Given(self._venue, self._journal, self._on_fault, waiting)

    def flush(self, now_ms: int) -> None:
        """Send every waiting order whose plan is durable; drop those that are too late."""
        if not self._waiting:
            return
        durable = self._journal.durable_seq
        for client_id, item in list(self._waiting.items()):
            if now_ms > item.place.send_by_ms:
                del self._waiting[client_id]
                self.news.append(RequestNotSent(client_id, "TooLate", now_ms))
            elif item.needs_seq <= durable:
                del self._waiting[client_id]
                self._submit(item.place, now_ms)
                for query in item.behind:
                    self._submit(query, now_ms)

    def withdraw(self, reason: str, now_ms: int) -> None:
        """Take back every order that has not left."""
        for client_id in self._waiting:
            self.news.append(RequestNotSent(client_id, reason, now_ms))
        self._waiting.clear()

    def _cancel(self, command: CancelOrder, now_ms: int) -> None:
        if self._waiting.pop(command.client_id, None) is not None:
            self.news.append(RequestNotSent(command.client_id, "NeverSent", now_ms))
        else:
            self._submit(command, now_ms)

    def _reconcile(self, command: ReconcileOrders, now_ms: int) -> None:
        """Ask for those that have left; the others are asked for behind their own request."""
        left = []
        for query in command.orders:
            if (item := self._waiting.get(query.client_id)) is not None:
                item.behind.append(query)
            else:
                left.append(query)
        if left:
            self._submit(ReconcileOrders(tuple(left), command.since_ms), now_ms)

    def _submit(self, command: Command, now_ms: int) -> None:
        if isinstance(command, PlaceOrder):
            self.news.append(RequestSent(command.client_id, now_ms))
        self.sent += 1
        if self._on_fault is None:
            self.answers.extend(self._venue.submit(command, now_ms))
            return
        try:
            self.answers.extend(self._venue.submit(command, now_ms))
        except Exception as error:  # noqa: BLE001 - the supervision border of the venue: told, and booked as unknown
            self._on_fault(f"venue: {type(command).__name__}", error)
            self.news.extend(_unknown(command, error, now_ms))


def _unknown(command: Command, error: Exception, now_ms: int) -> Sequence[Event]:
    cause = mask(f"{type(error).__name__}: {error}")
    match command:
        case PlaceOrder(client_id=client_id):
            return (OutcomeUnknown(client_id, "place", cause, now_ms),)
        case CancelOrder(client_id=client_id):
            return (OutcomeUnknown(client_id, "cancel", cause, now_ms),)
        case QueryOrder(client_id=client_id):
            return (OutcomeUnknown(client_id, "query", cause, now_ms),)
        case ReconcileOrders(orders=orders):
            return tuple(OutcomeUnknown(query.client_id, "query", cause, now_ms) for query in orders)
        case QueryBalances():
            return (BalancesUnavailable(cause, now_ms),)
        case _:
            raise TypeError(f"no venue takes {type(command).__name__}") from error
