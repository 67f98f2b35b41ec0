"""Which parts make up a run? Built here from a loaded profile, in the order of the start; asked by the command line.

Every step that fails raises CannotStart with one line and an exit code, and what was opened before is closed.
Toggles choose the real or the null part here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from msgspec import Struct

from tradebot.config.loader import Loaded
from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.errors import CannotStart, ExitCode, StorageFailed
from tradebot.domain.market import Instrument
from tradebot.engine.engine import Engine
from tradebot.feeds.synthetic import synthetic_symbols
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.ports import Clock, Component, Feed, Recorder
from tradebot.runtime.account import Account, StoredAccount
from tradebot.runtime.checkpoints import Checkpoints, NoCheckpoints
from tradebot.runtime.clock import WallClock
from tradebot.runtime.coordinator import Coordinator
from tradebot.runtime.cycle_log import NO_CYCLE_TIMES, CycleTimes
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.instruments import listed
from tradebot.runtime.live import Chore, LiveShell
from tradebot.runtime.opening import Opened, Telling, open_session, open_stores, restore
from tradebot.runtime.outbox import Outbox
from tradebot.runtime.signals import Signals, StopAsked, interrupted
from tradebot.runtime.status import Status, StatusBook
from tradebot.telemetry.console import Console, NoConsole
from tradebot.venues.paper import PaperVenue


class MakeEngine(Protocol):
    """Makes the machine."""

    def __call__(self, profile: Profile, instruments: Sequence[Instrument], /) -> Engine:
        """Return a fresh engine."""
        ...


def make_feed(profile: Profile, clock: Clock) -> Feed:
    """Return the feed that the profile names. Raises CannotStart where it cannot run live."""
    if profile.feed.kind != "synthetic":
        message = f'feed.kind = "{profile.feed.kind}" runs in `tradebot replay` only; a live run wants "synthetic"'
        raise CannotStart(message, ExitCode.BAD_PROFILE)
    quote, settings = profile.market.quote, profile.feed.synthetic
    symbols = profile.market.symbols or synthetic_symbols(settings, quote)
    return SyntheticLive(
        settings, symbols, quote, profile.bot.seed, min_notional=profile.venue.paper.min_notional, clock=clock
    )


def make_venue(profile: Profile, instruments: Mapping[str, Instrument], image: AccountImage | None) -> Account:
    """Return the paper venue with the account of `image`, or with a new one."""
    return PaperVenue(profile.venue.paper, instruments, profile.market.quote, profile.bot.seed, image)


class Makers(Struct, frozen=True):
    """Who makes the parts that decide, price and fill; tests hand in others."""

    engine: MakeEngine = Engine
    feed: Callable[[Profile, Clock], Feed] = make_feed
    venue: Callable[[Profile, Mapping[str, Instrument], AccountImage | None], Account] = make_venue


class Options(Struct, frozen=True):
    """What was asked for beside the profile. `run_for_s` None runs until told to stop; `view` shows the status."""

    run_for_s: float | None = None
    fresh: bool = False
    console: Console = NoConsole()
    view: Callable[[Callable[[], Status | None]], Component] | None = None


class Run(Struct):
    """A run, wired and restored, not yet trading. `close` gives back everything that is still held."""

    loaded: Loaded
    options: Options
    signals: Signals
    clock: WallClock
    coordinator: Coordinator
    telling: Telling
    opened: Opened
    engine: Engine
    feed: Feed
    venue: StoredAccount
    dispatch: Dispatch
    shell: LiveShell
    book: StatusBook
    name: str
    restored: str
    close: ExitStack


def wire(loaded: Loaded, options: Options, signals: Signals, say: Callable[[str], None], makers: Makers) -> Run:
    """Build and restore a run.

    Raises CannotStart where a step fails, StopAsked where a signal came meanwhile; both leave nothing behind.
    """
    clock = WallClock()
    with ExitStack() as stack:
        telling = open_session(loaded, options.console, clock, stack, say)
        names = ", ".join(signals.names)
        telling.log.emit("system", "INFO", "SIGNAL_HANDLERS_SETUP", f"Signal handlers set up: {names}")
        coordinator = Coordinator(signals, telling.log, say)
        try:
            signals.check()
            run = _wire(loaded, options, signals, clock, telling, coordinator, stack, makers)
        except StorageFailed as error:
            refused = CannotStart(str(error), ExitCode.RECOVERY_REFUSED)
            telling.start_failed(refused)
            raise refused from error
        except CannotStart as error:
            telling.start_failed(error)
            raise
        except StopAsked:
            coordinator.note_signals()
            telling.exit_code = interrupted(len(signals.received))
            raise
        run.close = stack.pop_all()
        return run


def _wire(
    loaded: Loaded,
    options: Options,
    signals: Signals,
    clock: WallClock,
    telling: Telling,
    coordinator: Coordinator,
    stack: ExitStack,
    makers: Makers,
) -> Run:
    profile = loaded.profile
    opened = open_stores(profile, telling, clock, stack, fresh=options.fresh)
    signals.check()
    feed = makers.feed(profile, clock)
    instruments = listed(profile.venue.paper, feed.instruments())
    if not instruments:
        raise CannotStart("there is no symbol to watch: the feed has none in the quote currency")
    engine, restored = restore(lambda: makers.engine(profile, instruments), profile, opened, telling, clock)
    signals.check()
    paper = makers.venue(profile, {one.symbol: one for one in instruments}, opened.image)
    venue = StoredAccount(paper, opened.account.save)
    venue.save()
    name = _run_name(clock.now_ms())
    unsealed = opened.journal.open_run(name, clock.now_ms())
    if unsealed is not None:
        text = f"run {unsealed} never ended (killed, or power lost): recovering from its journal"
        telling.log.emit("events", "WARNING", "RUN_RECOVERED", text, run=unsealed)
    telling.session.update(run=name, journal=str(opened.home.journal), synthetic=feed.synthetic)
    telling.log.emit("events", "INFO", "STATE_RESTORED", restored)
    book = StatusBook(telling.recorder, telling.errors)
    dispatch, shell = _shell(profile, engine, venue, book, opened, telling, clock)
    signals.check()
    return Run(
        loaded, options, signals, clock, coordinator, telling, opened, engine, feed, venue, dispatch, shell, book,
        name, restored, stack,
    )  # fmt: skip


def _shell(
    profile: Profile,
    engine: Engine,
    venue: StoredAccount,
    recorder: Recorder,
    opened: Opened,
    telling: Telling,
    clock: WallClock,
) -> tuple[Dispatch, LiveShell]:
    """Return the dispatch and the shell around it; faults of the outbox go to the shell that owns it."""
    shell: LiveShell

    def fault(what: str, error: Exception) -> None:
        shell.fault(what, error)

    dispatch = Dispatch(engine, opened.journal, recorder, Outbox(venue, opened.journal, fault))
    shell = LiveShell(
        dispatch,
        venue,
        clock,
        profile.engine,
        telling.log,
        telling.metrics,
        cycle_log=CycleTimes(telling.log) if profile.features.cycle_time_logging else NO_CYCLE_TIMES,
    )
    shell.add_chore(_checkpoints(profile, engine, opened, telling, clock))
    return dispatch, shell


def _checkpoints(profile: Profile, engine: Engine, opened: Opened, telling: Telling, clock: WallClock) -> Chore:
    state = profile.state
    periodic = profile.features.state_persistence
    telling.log.emit(
        "system",
        "INFO",
        "STATE_PERSISTENCE_CONFIG",
        f"State is written every {state.persist_interval_s:g} s" if periodic else "State is written at the end only",
        periodic=periodic,
        persist_interval_s=state.persist_interval_s,
        persist_on_shutdown=state.persist_on_shutdown,
        crash_recovery=state.crash_recovery,
        slice_ms=state.slice_ms,
        path=str(opened.home.checkpoint),
    )
    if not periodic:
        return NoCheckpoints()
    return Checkpoints(
        engine,
        opened.journal,
        opened.checkpointer.submit,
        state.persist_interval_s,
        state.slice_ms,
        clock.now_ms(),
        telling.metrics,
    )


def _run_name(now_ms: int) -> str:
    """Return the run's name: its start in base 36, which no earlier run of this home can have had."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while now_ms:
        now_ms, rest = divmod(now_ms, 36)
        text = digits[rest] + text
    return text
