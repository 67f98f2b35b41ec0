"""What do the files of a home prove, however damaged they are? Asked before a start is rehearsed or rebuilt; only read.

The state that reaches furthest counts: the checkpoint or what the journal begins with, and every sound fact that
follows it without a hole. What was written after that is known to be lost, or cannot be known to have been.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.domain.errors import NewerVersion, StorageFailed
from tradebot.domain.facts import OrderFilled, OrderPlanned
from tradebot.storage.checkpoint import read_checkpoint
from tradebot.storage.journal_replacing import runs_of
from tradebot.storage.journal_salvage import Salvaged, Seen, salvage


class Sound(Struct, frozen=True):
    """What can be restored: `document` (None: from nothing on) and the facts of `tail` after it.

    `damage` says in words what is wrong, nothing where all is sound. `at_ms` is the time of the last fact that counts,
    0 where none does. `planned` and `booked` are the client ids and (client id, trade id) of those
    of them that are in the file, `runs` the runs that it still knows.
    """

    document: dict[str, Any] | None = None
    tail: tuple[Seen, ...] = ()
    at_ms: int = 0
    damage: tuple[str, ...] = ()
    planned: frozenset[str] = frozenset()
    booked: frozenset[tuple[str, str]] = frozenset()
    windows: Mapping[str, Any] = {}
    runs: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether nothing at all is known."""
        return self.document is None and not self.tail

    @property
    def seq(self) -> int:
        """Up to which fact the state is known."""
        if self.tail:
            return self.tail[-1][0]
        return int(self.document["seq"]) if self.document is not None else 0


def read_sound(journal: Path, checkpoint: Path) -> Sound:
    """Return what the two files hold. Raises NewerVersion: such a file is nothing to be mended."""
    damage: list[str] = []
    document = _checkpoint(checkpoint, damage)
    found = _journal(journal, damage, expected=document is not None)
    rows = {seen[0]: seen for seen in (*found.facts, *found.after)}
    held = int(document["seq"]) if document is not None else 0
    if document is not None and held > max(rows, default=found.pruned):
        damage.append(f"{journal}: ends at fact {max(rows, default=found.pruned)}, {checkpoint.name} is at {held}")
    starts: list[dict[str, Any] | None] = [found.document] if found.document is not None else []
    if document is not None:
        starts.append(document)
    if not found.pruned:
        starts.append(None)
    best: tuple[int, dict[str, Any] | None, tuple[Seen, ...]] = (-1, None, ())
    for start in starts:
        tail = _following(rows, int(start["seq"]) if start is not None else 0)
        reach = tail[-1][0] if tail else (int(start["seq"]) if start is not None else 0)
        if reach > best[0]:
            best = (reach, start, tail)
    reached, start, tail = best
    applied = [fact for seq, _, fact in rows.values() if seq <= reached]
    return Sound(
        document=start,
        tail=tail,
        at_ms=tail[-1][1] if tail else (int(start["at_ms"]) if start is not None else 0),
        damage=tuple(damage),
        planned=frozenset(fact.client_id for fact in applied if isinstance(fact, OrderPlanned)),
        booked=frozenset((fact.client_id, fact.trade_id) for fact in applied if isinstance(fact, OrderFilled)),
        windows=document.get("windows", {}) if document is not None else {},
        runs=runs_of(journal),
    )


def _checkpoint(path: Path, damage: list[str]) -> dict[str, Any] | None:
    try:
        return read_checkpoint(path)
    except NewerVersion:
        raise
    except StorageFailed as error:
        damage.append(str(error))
        return None


def _journal(path: Path, damage: list[str], *, expected: bool) -> Salvaged:
    if not path.is_file():
        if expected:
            damage.append(f"{path}: is missing")
        return Salvaged()
    try:
        found = salvage(path)
    except NewerVersion:
        raise
    except StorageFailed as error:
        damage.append(str(error))
        return Salvaged()
    if found.damage:
        damage.append(found.damage)
    return found


def _following(rows: Mapping[int, Seen], after: int) -> tuple[Seen, ...]:
    """Return the facts that follow `after` without a hole."""
    tail: list[Seen] = []
    while (seen := rows.get(after + 1)) is not None:
        tail.append(seen)
        after += 1
    return tuple(tail)
