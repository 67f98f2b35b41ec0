"""How does the bot end?"""

from typing import Literal

from tradebot.config.base import Seconds, Table, setting


class Shutdown(Table):
    """How the bot ends: stages one after the other, each with its deadline."""

    open_orders: Literal["cancel", "leave", "wait"] = setting("cancel", looser="leave")
    """What becomes of own open orders: cancelled, left, or awaited; then the venue itself is asked what is open."""

    after_wait: Literal["cancel", "leave"] = setting("cancel", looser="leave")
    """What becomes of orders that `wait` has awaited for `orders_deadline_s` in vain."""

    entries_deadline_s: Seconds = setting(1.0, gt=0, le=60)
    """Longest time for closing the entries."""

    orders_deadline_s: Seconds = setting(10.0, gt=0, le=600)
    """Longest time for the open orders."""

    verify_deadline_s: Seconds = setting(5.0, gt=0, le=60)
    """Longest time for asking the venue what is open there, and for cancelling what should not be."""

    write_deadline_s: Seconds = setting(10.0, gt=0, le=600)
    """Longest time for the final write of journal, checkpoint and metrics."""

    close_deadline_s: Seconds = setting(5.0, gt=0, le=600)
    """Longest time for stopping the components."""

    callback_timeout_s: Seconds = setting(3.0, gt=0, le=600)
    """Longest time for one clean-up callback."""

    supervisor_deadline_s: Seconds = setting(60.0, gt=0, le=3600)
    """When the process supervisor would kill the bot; the deadlines above add up to less."""

    @property
    def stages_s(self) -> float:
        """Return the sum of the stages' deadlines, in s."""
        stages = (self.entries_deadline_s, self.orders_deadline_s, self.verify_deadline_s)
        return float(sum((*stages, self.write_deadline_s, self.close_deadline_s)))
