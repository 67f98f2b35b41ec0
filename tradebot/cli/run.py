"""What does `tradebot --profile P` do? Runs the bot until it is told to stop, then tells how it went."""

from __future__ import annotations

import argparse
import gc
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from tradebot.cli.arguments import seconds
from tradebot.cli.faulty_start import way_back
from tradebot.cli.slow_start import told_if_slow
from tradebot.cli.streams import flush_end, forget_terminal, say, show_end
from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import DataInvalid, ExitCode, StorageFailed
from tradebot.runtime.signals import Signals, StopAsked, interrupted

if TYPE_CHECKING:
    from tradebot.runtime.leftovers import Held
    from tradebot.runtime.wiring import Makers, Run


SWITCH_S = 0.0005
"""How long a writer's thread may keep the engine's waiting: Python's own 5 ms would be every slow cycle's cause."""


COLLECT_AFTER = (10_000, 20, 100)
"""When the collector looks for cycles, of which a run makes next to none: walking a thousand symbols takes 7 ms."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--profile", required=True, metavar="P", help="profile: a file, or a name in profiles/")
    parser.add_argument("--headless", action="store_true", help="log lines only, no live status on the terminal")
    parser.add_argument("--for", dest="seconds", type=seconds, metavar="SECONDS", help="stop cleanly after so long")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="run the profile as it stands, though it waits, was refused or rolled back",
    )
    parser.add_argument("--fresh", action="store_true", help="begin a new paper account; the old one is set aside")


def run(args: argparse.Namespace) -> int:
    """Run the bot; return its exit code. Raises ProfileInvalid, with a note on the way back, and CannotStart."""
    with Signals() as signals:
        try:
            return run_with(args, signals)
        except ProfileInvalid as invalid:
            if note := way_back(args.profile, invalid):
                invalid.add_note(note)
            raise


def run_with(args: argparse.Namespace, signals: Signals, makers: Makers | None = None) -> int:
    """Run the bot with the parts of `makers`, by default the real ones, under handlers already installed."""
    starting = f"starting {args.profile}: files are read, then the venue is asked"
    with told_if_slow(lambda: say(starting), watched=sys.stderr.isatty()):
        begun = _begin(args, signals, makers)
    if isinstance(begun, ExitCode):
        return begun
    return _run(*begun)


def _begin(args: argparse.Namespace, signals: Signals, makers: Makers | None) -> tuple[Run, Held] | ExitCode:
    """Return the run, wired, and what the process held before; the exit code where it was stopped meanwhile."""
    from tradebot.runtime.generations import choose
    from tradebot.runtime.leftovers import held
    from tradebot.runtime.wiring import Makers, Options, wire
    from tradebot.telemetry.console import Console, NoConsole

    before = held()
    choice = choose(args.profile, accept=args.accept)
    headless = args.headless or not sys.stdout.isatty()
    console = Console(sys.stdout, "INFO", frozenset({"events"})) if headless else NoConsole()
    view = None
    if not headless:
        from tradebot.cli.live_status import LiveStatus

        view = LiveStatus
    options = Options(run_for_s=args.seconds, fresh=args.fresh, console=console, view=view)
    try:
        return wire(choice, options, signals, say, makers or Makers()), before
    except StopAsked as asked:
        code = interrupted(len(signals.received))
        say(f"stopped before it began: {asked} · exit {int(code)}")
        return code


def _run(wired: Run, before: Held) -> int:
    from tradebot.runtime.running import finish, last_lines, refusal_lines
    from tradebot.runtime.status import place_of

    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()  # what stands by now stands to the end: the collector need not walk it between two prices
    gc.set_threshold(*COLLECT_AFTER)
    finished = finish(wired, before, say)
    forget_terminal()
    if finished.ending.refusal:
        flush_end()
        for line in refusal_lines(finished):
            say(line)
        return finished.ending.code
    _report(wired)
    profile = wired.loaded.profile
    show_end("\n".join(last_lines(finished, profile.shutdown.open_orders, place_of(profile))))
    return finished.ending.code


def _report(wired: Run) -> None:
    """Print the session's report and leave it in its folder."""
    from tradebot.research.sources import session_report, store
    from tradebot.research.text import to_text

    folder = wired.telling.session.folder
    try:
        report = session_report(folder, _prices(wired), _balances(wired))
        show_end(f"\n{to_text(report)}\n")
        store(report, folder)
    except (DataInvalid, StorageFailed) as error:
        say(f"no report: {error}")


def _prices(wired: Run) -> dict[str, float]:
    return {name: symbol.bid for name, symbol in wired.engine.symbols.items() if symbol.bid}


def _balances(wired: Run) -> dict[str, dict[str, Decimal]]:
    """Return what the ledger and the account hold at the end, to be compared with the fills."""
    from tradebot.research.replay import totals

    found = {"the engine's ledger": wired.engine.state.ledger.owned()}
    image = wired.venue.image()
    return found if image is None else {**found, "the paper account": totals(image.balances)}
