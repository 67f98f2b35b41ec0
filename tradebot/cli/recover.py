"""What would a start do with what was left, and can damage be mended? Asked by `tradebot recover`; a start recovers by
itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradebot.cli.asking import who
from tradebot.cli.consent import somebody_there, yes
from tradebot.cli.recovery_told import SCHEMA, document, proof_lines, show_outlook
from tradebot.cli.words import show
from tradebot.domain.errors import CannotStart, ExitCode, NewerVersion
from tradebot.domain.numbers import plain

if TYPE_CHECKING:
    from tradebot.config.profile import Profile
    from tradebot.runtime.foretelling import Outlook
    from tradebot.runtime.rebuilding import Proof
    from tradebot.runtime.recovering import Files
    from tradebot.storage.home import Home

_USAGE: Final = ExitCode.BAD_PROFILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done; nothing is changed")
    parser.add_argument("--rebuild", action="store_true", help="write a damaged journal anew from what can be proven")
    parser.add_argument(
        "--adopt", action="store_true", help="with --rebuild: book as gone by hand what the account does not hold"
    )
    parser.add_argument("--yes", action="store_true", help="book it without asking")
    parser.add_argument("--offline", action="store_true", help="leave out what asks the exchange")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print the plan; with `--rebuild` carry it out. Raises ProfileInvalid, CannotStart, StorageFailed."""
    from tradebot.config.loader import load_profile
    from tradebot.runtime.doctor_disk import obstacle
    from tradebot.storage.home import Home, holder

    if not args.dry_run and not args.rebuild:
        raise CannotStart(
            "a start recovers by itself: `tradebot recover --dry-run` shows what it would do, `tradebot recover "
            "--rebuild` mends a damaged journal",
            _USAGE,
        )
    if args.adopt and not args.rebuild:
        raise CannotStart("--adopt says how a journal is rebuilt: `tradebot recover --rebuild --adopt`", _USAGE)
    profile = load_profile(args.profile).profile
    folder = Path(profile.bot.state_dir) / profile.bot.instance
    if (pid := holder(folder)) is not None:
        raise CannotStart(f"{folder}: a tradebot runs there (process {pid}); `tradebot status` tells how it is")
    if not folder.is_dir() and (why := obstacle(folder)):
        raise CannotStart(f"{folder}: the bot's durable home cannot be used ({why}): a start is refused")
    if args.dry_run:
        return _look(args, profile, folder)
    home = Home.open(Path(profile.bot.state_dir), profile.bot.instance)
    try:
        return _rebuild(args, profile, home.folder, home)
    finally:
        home.close()


def _look(args: argparse.Namespace, profile: Profile, folder: Path) -> int:
    if args.rebuild:
        return _rebuild(args, profile, folder, None)
    found, venue = _foretold(args, profile, folder)
    if args.json:
        print(json.dumps(document(profile, folder, found, venue), indent=2, ensure_ascii=False))
    else:
        from tradebot.runtime.status import place_of

        place = place_of(profile) if venue and profile.venue.kind == "ccxt" else venue
        show_outlook(profile, folder, found, place)
    return ExitCode.RECOVERY_REFUSED if found.met or found.rehearsed.damage else ExitCode.CLEAN


def _foretold(args: argparse.Namespace, profile: Profile, folder: Path) -> tuple[Outlook, str]:
    """Return what a start would do, and who was asked ("" for nobody)."""
    from tradebot.runtime.clock import WallClock
    from tradebot.runtime.foretelling import foretell_at_exchange, foretell_offline, foretell_on_paper, look
    from tradebot.runtime.recovering import exchange_of, paper_instruments

    with _newer_is_refused():
        found = look(folder, profile)
    now_ms = _now_ms()
    if profile.venue.kind == "paper":
        known = paper_instruments(profile, offline=args.offline) if found.files.image is not None else ()
        return asyncio.run(foretell_on_paper(profile, found, known, now_ms)), "the paper account"
    if args.offline:
        return asyncio.run(foretell_offline(profile, found, now_ms)), ""

    async def ask() -> Outlook:
        async with exchange_of(profile, WallClock()) as venue:
            return await foretell_at_exchange(profile, found, venue, now_ms)

    return asyncio.run(ask()), profile.exchange.name


@contextmanager
def _newer_is_refused() -> Iterator[None]:
    try:
        yield
    except NewerVersion as error:
        raise CannotStart(
            f"{error}; run that version, it alone may touch the file", ExitCode.RECOVERY_REFUSED
        ) from error


def _rebuild(args: argparse.Namespace, profile: Profile, folder: Path, home: Home | None) -> int:
    """Show what is put back; with `home`, which is ours, do it."""
    from tradebot.runtime.rebuilding import write
    from tradebot.runtime.recovering import look_into
    from tradebot.storage.journal_replacing import finished

    if home is not None and (ended := finished(folder)):
        if args.json:
            print(json.dumps({"schema": SCHEMA, "done": ended}, indent=2, ensure_ascii=False))
        else:
            show("a rebuild that was interrupted is ended:", *ended)
        return ExitCode.CLEAN
    with _newer_is_refused():
        files = look_into(folder, profile)
    proof = _proven(args, profile, files)
    if not proof.sound.damage and len(proof.added) <= len(proof.gone):
        raise CannotStart("nothing is damaged, and the venue tells of nothing that is missing: nothing is rebuilt")
    lines = proof_lines(profile, proof)
    if not args.json:
        show(*lines)
    if home is not None and proof.gone and not _wanted(args):
        return ExitCode.CRASHED
    place = "the paper account" if profile.venue.kind == "paper" else profile.exchange.name
    done = ["nothing was changed"] if home is None else write(home, proof, profile, _now_ms(), place)
    if args.json:
        told = {
            "schema": SCHEMA, "damage": list(proof.sound.damage), "restored": proof.restored, "orders": proof.orders,
            "fills": proof.fills, "gone": [{"asset": one.asset, "amount": plain(-one.change)} for one in proof.gone],
            "done": done if home is not None else [],
        }  # fmt: skip
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(*done)
    return ExitCode.CLEAN


def _wanted(args: argparse.Namespace) -> bool:
    """Whether the operator says yes to what is booked without a proof."""
    if args.yes:
        return True
    if args.json or not somebody_there():
        print("tradebot: nobody can be asked here; `--yes` books it as it was shown", file=sys.stderr)
        return False
    return yes("This is booked as gone by hand, and the journal is written anew.")


def _proven(args: argparse.Namespace, profile: Profile, files: Files) -> Proof:
    from tradebot.runtime.clock import WallClock
    from tradebot.runtime.rebuilding import prove_at_exchange, prove_on_paper
    from tradebot.runtime.recovering import exchange_of, paper_instruments

    if profile.venue.kind == "paper":
        if args.adopt:
            raise CannotStart("--adopt is for an exchange: a paper account changes by own trades only", _USAGE)
        return prove_on_paper(profile, files, paper_instruments(profile, offline=args.offline), _now_ms())
    if args.offline:
        raise CannotStart(
            "what is lost can be proven by the exchange alone: leave out --offline", ExitCode.RECOVERY_REFUSED
        )

    async def ask() -> Proof:
        async with exchange_of(profile, WallClock()) as venue:
            return await prove_at_exchange(profile, files, venue, _now_ms(), who() if args.adopt else "")

    return asyncio.run(ask())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
