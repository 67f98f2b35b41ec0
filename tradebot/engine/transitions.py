"""Which news may move an order from which state? An explicit table over every pair; asked by the router.

A pair that is not in the table changes nothing: it is a repetition, or news overtaken by better evidence.
"""

from __future__ import annotations

from enum import StrEnum

from tradebot.domain.orders import TERMINAL, OrderState


class News(StrEnum):
    """What can be learned about an order."""

    SENT = "sent"  # its request left
    NOT_SENT = "not_sent"  # its request never will
    ACKNOWLEDGED = "acknowledged"  # the venue has it
    REFUSED = "refused"  # the venue said no, conclusively
    DOUBTED = "doubted"  # the request's outcome is not known
    SEEN = "seen"  # a query found it, not ended
    FINISHED = "finished"  # it ended at the venue, and every fill it names is booked
    ABSENT = "absent"  # proven never to have reached the venue


PLANNED, SENT, OPEN, UNKNOWN = OrderState.PLANNED, OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN

MOVES: dict[tuple[OrderState, News], frozenset[OrderState]] = {
    (PLANNED, News.SENT): frozenset({SENT}),
    (PLANNED, News.NOT_SENT): frozenset({OrderState.NEVER_SENT}),
    # a restart does not know whether a planned request left, so every answer may come to it
    (PLANNED, News.ACKNOWLEDGED): frozenset({OPEN}),
    (PLANNED, News.REFUSED): frozenset({OrderState.REJECTED}),
    (PLANNED, News.DOUBTED): frozenset({UNKNOWN}),
    (PLANNED, News.SEEN): frozenset({OPEN}),
    (PLANNED, News.FINISHED): TERMINAL,
    (PLANNED, News.ABSENT): frozenset({OrderState.ABSENT}),
    (SENT, News.ACKNOWLEDGED): frozenset({OPEN}),
    (SENT, News.REFUSED): frozenset({OrderState.REJECTED}),
    (SENT, News.DOUBTED): frozenset({UNKNOWN}),
    (SENT, News.SEEN): frozenset({OPEN}),
    (SENT, News.FINISHED): TERMINAL,
    (SENT, News.ABSENT): frozenset({OrderState.ABSENT}),
    # an order that was seen exists: a refusal or a doubt about its request comes too late to matter
    (OPEN, News.SEEN): frozenset({OPEN}),
    (OPEN, News.FINISHED): TERMINAL,
    (OPEN, News.ABSENT): frozenset({OrderState.ABSENT}),
    # only evidence ends a doubt: never time, and never another doubt
    (UNKNOWN, News.ACKNOWLEDGED): frozenset({OPEN}),
    (UNKNOWN, News.REFUSED): frozenset({OrderState.REJECTED}),
    (UNKNOWN, News.SEEN): frozenset({OPEN}),
    (UNKNOWN, News.FINISHED): TERMINAL,
    (UNKNOWN, News.ABSENT): frozenset({OrderState.ABSENT}),
}


def moves(state: OrderState, news: News) -> bool:
    """Whether `news` may move an order that is in `state`."""
    return (state, news) in MOVES
