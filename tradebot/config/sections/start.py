"""What does a start do with a profile that has faults?"""

from typing import Literal

from tradebot.config.base import Table, setting


class Start(Table):
    """How the bot starts."""

    on_faulty: Literal["exit", "exits_only"] = setting("exit")
    """With a faulty profile and own orders or positions open: exit with code 2, or run the last good one, selling only.

    Taken from the last good generation, since the faulty text has no say.
    """
