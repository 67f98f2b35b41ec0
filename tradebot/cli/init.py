"""Where does a new operator begin? Asked by `tradebot init`: with a profile that explains itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tradebot.cli.words import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and `--force`."""
    parser.add_argument(
        "file", nargs="?", default="profiles/my.toml", metavar="FILE", help="where to write it (default: %(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def run(args: argparse.Namespace) -> int:
    """Write the profile; 1 where it is there already, or no file can be meant."""
    from tradebot.config.sections.bot import Bot
    from tradebot.config.template import instance_for, template

    path = Path(args.file)
    if not args.file or path.is_dir():
        what = f"{args.file} is a folder" if args.file else "the file's name is empty"
        print(f"tradebot: {what}; `tradebot init {path / 'my.toml'}` writes a profile there", file=sys.stderr)
        return 1
    instance = instance_for(path.stem) or str(Bot.model_fields["instance"].default)
    if path.exists() and not args.force:
        print(f"tradebot: {path} is there already; `tradebot init --force {path}` replaces it", file=sys.stderr)
        return 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if args.force else "x", encoding="utf-8") as file:
            file.write(template(instance))
    except OSError as error:
        print(f"tradebot: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    show(f"wrote {path}: change it, then `tradebot validate {path}`")
    homes = Bot.model_fields["state_dir"].default
    show(f"its bot is named {instance}: what outlives a run is kept in {homes}/{instance}")
    return 0
