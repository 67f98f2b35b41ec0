"""What do `tradebot pause`, `resume`, `rearm`, `flatten` and `stop` do? Tell the running bot, and print its answer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tradebot.cli.asking import ask
from tradebot.cli.consent import somebody_there, yes
from tradebot.cli.finding import add_bot_arguments, running_bot
from tradebot.cli.words import show

if TYPE_CHECKING:
    from tradebot.control.client import Client
    from tradebot.domain.views import Done

ASKS: dict[str, Callable[[Client, argparse.Namespace], Awaitable[Done]]] = {
    "pause": lambda bot, _: bot.pause(),
    "resume": lambda bot, _: bot.resume(),
    "rearm": lambda bot, args: bot.rearm(args.symbol),
    "flatten": lambda bot, _: bot.flatten(),
    "stop": lambda bot, _: bot.stop(),
}

GRAVE = {
    "flatten": "buying is paused, every buy under way ends, every position is sold",
    "stop": "the run ends; open orders and positions are left as its profile says",
}
"""What is asked for a yes before it is done, and what follows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command that was typed."""
    if parser.get_default("command") in GRAVE:
        parser.add_argument("--yes", action="store_true", help="do it without asking")
    if parser.get_default("command") == "rearm":
        parser.add_argument("symbol", metavar="SYMBOL", nargs="?", default="", help="of this symbol alone")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; 1 where it was not confirmed. Raises as the client does."""
    meant = running_bot(args)
    command: str = args.command
    if command in GRAVE and not args.yes and not _sure(f"{meant.home}: {GRAVE[command]}.", command):
        return 1
    show(f"{meant.home}: {ask(meant, lambda bot: ASKS[command](bot, args)).text}")
    return 0


def _sure(what: str, command: str) -> bool:
    """Return whether the person at the terminal types yes; where there is none, say what to type instead."""
    if somebody_there():
        return yes(what)
    print(f"tradebot: nobody can be asked here; `tradebot {command} --yes` does it", file=sys.stderr)
    return False
