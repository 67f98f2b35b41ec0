"""What is in force, and what could be set? Asked by `tradebot profile show` and `tradebot profile keys`."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `show` and `keys`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the effective profile as TOML")
    show.add_argument("profile", metavar="PROFILE", help="a path, or a name in profiles/")
    show.add_argument("--origin", action="store_true", help="say behind each value which file, line or variable set it")
    keys = actions.add_parser("keys", help="print every setting: default, type, bounds, unit, reload class, meaning")
    keys.add_argument("prefix", nargs="?", default="", metavar="KEY", help="only settings that begin so, like drop.")


def run(args: argparse.Namespace) -> int:
    """Print what was asked; raises `ProfileInvalid`."""
    return _show(args.profile, args.origin) if args.action == "show" else _keys(args.prefix)


def _show(profile: str, origin: bool) -> int:
    from tradebot.config.loader import load_profile
    from tradebot.config.show import effective

    sys.stdout.write(effective(load_profile(profile), with_origins=origin))
    return 0


def _keys(prefix: str) -> int:
    from tradebot.config.reference import lines

    found = lines(prefix)
    if not found:
        print(f"tradebot: no setting begins with {prefix!r}", file=sys.stderr)
        return 1
    print("\n".join(found))
    return 0
