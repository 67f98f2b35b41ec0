"""How does a home with a damaged journal get a sound one again? Asked by a start and by `tradebot recover --rebuild`.

What the files prove comes first, then what the venue's own history tells of the time after. The result is checked
against the account before anything is touched; the damaged files are set aside, never deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.domain.facts import DriftAdopted, Fact, OrderFilled, OrderPlanned
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import EXACT, ZERO, exact, plain
from tradebot.engine.engine import Engine
from tradebot.engine.rebuilding import Rebuilding, Unproven, opening_cash
from tradebot.runtime.agreement import disagreement
from tradebot.runtime.recovering import BEGIN_ANEW, Files, restored
from tradebot.storage.checkpoint import assemble
from tradebot.storage.home import Home
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_pruning import begin_with
from tradebot.storage.journal_replacing import Tell, decide, finished, note_runs, room_for_new
from tradebot.storage.journal_salvage import Seen
from tradebot.storage.sound import Sound

_PATIENCE_S: Final = 60.0
_MARGIN_MS: Final = 60_000
"""How far a venue's times may be off ours."""
_GRID: Final = exact("0.00000001")


class Proof(Struct, frozen=True):
    """A state that files and venue prove together: the sound facts, and those put back after them, with their times.

    `run` is the last run that the sound facts know, `next_order` the first number that it had not given to an order.
    `gone` is what own orders make up and the account does not hold, booked as an operator wanted it.
    """

    sound: Sound
    added: tuple[tuple[tuple[Fact, ...], int], ...]
    restored: str
    orders: int
    fills: int
    run: str = ""
    next_order: int = 1
    gone: tuple[DriftAdopted, ...] = ()

    @property
    def facts(self) -> list[Fact]:
        """The facts put back."""
        return [fact for group, _ in self.added for fact in group]

    @property
    def planned(self) -> list[str]:
        """The client ids of all orders that the sound facts or those put back plan."""
        told = [fact for _, _, fact in self.sound.tail] + self.facts
        return [fact.client_id for fact in told if isinstance(fact, OrderPlanned)]


class History(Protocol):
    """A venue that tells what own orders did."""

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What it trades in the quote currency."""
        ...

    async def history(self, symbols: Collection[str], since_ms: int) -> AccountImage:
        """Return own orders and trades since a time, and the balances."""
        ...

    async def strangers(self, known: Collection[str]) -> list[str]:
        """Return own open orders that are not among `known`."""
        ...


def prove_on_paper(profile: Profile, files: Files, instruments: Sequence[Instrument], now_ms: int) -> Proof:
    """Return the state that the paper account proves, to the last unit. Raises CannotStart (exit code 5)."""
    image = files.image
    if image is None:
        raise _refused("there is no paper account to prove anything by; `--fresh` begins a new one")
    engine, text, proof = _begin(profile, files.sound, instruments, image)
    known = (engine.state.run, engine.state.next_order)
    if files.sound.empty and image.next_order - 1 > len(image.orders):
        raise _refused("the account's store holds not all of its orders any more; `--fresh` begins a new account")
    _adopt(engine, files.sound, image, proof, now_ms, profile.market.quote)
    if story := disagreement(engine.state, image, profile.market.quote):
        raise _refused(f"what was put back does not make up the account: {story}")
    return _proof(files.sound, proof, text, known)


async def prove_at_exchange(profile: Profile, files: Files, venue: History, now_ms: int, adopted_by: str = "") -> Proof:
    """Return the state that the exchange's history proves for own quantities. Raises CannotStart (exit code 5).

    Where `adopted_by` names an operator, what own orders make up and the account does not hold is booked as gone by
    hand, at its cost; without one it is refused.
    """
    sound = files.sound
    peek, _ = restored(profile, sound, ())
    asked = profile.market.symbols or [one.symbol for one in venue.instruments]
    held = {*peek.state.ledger.positions, *(order.symbol for order in peek.state.orders.values())}
    image = await venue.history({*asked, *held}, sound.at_ms)
    engine, text, proof = _begin(profile, sound, venue.instruments, image)
    known = (engine.state.run, engine.state.next_order)
    _adopt(engine, sound, image, proof, now_ms, profile.market.quote)
    if left := await venue.strangers(set(engine.state.orders)):
        raise _refused(f"the exchange has open orders of this bot that its history does not tell: {', '.join(left)}")
    gone = _missing(engine, image, adopted_by)
    if gone and not adopted_by:
        raise _refused(
            f"{gone_words(gone)}: it was sold or taken away by hand; `tradebot recover --rebuild --adopt` books that, "
            f"--dry-run shows it first, {BEGIN_ANEW}"
        )
    if gone:
        _book_gone(engine, gone, proof, now_ms)
    return replace(_proof(sound, proof, text, known), gone=gone)


def gone_words(gone: Sequence[DriftAdopted]) -> str:
    """Say what own orders make up and the account does not hold."""
    lacking = [f"{plain(-one.change)} {one.asset} less than" for one in gone]
    return f"the account holds {', '.join(lacking)} its own orders make up"


def _missing(engine: Engine, image: AccountImage, who: str) -> tuple[DriftAdopted, ...]:
    """Return the bookings that let the ledger follow the account where that holds less of a base asset."""
    ledger, found = engine.state.ledger, []
    for asset, owned in sorted(ledger.owned().items()):
        total = image.balances[asset].total if asset in image.balances else ZERO
        if asset == ledger.quote or owned <= 0 or total >= owned:
            continue
        symbol = f"{asset}/{ledger.quote}"
        position = ledger.positions.get(symbol)
        cost = position.entry_price if position is not None else ZERO
        change = EXACT.subtract(total, owned)
        found.append(DriftAdopted(asset, symbol, change, cost, True, who, False, engine.state.generation))
    return tuple(found)


def _book_gone(
    engine: Engine, gone: Sequence[DriftAdopted], proof: list[tuple[tuple[Fact, ...], int]], now_ms: int
) -> None:
    """Book it, and what follows from it: a position of which nothing is left is closed."""
    desk = engine.desk
    desk.now = max(desk.now, now_ms)
    for one in gone:
        desk.emit(one)
        engine.follow_up.run()
        proof.append((tuple(desk.facts), desk.now))
        desk.facts = []
        desk.commands.clear()


def settle_s(profile: Profile) -> float:
    """Return for how long what was sent before may still become an order, or be found, in seconds."""
    return profile.exchange.recv_window_ms / 1000 + profile.exchange.not_found_after_s


def write(
    home: Home, proof: Proof, profile: Profile, now_ms: int, source: str, tell: Tell = lambda _text, _told: None
) -> list[str]:
    """Set damaged files aside and write the proven journal; return what was done, in lines. Raises StorageFailed.

    `source` names who proved it. Killed at any moment, the home is as it was, or has what the next start finishes.
    """
    sound, path = proof.sound, room_for_new(home.folder)
    if sound.document is not None:
        begin_with(path, _bytes(sound.document), now_ms, durability=profile.journal.durability)
    _append(path, sound.tail, proof, profile)
    note_runs(path, {proof.run, *sound.runs, *(numbered(each)[0] for each in proof.planned)} - {""}, now_ms)
    broken = [home.checkpoint.name] if any(home.checkpoint.name in words for words in sound.damage) else []
    decide(home.folder, broken, now_ms, _told(proof, source))
    return finished(home.folder, tell)


def unexplained(proof: Proof) -> str:
    """Return an order put back that the sound facts speak against, in words, "" where there is none.

    Its number was given before and is in no fact, or its run began before the last one known, or is in no file.
    """
    for client_id in (fact.client_id for fact in proof.facts if isinstance(fact, OrderPlanned)):
        run, number = numbered(client_id)
        if run == proof.run and number < proof.next_order:
            return f"{client_id} would be an order from before the damage, and no fact tells of it"
        if run != proof.run and (run not in proof.sound.runs or (len(run), run) < (len(proof.run), proof.run)):
            return f"{client_id} is of a run that this bot's files do not know"
    return ""


def numbered(client_id: str) -> tuple[str, int]:
    """Return the run and the number in an own client id, ("", 0) where there are none."""
    start, _, number = client_id.rpartition("-")
    run = start.rpartition("-")[2]
    return (run, int(number)) if run and number.isdecimal() else ("", 0)


def _told(proof: Proof, source: str) -> dict[str, Any]:
    return {
        "damage": list(proof.sound.damage), "restored": proof.restored, "sound_facts": len(proof.sound.tail),
        "facts": len(proof.facts), "orders": proof.orders, "fills": proof.fills, "source": source,
    }  # fmt: skip


def _begin(
    profile: Profile, sound: Sound, instruments: Sequence[Instrument], image: AccountImage
) -> tuple[Engine, str, list[tuple[tuple[Fact, ...], int]]]:
    known = {one.symbol: one for one in instruments}
    for order in image.orders.values():
        if order.symbol not in known:
            base, _, quote = order.symbol.partition("/")
            known[order.symbol] = Instrument(order.symbol, base, quote, tick_size=_GRID, amount_step=_GRID)
    engine, text = restored(profile, sound, list(known.values()))
    engine.desk.now = sound.at_ms
    return engine, text, []


def _adopt(
    engine: Engine,
    sound: Sound,
    image: AccountImage,
    proof: list[tuple[tuple[Fact, ...], int]],
    now_ms: int,
    quote: str,
) -> None:
    rebuilding = Rebuilding(
        engine,
        sound.planned,
        sound.booked,
        lambda facts, at_ms: proof.append((tuple(facts), at_ms)),
        since_ms=sound.at_ms - _MARGIN_MS,
    )
    try:
        if not engine.state.ledger.is_open:
            sides = {order.client_id: order.side for order in image.orders.values()}
            began = min([now_ms, *(order.arrives_ms for order in image.orders.values())])
            rebuilding.open(quote, opening_cash(image, quote, sides), began)
        rebuilding.adopt(image, now_ms)
    except Unproven as error:
        raise _refused(str(error)) from error


def _proof(sound: Sound, added: list[tuple[tuple[Fact, ...], int]], text: str, known: tuple[str, int]) -> Proof:
    facts = [fact for group, _ in added for fact in group]
    orders = sum(isinstance(fact, OrderPlanned) for fact in facts)
    fills = sum(isinstance(fact, OrderFilled) for fact in facts)
    return Proof(sound, tuple(added), text, orders, fills, *known)


def _append(path: Path, tail: Sequence[Seen], proof: Proof, profile: Profile) -> None:
    settings = profile.journal
    journal = SqliteJournal.open(
        path,
        batch_ms=settings.batch_ms,
        wal_mb=settings.wal_mb,
        retry_s=settings.retry_s,
        durability=settings.durability,
    )
    try:
        for _, at_ms, fact in tail:
            journal.append([fact], at_ms)
        for facts, at_ms in proof.added:
            journal.append(facts, at_ms)
    finally:
        complete = journal.close(_PATIENCE_S)
    if not complete:
        raise journal.failed or _refused(f"{path}: could not be written in {_PATIENCE_S:g} s")


def _bytes(document: dict[str, Any]) -> bytes:
    """Return a document as it stood in its file."""
    core = {key: value for key, value in document.items() if key not in {"schema", "windows"}}
    windows = [(symbol, msgspec.json.encode(kept)) for symbol, kept in document["windows"].items()]
    return assemble(msgspec.json.encode(core), windows)


def _refused(why: str) -> CannotStart:
    return CannotStart(f"nothing is rebuilt: {why}", ExitCode.RECOVERY_REFUSED)
