"""Which levels changed since the last message? Asked by every depth stream.

The book's `update_id` counts its changes, so a message from (the last one told + 1) to the book's own id is
continuous with the one before it, and with every snapshot taken between: Binance, "How to manage a local order book".
"""

from __future__ import annotations

from typing import NamedTuple

from tradebot.sandbox.market import BookChanged, Levels, SymbolMarket


class Diff(NamedTuple):
    """The levels that changed by the book's changes `first_id` to `last_id`; size 0 says that one is gone."""

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels


class DepthDiffs:
    """One symbol's diffs, from the book as it stands now on; it must see every change of the book.

    A level that changed and changed back is told all the same: a snapshot taken between has the other size.
    """

    __slots__ = ("_asks", "_bids", "_changed_asks", "_changed_bids", "_seen_id", "_told_id")

    def __init__(self, market: SymbolMarket) -> None:
        self._told_id = self._seen_id = market.update_id
        self._bids = market.bids
        self._asks = market.asks
        self._changed_bids: dict[float, float] = {}
        self._changed_asks: dict[float, float] = {}

    def see(self, book: BookChanged) -> None:
        """Take a change of the book."""
        self._changed_bids.update(changed(self._bids, book.bids))
        self._changed_asks.update(changed(self._asks, book.asks))
        self._bids, self._asks, self._seen_id = book.bids, book.asks, book.update_id

    def next(self) -> Diff | None:
        """Return what changed since the last diff, None where the book did not change."""
        if self._seen_id == self._told_id:
            return None
        bids, asks = tuple(self._changed_bids.items()), tuple(self._changed_asks.items())
        diff = Diff(self._told_id + 1, self._seen_id, bids, asks)
        self._told_id = self._seen_id
        self._changed_bids, self._changed_asks = {}, {}
        return diff


def changed(before: Levels, after: Levels) -> Levels:
    """Return the levels of `after` that are new or have another size, and those gone with size 0."""
    old, new = dict(before), dict(after)
    return (
        *((price, size) for price, size in after if old.get(price) != size),
        *((price, 0.0) for price, _ in before if price not in new),
    )
