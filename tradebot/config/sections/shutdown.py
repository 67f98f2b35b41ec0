"""How does the bot end?"""

from typing import Literal

from tradebot.config.base import Seconds, Table, setting


class Shutdown(Table):
    """How the bot ends: four stages, each with its deadline."""

    open_orders: Literal["cancel", "leave", "wait"] = setting("cancel", looser="leave")
    """What becomes of own open orders: cancelled and verified, left, or awaited until their wait is over."""

    entries_deadline_s: Seconds = setting(1.0, gt=0, le=60)
    """Longest time for closing the entries."""

    orders_deadline_s: Seconds = setting(10.0, gt=0, le=600)
    """Longest time for the open orders."""

    write_deadline_s: Seconds = setting(10.0, gt=0, le=600)
    """Longest time for the final write of journal, checkpoint and metrics."""

    close_deadline_s: Seconds = setting(5.0, gt=0, le=600)
    """Longest time for stopping the components."""

    callback_timeout_s: Seconds = setting(3.0, gt=0, le=600)
    """Longest time for one clean-up callback."""

    supervisor_deadline_s: Seconds = setting(60.0, gt=0, le=3600)
    """When the process supervisor would kill the bot; the deadlines above add up to less."""
