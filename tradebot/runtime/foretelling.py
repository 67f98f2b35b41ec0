"""What would a start make of a home that is damaged or lost? Asked by `tradebot recover --dry-run`: nothing is changed.

The start's own steps are taken, on a copy: what it would have rebuilt is proven here, too, and the plan is made of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tradebot.config.profile import Profile
from tradebot.domain.errors import CannotStart, ExchangeAway, NewerVersion, StorageFailed
from tradebot.domain.market import Instrument
from tradebot.runtime.agreement import disagreement
from tradebot.runtime.rebuilding import History, Proof, prove_at_exchange, prove_on_paper, unexplained
from tradebot.runtime.recovering import (
    Files,
    Oracle,
    PaperOracle,
    Rehearsed,
    copied,
    named,
    read_files,
    rehearse,
    restored,
)
from tradebot.storage import journal_file
from tradebot.storage.checkpoint import read_checkpoint
from tradebot.storage.journal_pruning import read_snapshot
from tradebot.storage.sound import Sound


class Exchange(Oracle, History, Protocol):
    """An exchange that is only asked."""

    async def own_before(self, quote: str) -> str:
        """Return an own order of an earlier run that still matters, "" where there is none."""
        ...


class Found(Struct, frozen=True):
    """What lies in a home. `met` is what in its files a start cannot go on with, "" where it can.

    Then `alone` is what it takes back, `files.sound` what of all there is reaches furthest.
    """

    files: Files
    met: str = ""
    alone: Sound = Sound()


class Outlook(Struct, frozen=True):
    """What a start would do. `met` is what it cannot go on with, "" for nothing.

    Then `proof` is what is put back first, None where nothing is proven: `refused` says why, "" where nobody was asked.
    `by_hand` says why a start leaves what is proven to `tradebot recover --rebuild`, "" where it does it itself.
    """

    rehearsed: Rehearsed
    met: str = ""
    proof: Proof | None = None
    refused: str = ""
    by_hand: str = ""


async def foretell_on_paper(profile: Profile, found: Found, instruments: Sequence[Instrument], now_ms: int) -> Outlook:
    """Return what a start on the paper account would do. Raises CannotStart."""
    files, met, image = found.files, found.met, found.files.image
    proof, refused = None, ""
    if not met and image is not None:
        met = disagreement(restored(profile, found.alone, ())[0].state, image, profile.market.quote)
    if met:
        try:
            proof = prove_on_paper(profile, files, instruments, now_ms)
        except CannotStart as error:
            refused = str(error)
    oracle = None if image is None or refused else PaperOracle(profile, image, now_ms)
    rehearsed = await rehearse(profile, _with(files, proof), oracle, now_ms)
    return Outlook(rehearsed, met, proof, refused, _by_hand(profile, files, proof))


async def foretell_at_exchange(profile: Profile, found: Found, venue: Exchange, now_ms: int) -> Outlook:
    """Return what a start at the exchange would do. Raises CannotStart."""
    files, met = found.files, found.met
    proof, refused = None, ""
    if not met and files.sound.empty and (before := await venue.own_before(profile.market.quote)):
        met = f"{profile.exchange.name} knows {before}, an order of this bot, and its home holds nothing"
    if met:
        try:
            proof = await prove_at_exchange(profile, files, venue, now_ms)
        except ExchangeAway:
            raise
        except CannotStart as error:
            refused = str(error)
    rehearsed = await rehearse(profile, _with(files, proof), None if refused else venue, now_ms)
    return Outlook(rehearsed, met, proof, refused, _by_hand(profile, files, proof))


async def foretell_offline(profile: Profile, found: Found, now_ms: int) -> Outlook:
    """Return what a start would do as far as the files tell. Raises CannotStart."""
    by_hand = _by_hand(profile, found.files, None)
    return Outlook(await rehearse(profile, found.files, None, now_ms), found.met, None, "", by_hand)


def look(home: Path, profile: Profile) -> Found:
    """Return what lies in a home, which is not touched. Raises StorageFailed, NewerVersion."""
    with copied(home) as copy:
        files = named(read_files(copy, profile), copy, home)
        there = any((copy / name).is_file() for name in ("journal.sqlite", "checkpoint.json"))
        try:
            alone = _taken_back(copy / "journal.sqlite", copy / "checkpoint.json", profile) if there else Sound()
        except NewerVersion:
            raise
        except StorageFailed as error:
            return Found(files, str(error).replace(str(copy), str(home)))
    return Found(files, "", alone)


def _taken_back(journal: Path, checkpoint: Path, profile: Profile) -> Sound:
    """Return what a start takes back of these files. Raises StorageFailed, NewerVersion."""
    last = _last_seq(journal)
    document = _document(checkpoint) if profile.state.crash_recovery else None
    if document is not None and int(document["seq"]) > last:
        if profile.venue.kind == "ccxt":
            raise StorageFailed(f"{journal}: ends at fact {last}, {checkpoint.name} is at {document['seq']}")
        document = None
    if document is not None:
        with suppress(StorageFailed):
            return Sound(document, tuple(journal_file.read_facts(journal, int(document["seq"]))))
    if not last:
        return Sound()
    kept = read_snapshot(journal).document
    return Sound(kept, tuple(journal_file.read_facts(journal, int(kept["seq"]) if kept else 0)))


def _last_seq(journal: Path) -> int:
    if not journal.is_file():
        return 0
    try:
        with closing(journal_file.connect(journal)) as database:
            return journal_file.last_seq(database)
    except sqlite3.Error as error:
        raise StorageFailed(f"{journal}: the journal cannot be read ({error})") from error


def _document(checkpoint: Path) -> dict[str, Any] | None:
    """Return the checkpoint, None where there is none that can be used."""
    try:
        return read_checkpoint(checkpoint)
    except NewerVersion:
        raise
    except StorageFailed:
        return None


def _with(files: Files, proof: Proof | None) -> Files:
    """Return the files as a rebuild leaves them; the damage that was mended is still told."""
    if proof is None:
        return files
    sound, seq, tail = proof.sound, proof.sound.seq, list(proof.sound.tail)
    for facts, at_ms in proof.added:
        for fact in facts:
            seq += 1
            tail.append((seq, at_ms, fact))
    return replace(files, sound=replace(sound, tail=tuple(tail)))


def _by_hand(profile: Profile, files: Files, proof: Proof | None) -> str:
    if profile.journal.rebuild == "ask":
        return 'journal.rebuild is "ask"'
    if files.sound.empty:
        return "nothing at all in this home is sound"
    return unexplained(proof) if proof is not None and profile.venue.kind == "ccxt" else ""
