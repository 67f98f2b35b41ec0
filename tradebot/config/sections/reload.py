"""When does an edit take effect, and when is it taken back?"""

from typing import Literal

from tradebot.config.base import Number, Real, Seconds, Table, setting


class Guards(Table):
    """What is watched while a new generation is on probation; a breach restores the last good one."""

    max_errors_per_min: Real | None = setting(5.0, unset="off", looser="higher", gt=0, le=100_000)
    """Most ERROR records in any minute."""

    max_reject_pct: Number | None = setting(20, unset="off", looser="higher", gt=0, le=100)
    """Largest share of the orders sent since the edit that the venue rejected, once `min_orders` were sent."""

    min_orders: int = setting(5, looser="higher", ge=1, le=100_000)
    """Below so many orders sent since the edit, a share of rejected ones says nothing."""

    max_slow_cycles_per_min: Real | None = setting(10.0, unset="off", looser="higher", gt=0, le=100_000)
    """Most cycles longer than `engine.slow_cycle_s` in any minute."""

    max_drawdown_bps: Number | None = setting(200, unset="off", looser="higher", gt=0, le=10_000)
    """Largest fall of the equity (cash and positions at their bids) below what it was at the edit."""

    max_component_failures: int | None = setting(1, unset="off", looser="higher", ge=1, le=10_000)
    """So many failures of components since the edit are a breach."""


class Reload(Table):
    """When an edit takes effect, and when it is taken back."""

    mode: Literal["auto", "confirm"] = setting("auto", looser="auto")
    """Apply edits by themselves (those that loosen a risk limit still wait), or let every edit wait."""

    settle_ms: int = setting(100, ge=10, le=60_000)
    """A text that is faulty, ends within a line or lacks keys it had is read again after so long, then believed."""

    sweep_s: Seconds = setting(2.0, ge=0.1, le=3600)
    """How often the files are read even if no change was noticed."""

    build_timeout_s: Seconds = setting(5.0, gt=0, le=600)
    """Longest time for building, starting and proving the parts of an edit; beyond it nothing is applied."""

    drain_timeout_s: Seconds = setting(5.0, gt=0, le=600)
    """Longest time for ending the parts that were replaced."""

    probation_s: Seconds = setting(600.0, looser="lower", ge=0, le=604_800)
    """How long the guards are watched after an edit; 0 watches nothing."""

    probation_starts: int | None = setting(3, unset="off", looser="higher", ge=1, le=1000)
    """So many starts in a row that are killed on the probation of one text let the next run the last good one."""

    keep_generations: int = setting(1000, ge=10, le=1_000_000)
    """How many generations keep their files in the history, to be shown and rolled back to."""

    guards: Guards = setting(Guards)
    """What is watched while a new generation is on probation."""
