"""What does `tradebot sandbox` do? An exchange of its own process to rehearse against; asked by operators and tests."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import stat
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from tradebot.cli.arguments import symbols
from tradebot.cli.hiding import show_public
from tradebot.domain.errors import CannotStart, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradebot.sandbox.orders import Credentials
    from tradebot.sandbox.server import Sandbox

TEST_KEY, TEST_SECRET = "test-key", "test-secret"
"""The pair of every sandbox without a key file: no secret, it opens nothing but a rehearsal on this machine."""

_OWNER_ONLY = 0o600
_LONGEST_ASSET = 20

MOST_HISTORY_MINUTES = 4_320
"""Three days, as many as the exchange's candles reach back."""

MOST_FEE_BPS = 1_000
"""A tenth of what is traded: more is a slip of the finger."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--port", type=_whole("port", 0, 65_535), default=0, metavar="N", help="port on 127.0.0.1 (0: any free one)")
    add(
        "--market", default="synthetic", metavar="M", help="synthetic, or a recording: trades, quotes, depth or candles"
    )
    add("--pace", type=float, default=1.0, metavar="N", help="play a recording so many times as fast (1)")
    add("--symbols", type=symbols, default=(), metavar="A,B", help="only these, e.g. BTC/USDT,ETH/USDT")
    add(
        "--count",
        type=_whole("number of symbols", 1, 2_000),
        default=12,
        metavar="N",
        help="synthetic symbols, where none are named (12)",
    )
    add("--quote", type=_asset, default="USDT", metavar="ASSET", help="what symbols are quoted in (USDT)")
    add("--seed", type=int, default=1, metavar="N", help="seed of the synthetic market (1)")
    add(
        "--levels",
        type=_whole("number of levels", 1, 50),
        default=10,
        metavar="N",
        help="synthetic book levels on each side (10)",
    )
    minutes = _whole("number of minutes", 0, MOST_HISTORY_MINUTES)
    add("--history", type=minutes, default=120, metavar="MINUTES", help="synthetic candles before the start (120)")
    add("--exchange-info", type=Path, metavar="FILE", help="a recorded exchangeInfo, whose filters are enforced")
    add("--faults", type=Path, metavar="FILE", help="a faults file (TOML)")
    add("--state", type=Path, metavar="FOLDER", help="where accounts survive a restart (else they do not)")
    add("--scale-day", type=float, default=86_400.0, metavar="SECONDS", help="length of the exchange's day")
    add("--key-file", type=Path, metavar="FILE", help="key and secret, one a line; made where there is none")
    add("--balance", type=_balance, action="append", default=[], metavar="ASSET=N", help="what a new account holds")
    add("--maker-bps", type=_bps, default=Decimal(10), metavar="N", help="maker fee in basis points (10)")
    add("--taker-bps", type=_bps, default=Decimal(10), metavar="N", help="taker fee in basis points (10)")
    fee_asset = "pay fees in a third asset at a discount, such as BNB"
    add("--fee-asset", type=_asset, metavar="ASSET", help=fee_asset)


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return 0. Raises TradebotError."""
    import asyncio

    from tradebot.config.sections.feed import SyntheticFeed
    from tradebot.sandbox.orders import FeeRates
    from tradebot.sandbox.server import Settings, serve

    if not 0 < args.scale_day < math.inf:
        raise CannotStart("--scale-day is more than 0 seconds", ExitCode.BAD_PROFILE)
    if not 0 < args.pace < math.inf:
        raise CannotStart("--pace is more than 0", ExitCode.BAD_PROFILE)
    if args.pace != 1 and args.market == "synthetic":
        raise CannotStart("--pace is for recordings; the synthetic market has a time of its own", ExitCode.BAD_PROFILE)
    settings = Settings(
        credentials=(_credentials(args.key_file),),
        balances=dict(args.balance) or {args.quote: Decimal(10_000)},
        rates=FeeRates(args.maker_bps, args.taker_bps, args.fee_asset or ""),
        port=args.port,
        market=args.market,
        pace=args.pace,
        symbols=args.symbols,
        quote=args.quote,
        seed=args.seed,
        synthetic=SyntheticFeed(symbols=args.count, levels=args.levels),
        history_minutes=args.history,
        exchange_info=args.exchange_info,
        faults=args.faults,
        state=args.state,
        day_s=args.scale_day,
    )
    asyncio.run(serve(settings, lambda sandbox: _announce(sandbox, args.key_file), _tell_market_end))
    return ExitCode.CLEAN


def _announce(sandbox: Sandbox, key_file: Path | None) -> None:
    sockets = sandbox.url.replace("http", "ws", 1)
    print(
        f"sandbox exchange: REST {sandbox.url}, streams {sockets}/stream/ws, ws-api {sockets}/ws-api/v3; ",
        end="",
    )
    if key_file is None:
        show_public(f"key {TEST_KEY}, secret {TEST_SECRET}")
    else:
        print(f"key and secret in {key_file}", end="")
    print(f"; {sandbox.feed.label()}, {len(sandbox.exchange.rules)} symbols", flush=True)


def _tell_market_end() -> None:
    print("the recording has been played: the market stands still from here on, the exchange goes on", flush=True)


def _credentials(path: Path | None) -> Credentials:
    """Return the pair in the file, or the pair of every sandbox. Raises CannotStart."""
    from tradebot.sandbox.orders import Credentials

    if path is None:
        return Credentials(TEST_KEY, TEST_SECRET)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(f"{secrets.token_hex(32)}\n{secrets.token_hex(32)}\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise CannotStart(f"{path}: the key file cannot be made ({error.strerror})") from error
    try:
        if stat.S_IMODE(path.stat().st_mode) & ~_OWNER_ONLY:
            raise CannotStart(f"{path}: others may read the key file; `chmod 600` it")
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path}: the key file cannot be read ({type(error).__name__})") from error
    if len(lines) != 2:
        raise CannotStart(f"{path}: a key file holds a key and a secret, one a line")
    return Credentials(lines[0], lines[1])


def _decimal(word: str) -> Decimal:
    try:
        value = Decimal(word)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{word!r} is no amount")
    return value


def _bps(word: str) -> Decimal:
    value = _decimal(word)
    if value > MOST_FEE_BPS:
        raise argparse.ArgumentTypeError(f"{word!r} is no fee from 0 to {MOST_FEE_BPS} basis points")
    return value


def _asset(word: str) -> str:
    if not (word.isalnum() and word == word.upper() and len(word) <= _LONGEST_ASSET):
        raise argparse.ArgumentTypeError(
            f"{word!r} is no asset: at most {_LONGEST_ASSET} capitals and digits, such as USDT"
        )
    return word


def _balance(word: str) -> tuple[str, Decimal]:
    asset, equals, amount = word.partition("=")
    if not (asset and equals):
        raise argparse.ArgumentTypeError(f"{word!r} is no balance: write USDT=10000")
    return _asset(asset), _decimal(amount)


def _whole(what: str, least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within the bounds, both included."""

    def read(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{word!r} is no {what} from {least} to {most}")
        return value

    return read
