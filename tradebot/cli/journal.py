"""What stands in a bot's journal? Asked by `tradebot journal`, which prints facts as JSON lines and follows them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

import msgspec

from tradebot.cli.finding import add_bot_arguments, bot_with
from tradebot.cli.words import show
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import CATALOGUE, Fact

JOURNAL = "journal.sqlite"

POLL_S = 0.2
"""How often `--follow` looks for new facts: often enough for eyes, and next to nothing for the bot."""

Seen = tuple[int, int, Fact]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which facts are wanted."""
    parser.add_argument("--from", dest="first", type=_seq, default=0, metavar="SEQ", help="begin with this fact")
    parser.add_argument("--to", dest="last", type=_seq, default=None, metavar="SEQ", help="end with this fact")
    parser.add_argument(
        "--type", dest="types", nargs="+", action="extend", type=_kind, metavar="T", help="these event types alone"
    )
    parser.add_argument("--order", metavar="CLIENT_ID", help="facts that name this order alone")
    parser.add_argument("--follow", action="store_true", help="go on with what is written from here on")
    parser.add_argument("--check", action="store_true", help="print no facts; say whether every one is sound")
    add_bot_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the facts; return 0, or 1 where `--check` found damage. Raises WhichBot, ProfileInvalid, StorageFailed.

    Without `--from`, facts that are in no archive any more are passed over, which is said on the error stream.
    """
    path = bot_with(args, JOURNAL).home / JOURNAL
    if args.check:
        return _check(path)
    wanted = _filter(args)
    after = max(args.first - 1, 0) if args.first else _begin(path)
    while True:
        for seq, at_ms, fact in _facts(path, after):
            if args.last is not None and seq > args.last:
                return 0
            after = seq
            if wanted(fact):
                print(line_of(seq, at_ms, fact))
        sys.stdout.flush()
        if not args.follow or (args.last is not None and after >= args.last):
            return 0
        time.sleep(POLL_S)


def line_of(seq: int, at_ms: int, fact: Fact) -> str:
    """Return a fact as one JSON object: `seq`, `time`, `type` (its event type) and `fields`, money as text."""
    fields = msgspec.to_builtins(fact)
    del fields["fact"]
    told = {"seq": seq, "time": _iso(at_ms), "type": fact.event_type, "fields": fields}
    return msgspec.json.encode(told).decode()


def _iso(at_ms: int) -> str:
    from tradebot.research.trades import iso

    return iso(at_ms)


def _facts(path: Path, after: int) -> Iterator[Seen]:
    from tradebot.storage.journal_file import read_facts

    return read_facts(path, after)


def _begin(path: Path) -> int:
    """Return after which fact to begin where none is named: the first that can be had."""
    from tradebot.storage.journal_archive import missing_until
    from tradebot.storage.journal_salvage import pruned_of

    pruned = pruned_of(path)
    gone = missing_until(path, pruned)
    if gone:
        show(f"tradebot: facts 1 to {gone:,} have left the journal and are in no archive", file=sys.stderr)
    return gone


def _filter(args: argparse.Namespace) -> Callable[[Fact], bool]:
    kinds = frozenset(args.types or ())
    order = args.order

    def wanted(fact: Fact) -> bool:
        if kinds and type(fact) not in kinds:
            return False
        return order is None or order == getattr(fact, "client_id", None) or order in getattr(fact, "orders", ())

    return wanted


def _check(path: Path) -> int:
    """Say whether every fact of the file and of its archive is sound."""
    from tradebot.storage.journal_salvage import salvage

    found = salvage(path)
    if not found.damage:
        count, archived = len(found.facts), 0
        try:
            archived = sum(1 for _ in _facts(path, _begin(path))) - count
        except StorageFailed as error:
            show(f"tradebot: {error}", file=sys.stderr)
            return 1
        show(f"{path}: {count:,} facts, all sound, up to {found.last_seq:,}; {archived:,} more in the archive")
        return 0
    show(
        f"tradebot: {found.damage}",
        f"  sound before it: {len(found.facts):,} facts; after it: {len(found.after):,}; lost between: {found.lost:,}",
        "  nothing was changed; put back a copy of the file, together with its -wal file",
        file=sys.stderr,
    )
    return 1


def _seq(word: str) -> int:
    try:
        number = int(word.replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of a fact: they count from 1")
    return number


def _kind(word: str) -> type[Fact]:
    known = {name: kind for kind in CATALOGUE for name in (kind.event_type, kind.__name__)}
    if word in known:
        return known[word]
    near = get_close_matches(word.upper(), known, 1, 0.6) or get_close_matches(word, known, 1, 0.6)
    hint = f"; did you mean {near[0]}?" if near else "; docs/event-types.md lists them"
    raise argparse.ArgumentTypeError(f"{word!r} is no type of a fact{hint}")
