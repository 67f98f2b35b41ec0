"""What is left at the venue when a run has ended? Told by the venue, judged and shown by the end of the run."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from tradebot.domain.errors import TradebotError
from tradebot.domain.numbers import ZERO


class NotTold(TradebotError):
    """The venue did not tell which own orders are open there; the text says why."""


class NotConnected(NotTold):
    """There is no connection to ask by, and there will be none in this run."""


class OpenOrder(Struct, frozen=True):
    """An own order that is open at the venue: limit price in quote (0 for a market order), what is not filled in base.

    An order sized in quote that is on its way has a `remaining` of 0: nobody knows its base yet.
    """

    client_id: str
    symbol: str
    side: str
    price: Decimal
    remaining: Decimal

    def __str__(self) -> str:
        at = f" at {self.price:f}" if self.price else " at the market"
        return f"{self.side} {self.remaining:f} {self.symbol}{at} ({self.client_id})"


class Holding(Struct, frozen=True):
    """A position: base held and what it is worth at the last bid, in quote; None where no price was seen."""

    symbol: str
    amount: Decimal
    worth_quote: Decimal | None


class Inventory(Struct, frozen=True):
    """What is left, as the venue itself says where it is `verified`; otherwise `cause` says why it could not be asked.

    `wanted` is what the policy wants of open orders in the end. `unknown` are client ids of orders that are not known
    to be over and are not among the venue's open ones.
    """

    wanted: Literal["cancel", "leave"]
    verified: bool
    cause: str = ""
    orders: tuple[OpenOrder, ...] = ()
    unknown: tuple[str, ...] = ()
    positions: tuple[Holding, ...] = ()
    reserved_quote: Decimal = ZERO

    @property
    def breach(self) -> str:
        """Return in words what is against the policy or cannot be proven to follow it, "" where it is as it says."""
        if self.wanted == "leave":
            return ""
        found = []
        if self.orders:
            found.append(f"{_count(len(self.orders), 'order')} open at the venue")
        if self.unknown:
            found.append(f"the end of {_count(len(self.unknown), 'order')} is not known")
        if not self.verified:
            found.append(f"the venue could not be asked: {self.cause}")
        return "; ".join(found)

    @property
    def left(self) -> tuple[str, ...]:
        """Return the client ids of orders that are open or may be."""
        return (*(order.client_id for order in self.orders), *self.unknown)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
