"""Which parts of the engine are on? A toggle picks the real part or its null part; asked when a profile is taken."""

from __future__ import annotations

from msgspec import Struct

from tradebot.engine.ages import NoStaleWarnings, StaleWarnings, Warnings
from tradebot.engine.budget import Budget
from tradebot.engine.controls import Controls, StaticControls
from tradebot.engine.decision import BuyGates, BuyingOff, Gates
from tradebot.engine.desk import Desk
from tradebot.engine.exits import DeclaredExits, ExitRules, ExitsOff


class Parts(Struct):
    """The engine's replaceable parts."""

    gates: Gates
    exits: ExitRules
    controls: Controls
    warnings: Warnings


def choose(desk: Desk, budget: Budget) -> Parts:
    """Return the parts that the profile's toggles pick."""
    features = desk.profile.features
    controls = StaticControls(desk.profile.execution)
    return Parts(
        gates=BuyGates(desk, budget, controls) if features.buying else BuyingOff(),
        exits=DeclaredExits(desk) if features.exits else ExitsOff(),
        controls=controls,
        warnings=StaleWarnings(desk) if features.stale_warnings else NoStaleWarnings(),
    )
