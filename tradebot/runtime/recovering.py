"""What would a start do with what lies in a home? Asked by `tradebot recover`; the engine itself says so, nothing acts.

All files are read from a copy: even to look into a journal that was not closed changes it. The venue is asked by
questions alone; orders and cancels that the engine wants are told and go nowhere.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import CancelOrder, Command, QueryBalances, QueryOrder, ReconcileOrders
from tradebot.domain.errors import CannotStart, ExitCode, StorageFailed
from tradebot.domain.events import BalancesReported, Event, RunStarted
from tradebot.domain.facts import Fact, RecoveryPlanned
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO, exact, plain
from tradebot.domain.orders import Balance
from tradebot.engine.engine import Engine
from tradebot.engine.recovery_plan import Protected, planned, protection
from tradebot.ports import Clock, Log
from tradebot.runtime.clock import WallClock
from tradebot.runtime.instruments import listed
from tradebot.runtime.opening import unwatched
from tradebot.runtime.places import NO_LOG, make_feed
from tradebot.storage.account import AccountStore
from tradebot.storage.journal_replacing import NEW, PLAN, carry_out, pending
from tradebot.storage.sound import Sound, read_sound
from tradebot.venues.account import LIVE
from tradebot.venues.paper import PaperVenue

if TYPE_CHECKING:
    from tradebot.venues.ccxt_reading import Reading

FILES = ("journal.sqlite", "checkpoint.json", "account.sqlite", NEW, PLAN)
_TAILS = ("", "-wal", "-shm")
_GRID = exact("0.00000001")
BEGIN_ANEW: Final = (
    "or give the bot another `bot.instance`: it begins anew with the quote that is there, and leaves what this one "
    "bought and its open orders to you"
)
"""What is left to do where nothing can be proven at an exchange."""

_ROUNDS = 3
"""So often what was learned may raise further questions: fills that a first answer only counted."""


class Files(Struct, frozen=True):
    """What a home holds: the sound facts, and the paper account where there is one."""

    sound: Sound
    image: AccountImage | None


class Oracle(Protocol):
    """A venue that is only asked."""

    async def answer(self, questions: Sequence[ReconcileOrders | QueryBalances]) -> list[Event]:
        """Return what it answers."""
        ...

    async def strangers(self, known: Collection[str]) -> list[str]:
        """Return own open orders that are not among `known`."""
        ...


class Compared(Struct, frozen=True):
    """What the venue's answers make of the plan: the facts that follow, and what is wanted of the venue then."""

    facts: tuple[Fact, ...]
    cancels: tuple[str, ...]
    unsettled: dict[str, int]
    strangers: tuple[str, ...]
    drift: tuple[str, ...]


class Rehearsed(Struct, frozen=True):
    """What a start would do. `compared` is None where the venue was not asked."""

    restored: str
    damage: tuple[str, ...]
    plan: RecoveryPlanned
    protected: tuple[Protected, ...]
    compared: Compared | None


@contextmanager
def copied(home: Path) -> Iterator[Path]:
    """Give a copy of a home's files, which is gone afterwards; a rebuild that was killed is ended in it.

    Raises StorageFailed, which names the home's own files: so does what is raised by who works with the copy.
    """
    with TemporaryDirectory(prefix="tradebot-recover-") as folder, _named(Path(folder), home):
        try:
            for name in FILES:
                for tail in _TAILS:
                    if (home / (name + tail)).is_file():
                        shutil.copyfile(home / (name + tail), Path(folder) / (name + tail))
            decided = pending(Path(folder))
        except OSError as error:
            raise StorageFailed(f"{home}: cannot be copied to be looked at ({error})") from error
        if decided is not None:
            carry_out(Path(folder), decided)
        yield Path(folder)


@contextmanager
def _named(copy: Path, home: Path) -> Iterator[None]:
    """Say of what cannot be read in a copy where it lies in truth."""
    try:
        yield
    except StorageFailed as error:
        raise type(error)(str(error).replace(str(copy), str(home))) from error


def look_into(home: Path, profile: Profile) -> Files:
    """Return what lies in a home, which is not touched; damage is told by the home's names.

    Raises StorageFailed, NewerVersion.
    """
    with copied(home) as copy:
        return named(read_files(copy, profile), copy, home)


def named(files: Files, copy: Path, home: Path) -> Files:
    """Return what was read in a copy, its damage told by the home's names."""
    damage = tuple(words.replace(str(copy), str(home)) for words in files.sound.damage)
    return replace(files, sound=replace(files.sound, damage=damage))


def read_files(folder: Path, profile: Profile) -> Files:
    """Return what lies in a copied home. Raises StorageFailed, NewerVersion."""
    image = None
    if (folder / "account.sqlite").is_file():
        store = AccountStore(folder / "account.sqlite", orders_kept=profile.venue.paper.keep_orders, busy_s=0.0)
        try:
            image = store.load()
        finally:
            store.close()
    return Files(read_sound(folder / "journal.sqlite", folder / "checkpoint.json"), image)


def restored(profile: Profile, sound: Sound, instruments: Sequence[Instrument]) -> tuple[Engine, str]:
    """Return an engine with the state taken back and the line that says from what.

    Symbols that `instruments` does not name are watched on the finest grid: nothing is placed here.
    Raises CannotStart where sound facts contradict each other.
    """
    known = {one.symbol: one for one in instruments}
    while True:
        engine = Engine(profile, list(known.values()))
        try:
            text = str(engine.restore(sound.document, sound.tail))
        except StorageFailed as error:
            raise CannotStart(str(error), ExitCode.RECOVERY_REFUSED) from error
        missing = unwatched(engine) - set(known)
        if not missing:
            return engine, text
        for name in missing:
            base, _, quote = name.partition("/")
            known[name] = Instrument(name, base, quote, tick_size=_GRID, amount_step=_GRID)


async def rehearse(profile: Profile, files: Files, oracle: Oracle | None, now_ms: int) -> Rehearsed:
    """Return what a start at `now_ms` would do; `oracle` is asked where there is one. Raises CannotStart."""
    engine, text = restored(profile, files.sound, ())
    desk = engine.desk
    desk.now = now_ms
    plan, held = planned(desk), tuple(protection(desk))
    compared = None if oracle is None else await _compare(engine, oracle, now_ms)
    return Rehearsed(text, files.sound.damage, plan, held, compared)


async def _compare(engine: Engine, oracle: Oracle, now_ms: int) -> Compared:
    known = set(engine.state.orders)
    facts, commands = engine.process(RunStarted("rehearsal", now_ms), now_ms)
    told, cancels = list(facts), _cancels(commands)
    balances: dict[str, Balance] = {}
    for _ in range(_ROUNDS):
        questions = _questions(commands, now_ms)
        if not questions:
            break
        commands = []
        for event in await oracle.answer(questions):
            if isinstance(event, BalancesReported):
                balances = event.balances
            facts, wanted = engine.process(event, now_ms)
            told += facts
            commands += wanted
        cancels += _cancels(commands)
    unsettled = dict(Counter(engine.desk.unsettled or {}))
    strangers = tuple(await oracle.strangers(known | set(engine.state.orders)))
    return Compared(tuple(told), tuple(cancels), unsettled, strangers, tuple(drift(engine, balances)))


def drift(engine: Engine, balances: dict[str, Balance]) -> list[str]:
    """Say where the account does not hold what the ledger owns; more of a base asset than that is somebody else's."""
    ledger = engine.state.ledger
    if not ledger.is_open or not balances:
        return []
    said = []
    for asset, owned in sorted(ledger.owned().items()):
        total = balances[asset].total if asset in balances else ZERO
        if total < owned or (asset == ledger.quote and total != owned):
            said.append(f"the account holds {plain(total)} {asset}, the ledger {plain(owned)}")
    return said


def _questions(commands: Sequence[Command], now_ms: int) -> list[ReconcileOrders | QueryBalances]:
    asked: list[ReconcileOrders | QueryBalances] = []
    for command in commands:
        if isinstance(command, QueryOrder):
            asked.append(ReconcileOrders((command,), now_ms))
        elif isinstance(command, ReconcileOrders | QueryBalances):
            asked.append(command)
    return asked


def _cancels(commands: Sequence[Command]) -> list[str]:
    return [command.client_id for command in commands if isinstance(command, CancelOrder)]


def refuse_to_forget(profile: Profile, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
    """Let a bot that remembers nothing begin only where the exchange knows nothing of it that still matters.

    Raises CannotStart: with exit code 5 where it does. Not to be called in a running loop.
    """

    async def ask() -> str:
        async with exchange_of(profile, clock, environ) as venue:
            return await venue.own_before(profile.market.quote)

    if before := asyncio.run(ask()):
        raise CannotStart(
            f"{profile.exchange.name} knows {before}, an order of this bot, and its home holds nothing: put back its "
            "files, or let `tradebot recover --rebuild` write the journal anew (--dry-run shows it first); "
            f"{BEGIN_ANEW}",
            ExitCode.RECOVERY_REFUSED,
        )


def exchange_of(
    profile: Profile, clock: Clock, environ: Mapping[str, str] = os.environ, log: Log = NO_LOG
) -> AbstractAsyncContextManager[Reading]:
    """Return a connection to the profile's exchange that only reads; what it asks counts for all processes here.

    Raises CannotStart where a key is missing.
    """
    from tradebot.exchange.construction import needs_password
    from tradebot.exchange.credentials import read_credentials
    from tradebot.exchange.shared_budget import shared_budget
    from tradebot.venues.ccxt_reading import reading

    credentials = read_credentials(environ, password=needs_password(profile.exchange.name))
    prefix = f"{profile.bot.instance}-"
    budget = shared_budget(profile.exchange, clock, log, credentials, environ)
    return reading(profile.exchange, credentials, quote=profile.market.quote, prefix=prefix, clock=clock, budget=budget)


class PaperOracle:
    """A paper account that is only asked."""

    def __init__(self, profile: Profile, image: AccountImage, now_ms: int) -> None:
        self._venue = PaperVenue(profile.venue.paper, {}, profile.market.quote, profile.bot.seed, image)
        self._image = image
        self._now_ms = now_ms

    async def answer(self, questions: Sequence[ReconcileOrders | QueryBalances]) -> list[Event]:
        """Return what it answers."""
        return [event for question in questions for _, event in self._venue.submit(question, self._now_ms)]

    async def strangers(self, known: Collection[str]) -> list[str]:
        """Return open orders that are not among `known`."""
        return sorted(
            order.client_id
            for order in self._image.orders.values()
            if order.status in LIVE and order.client_id not in known
        )


def paper_instruments(profile: Profile, *, offline: bool) -> Sequence[Instrument]:
    """Return what a paper account trades, none where that has to be asked for and nobody may be."""
    if offline and profile.feed.kind == "ccxt":
        return ()
    return listed(profile.venue.paper, make_feed(profile, WallClock()).instruments())
