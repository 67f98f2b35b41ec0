"""In which order do requests of one order leave? One lane an order, asked by the ccxt venue; lanes run side by side."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryOrder, ReconcileOrders

_BALANCES: Final = ""
_TOGETHER: Final = "*"


class Lanes:
    """Handles commands one after the other in each lane. A cancel or query that waits already is not queued twice.

    `freed` is told the client id of a lane that has nothing left to do.
    """

    def __init__(self, handle: Callable[[Command], Awaitable[None]], freed: Callable[[str], None]) -> None:
        self._handle = handle
        self._freed = freed
        self._queues: dict[str, deque[Command]] = {}
        self._together: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, command: Command) -> None:
        """Handle a command as soon as its lane is free; needs a running loop.

        Of orders asked for together, those whose lane is not free are asked for in it.
        """
        if isinstance(command, ReconcileOrders):
            taken = [query for query in command.orders if query.client_id in self._queues]
            for query in taken:
                self.put(query)
            free = tuple(query for query in command.orders if query.client_id not in self._queues)
            if not free:
                return
            self._together.update(query.client_id for query in free)
            command = ReconcileOrders(free, command.since_ms)
        key = _key(command)
        queue = self._queues.get(key)
        if queue is not None:
            if command not in queue:
                queue.append(command)
            return
        self._queues[key] = queue = deque([command])
        task = asyncio.create_task(self._run(key, queue), name=f"tradebot-venue-{key or 'balances'}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def busy(self, client_id: str) -> bool:
        """Whether a request of this order is under way."""
        return client_id in self._queues or client_id in self._together

    async def stop(self) -> None:
        """Cancel what is under way and wait until it has ended; what waits behind it is dropped."""
        for queue in self._queues.values():
            queue.clear()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def _answered(self, command: ReconcileOrders) -> None:
        for query in command.orders:
            self._together[query.client_id] -= 1
            if not self._together[query.client_id]:
                del self._together[query.client_id]
                if query.client_id not in self._queues:
                    self._freed(query.client_id)

    async def _run(self, key: str, queue: deque[Command]) -> None:
        try:
            while queue:
                command = queue.popleft()
                await self._handle(command)
                if isinstance(command, ReconcileOrders):
                    self._answered(command)
        finally:
            del self._queues[key]
            self._freed(key)


def _key(command: Command) -> str:
    if isinstance(command, PlaceOrder | CancelOrder | QueryOrder):
        return command.client_id
    return _TOGETHER if isinstance(command, ReconcileOrders) else _BALANCES
