"""How do log records reach many listeners without the engine noticing? Asked by the door for its event stream.

Records come from the log's thread, cross into the loop in batches, and wait for each listener up to a limit.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tradebot.control.messages import HEARTBEAT, HEARTBEAT_S

BATCH_S = 0.02
"""Least time between two hand-overs into the loop."""

MOST_AT_ONCE = 500
"""Most records that one hand-over gives to the listeners before they may write."""

MOST_CROSSING = 20_000
"""Most records between the log's thread and the loop; what is beyond is counted, and told as lost."""

MOST_WRITTEN_BYTES = 65_536
"""How much is written to a listener in one go."""

Listen = Callable[[Callable[[bytes], None]], Callable[[], None]]


class Listener:
    """One listener; `too_slow` is called once when more than `most` records wait."""

    def __init__(self, most: int, too_slow: Callable[[], None]) -> None:
        self.most = most
        self._too_slow = too_slow
        self._lines: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._over = False

    def put(self, line: bytes) -> None:
        """Let a record wait."""
        if self._over:
            return
        if len(self._lines) >= self.most:
            self._lines.clear()
            self.end()
            self._too_slow()
            return
        self._lines.append(line)
        self._wake.set()

    def end(self) -> None:
        """Let it take what waits, and then end."""
        self._over = True
        self._wake.set()

    async def take(self) -> bytes:
        """Return the next lines, a heartbeat where there are none for a while, or b"" at the end."""
        if not self._lines and not self._over:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
        taken: list[bytes] = []
        size = 0
        while self._lines and size < MOST_WRITTEN_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        if taken:
            return b"".join(taken)
        return b"" if self._over else HEARTBEAT


class Audience:
    """Everybody who listens; the log is asked for its records only while there is somebody."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._listeners: set[Listener] = set()
        self._unlisten: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._crossing: deque[bytes] = deque()
        self._lost = 0
        self._due = False
        self.hand_overs = 0
        """How often records have crossed into the loop."""

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, listener: Listener) -> None:
        """Tell `listener` every record from here on."""
        self._listeners.add(listener)
        if self._unlisten is None:
            self._unlisten = self._listen(self._tell)

    def leave(self, listener: Listener) -> None:
        """Tell it nothing more; harmless when called twice."""
        self._listeners.discard(listener)
        if not self._listeners and self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    def tune(self, most: int) -> None:
        """Let at most so many records wait for each listener from here on."""
        for listener in self._listeners:
            listener.most = most

    def end(self) -> None:
        """End every stream once it has taken what was told so far."""
        with self._lock:
            lines = list(self._crossing)
            self._crossing.clear()
        for listener in list(self._listeners):
            for line in lines:
                listener.put(line)
            listener.end()

    def _tell(self, line: bytes) -> None:
        with self._lock:
            if len(self._crossing) >= MOST_CROSSING:
                self._lost += 1
                return
            self._crossing.append(line if line.endswith(b"\n") else line + b"\n")
            if self._due:
                return
            self._due = True
        with suppress(RuntimeError):  # the loop has ended, and all who listened with it
            self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        lines, more = self._next_batch()
        if not lines:
            return
        self.hand_overs += 1
        for listener in list(self._listeners):
            for line in lines:
                listener.put(line)
        if more:
            self._loop.call_soon(self._hand_over)  # after the listeners, who are woken already
        else:
            self._loop.call_later(BATCH_S, self._hand_over)

    def _next_batch(self) -> tuple[list[bytes], bool]:
        """Return what crosses now, and whether more waits; nothing at all ends the hand-overs until the next record."""
        at_once = max(1, min([MOST_AT_ONCE, *(listener.most // 2 for listener in self._listeners)]))
        with self._lock:
            lines = [self._crossing.popleft() for _ in range(min(at_once, len(self._crossing)))]
            if self._lost and not self._crossing:
                lines.append(b'{"lost":%d}\n' % self._lost)
                self._lost = 0
            self._due = bool(lines)
            return lines, bool(self._crossing)
