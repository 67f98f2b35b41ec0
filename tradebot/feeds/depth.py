"""What did the book look like, as far as recorded diffs have told? Asked by recorded depth."""

from __future__ import annotations

from bisect import bisect_left, insort

Levels = tuple[tuple[float, float], ...]
"""(price, size in base) of each level, best first."""


class _Side:
    """The known levels of one side; `prices` ascend."""

    __slots__ = ("prices", "sizes")

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.sizes: dict[float, float] = {}

    def put(self, price: float, size: float) -> None:
        known = price in self.sizes
        if size > 0:
            self.sizes[price] = size
            if not known:
                insort(self.prices, price)
        elif known:
            del self.sizes[price]
            del self.prices[bisect_left(self.prices, price)]


class DepthBook:
    """A book rebuilt from diffs alone.

    No snapshot precedes a recording, so a level that no diff has named is not known; the book only ever shows less
    than there was, and its first best prices may be worse than the true ones.
    """

    __slots__ = ("_asks", "_bids", "_last_id")

    def __init__(self) -> None:
        self._bids = _Side()
        self._asks = _Side()
        self._last_id = 0

    def follows(self, first_id: int, final_id: int) -> bool:
        """Begin the diff of updates `first_id` to `final_id`; on a hole before it forget all levels, return False."""
        whole = not self._last_id or first_id == self._last_id + 1
        if not whole:
            self._bids = _Side()
            self._asks = _Side()
        self._last_id = final_id
        return whole

    def put(self, is_ask: bool, price: float, size: float) -> None:
        """Set the size of a level (base); 0 removes it."""
        (self._asks if is_ask else self._bids).put(price, size)

    def top(self, levels: int) -> tuple[Levels, Levels] | None:
        """Return the best `levels` of bids and asks; None where a side is unknown or the book is crossed or locked."""
        bids, asks = self._bids, self._asks
        if not bids.prices or not asks.prices or bids.prices[-1] >= asks.prices[0]:
            return None
        return (
            tuple((price, bids.sizes[price]) for price in bids.prices[: -levels - 1 : -1]),
            tuple((price, asks.sizes[price]) for price in asks.prices[:levels]),
        )
