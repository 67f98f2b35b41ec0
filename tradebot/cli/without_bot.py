"""What if no bot runs? Asked by the commands that set a toggle or bring a generation back: it is done in its home."""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tradebot.cli.finding import WhichBot, ask, home_with, running_bot, who
from tradebot.cli.outcome import tell
from tradebot.control.place import standing
from tradebot.domain.errors import CannotStart, TradebotError
from tradebot.storage.home import PROFILES

if TYPE_CHECKING:
    from tradebot.control.client import Client
    from tradebot.domain.views import OutcomeView

Offline = Callable[[Path, str, int], list[str]]
"""Does it in a home: (the home, who asked, now in ms); returns what was done, in lines."""


def ask_or_do(args: argparse.Namespace, question: Callable[[Client], Awaitable[OutcomeView]], offline: Offline) -> int:
    """Ask the running bot, or do it in the home of the one that is meant; print what became of it.

    Raises as the client does, WhichBot, NotNow, and CannotStart where a bot runs that answers nobody.
    """
    home = _answering(args)
    if home is not None:
        return tell(ask(home, question))
    home = home_with(args, PROFILES)
    try:
        lines = offline(home, who(), time.time_ns() // 1_000_000)
    except CannotStart as error:
        raise TradebotError(f"{error}; its control door answers nobody") from error
    for line in lines:
        print(line)
    return 0


def _answering(args: argparse.Namespace) -> Path | None:
    """Return the home of the bot that is meant, None where none answers there."""
    try:
        home = running_bot(args)
    except WhichBot:
        if args.home is not None or args.profile is not None:
            raise
        return None
    return home if standing(home) in {"answers", "foreign"} else None
