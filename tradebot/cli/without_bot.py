"""What if no bot runs? Asked by the commands that set a toggle or bring a generation back: it is done in its home."""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tradebot.cli.asking import answers_nobody, ask, who
from tradebot.cli.finding import Meant, WhichBot, bot_with, hold_to_profile, running_bot, runs
from tradebot.cli.outcome import tell
from tradebot.cli.words import show
from tradebot.control.place import standing
from tradebot.domain.errors import CannotStart
from tradebot.storage.history import History
from tradebot.storage.home import PROFILES, holder

if TYPE_CHECKING:
    from tradebot.control.client import Client
    from tradebot.domain.views import OutcomeView

Offline = Callable[[Path, str, int], list[str]]
"""Does it in a home: (the home, who asked, now in ms); returns what was done, in lines."""


def ask_or_do(args: argparse.Namespace, question: Callable[[Client], Awaitable[OutcomeView]], offline: Offline) -> int:
    """Ask the running bot, or do it in the home of the one that is meant; print what became of it.

    Raises as `asking.ask` does, NotNow, and StorageFailed.
    """
    running = _running(args)
    if running is not None:
        return tell(ask(running, question))
    meant = bot_with(args, PROFILES)
    _hold_to(meant)
    try:
        lines = offline(meant.home, who(), time.time_ns() // 1_000_000)
    except CannotStart:
        pid = holder(meant.home)
        if pid is None:
            raise
        raise answers_nobody(meant.home, pid) from None
    show(*lines)
    return 0


def _running(args: argparse.Namespace) -> Meant | None:
    """Return the bot that is meant, None where none runs there."""
    try:
        meant = running_bot(args)
    except WhichBot:
        if args.home is not None or args.profile is not None:
            raise
        return None
    return meant if standing(meant.home) == "foreign" or runs(meant.home) else None


def _hold_to(meant: Meant) -> None:
    """Raise WhichBot where the bot was named by another profile than the one that was in force there."""
    if not meant.profile:
        return
    history = History.read_only(meant.home / PROFILES)
    if history is None:
        return
    try:
        force = history.in_force()
    finally:
        history.close()
    if force is not None:
        hold_to_profile(meant, force.path, "ran")
