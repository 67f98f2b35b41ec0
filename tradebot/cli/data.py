"""What does `tradebot data` do? Fetch candles and trades into files, or record live prices; asked by operators."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradebot.cli.arguments import moment_ms, seconds, symbols
from tradebot.cli.words import show
from tradebot.domain.errors import DataInvalid, ExitCode, StorageFailed

if TYPE_CHECKING:
    from tradebot.domain.facts import Level, Stream
    from tradebot.feeds.ccxt_fetch import Fetched

_SHOWN_GAPS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="fetch|record")
    fetch = kinds.add_parser("fetch", help="fetch candles or trades of the past; goes on where its files end")
    record = kinds.add_parser("record", help="write live prices down for `tradebot replay`, until Ctrl-C")
    for one in (fetch, record):
        one.add_argument("--exchange", required=True, type=_exchange, metavar="X", help="ccxt's id of it, like binance")
        one.add_argument("--symbols", required=True, type=symbols, metavar="A,B", help="e.g. BTC/USDT,ETH/USDT")
        one.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the files")
        one.add_argument("--base-url", type=_address, metavar="URL", help="speak to this address (a sandbox) instead")
    fetch.add_argument("--from", dest="from_ms", required=True, type=moment_ms, metavar="T", help="ISO 8601, UTC")
    fetch.add_argument("--to", dest="to_ms", type=moment_ms, metavar="T", help="end before here; default now")
    what = fetch.add_mutually_exclusive_group()
    what.add_argument("--interval", default="1m", metavar="I", help="candles of this length (default 1m)")
    what.add_argument("--trades", action="store_true", help="trades instead of candles")
    record.add_argument("--depth", type=_levels, default=0, metavar="N", help="write N levels of the books, too")
    record.add_argument("--for", dest="for_s", type=seconds, metavar="S", help="end after S seconds")


def run(args: argparse.Namespace) -> int:
    """Fetch or record; return 0, or 130 after Ctrl-C in a fetch.

    Raises CannotStart, DataInvalid, FetchFailed and StorageFailed.
    """
    try:
        return _run(args)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageFailed(f"{error.filename or args.out}: cannot be written ({error.strerror or error})") from error


def _run(args: argparse.Namespace) -> int:
    if args.what == "record":
        return asyncio.run(_record(args))
    try:
        fetched = asyncio.run(_fetch(args))
    except KeyboardInterrupt:
        show("tradebot data fetch: interrupted; the same command goes on from here", file=sys.stderr)
        return ExitCode.INTERRUPTED
    for one in fetched:
        show(*_told(one))
        if one.begins_ms is not None:
            span = f"{_utc(args.from_ms)} .. {_utc(one.begins_ms)}"
            show(f"  {span}: no trade; the exchange has none, or the file was begun later (then name another folder)")
    return 0


async def _fetch(args: argparse.Namespace) -> list[Fetched]:
    from tradebot.exchange.construction import disconnect
    from tradebot.feeds.ccxt_fetch import Fetcher, load_markets
    from tradebot.runtime.clock import WallClock

    clock = WallClock()
    to_ms = min(args.to_ms or clock.now_ms(), clock.now_ms())
    if args.from_ms >= to_ms:
        raise DataInvalid("--from is not before --to: there is no time between them")
    exchange = _connected(args)
    try:
        await load_markets(exchange)
        with _bar(len(args.symbols) * (to_ms - args.from_ms)) as progress:
            fetcher = Fetcher(exchange, args.out, clock, progress)
            done = []
            for symbol in args.symbols:
                if args.trades:
                    done.append(await fetcher.trades(symbol, args.from_ms, to_ms))
                else:
                    done.append(await fetcher.candles(symbol, args.interval, args.from_ms, to_ms))
            return done
    finally:
        await disconnect(exchange)


async def _record(args: argparse.Namespace) -> int:
    """Record until a signal or the time is up."""
    from tradebot.config.sections.ccxt_feed import CcxtFeed
    from tradebot.exchange.construction import disconnect
    from tradebot.exchange.instruments import instruments_of
    from tradebot.feeds.ccxt_fetch import load_markets
    from tradebot.feeds.ccxt_live import CcxtLive
    from tradebot.feeds.ccxt_record import Recording
    from tradebot.runtime.clock import WallClock

    clock = WallClock()
    exchange = _connected(args)
    try:
        await load_markets(exchange)
        quotes = sorted({symbol.split("/")[1] for symbol in args.symbols})
        known = {one.symbol: one for quote in quotes for one in instruments_of(exchange.markets, quote)}
    finally:
        await disconnect(exchange)
    missing = [symbol for symbol in args.symbols if symbol not in known]
    if missing:
        raise DataInvalid(f"{args.exchange}: does not trade {', '.join(missing)}")
    recording = Recording(args.out, clock)
    feed = CcxtLive(
        lambda: _connected(args),
        CcxtFeed(depth_levels=args.depth),
        [known[symbol] for symbol in args.symbols],
        clock,
        _Lines(),
        offset_ms=lambda: 0,
    )
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    tasks = [asyncio.create_task(feed.run(recording.publish)), asyncio.create_task(recording.run())]
    waiting = asyncio.create_task(ended.wait())
    try:
        done, _ = await asyncio.wait([*tasks, waiting], timeout=args.for_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in (*tasks, waiting):
            task.cancel()
        await asyncio.wait([*tasks, waiting])
        recording.flush()
    show(f"{recording.rows} rows in {args.out}")
    return 0


class _Lines:
    """Tells what happens to the connections as lines on the error stream."""

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Print a record; its fields repeat what the message says."""
        show(f"{level} {event_type} {message}", file=sys.stderr)


def _connected(args: argparse.Namespace) -> Any:
    from tradebot.config.sections.exchange import Exchange
    from tradebot.exchange.construction import connect, public_taps
    from tradebot.exchange.shared_budget import shared_budget
    from tradebot.runtime.clock import WallClock
    from tradebot.telemetry.logs import NoLog

    settings = Exchange(name=args.exchange, base_url=args.base_url or "")
    return connect(settings, public_taps(settings, shared_budget(settings, WallClock(), NoLog())))


def _told(one: Fetched) -> list[str]:
    lines = [f"{one.symbol}: {one.rows} rows added to {one.path}"]
    if one.gaps:
        missing = sum(gap.missing for gap in one.gaps)
        lines[0] += f"; {missing} candles are missing in {len(one.gaps)} gaps"
        lines += [f"  {_utc(gap.from_ms)} .. {_utc(gap.to_ms)}: {gap.missing}" for gap in one.gaps[:_SHOWN_GAPS]]
        if len(one.gaps) > _SHOWN_GAPS:
            lines.append(f"  and {len(one.gaps) - _SHOWN_GAPS} more")
    return lines


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _exchange(word: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{2,30}", word):
        raise argparse.ArgumentTypeError(f"{word!r} is no exchange: write ccxt's id of it, like binance")
    return word


def _address(word: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+", word):
        raise argparse.ArgumentTypeError(f"{word!r} is no address: write http://127.0.0.1:8080")
    return word


def _levels(word: str) -> int:
    if not word.isdecimal() or int(word) > 1000:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of levels from 0 to 1000")
    return int(word)


@contextmanager
def _bar(total_ms: int) -> Iterator[Callable[[str, int], None]]:
    """Give a progress bar on stderr where that is a terminal, else a progress that is told to nobody."""
    if not sys.stderr.isatty():
        yield lambda _symbol, _done_ms: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    done: dict[str, int] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fetch", total=total_ms)

        def progress(symbol: str, done_ms: int) -> None:
            done[symbol] = done_ms
            bar.update(task, completed=sum(done.values()), description=symbol)

        yield progress
