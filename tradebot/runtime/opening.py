"""How does a run come to its session, its stores and its state? The first steps of the start, asked by wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.config.loader import Loaded
from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.errors import CannotStart, ExitCode, NewerVersion, StorageFailed
from tradebot.domain.orders import Side
from tradebot.engine.engine import Engine
from tradebot.ports import Clock, Log
from tradebot.runtime.agreement import disagreement
from tradebot.runtime.beginning import open_history
from tradebot.runtime.errorbook import CountedLog, ErrorBook
from tradebot.runtime.failures import ComponentFailures, Tired
from tradebot.runtime.status import money_of
from tradebot.runtime.swaps_metrics import MetricsPart
from tradebot.runtime.swaps_sessions import prune
from tradebot.storage.account import AccountStore
from tradebot.storage.checkpoint import Checkpointer, read_checkpoint
from tradebot.storage.files import set_aside, utc_stamp, write_atomic
from tradebot.storage.history import History
from tradebot.storage.home import STARTING, Home
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_keeping import JournalKeeper
from tradebot.storage.journal_pruning import Keeping, read_snapshot
from tradebot.storage.journal_replacing import finished
from tradebot.storage.session import Session
from tradebot.telemetry.console import Console
from tradebot.telemetry.library_logs import library_logs
from tradebot.telemetry.log_files import OneFile, SplitFiles
from tradebot.telemetry.logs import LogPipeline
from tradebot.telemetry.metrics import SwitchedMetrics
from tradebot.telemetry.recorder import FactRecorder

REBUILD = "`tradebot recover --rebuild` put back what the venue proves (--dry-run shows it first)"

_SQLITE_TAILS = ("-wal", "-shm", "-archive")


class Mendable(CannotStart):
    """Facts are damaged or lost, or contradict the account: exit code 5 where no rebuild can put them right."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.RECOVERY_REFUSED)


class Telling(Struct):
    """Where a run is told: its session folder, logs, metrics; `tired` hears of components that fail again and again."""

    session: Session
    pipeline: LogPipeline
    log: Log
    errors: ErrorBook
    metrics: SwitchedMetrics
    metrics_part: MetricsPart
    recorder: FactRecorder
    failures: ComponentFailures
    tired: Relay
    exit_code: ExitCode = ExitCode.CLEAN

    def start_failed(self, error: CannotStart) -> None:
        """Tell that the run does not begin, and with which exit code it ends."""
        self.exit_code = error.exit_code
        self.log.emit("events", "ERROR", "START_FAILED", str(error), exit_code=int(error.exit_code))


class Relay:
    """Passes on which component failed again and again; before anybody listens it is told to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.to: Tired | None = None

    def __call__(self, name: str, in_a_row: int, last: str) -> None:
        """Pass it on."""
        if self.to is not None:
            self.to(name, in_a_row, last)
        else:
            text = f"{name} failed {in_a_row} times in a row: {last}"
            self._log.emit("events", "ERROR", "COMPONENT_FAILS", text, component=name, in_a_row=in_a_row)


class Opened(Struct):
    """The durable home and what is open in it; `account` is the paper account's store, None at a real exchange."""

    home: Home
    journal: SqliteJournal
    checkpointer: Checkpointer
    account: AccountStore | None
    history: History
    image: AccountImage | None


def open_session(
    loaded: Loaded, console: Console, clock: Clock, stack: ExitStack, say: Callable[[str], None]
) -> Telling:
    """Make the session folder and start its logs. Raises CannotStart."""
    profile, now_ms = loaded.profile, clock.now_ms()
    sessions = Path(profile.sessions.dir)
    session = Session.create(
        sessions,
        loaded.name,
        now_ms,
        kind="run",
        instance=profile.bot.instance,
        synthetic=profile.feed.kind == "synthetic",
        money=money_of(profile),
    )
    telling: list[Telling] = []

    def close() -> None:
        code = telling[0].exit_code if telling else ExitCode.CRASHED
        try:
            session.close(ended_ms=clock.now_ms(), exit_code=int(code))
        except StorageFailed as error:
            say(f"the session's record cannot be written: {error}")

    stack.callback(close)
    stamp = utc_stamp(now_ms)
    files = SplitFiles(stamp) if profile.features.split_logging else OneFile(stamp)
    pipeline = LogPipeline(session.logs, files, profile.logging, console, clock.now_ms)
    stack.callback(pipeline.stop, profile.shutdown.callback_timeout_s)
    pipeline.start()
    pipeline.validate(profile.logging.validate_timeout_s)
    errors = ErrorBook()
    log = CountedLog(pipeline, errors)
    stack.enter_context(library_logs(log))
    tired = Relay(log)
    failures = ComponentFailures(profile.engine.max_component_failures, tired)
    part = MetricsPart(profile, session.metrics / "summary.json", _replace, clock, log, failures)
    recorder = FactRecorder(pipeline, part.face)
    part.face.on_turn(recorder.gauge)
    telling.append(Telling(session, pipeline, log, errors, part.face, part, recorder, failures, tired))
    _tidy(loaded, session, log)
    return telling[0]


def _replace(path: Path, data: bytes) -> None:
    write_atomic(path, data, durable=False)


def _tidy(loaded: Loaded, session: Session, log: Log) -> None:
    """Keep the profile's files with the session and remove old sessions."""
    try:
        session.keep_profiles([Path(file.path) for file in loaded.files])
    except StorageFailed as error:
        raise CannotStart(str(error)) from error
    prune(session.folder, loaded.profile.sessions, log)


def open_stores(profile: Profile, telling: Telling, clock: Clock, stack: ExitStack, *, fresh: bool) -> Opened:
    """Lock the home and open what is in it; `fresh` first sets the old account and all that describes it aside.

    Raises CannotStart, StorageFailed.
    """
    settings, limits = profile.journal, profile.shutdown
    home = Home.open(Path(profile.bot.state_dir), profile.bot.instance)
    stack.callback(home.close)
    home.tell(STARTING)
    finished(home.folder, partial(tell_rebuilt, telling.log))
    history = open_history(home.profiles, settings.retry_s, clock.now_ms(), telling.log)
    stack.callback(history.close)
    paper = profile.venue.kind == "paper"
    if fresh and not paper:
        raise CannotStart(
            "--fresh begins a new paper account; this profile trades at an exchange", ExitCode.BAD_PROFILE
        )
    if fresh:
        for path in (home.account, home.journal, home.checkpoint):
            aside = set_aside(path, clock.now_ms(), tails=_SQLITE_TAILS)
            if aside is not None:
                text = f"--fresh: {path.name} is set aside as {aside.name}"
                telling.log.emit("events", "WARNING", "STATE_SET_ASIDE", text, path=str(path), aside=str(aside))
    with _mendable():
        journal = SqliteJournal.open(
            home.journal,
            batch_ms=settings.batch_ms,
            wal_mb=settings.wal_mb,
            retry_s=settings.retry_s,
            durability=settings.durability,
        )
    stack.callback(journal.close, limits.callback_timeout_s)
    keeping = Keeping(settings.keep_days, settings.keep_facts, settings.archive)
    keeper = JournalKeeper(journal, keeping, settings.prune_interval_s, telling.log, clock.now_ms)
    copies = [telling.session.state / "engine_transient.json"]
    checkpointer = Checkpointer(home.checkpoint, copies, telling.log, on_durable=keeper.offer)
    checkpointer.start()
    stack.callback(checkpointer.close, limits.callback_timeout_s)
    account, image = None, None
    if paper:
        account, image = _paper_account(profile, home, journal, stack)
    elif home.account.exists():
        raise CannotStart(
            f"{home.folder}: holds a paper account; a bot that trades at an exchange wants its own `bot.instance`",
            ExitCode.RECOVERY_REFUSED,
        )
    return Opened(home, journal, checkpointer, account, history, image)


def _paper_account(
    profile: Profile, home: Home, journal: SqliteJournal, stack: ExitStack
) -> tuple[AccountStore, AccountImage | None]:
    kept, busy_s = profile.venue.paper.keep_orders, profile.journal.retry_s
    account = AccountStore(home.account, orders_kept=kept, busy_s=busy_s, durability=profile.journal.durability)
    stack.callback(account.close)
    image = account.load()
    if image is None and journal.last_seq:
        raise CannotStart(
            f"{home.folder}: the journal tells of an account that is not there; restore {home.account.name}, "
            "or begin a new account with --fresh",
            ExitCode.RECOVERY_REFUSED,
        )
    return account, image


def restore(
    make: Callable[[], Engine], profile: Profile, opened: Opened, telling: Telling, clock: Clock
) -> tuple[Engine, str]:
    """Return an engine with its state taken back, and the one line that says from what.

    A checkpoint that cannot be used is set aside and reported; the journal alone is then the source.
    Raises Mendable, which leaves every file in its place, where the journal cannot be read or has lost facts, or it and
    the paper account contradict each other.
    """
    engine, summary = _taken_back(make, profile, opened, telling, clock)
    intents = engine.state.intents.values()
    telling.recorder.restore(
        [one.intent_id for one in intents if one.side is Side.BUY],
        [one.intent_id for one in intents if one.side is Side.SELL],
        engine.state.fences.venue.state,
        engine.state.ledger.positions.values(),
    )
    return engine, summary


def _taken_back(
    make: Callable[[], Engine], profile: Profile, opened: Opened, telling: Telling, clock: Clock
) -> tuple[Engine, str]:
    document, why = _checkpoint(profile, opened)
    if document is not None:
        engine = make()
        try:
            summary = str(engine.restore(document, opened.journal.read(int(document["seq"]))))
            why = _contradiction(profile, engine, opened)
            if not why:
                return engine, summary
        except StorageFailed as error:
            why = str(error)
    engine = make()
    with _mendable():
        kept = _snapshot(profile, opened, telling)
        summary = str(engine.restore(kept, opened.journal.read(int(kept["seq"]) if kept else 0)))
    if story := _contradiction(profile, engine, opened):
        raise Mendable(
            f"{opened.home.folder}: the journal and the paper account contradict each other: {story}; "
            "put back the one that is wrong, or begin a new account with --fresh"
        )
    if why:
        _set_aside_checkpoint(opened, telling, clock, why)
    return engine, summary


@contextmanager
def _mendable() -> Iterator[None]:
    """Say of a damaged journal how it is mended; one of a newer version is not damaged."""
    try:
        yield
    except NewerVersion:
        raise
    except StorageFailed as error:
        raise Mendable(f"{error}; put back a sound copy, or let {REBUILD}") from error


def _snapshot(profile: Profile, opened: Opened, telling: Telling) -> dict[str, Any] | None:
    """Return what the journal itself says of the facts that have left its file, None where none has."""
    path = opened.home.journal
    snapshot = read_snapshot(path)
    for words in snapshot.damage:
        telling.log.emit("events", "ERROR", "JOURNAL_SNAPSHOT_DAMAGED", words, path=str(path))
    if snapshot.document is None or profile.state.crash_recovery:
        return snapshot.document
    return {**snapshot.document, "windows": {}}


def tell_rebuilt(log: Log, text: str, told: Mapping[str, Any]) -> None:
    """Tell of a journal that was rebuilt, as loudly as there is."""
    log.emit("events", "ERROR", "STATE_REBUILT", text, **told)


def _contradiction(profile: Profile, engine: Engine, opened: Opened) -> str:
    return "" if opened.image is None else disagreement(engine.state, opened.image, profile.market.quote)


def _checkpoint(profile: Profile, opened: Opened) -> tuple[dict[str, Any] | None, str]:
    """Return the checkpoint to begin with, and of one that cannot be used why not."""
    if not profile.state.crash_recovery:
        return None, ""
    try:
        document = read_checkpoint(opened.home.checkpoint)
    except NewerVersion:
        raise
    except StorageFailed as error:
        return None, str(error)
    if document is not None and int(document["seq"]) > opened.journal.last_seq:
        why = f"it is at seq {document['seq']}, the journal ends at {opened.journal.last_seq}"
        if opened.image is None and profile.venue.kind != "paper":  # nothing here could tell which orders are missing
            raise Mendable(
                f"{opened.home.journal}: facts are lost ({opened.home.checkpoint.name}: {why}), and orders among them "
                f"would be nobody's; put back both files, or let {REBUILD}"
            )
        return None, why
    return document, ""


def _set_aside_checkpoint(opened: Opened, telling: Telling, clock: Clock, why: str) -> None:
    path = opened.home.checkpoint
    aside = set_aside(path, clock.now_ms())
    text = f"checkpoint set aside as {aside.name if aside else 'nothing'}, the journal alone is read: {why}"
    telling.log.emit("events", "ERROR", "STATE_SET_ASIDE", text, path=str(path), aside=str(aside), cause=why)


def unwatched(engine: Engine) -> frozenset[str]:
    """Return the symbols that have a position, an order or an intent, and no price."""
    state = engine.state
    held = {*state.ledger.positions, *(order.symbol for order in state.orders.values()), *state.by_symbol}
    return frozenset(held - set(engine.symbols))
