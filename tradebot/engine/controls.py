"""Which entry limits hold right now? Asked by every buy decision; carried by the intent, enforced by the router."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tradebot.config.sections.execution import Execution
from tradebot.engine.desk import SymbolState


class EntryConstraints(Struct, frozen=True):
    """The limits of one entry, in basis points."""

    max_slippage_bps: Decimal
    max_spread_bps: Decimal


class Controls(Protocol):
    """Sets the limits of an entry."""

    def constraints(self, symbol: SymbolState) -> EntryConstraints:
        """Return the limits for a buy of `symbol` now."""
        ...


class StaticControls:
    """The null part of dynamic controls: exactly the profile's fixed limits, whatever the market does."""

    def __init__(self, settings: Execution) -> None:
        self._constraints = EntryConstraints(
            max_slippage_bps=settings.max_slippage_bps, max_spread_bps=settings.max_spread_bps
        )

    def constraints(self, symbol: SymbolState) -> EntryConstraints:
        """Return the fixed limits."""
        del symbol
        return self._constraints
