"""What is, was and could be in force? Asked by `tradebot profile`: of a file, of the history, of the running bot."""

from __future__ import annotations

import argparse
import sys

from tradebot.cli.finding import add_bot_arguments
from tradebot.cli.reload import add_generation, generation, rollback


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `show`, `keys`, `history`, `diff` and `rollback`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the effective profile as TOML: of a file, or of a generation")
    show.add_argument("file", nargs="?", metavar="PROFILE", help="a path, or a name in profiles/")
    show.add_argument("--origin", action="store_true", help="say behind each value which file, line or variable set it")
    show.add_argument("--generation", type=generation, metavar="N", help="as it was in force, from the history")
    add_bot_arguments(show)
    keys = actions.add_parser("keys", help="print every setting: default, type, bounds, unit, reload class, meaning")
    keys.add_argument("prefix", nargs="?", default="", metavar="KEY", help="only settings that begin so, like drop.")
    past = actions.add_parser("history", help="print the generations, newest first: when, why, by whom, what changed")
    past.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many (default: %(default)s)")
    past.add_argument("--json", action="store_true", help="for machines")
    add_bot_arguments(past)
    diff = actions.add_parser("diff", help="print what differs between two generations")
    diff.add_argument("a", type=generation, metavar="A", help="the older one")
    diff.add_argument("b", nargs="?", type=generation, metavar="B", help="the newer one (default: the one in force)")
    add_bot_arguments(diff)
    back = actions.add_parser("rollback", help="bring a generation back, files and all: as `tradebot rollback`")
    add_generation(back)
    add_bot_arguments(back)


def run(args: argparse.Namespace) -> int:
    """Print what was asked, or do it; raises `ProfileInvalid` and what the history and the client raise."""
    match args.action:
        case "show":
            return _show(args)
        case "keys":
            return _keys(args.prefix)
        case "rollback":
            return rollback(args)
    from tradebot.cli.history import compare, list_generations

    return list_generations(args) if args.action == "history" else compare(args)


def _show(args: argparse.Namespace) -> int:
    if args.generation is not None:
        from tradebot.cli.history import show_generation

        if args.file is not None and args.home is None and args.profile is None:
            args.profile = args.file
        return show_generation(args, args.generation)
    profile = args.file or args.profile
    if profile is None:
        print("tradebot: name a profile, or a generation with --generation N", file=sys.stderr)
        return 1
    from tradebot.config.loader import load_profile
    from tradebot.config.show import effective

    sys.stdout.write(effective(load_profile(profile), with_origins=args.origin))
    return 0


def _keys(prefix: str) -> int:
    from tradebot.config.reference import lines

    found = lines(prefix)
    if not found:
        print(f"tradebot: no setting begins with {prefix!r}", file=sys.stderr)
        return 1
    print("\n".join(found))
    return 0


def _limit(word: str) -> int:
    if not (word.isascii() and word.isdigit() and 0 < int(word) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 to 1000000")
    return int(word)
