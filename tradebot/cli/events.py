"""What happens in the running bot? Asked by `tradebot events`, which follows its log until it ends."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import msgspec

from tradebot.cli.asking import explained, hold_to, who
from tradebot.cli.finding import Meant, add_bot_arguments, running_bot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the format."""
    parser.add_argument("--json", action="store_true", help="the records as they stand in the logs, one a line")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print every record from here on, until the bot closes its door. Raises as the client does."""
    meant = running_bot(args)
    with explained(meant.home):
        asyncio.run(_follow(meant, args.json))
    print("tradebot: the bot has closed its door", file=sys.stderr)
    return 0


def line_of(record: bytes) -> str:
    """Return a record as one short line: time of day, level, event type, message."""
    told: dict[str, Any] = msgspec.json.decode(record, type=dict[str, Any])
    if "lost" in told and "event_type" not in told:
        return f"         WARNING {told['lost']} records are missing here: there were too many at once"
    time, level = str(told.get("time", ""))[11:19], str(told.get("level", ""))
    return f"{time:<8} {level:<7} {told.get('event_type', '')} {told.get('message', '')}".rstrip()


async def _follow(meant: Meant, raw: bool) -> None:
    from tradebot.control.client import Client

    async with Client(meant.home, who()) as client:
        await hold_to(meant, client)
        async for record in client.events():
            print(record.decode("utf-8", "replace").rstrip("\n") if raw else line_of(record), flush=True)
