"""What does the book look like, by a snapshot and the diffs around it? Asked by the live feed's books.

The rules are Binance's ("how to manage a local order book correctly"): diffs that end at or before the snapshot are
dropped, the first one taken must reach over it, and every later one begins where the one before ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Literal

from tradebot.feeds.decode_binance import DepthDiff
from tradebot.feeds.depth import DepthBook, Levels

Taken = Literal["shown", "old", "waiting", "gap"]
"""What became of a diff: in the book; told before; kept until the snapshot comes; or the book is lost by a hole."""

KEPT_DIFFS = 1_000
"""Most diffs kept while a snapshot is awaited (100 s of them); beyond it the oldest go, and the snapshot is renewed."""


class LiveBook:
    """One symbol's book; it shows nothing until a snapshot and the diffs after it fit together.

    `levels` are shown on each side.
    """

    __slots__ = ("_asks_to", "_bids_to", "_book", "_last_id", "_levels", "_waiting", "shallow")

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._waiting: deque[DepthDiff] = deque(maxlen=KEPT_DIFFS)
        self._forget()

    def _forget(self) -> None:
        self._book = DepthBook()
        self._last_id = 0
        self._bids_to, self._asks_to = 0.0, inf
        self.shallow = False
        """Whether the price has left what the snapshot held, so that fewer levels are known than are to be shown."""

    @property
    def known(self) -> bool:
        """Whether there is a book."""
        return self._last_id > 0

    def lose(self) -> None:
        """Show nothing until the next snapshot: the connection was lost."""
        self._forget()
        self._waiting.clear()

    def begin(self, bids: Sequence[Sequence[float]], asks: Sequence[Sequence[float]], last_id: int, asked: int) -> bool:
        """Take a snapshot of `asked` levels and the diffs that wait; return False where they do not fit together.

        A level is (price, size in base), and may hold more.
        """
        self._forget()
        self._book.follows(1, last_id)
        self._last_id = last_id
        for is_ask, side in ((False, bids), (True, asks)):
            for level in side:
                self._book.put(is_ask, level[0], level[1])
        # beyond a full side of the snapshot there are levels that nobody told
        self._bids_to = min(level[0] for level in bids) if len(bids) >= asked else 0.0
        self._asks_to = max(level[0] for level in asks) if len(asks) >= asked else inf
        waiting = list(self._waiting)
        self._waiting.clear()
        for at, diff in enumerate(waiting):
            if diff.first_id > self._last_id + 1:
                self._forget()
                self._waiting.extend(waiting[at:])
                return False
            if diff.final_id > self._last_id:
                self._put(diff)
        return True

    def take(self, diff: DepthDiff) -> Taken:
        """Take a diff."""
        if not self.known:
            self._waiting.append(diff)
            return "waiting"
        if diff.final_id <= self._last_id:
            return "old"
        if diff.first_id > self._last_id + 1:
            self._forget()
            self._waiting.clear()
            self._waiting.append(diff)
            return "gap"
        self._put(diff)
        return "shown"

    def top(self) -> tuple[Levels, Levels] | None:
        """Return the best bids and asks; None where there is no book, or a side of it is empty or crossed."""
        if not self.known:
            return None
        best = self._book.top(self._levels)
        if best is None:
            return None
        bids, asks = best
        if bids[-1][0] < self._bids_to or (self._bids_to and len(bids) < self._levels):
            bids = tuple(level for level in bids if level[0] >= self._bids_to)
            self.shallow = True
        if asks[-1][0] > self._asks_to or (self._asks_to < inf and len(asks) < self._levels):
            asks = tuple(level for level in asks if level[0] <= self._asks_to)
            self.shallow = True
        return (bids, asks) if bids and asks else None

    def _put(self, diff: DepthDiff) -> None:
        self._book.follows(self._last_id + 1, diff.final_id)
        self._last_id = diff.final_id
        for price, size in diff.bids:
            self._book.put(False, price, size)
        for price, size in diff.asks:
            self._book.put(True, price, size)
