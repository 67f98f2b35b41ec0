"""What stands in the market, and how much of it is left for us? Asked by the matching core.

The market is recorded or someone else's: it does not notice our orders. So the book remembers what was taken at a
level for as long as the level shows the same size, and nobody of ours takes it twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO, exact, floor_to
from tradebot.domain.orders import Side

Levels = tuple[tuple[float, float], ...]
"""Levels of one side, best first: price in quote per base, size in base (`inf` is without limit)."""

NO_LEVELS: Final[Levels] = ()


class Take(Struct, frozen=True, gc=False):
    """An amount (base) to be taken at a level (price, size); `price` is the level's, exactly."""

    level: tuple[float, float]
    price: Decimal
    amount: Decimal


class Wanted(Struct, frozen=True, gc=False):
    """What a taker wants: `amount` in base, or `quote_amount` to be spent or received; `limit` 0 takes any price."""

    side: Side
    limit: Decimal
    amount: Decimal
    quote_amount: Decimal


class Book:
    """One symbol's visible levels, as the last quote or book showed them."""

    __slots__ = ("_participation", "_taken", "asks", "bids")

    def __init__(self, participation: Decimal) -> None:
        self.bids: Levels = NO_LEVELS
        self.asks: Levels = NO_LEVELS
        self._participation = participation
        self._taken: dict[Side, dict[float, tuple[float, Decimal]]] = {Side.BUY: {}, Side.SELL: {}}

    def show(self, bids: Levels, asks: Levels) -> None:
        """Replace what stands; what was taken at levels that changed is forgotten."""
        self.bids = bids
        self.asks = asks
        for side, levels in ((Side.BUY, asks), (Side.SELL, bids)):
            if self._taken[side]:
                self._forget_changed(side, levels)

    def hide(self) -> None:
        """Forget what stands (nobody looked for a while); what was taken is remembered by its level's size."""
        self.bids = NO_LEVELS
        self.asks = NO_LEVELS

    def opposite(self, side: Side) -> Levels:
        """Return the levels an order of `side` can take."""
        return self.asks if side is Side.BUY else self.bids

    def queue_at(self, side: Side, price: float) -> Decimal | None:
        """Return the size (base) shown at `price` on the side where an order of `side` rests.

        0 between the visible levels and before the best one; None beyond the last visible level.
        """
        levels = self.bids if side is Side.BUY else self.asks
        buys = side is Side.BUY
        for level, size in levels:
            if level == price:
                return exact(size)
            if level < price if buys else level > price:
                return ZERO
        return None

    def printed(self, side: Side, price: float, size: float) -> Levels:
        """Return a public trade that an aggressor of `side` made as the one level it proves to have stood."""
        if not self.opposite(side):
            self._taken[side].pop(price, None)
        return ((price, size),)

    def left(self, side: Side, price: float, size: float) -> Decimal:
        """Return what an order of `side` can still take (base) of `size` at a level."""
        share = exact(size) * self._participation
        taken = self._taken[side].get(price)
        if taken is None:
            return share
        return share - taken[1] if share > taken[1] else ZERO

    def take(self, side: Side, price: float, size: float, amount: Decimal) -> None:
        """Remember that an order of `side` took `amount` of `size` at a level, as long as the level shows the same."""
        stands = dict(self.opposite(side)).get(price, size)
        before = self._taken[side].get(price, (stands, ZERO))
        self._taken[side][price] = (stands, before[1] + amount)

    def plan(self, wanted: Wanted, levels: Levels, instrument: Instrument) -> tuple[list[Take], bool]:
        """Return what a taker gets of `levels`, best first, and whether that is all it wants."""
        buys = wanted.side is Side.BUY
        takes: list[Take] = []
        rest, money = wanted.amount, wanted.quote_amount
        for level, size in levels:
            price = exact(level)
            if wanted.limit and (price > wanted.limit if buys else price < wanted.limit):
                break
            # a recorded price with a spread laid around it lies off the grid: the taker gets the worse tick
            price = instrument.price_up(price) if buys else instrument.price_down(price)
            if wanted.quote_amount:
                rest = floor_to(money / price, instrument.amount_step)
            if not rest:
                return takes, True
            free = self.left(wanted.side, level, size)
            if free >= rest:
                takes.append(Take((level, size), price, rest))
                return takes, True
            amount = floor_to(free, instrument.amount_step)
            if amount:
                takes.append(Take((level, size), price, amount))
                rest -= amount
                money -= amount * price
        return takes, False

    def _forget_changed(self, side: Side, levels: Levels) -> None:
        """Keep what was taken at levels that show the same size, or lie deeper than anyone can see."""
        taken = self._taken[side]
        shown = dict(levels)
        last = levels[-1][0] if levels else None
        for price in list(taken):
            if price in shown:
                changed = shown[price] != taken[price][0]
            else:
                changed = last is not None and (price < last if side is Side.BUY else price > last)
            if changed:
                del taken[price]
