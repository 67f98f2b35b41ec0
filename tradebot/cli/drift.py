"""What does `tradebot drift` do? Tell where the account differs from what the bot owns, or settle one difference."""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

import msgspec

from tradebot.cli.asking import ask
from tradebot.cli.consent import somebody_there, yes
from tradebot.cli.finding import add_bot_arguments, running_bot
from tradebot.cli.words import many, show, span, utc
from tradebot.domain.drift_rows import drift_text

if TYPE_CHECKING:
    from tradebot.domain.views import ComparedView, DriftView

SENTENCES: Final = {
    "adopt": "let the ledger follow the account: sold by hand, withdrawn, bought or deposited",
    "ignore": "expect this difference from here on",
    "close": "adopt what is missing of a position, and sell what is left of it now",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be typed: nothing for the list, else what becomes of which difference."""
    kinds = "; ".join(f"{name}: {sentence}" for name, sentence in SENTENCES.items())
    parser.add_argument("action", nargs="?", choices=tuple(SENTENCES), help=kinds)
    parser.add_argument("what", nargs="?", metavar="SYMBOL|ASSET", help="the symbol or asset that differs")
    parser.add_argument(
        "--price",
        type=_price,
        help="what each was sold for (0: withdrawn) or cost, in quote; without it the bid, noted as an estimate",
    )
    parser.add_argument("--yes", action="store_true", help="close without asking")
    parser.add_argument("--json", action="store_true", help="the list for machines")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list, or settle; 1 where nobody confirmed or nothing was compared, 2 where nothing was named."""
    if args.action is None:
        return _list(args)
    if args.what is None:
        print(f"tradebot drift {args.action}: name the symbol or asset; `tradebot drift` lists them", file=sys.stderr)
        return 2
    meant = running_bot(args)
    if args.action == "close" and not args.yes:
        if not somebody_there():
            print("tradebot: nobody can be asked here; `tradebot drift close --yes` does it", file=sys.stderr)
            return 1
        if not yes(f"{meant.home}: what is left of {args.what} is sold now."):
            return 1
    show(f"{meant.home}: {ask(meant, lambda bot: bot.settle_drift(args.what, args.action, args.price)).text}")
    return 0


def _list(args: argparse.Namespace) -> int:
    meant = running_bot(args)
    compared = ask(meant, lambda bot: bot.compare_drift())
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(compared), indent=2).decode())
    else:
        show(f"{meant.home}: {verdict(compared)}")
        for one in compared.found:
            show(f"{drift_text(one)}{_since(one)}")
            for line in _ways(one):
                show(f"  {line}")
    return 0 if compared.fresh else 1


def verdict(compared: ComparedView) -> str:
    """Return what a comparison is worth, and in a word what it found."""
    differ = sum(1 for one in compared.found if one.kind != "ignored")
    if not compared.fresh:
        age = span((compared.at_ms - compared.compared_ms) / 1000)
        then = f"the account answered last {age} ago" if compared.compared_ms else "it never was in this run"
        known = f"; {many(differ, 'difference')} known from before" if differ else ""
        return f"not compared now: {compared.why}; {then}{known}"
    found = many(differ, "difference") if differ else "the account holds what the bot owns"
    left_out = ", ".join((*compared.under_way, "the quote"))
    but = f", without {left_out}: own orders are or were just under way, ask again" if compared.under_way else ""
    return f"{found} · compared just now{but}"


def _since(one: DriftView) -> str:
    return f" · since {utc(one.since_ms)}" if one.since_ms else ""


def _ways(one: DriftView) -> list[str]:
    """Return what may be typed about a difference that nobody has settled."""
    what = one.symbol or one.asset
    if one.kind == "ignored":
        return []
    if not one.symbol:
        ways = [f"`tradebot drift adopt {what}`"]
    elif one.kind == "missing":
        ways = [f"`tradebot drift adopt {what} --price P`", f"`tradebot drift close {what} --price P`"]
    else:
        ways = [f"`tradebot drift adopt {what} --price P`"]
    return [" · ".join([*ways, f"`tradebot drift ignore {what}`"])]


def _price(word: str) -> Decimal:
    try:
        price = Decimal(word)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise argparse.ArgumentTypeError(f"{word!r} is no price of 0 or more")
    return price
