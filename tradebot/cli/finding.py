"""Which bot is meant? Asked by every command that speaks to a running one, or reads what one has left."""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tradebot.control.place import standing
from tradebot.domain.errors import TradebotError

if TYPE_CHECKING:
    from tradebot.control.client import Client

STATE_DIR = "state"
STATE_DIR_VARIABLE = "TRADEBOT__BOT__STATE_DIR"

T = TypeVar("T")


class WhichBot(TradebotError):
    """None or several could be meant; the text says how to name one."""


def add_bot_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a bot is named; without either, the only one below the state folder is meant."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--home", metavar="FOLDER", help="the bot's durable home, like state/tradebot")
    named.add_argument("--profile", metavar="P", help="the profile it runs: a file, or a name in profiles/")


def running_bot(args: argparse.Namespace) -> Path:
    """Return the home of the running bot that is meant. Raises WhichBot and ProfileInvalid."""
    return _named(args) or _only(_homes_with(_answers), "answers", "answer")


def home_with(args: argparse.Namespace, name: str) -> Path:
    """Return the home that is meant, whether a bot runs or not, where it holds the file `name`. Raises as above."""
    home = _named(args) or _only(_homes_with(lambda folder: (folder / name).is_file()), "was there", "were there")
    if not (home / name).is_file():
        raise WhichBot(f"{home / name}: is not there; no bot has run there yet")
    return home


def ask(home: Path, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return what the bot at `home` answers. Raises NoBot, Refused and Unanswered."""
    from tradebot.control import client

    return client.ask(home, who(), question)


def who() -> str:
    """Return the name under which the bot remembers who asked."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"


def _named(args: argparse.Namespace) -> Path | None:
    if args.home is not None:
        return Path(args.home)
    if args.profile is None:
        return None
    from tradebot.config.identity import identity

    found = identity(args.profile)
    return Path(found.state_dir) / found.instance


def _homes_with(true: Callable[[Path], bool]) -> list[Path]:
    folder = _state_dir()
    try:
        return sorted(home for home in folder.iterdir() if home.is_dir() and true(home))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise WhichBot(f"{error.filename or folder}: cannot be read ({error.strerror})") from error


def _answers(home: Path) -> bool:
    return standing(home) == "answers"


def _only(homes: list[Path], one: str, several: str) -> Path:
    if len(homes) == 1:
        return homes[0]
    if not homes:
        raise WhichBot(f"no bot {one} below {_state_dir()}/; name it with --profile P or --home FOLDER")
    names = ", ".join(map(str, homes))
    raise WhichBot(f"{len(homes)} bots {several} below {_state_dir()}/: {names}; name one with --home or --profile")


def _state_dir() -> Path:
    told = (value for name, value in os.environ.items() if name.upper() == STATE_DIR_VARIABLE)
    return Path(next(told, STATE_DIR))
