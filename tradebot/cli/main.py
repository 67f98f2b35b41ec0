"""What was typed? Asked by the shell; finds the command, lets it run, and turns what it raises into an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Protocol, cast

from tradebot import __version__
from tradebot.cli.hiding import Parser, hide_keys, hide_typed
from tradebot.cli.words import show
from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import CannotStart, ExitCode, TradebotError


class Command(Protocol):
    """A command's module: declares its arguments and runs; what is heavy is imported inside `run`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what may be typed."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""
        ...


BOT = "tradebot.cli.run"
"""What runs where no command is named: the bot itself."""

COMMANDS: dict[str, tuple[str, str]] = {
    "validate": ("tradebot.cli.validate", "Check profiles: one line a fault, exit code 0 or 1."),
    "doctor": ("tradebot.cli.doctor", "Check everything before the first order; nothing is changed."),
    "recover": ("tradebot.cli.recover", "Show what a start would do with what was left, or mend a damaged journal."),
    "profile": ("tradebot.cli.profile", "Show a profile, its settings, and the generations that were in force."),
    "init": ("tradebot.cli.init", "Write a commented profile to start from."),
    "schema": ("tradebot.cli.schema", "Write or check the JSON Schema, the API's document and the reference."),
    "replay": ("tradebot.cli.replay", "Run a profile over recorded candles."),
    "report": ("tradebot.cli.report", "Tell what one or several sessions did."),
    "data": ("tradebot.cli.data", "Fetch candles and trades of the past, or record live prices."),
    "support": ("tradebot.cli.support", "Bundle logs, profile and journal for somebody who helps, without keys."),
    "sandbox": ("tradebot.cli.sandbox", "Run an exchange to rehearse against, on this machine alone."),
    "status": ("tradebot.cli.status", "Tell how the running bot is."),
    "events": ("tradebot.cli.events", "Follow what the running bot tells its logs."),
    "journal": ("tradebot.cli.journal", "Print what stands in a bot's journal, whether it runs or not."),
    "reload": ("tradebot.cli.reload", "Let the running bot read its profile again."),
    "rollback": ("tradebot.cli.reload", "Bring an earlier generation of the profile back, live."),
    "feature": ("tradebot.cli.feature", "Show the running bot's toggles, or set one over the profile."),
    "pause": ("tradebot.cli.control_commands", "Buy nothing until resumed; exits go on."),
    "resume": ("tradebot.cli.control_commands", "Buy again after a pause."),
    "rearm": ("tradebot.cli.control_commands", "Try again what was stopped since it kept failing."),
    "drift": ("tradebot.cli.drift", "Tell where the account differs from what the bot owns, or settle it."),
    "flatten": ("tradebot.cli.control_commands", "Pause, end every buy under way and sell every position."),
    "stop": ("tradebot.cli.control_commands", "End the running bot cleanly."),
}
"""Each command with its module, which is imported only when it is the one typed, and its sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was typed and return the exit code (`tradebot.domain.errors.ExitCode`)."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    if arguments is None:
        hide_keys(os.environ)
    hide_typed(typed)
    try:
        return _run(typed)
    except ProfileInvalid as invalid:
        show(*str(invalid).splitlines(), *getattr(invalid, "__notes__", ()), file=sys.stderr)
        return ExitCode.BAD_PROFILE
    except CannotStart as error:
        show(*f"tradebot: {error}".splitlines(), file=sys.stderr)
        return error.exit_code
    except TradebotError as error:
        show(*f"tradebot: {error}".splitlines(), file=sys.stderr)
        return ExitCode.CRASHED
    except KeyboardInterrupt:
        print("tradebot: interrupted", file=sys.stderr)  # before or outside a run, which has its own handlers
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): end quietly, and let no later flush complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.CRASHED
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        print("tradebot: the output cannot be written: no space left on the device", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.CRASHED


def _open_streams() -> None:
    """Give a process that was started with closed streams (`>&-`) streams that lead nowhere.

    Else the first file that is opened takes their place, and what is printed is written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _run(typed: list[str]) -> int:
    command = typed[0] if typed and typed[0] in COMMANDS else None
    parser = _command_parser(command) if command else _bot_parser()
    if not command:
        _refuse_unknown_word(parser, typed)
    module = cast("Command", import_module(COMMANDS[command][0] if command else BOT))
    module.add_arguments(parser)
    status = module.run(parser.parse_args(typed[1:] if command else typed))
    sys.stdout.flush()
    return status


def _command_parser(command: str) -> argparse.ArgumentParser:
    parser = Parser(prog=f"tradebot {command}", description=COMMANDS[command][1], allow_abbrev=False)
    parser.set_defaults(command=command)  # one module may answer to several
    return parser


def _bot_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {sentence}" for name, (_, sentence) in COMMANDS.items())
    parser = Parser(
        prog="tradebot",
        description="Run the bot on a profile, until it is told to stop.",
        epilog=f"commands:\n{commands}\n\n`tradebot COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tradebot {__version__}")
    return parser


def _refuse_unknown_word(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """Refuse a first word that is no command, with the nearest one."""
    if typed and not typed[0].startswith("-"):
        near = get_close_matches(typed[0], COMMANDS, 1)
        hint = f"; did you mean `tradebot {near[0]}`?" if near else f"; commands are {', '.join(COMMANDS)}"
        parser.error(f"there is no command {typed[0]!r}{hint}")


if __name__ == "__main__":
    sys.exit(main())
