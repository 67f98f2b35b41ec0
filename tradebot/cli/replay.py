"""What does `tradebot replay` do? The same engine over recordings, and its report; asked by operators and scripts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tradebot.cli.arguments import moment_ms, symbols
from tradebot.domain.errors import DataInvalid, ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument(
        "--data", required=True, action="append", type=Path, metavar="DIR", help="recordings: a folder or a file"
    )
    parser.add_argument("--symbols", type=symbols, metavar="A,B", help="only these symbols, e.g. BTC/USDT,ETH/USDT")
    parser.add_argument("--from", dest="from_ms", type=moment_ms, metavar="T", help="begin here (ISO 8601, UTC)")
    parser.add_argument("--to", dest="to_ms", type=moment_ms, metavar="T", help="end before here (ISO 8601, UTC)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, everything else on stderr")
    parser.add_argument("--trades", type=Path, metavar="FILE", help="write the trades as CSV to FILE")
    parser.add_argument("--no-session", action="store_true", help="leave no session folder behind")


def run(args: argparse.Namespace) -> int:
    """Replay and print; return 0, or 130 after Ctrl-C.

    Raises ProfileInvalid, DataInvalid, CannotStart or StorageFailed.
    """
    from tradebot.research.replay import Request, replay, text
    from tradebot.research.report import to_json
    from tradebot.research.text import to_text
    from tradebot.research.trades import to_csv
    from tradebot.storage.files import write_atomic

    if args.from_ms is not None and args.to_ms is not None and args.from_ms >= args.to_ms:
        raise DataInvalid("--from is not before --to: there is no time between them")
    request = Request(
        profile=args.profile,
        data=tuple(args.data),
        symbols=args.symbols,
        from_ms=args.from_ms,
        to_ms=args.to_ms,
        session=not args.no_session,
    )
    try:
        with _bar() as progress:
            done = replay(request, progress)
    except KeyboardInterrupt:
        print("tradebot replay: interrupted, nothing is reported", file=sys.stderr)
        return ExitCode.INTERRUPTED
    if args.trades is not None:
        write_atomic(args.trades, to_csv(done.report.trades).encode(), durable=False)
    if args.json:
        print(to_json(done.figures()).decode())
    print(f"{to_text(done.report)}\n\n{text(done)}", file=sys.stderr if args.json else sys.stdout)
    return 0


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Give a progress bar on stderr where that is a terminal, else a progress that is told to nobody."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
