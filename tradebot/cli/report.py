"""What does `tradebot report SESSION…` print? One report a session, and their total; asked by operators and scripts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "sessions", nargs="+", metavar="SESSION", help='a session\'s folder, its name, or "latest" for the newest'
    )
    parser.add_argument(
        "--dir", type=Path, default=None, metavar="DIR", help="folder of all sessions (default: sessions)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, the text on stderr")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the trades of all these sessions to FILE")


def run(args: argparse.Namespace) -> int:
    """Print the reports; return 0. Raises DataInvalid or StorageFailed for a session that cannot be reported."""
    from tradebot.config.sections.sessions import Sessions
    from tradebot.research import report as reports
    from tradebot.research.sources import find_session, session_report
    from tradebot.research.text import to_text, total_text
    from tradebot.research.trades import to_csv
    from tradebot.storage.files import write_atomic

    home = args.dir or Path(Sessions().dir)
    folders = dict.fromkeys(find_session(name, home) for name in args.sessions)  # one named twice counts once
    found = [session_report(folder) for folder in folders]
    totals = reports.totals(found) if len(found) > 1 else []
    text = "\n\n".join([*map(to_text, found), *map(total_text, totals)])
    if args.json:
        told: dict[str, Any] = {"sessions": [reports.as_dict(report) for report in found]}
        told["totals"] = [
            {**msgspec.structs.asdict(total), "fill_rate": total.counts.fill_rate} for total in reports.totals(found)
        ]
        print(reports.to_json(told).decode())
    print(text, file=sys.stderr if args.json else sys.stdout)
    if args.csv is not None:
        trades = [trade for report in found for trade in report.trades]
        write_atomic(args.csv, to_csv(trades).encode(), durable=False)
        print(f"{len(trades)} trades written to {args.csv}", file=sys.stderr)
    return 0
