"""What does `tradebot feature` do? Show the toggles of the running bot, or set one over the profile."""

from __future__ import annotations

import argparse
from pathlib import Path

from tradebot.cli.asking import ask
from tradebot.cli.finding import add_bot_arguments, running_bot
from tradebot.cli.status import set_by
from tradebot.cli.without_bot import ask_or_do
from tradebot.cli.words import on_off, show
from tradebot.domain.views import SwitchView

DOOR = "control_door"

NO_DOOR = (
    "no command reaches the bot then, each tells its process number; to come back: SIGTERM stops it, "
    "`tradebot feature clear control_door`, start it again"
)

SETS: dict[str, bool | None] = {"on": True, "off": False, "clear": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `list`, `on`, `off` and `clear`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    sentences = {
        "list": "print every toggle, what is in force, and who set it otherwise than the profile",
        "on": "switch a part on, over the profile, until it is cleared",
        "off": "switch a part off, over the profile, until it is cleared",
        "clear": "let the profile decide again",
    }
    for action, sentence in sentences.items():
        one = actions.add_parser(action, help=sentence)
        if action in SETS:
            one.add_argument("feature", metavar="NAME", help="a key of [features], like buying")
        add_bot_arguments(one)


def run(args: argparse.Namespace) -> int:
    """Print the toggles, or set one. Raises as the client does."""
    if args.action == "list":
        show(*lines(ask(running_bot(args), lambda bot: bot.features())))
        return 0
    feature: str = args.feature
    on = SETS[args.action]

    def offline(home: Path, by: str, now_ms: int) -> list[str]:
        from tradebot.runtime.offline import switch

        return switch(home, feature, on, by, now_ms)

    code = ask_or_do(args, lambda bot: bot.switch(feature, on), offline)
    if code == 0 and feature == DOOR and on is False:
        show(NO_DOOR)
    return code


def lines(features: tuple[SwitchView, ...]) -> list[str]:
    """Return one line a toggle: its name, what is in force, its sentence or who set it otherwise."""
    width = max((len(one.feature) for one in features), default=0)
    return [f"{one.feature:<{width}}  {on_off(one.on):<3}  {_note(one)}".rstrip() for one in features]


def _note(one: SwitchView) -> str:
    if not one.override:
        return one.sentence
    return f"{set_by(one)} · the profile says {on_off(one.profile)} · `tradebot feature clear {one.feature}`"
