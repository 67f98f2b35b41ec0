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


P, S, O, U = OrderState.PLANNED, OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN

MOVES: dict[tuple[OrderState, News], frozenset[OrderState]] = {
    (P, News.SENT): frozenset({S}),
    (P, News.NOT_SENT): frozenset({OrderState.NEVER_SENT}),
    # a restart does not know whether a planned request left, so every answer may come to it
    (P, News.ACKNOWLEDGED): frozenset({O}),
    (P, News.REFUSED): frozenset({OrderState.REJECTED}),
    (P, News.DOUBTED): frozenset({U}),
    (P, News.SEEN): frozenset({O}),
    (P, News.FINISHED): TERMINAL,
    (P, News.ABSENT): frozenset({OrderState.ABSENT}),
    (S, News.ACKNOWLEDGED): frozenset({O}),
    (S, News.REFUSED): frozenset({OrderState.REJECTED}),
    (S, News.DOUBTED): frozenset({U}),
    (S, News.SEEN): frozenset({O}),
    (S, News.FINISHED): TERMINAL,
    (S, News.ABSENT): frozenset({OrderState.ABSENT}),
    # an order that was seen exists: a refusal or a doubt about its request comes too late to matter
    (O, News.SEEN): frozenset({O}),
    (O, News.FINISHED): TERMINAL,
    (O, News.ABSENT): frozenset({OrderState.ABSENT}),
    # only evidence ends a doubt: never time, and never another doubt
    (U, News.ACKNOWLEDGED): frozenset({O}),
    (U, News.REFUSED): frozenset({OrderState.REJECTED}),
    (U, News.SEEN): frozenset({O}),
    (U, News.FINISHED): TERMINAL,
    (U, News.ABSENT): frozenset({OrderState.ABSENT}),
}


def moves(state: OrderState, news: News) -> bool:
    """Whether `news` may move an order that is in `state`."""
    return (state, news) in MOVES
