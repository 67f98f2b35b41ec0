"""What would a start do with what was left, and can damage be mended? Asked by `tradebot recover`; a start recovers by
itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradebot.cli.words import many, show
from tradebot.domain.errors import CannotStart, ExitCode, NewerVersion

if TYPE_CHECKING:
    from tradebot.config.profile import Profile
    from tradebot.runtime.rebuilding import Proof
    from tradebot.runtime.recovering import Compared, Files, Rehearsed

SCHEMA: Final = 1
"""Version of what `--json` prints; keys are added within it, never changed."""

_SHOWN: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done; nothing is changed")
    parser.add_argument("--rebuild", action="store_true", help="write a damaged journal anew from what can be proven")
    parser.add_argument("--offline", action="store_true", help="leave out what asks the exchange")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print the plan; with `--rebuild` carry it out. Raises ProfileInvalid, CannotStart, StorageFailed."""
    from tradebot.config.loader import load_profile
    from tradebot.runtime.doctor_disk import standing
    from tradebot.storage.home import Home, holder

    if not args.dry_run and not args.rebuild:
        raise CannotStart(
            "a start recovers by itself: `tradebot recover --dry-run` shows what it would do, `tradebot recover "
            "--rebuild` mends a damaged journal",
            ExitCode.BAD_PROFILE,
        )
    profile = load_profile(args.profile).profile
    folder = Path(profile.bot.state_dir) / profile.bot.instance
    if (pid := holder(folder)) is not None:
        raise CannotStart(f"{folder}: a tradebot runs there (process {pid}); `tradebot status` tells how it is")
    if not (place := standing(folder)).is_dir():
        raise CannotStart(f"{folder}: the bot's durable home cannot be used ({place} is no folder): a start is refused")
    if args.dry_run:
        return _look(args, profile, folder)
    home = Home.open(Path(profile.bot.state_dir), profile.bot.instance)
    try:
        return _rebuild(args, profile, home.folder, home)
    finally:
        home.close()


def _look(args: argparse.Namespace, profile: Profile, folder: Path) -> int:
    from tradebot.runtime.recovering import copied
    from tradebot.runtime.status import place_of

    with copied(folder) as copy:
        if args.rebuild:
            return _rebuild(args, profile, copy, None)
        rehearsed, venue = _rehearsed(args, profile, copy)
    if args.json:
        print(json.dumps(_document(profile, folder, rehearsed, venue), indent=2, ensure_ascii=False))
    else:
        place = place_of(profile) if venue and profile.venue.kind == "ccxt" else venue
        _show(folder, rehearsed, place, mends=profile.journal.rebuild == "proven")
    return ExitCode.RECOVERY_REFUSED if rehearsed.damage else ExitCode.CLEAN


def _read(profile: Profile, copy: Path) -> Files:
    from tradebot.runtime.recovering import read_files

    try:
        return read_files(copy, profile)
    except NewerVersion as error:
        raise CannotStart(
            f"{error}; run that version, it alone may touch the file", ExitCode.RECOVERY_REFUSED
        ) from error


def _rehearsed(args: argparse.Namespace, profile: Profile, copy: Path) -> tuple[Rehearsed, str]:
    from tradebot.runtime.clock import WallClock
    from tradebot.runtime.recovering import PaperOracle, exchange_of, rehearse

    files, now_ms = _read(profile, copy), _now_ms()
    if profile.venue.kind == "paper":
        oracle = None if files.image is None else PaperOracle(profile, files.image, now_ms)
        return asyncio.run(rehearse(profile, files, oracle, now_ms)), "the paper account"
    if args.offline:
        return asyncio.run(rehearse(profile, files, None, now_ms)), ""

    async def ask() -> Rehearsed:
        async with exchange_of(profile, WallClock()) as venue:
            return await rehearse(profile, files, venue, now_ms)

    return asyncio.run(ask()), profile.exchange.name


def _rebuild(args: argparse.Namespace, profile: Profile, folder: Path, home: Any) -> int:
    """Show what is put back; with `home`, which is ours, do it."""
    from tradebot.runtime.rebuilding import write
    from tradebot.runtime.recovering import copied
    from tradebot.storage.journal_replacing import finished

    if home is not None and (ended := finished(folder)):
        if args.json:
            print(json.dumps({"schema": SCHEMA, "done": ended}, indent=2, ensure_ascii=False))
        else:
            show("a rebuild that was interrupted is ended:", *ended)
        return ExitCode.CLEAN
    with copied(folder) as copy:
        proof = _proven(args, profile, _read(profile, copy))
    if not proof.sound.damage and not proof.added:
        raise CannotStart("nothing is damaged, and the venue tells of nothing that is missing: nothing is rebuilt")
    lines = [*(f"damaged: {words}" for words in proof.sound.damage), proof.restored]
    place = "the paper account" if profile.venue.kind == "paper" else profile.exchange.name
    lines.append(f"put back from the venue's history: {many(proof.orders, 'order')}, {many(proof.fills, 'fill')}")
    done = ["nothing was changed"] if home is None else write(home, proof, profile, _now_ms(), place)
    if args.json:
        told = {
            "schema": SCHEMA, "damage": list(proof.sound.damage), "restored": proof.restored, "orders": proof.orders,
            "fills": proof.fills, "done": done if home is not None else [],
        }  # fmt: skip
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(*lines, *done)
    return ExitCode.CLEAN


def _proven(args: argparse.Namespace, profile: Profile, files: Files) -> Proof:
    from tradebot.runtime.clock import WallClock
    from tradebot.runtime.rebuilding import prove_at_exchange, prove_on_paper
    from tradebot.runtime.recovering import exchange_of, paper_instruments

    if profile.venue.kind == "paper":
        return prove_on_paper(profile, files, paper_instruments(profile, offline=args.offline), _now_ms())
    if args.offline:
        raise CannotStart(
            "what is lost can be proven by the exchange alone: leave out --offline", ExitCode.RECOVERY_REFUSED
        )

    async def ask() -> Proof:
        async with exchange_of(profile, WallClock()) as venue:
            return await prove_at_exchange(profile, files, venue, _now_ms())

    return asyncio.run(ask())


# -- what is shown ---------------------------------------------------------------------------------


def _show(folder: Path, found: Rehearsed, venue: str, *, mends: bool) -> None:
    plan = found.plan
    show(f"{folder} · {found.restored}")
    show(*(f"DAMAGED  {words}" for words in found.damage))
    if found.damage:
        first = "`tradebot recover --dry-run --rebuild` shows it first"
        if mends:
            show(f"  a start writes it anew where what was lost is proven, and is refused where it is not; {first}")
        else:
            show(f"  a start is refused; `tradebot recover --rebuild` puts back what can be proven, {first}")
    show(f"{many(len(plan.orders), 'order')} to ask the venue for" + _names(plan.orders))
    if plan.cancels:
        show(f"  {len(plan.cancels)} of them cancelled where still open: their wait is over")
    show(f"{many(plan.ends, 'intent')} without an order ended")
    show(f"{many(len(found.protected), 'position')} held")
    for one in found.protected:
        show(f"  {one.symbol}  {one.amount:f} bought at {one.entry_price:.8g}: {one.levels}")
    if found.compared is None:
        show("the venue was not asked")
        return
    show("", f"compared with {venue}, which was only asked:", hang=0)
    show(*(f"  {line}" for line in _compared(found.compared)))


def _compared(found: Compared) -> list[str]:
    from tradebot.domain.facts import OrderDone, OrderFilled, OrderRejected, RecoveryCompleted
    from tradebot.telemetry.recovery_words import away_words

    lines = []
    for fact in found.facts:
        if isinstance(fact, OrderFilled):
            lines.append(f"fill to book: {fact.client_id} {fact.side} {fact.amount:f} {fact.symbol} at {fact.price:f}")
        elif isinstance(fact, OrderDone | OrderRejected):
            how = fact.outcome if isinstance(fact, OrderDone) else "rejected"
            lines.append(f"order over: {fact.client_id} {fact.symbol} {how}")
        elif isinstance(fact, RecoveryCompleted):
            lines.append(f"{many(fact.orders_open, 'order')} still open; {away_words(fact)}")
    lines += [f"would be cancelled: {client_id}" for client_id in found.cancels]
    lines += [f"not settled yet: {many(count, 'order')} of {name}" for name, count in found.unsettled.items()]
    lines += [f"OPEN THERE AND IN NO JOURNAL: {client_id}" for client_id in found.strangers]
    lines += [f"differs: {words}" for words in found.drift]
    return lines


def _document(profile: Profile, folder: Path, found: Rehearsed, venue: str) -> dict[str, Any]:
    import msgspec

    compared = found.compared
    return {
        "schema": SCHEMA,
        "home": str(folder),
        "venue": venue if compared is not None else None,
        "restored": found.restored,
        "damage": list(found.damage),
        "plan": msgspec.to_builtins(found.plan),
        "protected": msgspec.to_builtins(found.protected),
        "compared": None
        if compared is None
        else {
            "facts": [{"type": fact.event_type, "fields": msgspec.to_builtins(fact)} for fact in compared.facts],
            "cancels": list(compared.cancels),
            "unsettled": compared.unsettled,
            "strangers": list(compared.strangers),
            "drift": list(compared.drift),
        },
        "quote": profile.market.quote,
    }


def _names(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f": {', '.join(names[:_SHOWN])}{more}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
