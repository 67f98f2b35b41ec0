"""What do `tradebot reload` and `tradebot rollback` do? Ask the running bot to change the profile in force."""

from __future__ import annotations

import argparse
from pathlib import Path

from tradebot.cli.asking import ask
from tradebot.cli.confirming import confirm
from tradebot.cli.finding import add_bot_arguments, running_bot
from tradebot.cli.outcome import tell
from tradebot.cli.pending import ID_LENGTH
from tradebot.cli.without_bot import ask_or_do

LONGEST_ID = 64

SEEN = True
"""`--confirm` without an ID; an empty word is none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command that was typed."""
    if parser.get_default("command") == "rollback":
        add_generation(parser)
    else:
        parser.add_argument(
            "--confirm",
            nargs="?",
            const=SEEN,
            type=_id,
            metavar="ID",
            help="apply what waits for a confirmation: with its ID (`tradebot status`) without asking, else asking",
        )
        parser.epilog = (
            "exit code: 0 applied, unchanged or waiting for its confirmation; 1 rejected, refused, undone, "
            "or not confirmed"
        )
    add_bot_arguments(parser)


def add_generation(parser: argparse.ArgumentParser) -> None:
    """Declare which generation a rollback brings back."""
    parser.add_argument(
        "generation", nargs="?", type=generation, metavar="N", help="the generation (default: the one before)"
    )


def run(args: argparse.Namespace) -> int:
    """Ask, and print what became of it. Raises as the client does."""
    if args.command == "rollback":
        return rollback(args)
    if args.confirm is not None:
        return confirm(running_bot(args), "" if args.confirm is SEEN else args.confirm)
    return tell(ask(running_bot(args), lambda bot: bot.reload()))


def rollback(args: argparse.Namespace) -> int:
    """Ask for a generation, files and all, and print what became of it."""
    number: int | None = args.generation

    def offline(home: Path, by: str, now_ms: int) -> list[str]:
        from tradebot.runtime.offline import rollback as in_home

        return in_home(home, number, by, now_ms)

    return ask_or_do(args, lambda bot: bot.rollback(number), offline)


def generation(word: str) -> int:
    """Return the number of a generation as typed. Raises ArgumentTypeError."""
    if not (word.isascii() and word.isdigit() and 0 < int(word) < 2**63):
        raise argparse.ArgumentTypeError(f"{word!r} is no generation's number; `tradebot profile history` lists them")
    return int(word)


def _id(word: str) -> str:
    given = word.lower()
    if not (ID_LENGTH <= len(given) <= LONGEST_ID and set(given) <= set("0123456789abcdef")):
        raise argparse.ArgumentTypeError(f"{word!r} is no ID: `tradebot status` shows that of what waits")
    return given
