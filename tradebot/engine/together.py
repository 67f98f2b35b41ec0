"""Which questions are asked together? Asked by the engine for the commands of one event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tradebot.domain.commands import Command, QueryOrder, ReconcileOrders
from tradebot.domain.orders import Order

ONE_BY_ONE: Final = 2
"""Fewer queries than this are asked one by one."""


def together(commands: Sequence[Command], orders: Mapping[str, Order]) -> list[Command]:
    """Return `commands` with their queries of `orders` as one, where the last of them stood."""
    queries = tuple(command for command in commands if isinstance(command, QueryOrder))
    if len(queries) < ONE_BY_ONE:
        return list(commands)
    known = [orders[query.client_id].planned_ms for query in queries if query.client_id in orders]
    whole = ReconcileOrders(orders=tuple(dict.fromkeys(queries)), since_ms=min(known, default=0))
    left = sum(1 for command in commands if isinstance(command, QueryOrder))
    merged: list[Command] = []
    for command in commands:
        if not isinstance(command, QueryOrder):
            merged.append(command)
            continue
        left -= 1
        if not left:
            merged.append(whole)
    return merged
