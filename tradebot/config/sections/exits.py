"""When and how is a position sold?"""

from decimal import Decimal

from tradebot.config.base import Number, Seconds, Table, setting
from tradebot.config.sections.execution import Step, Steps


class Trailing(Table):
    """A stop that follows the highest price since it became active."""

    activate_bps: Number = setting(looser="higher", gt=0, le=100_000)
    """Gain over the entry price at which the trailing stop becomes active."""

    distance_bps: Number = setting(looser="higher", gt=0, lt=10_000)
    """Fall from the highest price since then at which the position is sold."""


class Exits(Table):
    """When and how a position is sold; an exit is never blocked by a buy's guard."""

    take_profit_bps: Number | None = setting(Decimal(180), unset="off", gt=0, le=1_000_000)
    """Gain over the entry price at which a position is sold."""

    stop_loss_bps: Number | None = setting(Decimal(400), unset="off", looser="higher", gt=0, lt=10_000)
    """Loss below the entry price at which a position is sold."""

    trailing: Trailing | None = setting(None, unset="off", looser="higher")
    """Trailing stop; none unless declared."""

    max_hold_s: Seconds | None = setting(86_400.0, unset="off", looser="higher", gt=0, le=315_360_000)
    """Longest time a position is held."""

    check_interval_s: Seconds = setting(1.0, gt=0, le=3600)
    """Wait after an exit that could not sell everything before the next attempt."""

    steps: Steps = setting((Step(), Step(offset_bps=Decimal(20)), Step(type="market")), min_length=1, max_length=20)
    """The ladder of an exit, tried in order."""
