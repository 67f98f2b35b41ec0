"""How does a rebuilt journal take the place of a damaged one, though the process is killed at any moment? Asked by
rebuilding, and by every start for what an earlier one left undone.

The new journal is written whole beside the old one. Then a plan, on the disk, says what is moved where; from then on it
is carried out, by whoever comes. Killed before the plan, nothing has changed; killed after it, the next one ends it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tradebot.domain.errors import StorageFailed
from tradebot.storage import journal_file
from tradebot.storage.files import reason, sync_folder, utc_stamp, write_atomic

NEW: Final = "journal.sqlite.new"
PLAN: Final = "rebuild.json"
TAILS: Final = ("-wal", "-shm", "-archive")

_JOURNAL: Final = "journal.sqlite"
_OWN: Final = ("", "-wal", "-shm")


Tell = Callable[[str, dict[str, Any]], None]
"""Takes what was rebuilt: a line, and its parts by name."""


class Replacement(Struct, frozen=True):
    """What was decided: `moves` are (file, its new name) within the home; `told` is what is to be said of it."""

    moves: tuple[tuple[str, str], ...]
    told: dict[str, Any]


def room_for_new(folder: Path) -> Path:
    """Return where a new journal is to be written; what an attempt left that was killed is cleared away.

    Raises StorageFailed.
    """
    try:
        for tail in _OWN:
            (folder / (NEW + tail)).unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder / NEW}: cannot be cleared away ({reason(error)})") from error
    return folder / NEW


def decide(folder: Path, broken: Sequence[str], now_ms: int, told: Mapping[str, Any]) -> Replacement:
    """Write down, on the disk, that the finished new journal replaces the old one and all of `broken` is set aside.

    Raises StorageFailed; then nothing is decided.
    """
    _finish(folder / NEW)
    moves: list[tuple[str, str]] = []
    for name in (_JOURNAL, *broken):
        aside = _unused(folder, f"{name}.{utc_stamp(now_ms)}")
        moves += [(name + tail, aside + tail) for tail in (*TAILS, "") if os.path.lexists(folder / (name + tail))]
    replacement = Replacement(tuple(moves), dict(told))
    write_atomic(folder / PLAN, msgspec.json.encode(replacement))
    return replacement


def pending(folder: Path) -> Replacement | None:
    """Return what was decided and is not done to its end, None where there is nothing. Raises StorageFailed."""
    path = folder / PLAN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Replacement)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StorageFailed(f"{path}: the plan of a rebuild cannot be read ({error})") from error


def carry_out(folder: Path, replacement: Replacement) -> None:
    """Do what was decided and is not done yet; nothing is overwritten. Raises StorageFailed."""
    try:
        if os.path.lexists(folder / NEW):  # once it is in its place, all the rest is done
            for old, new in replacement.moves:
                if os.path.lexists(folder / old) and not os.path.lexists(folder / new):
                    (folder / old).rename(folder / new)
            if os.path.lexists(folder / _JOURNAL):
                raise StorageFailed(f"{folder / _JOURNAL}: is in the way of the journal that was rebuilt as {NEW}")
            sync_folder(folder)
            (folder / NEW).rename(folder / _JOURNAL)
        sync_folder(folder)
    except OSError as error:
        raise StorageFailed(f"{folder}: a rebuilt journal cannot be put in its place ({reason(error)})") from error


def forget(folder: Path) -> None:
    """Take away the plan of what is done. Raises StorageFailed."""
    try:
        (folder / PLAN).unlink()
        sync_folder(folder)
    except OSError as error:
        raise StorageFailed(f"{folder / PLAN}: cannot be removed ({reason(error)})") from error


def finished(folder: Path, tell: Tell = lambda _text, _told: None) -> list[str]:
    """Put a rebuilt journal in its place where that was decided; return what was done in lines, none where nothing was.

    `tell` hears all of it in one line and by name, at least once, though the process is killed meanwhile.
    Raises StorageFailed.
    """
    decided = pending(folder)
    if decided is None:
        return []
    carry_out(folder, decided)
    told = decided.told
    aside = [f"{old} is set aside as {new}" for old, new in decided.moves if not old.endswith(TAILS)]
    counts = f"{told['sound_facts']:,} sound facts, {told['facts']:,} put back"
    venue = f"{told['orders']:,} orders and {told['fills']:,} fills put back from {told['source']}"
    where = "; ".join(aside) or "nothing was left to set aside"
    text = f"The journal of this bot was damaged and is rebuilt: {told['restored']}; {venue}; {where}"
    tell(text, {**told, "aside": [new for old, new in decided.moves]})
    forget(folder)
    return [*aside, f"{_JOURNAL} is written anew: {counts}"]


def runs_of(path: Path) -> frozenset[str]:
    """Return the runs that a journal, damaged or not, still tells of."""
    with suppress(sqlite3.Error, StorageFailed), journal_file.reading(path, damaged=True) as (database, _):
        return frozenset(str(run) for (run,) in database.execute("SELECT run FROM runs"))
    return frozenset()


def note_runs(path: Path, runs: Iterable[str], at_ms: int) -> None:
    """Note runs of an earlier journal in a new one, as ended: their orders are own ones. Raises StorageFailed."""
    try:
        with closing(journal_file.connect(path)) as database:
            database.executemany(
                "INSERT OR IGNORE INTO runs (run, started_ms, ended_ms) VALUES (?, ?, ?)",
                [(run, at_ms, at_ms) for run in sorted(runs)],
            )
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: earlier runs cannot be noted ({error})") from error


def _finish(path: Path) -> None:
    """Merge a closed journal's log into its file, and wait until that is on the disk."""
    try:
        with closing(journal_file.connect(path)) as database:
            busy = int(database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        wal = path.with_name(path.name + "-wal")
        if busy or (wal.exists() and wal.stat().st_size):
            raise StorageFailed(f"{path}: somebody else reads it; it is not put in its place")
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(path.parent)
    except sqlite3.Error as error:
        raise StorageFailed(f"{path}: cannot be finished ({error})") from error
    except OSError as error:
        raise StorageFailed(f"{path}: cannot be finished ({reason(error)})") from error


def _unused(folder: Path, name: str) -> str:
    """Return `name`, with a number where it is taken."""
    number, found = 1, name
    while any(os.path.lexists(folder / (found + tail)) for tail in ("", *TAILS)):
        number += 1
        found = f"{name}-{number}"
    return found
