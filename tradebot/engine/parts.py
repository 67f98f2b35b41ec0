"""Which parts of the engine are on? A toggle picks the real part or its null part; asked when a profile is taken."""

from __future__ import annotations

from msgspec import Struct

from tradebot.engine.budget import Budget
from tradebot.engine.controls import Controls, StaticControls
from tradebot.engine.decision import BuyGates, BuyingOff, Gates
from tradebot.engine.desk import Desk
from tradebot.engine.exits import DeclaredExits, ExitRules, ExitsOff, SellOff
from tradebot.engine.warnings import NoStaleWarnings, StaleWarnings, Warnings


class Parts(Struct):
    """The engine's replaceable parts, in one object that everyone shares: nobody keeps an old one."""

    gates: Gates
    exits: ExitRules
    controls: Controls
    warnings: Warnings

    def renew(self, desk: Desk, budget: Budget) -> None:
        """Take the parts that profile and state pick now; what was told of stale data stays told."""
        chosen = choose(desk, budget)
        if isinstance(chosen.warnings, StaleWarnings) and isinstance(self.warnings, StaleWarnings):
            chosen.warnings.told = self.warnings.told
        self.gates, self.exits = chosen.gates, chosen.exits
        self.controls, self.warnings = chosen.controls, chosen.warnings


def choose(desk: Desk, budget: Budget) -> Parts:
    """Return the parts that the profile's toggles pick; while all is sold off, the exits are those that sell."""
    features = desk.profile.features
    controls = StaticControls(desk.profile.execution)
    exits: ExitRules = DeclaredExits(desk) if features.exits else ExitsOff()
    return Parts(
        gates=BuyGates(desk, budget, controls) if features.buying else BuyingOff(),
        exits=SellOff(desk) if desk.state.flattening else exits,
        controls=controls,
        warnings=StaleWarnings(desk) if features.stale_warnings else NoStaleWarnings(),
    )
