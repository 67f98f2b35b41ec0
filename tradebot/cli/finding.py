"""Which bot is meant? Asked by every command that speaks to a running one, or reads what one has left."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tradebot.control.place import standing
from tradebot.domain.errors import TradebotError
from tradebot.storage.home import holder

STATE_DIR = "state"
STATE_DIR_VARIABLE = "TRADEBOT__BOT__STATE_DIR"


class WhichBot(TradebotError):
    """None or several could be meant, or another than was named; the text says how to name one."""


class Meant(Struct, frozen=True):
    """The bot that is meant: its durable home, and the file of the profile it was named by, "" where by none."""

    home: Path
    profile: str = ""


def add_bot_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a bot is named; without either, the only one below the state folder is meant."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--home", metavar="FOLDER", help="the bot's durable home, like state/tradebot")
    named.add_argument("--profile", metavar="P", help="the profile it runs: a file, or a name in profiles/")


def running_bot(args: argparse.Namespace) -> Meant:
    """Return the running bot that is meant. Raises WhichBot and ProfileInvalid."""
    return _named(args) or Meant(_only(_homes_with(runs), "runs", "run"))


def bot_with(args: argparse.Namespace, name: str) -> Meant:
    """Return the bot that is meant, running or not, where its home holds the file `name`. Raises as above.

    Of several below the state folder, the one that runs is meant.
    """
    meant = _named(args)
    if meant is None:
        homes = _homes_with(lambda folder: (folder / name).is_file())
        running = [home for home in homes if runs(home)] if len(homes) > 1 else []
        meant = Meant(_only(running if len(running) == 1 else homes, "was there", "were there"))
    if not (meant.home / name).is_file():
        raise WhichBot(f"{meant.home / name}: is not there; no bot has run there yet")
    return meant


def runs(home: Path) -> bool:
    """Whether a bot runs in a home, though it may answer nobody. Raises OSError."""
    return standing(home) == "answers" or holder(home) is not None


def hold_to_profile(meant: Meant, path: str, verb: str) -> None:
    """Raise WhichBot where the bot was named by another profile than the one at `path`, which it `verb` (runs, ran).

    A relative path is one from the bot's folder, which may be another than ours: then the file's name must be the same.
    """
    if not meant.profile or os.path.realpath(path) == os.path.realpath(meant.profile):
        return
    if os.path.isabs(path) or os.path.basename(path) != os.path.basename(meant.profile):
        how = f"`--home {meant.home}` means it all the same"
        raise WhichBot(f"{meant.home} {verb} {path}, not {meant.profile}; {how}")


def _named(args: argparse.Namespace) -> Meant | None:
    if args.home is not None:
        return Meant(Path(args.home))
    if args.profile is None:
        return None
    from tradebot.config.identity import identity

    found = identity(args.profile)
    return Meant(Path(found.state_dir) / found.instance, found.path)


def _homes_with(true: Callable[[Path], bool]) -> list[Path]:
    folder = _state_dir()
    try:
        return sorted(home for home in folder.iterdir() if home.is_dir() and true(home))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise WhichBot(f"{error.filename or folder}: cannot be read ({error.strerror})") from error


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
