"""Which parts make up a run? Built here from a loaded profile, in the order of the start; asked by the command line.

Every step that fails raises CannotStart with one line and an exit code, and what was opened before is closed.
Toggles choose the real or the null part here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from msgspec import Struct

from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded
from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.errors import CannotStart, ExitCode, StorageFailed
from tradebot.domain.events import Event
from tradebot.domain.generation import Generation
from tradebot.domain.market import Instrument
from tradebot.engine.engine import Engine
from tradebot.ports import Clock, Component, Feed, Log, Recorder
from tradebot.runtime.account import Account, StoredAccount
from tradebot.runtime.beginning import begin
from tradebot.runtime.clock import WallClock
from tradebot.runtime.component import NullPart
from tradebot.runtime.coordinator import Coordinator
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.feeding import feed_for
from tradebot.runtime.generations import Choice
from tradebot.runtime.instruments import delisted, listed
from tradebot.runtime.live import LiveShell
from tradebot.runtime.mending import Mending
from tradebot.runtime.opening import Opened, Telling, open_session, open_stores, restore, unwatched
from tradebot.runtime.outbox import Outbox
from tradebot.runtime.patience import NO_PATIENCE, Patience, StartPatience
from tradebot.runtime.places import Lease, RemoteAccount, make_feed, make_lease, make_remote, make_venue
from tradebot.runtime.recovering import refuse_to_forget
from tradebot.runtime.signals import Signals, StopAsked, interrupted
from tradebot.runtime.status import Status, StatusBook
from tradebot.runtime.swaps_bench import cycle_log
from tradebot.runtime.swaps_checkpoints import CheckpointSwap
from tradebot.storage.history import History
from tradebot.telemetry.console import Console, NoConsole
from tradebot.venues.account import LIVE


class MakeEngine(Protocol):
    """Makes the machine."""

    def __call__(self, profile: Profile, instruments: Sequence[Instrument], /) -> Engine:
        """Return a fresh engine."""
        ...


class Makers(Struct, frozen=True):
    """Who makes the parts that decide, price and fill; tests hand in others."""

    engine: MakeEngine = Engine
    feed: Callable[[Profile, Clock], Feed] | None = None  # what the profile names
    venue: Callable[[Profile, Mapping[str, Instrument], AccountImage | None], Account] = make_venue


class Options(Struct, frozen=True):
    """What was asked for beside the profile. `run_for_s` None runs until told to stop; `view` shows the status."""

    run_for_s: float | None = None
    fresh: bool = False
    console: Console = NoConsole()
    view: Callable[[Callable[[], Status | None], Log], Component] | None = None


class Run(Struct):
    """A run, wired and restored, not yet trading. `close` gives back everything that is still held."""

    loaded: Loaded  # what is in force; another one after an edit
    choice: Choice
    generation: Generation  # the one the run began under
    options: Options
    signals: Signals
    clock: WallClock
    coordinator: Coordinator
    telling: Telling
    opened: Opened
    engine: Engine
    feed: Feed
    venue: StoredAccount | RemoteAccount
    venue_part: Component  # what of the venue has a life of its own
    dispatch: Dispatch
    shell: LiveShell
    book: StatusBook
    name: str
    restored: str
    close: ExitStack
    instruments: tuple[Instrument, ...]  # what the run began to watch
    checkpoints: CheckpointSwap
    makers: Makers
    lease: Lease  # on the account
    patience: Patience  # with an exchange that is away
    delisted: tuple[str, ...]  # held, and not traded there any more

    def make_feed(self) -> Callable[[Profile, Clock], Feed]:
        """Return what makes the feed that a profile names."""
        return maker_of_feeds(self.makers, self.telling)

    def held(self) -> frozenset[str]:
        """Return the symbols that are held, or have an intent or an order under way: they want prices."""
        state = self.engine.state
        orders = {order.symbol for order in state.orders.values()}
        return frozenset({*state.ledger.positions, *state.by_symbol, *orders})


def wire(choice: Choice, options: Options, signals: Signals, say: Callable[[str], None], makers: Makers) -> Run:
    """Build and restore a run.

    Raises CannotStart where a step fails, StopAsked where a signal came meanwhile, ProfileInvalid where the profile is
    faulty and nothing is held; all leave nothing behind.
    """
    clock, loaded = WallClock(), choice.loaded
    with ExitStack() as stack:
        telling = open_session(loaded, options.console, clock, stack, say)
        names = ", ".join(signals.names)
        telling.log.emit("system", "INFO", "SIGNAL_HANDLERS_SETUP", f"Signal handlers set up: {names}")
        coordinator = Coordinator(signals, telling.log, say)
        try:
            signals.check()
            aloud = say if isinstance(options.console, NoConsole) else _no_line
            limit_s = float(loaded.profile.exchange.start_patience_s)
            patience = StartPatience(limit_s, signals, clock, telling.log, aloud)
            mending = Mending(loaded.profile, telling.log, clock, patience, aloud)
            run = _wire(choice, options, signals, clock, telling, coordinator, stack, makers, patience, mending)
        except StorageFailed as error:
            refused = CannotStart(str(error), ExitCode.RECOVERY_REFUSED)
            telling.start_failed(refused)
            raise refused from error
        except CannotStart as error:
            telling.start_failed(error)
            raise
        except ProfileInvalid as invalid:
            telling.start_failed(CannotStart(f"the profile is faulty: {invalid.faults[0]}", ExitCode.BAD_PROFILE))
            raise
        except StopAsked:
            coordinator.note_signals()
            telling.exit_code = interrupted(len(signals.received))
            raise
        run.close = stack.pop_all()
        return run


_Restored = tuple[Feed, tuple[Instrument, ...], Engine, str, tuple[Instrument, ...]]


def _no_line(_line: str) -> None:
    """Say nothing: the console shows the record already."""


def _wire(
    choice: Choice,
    options: Options,
    signals: Signals,
    clock: WallClock,
    telling: Telling,
    coordinator: Coordinator,
    stack: ExitStack,
    makers: Makers,
    patience: Patience,
    mending: Mending,
) -> Run:
    loaded = choice.loaded
    profile = loaded.profile

    def take(held: ExitStack) -> tuple[Opened, Lease, _Restored]:
        opened = open_stores(profile, telling, clock, held, fresh=options.fresh)
        patience.show(opened.home.tell)
        opened.journal.on_durable(lambda _seq: opened.history.look())
        lease = make_lease(profile, opened.home.folder, clock)
        held.callback(lease.close)
        telling.session.take_latest()
        signals.check()
        return opened, lease, _restored(profile, opened, telling, clock, makers, patience)

    opened, lease, found = mending.taken(take, stack, may_rebuild=not options.fresh)
    feed, instruments, engine, restored, gone = found
    if opened.account is None and not engine.state.seq:
        refuse_to_forget(profile, clock)
    if choice.faults and not holds_anything(engine):
        raise ProfileInvalid(choice.faults)
    shell: LiveShell

    def answered(event: Event) -> None:
        shell.deliver(event)

    known = (*listed(profile.venue.paper, feed.instruments()), *gone)
    venue, venue_part = _venue(profile, known, opened, telling, clock, coordinator, makers, answered, feed)
    signals.check()
    generation = begin(choice, opened.history, engine.state.generation, clock.now_ms(), telling.log)
    stack.push(lambda kind, *_: _ended(opened.history, telling.log) if kind is not None else None)
    name = _run_name(clock.now_ms())
    unsealed = opened.journal.open_run(name, clock.now_ms())
    if unsealed is not None:
        text = f"run {unsealed} never ended (killed, or power lost): recovering from its journal"
        telling.log.emit("events", "WARNING", "RUN_RECOVERED", text, run=unsealed)
    journal = str(opened.home.journal)
    telling.session.update(run=name, journal=journal, synthetic=feed.synthetic)
    telling.log.emit("events", "INFO", "STATE_RESTORED", restored)
    book = StatusBook(telling.recorder, telling.errors)
    dispatch, shell = _shell(profile, engine, venue, book, opened, telling, clock)
    checkpoints = _checkpoints(profile, engine, opened, telling, clock)
    signals.check()
    return Run(
        loaded, choice, generation, options, signals, clock, coordinator, telling, opened, engine, feed, venue,
        venue_part, dispatch, shell, book, name, restored, stack, instruments, checkpoints, makers, lease, patience,
        tuple(one.symbol for one in gone),
    )  # fmt: skip


def _ended(history: History, log: Log) -> None:
    """Note that a start that cannot be ended by itself: a probation that goes on was not killed."""
    try:
        history.end_trial()
    except StorageFailed as error:
        log.emit("events", "ERROR", "PROFILE_HISTORY_FAILED", str(error))


def _restored(
    profile: Profile, opened: Opened, telling: Telling, clock: WallClock, makers: Makers, patience: Patience
) -> _Restored:
    """Return the feed, what the profile watches, the restored engine, the line that says from what, what is delisted.

    What is held is priced, though the profile does not name it; what an exchange does not list any more is kept, and
    has no price. Raises CannotStart, StorageFailed.
    """
    gone: tuple[Instrument, ...] = ()
    also = _perhaps_held(opened.image, profile.market.quote)
    make = maker_of_feeds(makers, telling, patience)
    while True:
        feed, instruments = feed_for(profile, also, make, clock)
        if not instruments:
            raise CannotStart("there is no symbol to watch: the feed has none in the quote currency")
        priced = (*listed(profile.venue.paper, feed.instruments()), *gone)
        engine, restored = restore(partial(makers.engine, profile, priced), profile, opened, telling, clock)
        missing = unwatched(engine)
        if not missing:
            _tell_unlisted(profile, instruments, telling.log)
            return feed, instruments, engine, restored, gone
        if missing <= also and profile.feed.kind == "ccxt" and not gone:
            gone = tuple(delisted(symbol) for symbol in sorted(missing))
            _tell_held_unlisted(profile, sorted(missing), telling.log)
            continue
        if missing <= also:
            raise CannotStart(
                f"the journal holds positions or orders in {', '.join(sorted(missing))}, which the feed does not "
                "price: sell them elsewhere and begin a new account with --fresh",
                ExitCode.RECOVERY_REFUSED,
            )
        also |= missing  # the journal knows of orders that have not reached the account


def _tell_unlisted(profile: Profile, watched: Sequence[Instrument], log: Log) -> None:
    """Tell which symbols of the profile the feed does not know."""
    names = sorted(set(profile.market.symbols) - {one.symbol for one in watched})
    if names:
        text = f"{profile.exchange.name} does not list {', '.join(names)}: delisted, or misspelt in market.symbols; "
        log.emit("events", "WARNING", "SYMBOL_NOT_LISTED", f"{text}the others are traded", symbols=names)


def _tell_held_unlisted(profile: Profile, held: Sequence[str], log: Log) -> None:
    """Tell which symbols this home holds that the exchange does not list, and what can be done about it."""
    paper = "run the profile they were bought by to sell them, begin a new account with --fresh, or name another home"
    todo = f"{paper} (bot.instance)" if profile.venue.kind == "paper" else "`tradebot drift` settles what was sold"
    text = f"{', '.join(held)}: HELD by this home, whatever the profile names, and not listed by "
    text += f"{profile.exchange.name}: kept without a price, not sold; {todo}"
    log.emit("events", "WARNING", "HELD_NOT_LISTED", text, symbols=list(held))


def _venue(
    profile: Profile,
    priced: Sequence[Instrument],
    opened: Opened,
    telling: Telling,
    clock: WallClock,
    coordinator: Coordinator,
    makers: Makers,
    answered: Callable[[Event], None],
    feed: Feed,
) -> tuple[StoredAccount | RemoteAccount, Component]:
    """Return where orders go, and what of it has a life of its own; `answered` hears what an exchange answers.

    Raises CannotStart, StorageFailed.
    """
    if opened.account is None:
        spot = make_remote(
            profile, clock, telling.log, answered, coordinator.crash, telling.pipeline.register_secret, feed=feed,
            symbols=[one.symbol for one in priced], gauge=gauge_of(telling), is_our_run=opened.journal.knows_run,
        )  # fmt: skip
        return RemoteAccount(spot), spot
    paper = makers.venue(profile, {one.symbol: one for one in priced}, opened.image)
    venue = StoredAccount(paper, opened.account.save)
    venue.save()
    return venue, NullPart("venue", "simulated here")


def _shell(
    profile: Profile,
    engine: Engine,
    venue: StoredAccount | RemoteAccount,
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
        cycle_log=cycle_log(profile, telling.log),
        failures=telling.failures,
    )
    return dispatch, shell


def _checkpoints(
    profile: Profile, engine: Engine, opened: Opened, telling: Telling, clock: WallClock
) -> CheckpointSwap:
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
    return CheckpointSwap(
        profile, engine, opened.journal, opened.checkpointer, telling.metrics, clock, telling.failures
    )


def _perhaps_held(image: AccountImage | None, quote: str) -> frozenset[str]:
    """Return the symbols of which the account may hold something: what the profile does not name is priced, too."""
    if image is None:
        return frozenset()
    orders = {order.symbol for order in image.orders.values() if order.status in LIVE}
    assets = {asset for asset, balance in image.balances.items() if balance.total}
    return frozenset(orders | {f"{asset}/{quote}" for asset in assets - {quote}})


def maker_of_feeds(
    makers: Makers, telling: Telling, patience: Patience = NO_PATIENCE
) -> Callable[[Profile, Clock], Feed]:
    """Return what makes the feed that a profile names."""
    return makers.feed or (lambda profile, clock: make_feed(profile, clock, telling.log, gauge_of(telling), patience))


def gauge_of(telling: Telling) -> Callable[[str, float], None]:
    """Return what sets a gauge of the metrics that are counted at the time."""

    def gauge(name: str, value: float) -> None:
        telling.metrics.gauge(name, value)  # looked up each time: metrics are switched on and off

    return gauge


def holds_anything(engine: Engine) -> bool:
    """Whether an own order or position is open."""
    return bool(engine.open_orders() or engine.state.ledger.positions)


def _run_name(now_ms: int) -> str:
    """Return the run's name: its start in base 36, which no earlier run of this home can have had."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while now_ms:
        now_ms, rest = divmod(now_ms, 36)
        text = digits[rest] + text
    return text
