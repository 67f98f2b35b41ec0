"""What is known of differences between account and ledger? A part of the state, changed by facts; asked by `drift`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, field

from tradebot.domain import facts as f
from tradebot.domain.numbers import EXACT, ZERO


class Item(Struct, frozen=True):
    """One difference: what the ledger owned of an asset and the account held, and since when it differs."""

    asset: str
    symbol: str  # "" for the quote
    owned: Decimal
    found: Decimal
    since_ms: int

    @property
    def missing(self) -> Decimal:
        """What the account lacks, negative where it holds more."""
        return EXACT.subtract(self.owned, self.found)


class Drifts(Struct):
    """All of it."""

    items: dict[str, Item] = field(default_factory=dict)  # by asset
    expected: dict[str, Decimal] = field(default_factory=dict)  # by asset, what may be missing; negative: held beside
    selling: dict[str, str] = field(default_factory=dict)  # symbols of which the rest is sold, with who asked
    rival: str = ""
    """The run of another bot under our own name, "" while none was noticed."""

    def lacking(self, asset: str) -> Decimal:
        """Return what is known to be missing of an asset, ignored or not; never negative."""
        item = self.items.get(asset)
        return max(ZERO, self.expected.get(asset, ZERO) if item is None else item.missing)

    def item_of(self, symbol: str) -> Item | None:
        """Return what is missing of a symbol's asset and not settled, None where nothing is."""
        item = self.items.get(symbol.partition("/")[0])
        return item if item is not None and item.missing > 0 else None


def _seen(drifts: Drifts, fact: f.DriftSeen, at_ms: int) -> None:
    known = drifts.items.get(fact.asset)
    goes_on = known is not None and (known.missing > 0) == (fact.missing > 0)
    since_ms = known.since_ms if known is not None and goes_on else at_ms
    drifts.items[fact.asset] = Item(fact.asset, fact.symbol, fact.owned, fact.found, since_ms)


def _ended(drifts: Drifts, fact: f.DriftEnded, at_ms: int) -> None:
    drifts.items.pop(fact.asset, None)
    drifts.expected.pop(fact.asset, None)
    if fact.expected:
        drifts.expected[fact.asset] = fact.expected


def _adopted(drifts: Drifts, fact: f.DriftAdopted, at_ms: int) -> None:
    drifts.items.pop(fact.asset, None)
    drifts.expected.pop(fact.asset, None)
    if fact.sell_rest:
        drifts.selling[fact.symbol] = fact.who


def _position_closed(drifts: Drifts, fact: f.PositionClosed, at_ms: int) -> None:
    drifts.selling.pop(fact.symbol, None)


def _rival_noticed(drifts: Drifts, fact: f.RivalNoticed, at_ms: int) -> None:
    drifts.rival = fact.run


def _run_opened(drifts: Drifts, fact: f.RunOpened, at_ms: int) -> None:
    drifts.rival = ""


RULES: Final[dict[type[f.Fact], Callable[[Drifts, Any, int], None]]] = {
    f.DriftSeen: _seen,
    f.DriftEnded: _ended,
    f.DriftAdopted: _adopted,
    f.PositionClosed: _position_closed,
    f.RivalNoticed: _rival_noticed,
    f.RunOpened: _run_opened,
}
"""How each fact changes it."""
