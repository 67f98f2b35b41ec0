"""What of a damaged journal is still sound? Asked by recovery and by who looks at the damage; nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact
from tradebot.storage import journal_file
from tradebot.storage.journal_pruning import read_snapshot
from tradebot.storage.journal_rows import fact_of

Seen = tuple[int, int, Fact]
"""Seq, time in ms, the fact."""

_TRIES = 200_000
"""Facts asked for one by one in a stretch that cannot be read as a whole, at most: some seconds."""


class Salvaged(Struct, frozen=True):
    """What is known of a journal. `facts` follow one another without a hole, from the first in the file on.

    `damage` says where and why they end, "" where nothing is damaged; `after` are the sound facts beyond that, in
    order, and `lost` counts the facts between that are not sound or not there. `document` is the state as of a
    snapshot, like a checkpoint's, where facts have left the file; then `facts` begin after `pruned`.
    """

    pruned: int = 0
    document: dict[str, Any] | None = None
    facts: tuple[Seen, ...] = ()
    damage: str = ""
    after: tuple[Seen, ...] = ()
    lost: int = 0

    @property
    def last_seq(self) -> int:
        """The seq of the last fact that is known of."""
        rows = self.after or self.facts
        return rows[-1][0] if rows else self.pruned


class _Reader:
    """Reads rows for as long as it goes; `broken` says why it went no further."""

    def __init__(self, database: sqlite3.Connection, schema: int) -> None:
        self._database = database
        self._columns = journal_file.columns(schema)
        self.broken = ""

    def rows(self, where: str, *numbers: int) -> Iterator[tuple[int, int, str, object, int | None]]:
        """Yield the rows of `where`, until the file cannot be read."""
        self.broken = ""
        try:
            yield from self._database.execute(f"SELECT {self._columns} FROM facts WHERE {where}", numbers)  # noqa: S608
        except sqlite3.Error as error:
            self.broken = str(error)


def salvage(path: Path) -> Salvaged:
    """Return what is sound in the journal at `path`, however damaged it is.

    Raises StorageFailed where there is no such file, or it is a journal of a newer version: that one is not damaged.
    """
    try:
        with journal_file.reading(path, damaged=True) as (database, schema):
            pruned = journal_file.pruned_seq(database) if schema > 1 else 0
            reader = _Reader(database, schema)
            facts, damage = _until_damage(reader, pruned)
            after, lost = _beyond(reader, facts[-1][0] if facts else pruned) if damage else ([], 0)
    except sqlite3.Error as error:
        return Salvaged(damage=f"{path}: cannot be read at all ({error})")
    document = read_snapshot(path).document
    told = f"{path}: {damage}" if damage else ""
    return Salvaged(pruned, document, tuple(facts), told, tuple(after), lost)


def _until_damage(reader: _Reader, pruned: int) -> tuple[list[Seen], str]:
    """Return the facts up to the first damage, and the damage in words."""
    facts: list[Seen] = []
    expected = pruned + 1
    for seq, at_ms, kind, body, crc in reader.rows("seq > ? ORDER BY seq", pruned):
        if seq < expected:
            return facts, f"the file is damaged at fact {expected} (it is shorter than it says)"
        if seq != expected:
            return facts, f"fact {expected} is missing (the next one is {seq})"
        try:
            facts.append((seq, at_ms, fact_of(seq, at_ms, kind, body, crc)))
        except ValueError as error:
            return facts, f"fact {seq} cannot be read ({error})"
        expected += 1
    broken = reader.broken
    found: dict[int, Seen] = {}
    while broken:  # the row before a page that cannot be read was not handed out
        for row in reader.rows("seq = ?", expected):
            _keep(row, found)
        if expected not in found:
            break
        facts.append(found[expected])
        expected += 1
    return facts, f"the file is damaged at fact {expected} ({broken})" if broken else ""


def _beyond(reader: _Reader, sound: int) -> tuple[list[Seen], int]:
    """Return the sound facts after the first damaged one, and how many between are not."""
    found: dict[int, Seen] = {}
    for row in reader.rows("seq > ? ORDER BY seq DESC", sound):
        _keep(row, found)
    if reader.broken:
        end = min(found, default=sound + 1 + _TRIES)
        for seq in range(sound + 1, min(end, sound + 1 + _TRIES)):
            for row in reader.rows("seq = ?", seq):
                _keep(row, found)
    after = [found[seq] for seq in sorted(found)]
    return after, max(found, default=sound) - sound - len(after)


def _keep(row: tuple[int, int, str, object, int | None], found: dict[int, Seen]) -> None:
    seq, at_ms, kind, body, crc = row
    try:
        found[seq] = (seq, at_ms, fact_of(seq, at_ms, kind, body, crc))
    except ValueError:
        return  # counted as lost


def pruned_of(path: Path) -> int:
    """Return the seq up to which facts have left the journal at `path`. Raises StorageFailed."""
    try:
        with journal_file.reading(path) as (database, _):
            return journal_file.pruned_seq(database)
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: the journal cannot be read ({error})") from error
