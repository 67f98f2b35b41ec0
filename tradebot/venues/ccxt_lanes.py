"""In which order do requests of one order leave? One lane an order, asked by the ccxt venue; lanes run side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from tradebot.domain.commands import CancelOrder, Command, PlaceOrder, QueryOrder

_BALANCES: Final = ""


class Lanes:
    """Handles commands one after the other in each lane. A cancel or query that waits already is not queued twice.

    `freed` is told the client id of a lane that has nothing left to do.
    """

    def __init__(self, handle: Callable[[Command], Awaitable[None]], freed: Callable[[str], None]) -> None:
        self._handle = handle
        self._freed = freed
        self._queues: dict[str, deque[Command]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, command: Command) -> None:
        """Handle a command as soon as its lane is free; needs a running loop."""
        key = command.client_id if isinstance(command, PlaceOrder | CancelOrder | QueryOrder) else _BALANCES
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
        return client_id in self._queues

    async def stop(self) -> None:
        """Cancel what is under way and wait until it has ended; what waits behind it is dropped."""
        for queue in self._queues.values():
            queue.clear()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _run(self, key: str, queue: deque[Command]) -> None:
        try:
            while queue:
                await self._handle(queue.popleft())
        finally:
            del self._queues[key]
            self._freed(key)
