"""How do generations, verdicts and their texts stand in the history's tables? Asked by the history alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from tradebot.domain.generation import Generation, ProfileText, Switch, Verdict

_GENERATION = (
    "number, at_ms, cause, who, path, digest, files, effective, changes, switches, previous, pinned, state, reason,"
    " good_ms"
)
_VERDICT = "digest, kind, at_ms, who, files, keys, reason, generation"
_SWITCH = "feature, is_on, who, at_ms, why"
_ENTRY = "at_ms, what, number, digest, who, reason"

SELECT_GENERATION = f"SELECT {_GENERATION} FROM generations "  # noqa: S608  our own text
SELECT_VERDICT = f"SELECT {_VERDICT} FROM verdicts "  # noqa: S608  our own text
SELECT_SWITCH = f"SELECT {_SWITCH} FROM switches ORDER BY n"  # noqa: S608  our own text
SELECT_ENTRY = f"SELECT {_ENTRY} FROM entries ORDER BY n DESC LIMIT ?"  # noqa: S608  our own text

INSERT_TRIAL = "INSERT OR REPLACE INTO meta VALUES ('trial', ?)"
DELETE_TRIAL = "DELETE FROM meta WHERE key = 'trial'"

_USABLE = "files IS NOT NULL AND digest <> ? AND digest NOT IN (SELECT digest FROM verdicts WHERE kind = 'condemned')"
"""A generation to fall back to: its text is kept, is not the one to be left, and was not rolled back."""

EntryKind = Literal["begun", "applied", "failed", "good", "condemned", "pending", "refused", "rejected", "accepted"]
"""What befell a generation (the first five), or a text that is not in force."""


class Entry(Struct, frozen=True):
    """One line of what happened to the profile. `number` is 0 where it is about a text that is no generation."""

    at_ms: int
    what: EntryKind
    number: int
    digest: str
    who: str = ""
    reason: str = ""


class Restoring(Struct, frozen=True):
    """A rollback to generation `number` whose files were being written; `displaced` are those that stood before."""

    number: int
    displaced: tuple[ProfileText, ...]


class Unsound(Exception):
    """A row or a text in the tables is not what was once stored."""


_T = TypeVar("_T")

_Files = list[tuple[str, str]]
"""Path and hash of each file, in order."""

_lines = msgspec.json.Decoder(tuple[str, ...])
_switches = msgspec.json.Decoder(tuple[Switch, ...])
_files = msgspec.json.Decoder(_Files)


def insert_generation(database: sqlite3.Connection, generation: Generation) -> None:
    """Store `generation` and its texts. Raises sqlite3.Error, of which IntegrityError is a number that is taken."""
    row = {
        **msgspec.structs.asdict(generation),
        "files": _store_files(database, generation.files),
        "effective": _store(database, generation.effective.encode()),
        "changes": msgspec.json.encode(generation.changes),
        "switches": msgspec.json.encode(generation.switches),
    }
    _insert(database, "INSERT INTO generations", _GENERATION, row)


def insert_verdict(database: sqlite3.Connection, verdict: Verdict) -> None:
    """Store `verdict` and its texts in place of an older one about the same text. Raises sqlite3.Error."""
    row = {
        **msgspec.structs.asdict(verdict),
        "files": _store_files(database, verdict.files),
        "keys": msgspec.json.encode(verdict.keys),
    }
    _insert(database, "INSERT OR REPLACE INTO verdicts", _VERDICT, row)


def insert_entry(database: sqlite3.Connection, entry: Entry) -> None:
    """Store one line. Raises sqlite3.Error."""
    _insert(database, "INSERT INTO entries", _ENTRY, msgspec.structs.asdict(entry))


def replace_switches(database: sqlite3.Connection, switches: Sequence[Switch]) -> None:
    """Store `switches` in place of all there are. Raises sqlite3.Error."""
    database.execute("DELETE FROM switches")
    for switch in switches:
        row = msgspec.structs.asdict(switch)
        _insert(database, "INSERT INTO switches", _SWITCH, {**row, "is_on": row["on"]})


def replace_restoring(database: sqlite3.Connection, number: int, displaced: Sequence[ProfileText]) -> None:
    """Store the mark of a rollback in place of an older one. Raises sqlite3.Error."""
    database.execute("INSERT OR REPLACE INTO restoring VALUES (1, ?, ?)", (number, _store_files(database, displaced)))


def generation_of(database: sqlite3.Connection, row: Sequence[Any]) -> Generation:
    """Return the generation of a row of SELECT_GENERATION; without files where its text was pruned. Raises Unsound."""
    named = _named(_GENERATION, row)
    named["files"] = _load_files(database, named["files"])
    named["effective"] = "" if named["effective"] is None else _load(database, named["effective"]).decode()
    named["changes"] = _decoded(_lines, named["changes"])
    named["switches"] = _decoded(_switches, named["switches"])
    return _made(Generation, named | {"pinned": bool(named["pinned"])})


def verdict_of(database: sqlite3.Connection, row: Sequence[Any]) -> Verdict:
    """Return the verdict of a row of SELECT_VERDICT; without files where its text was pruned. Raises Unsound."""
    named = _named(_VERDICT, row)
    named["files"] = _load_files(database, named["files"])
    named["keys"] = _decoded(_lines, named["keys"])
    return _made(Verdict, named)


def switch_of(row: Sequence[Any]) -> Switch:
    """Return the toggle of a row of SELECT_SWITCH. Raises Unsound."""
    named = _named(_SWITCH, row)
    return _made(Switch, named | {"on": bool(named.pop("is_on"))})


def entry_of(row: Sequence[Any]) -> Entry:
    """Return the line of a row of SELECT_ENTRY. Raises Unsound."""
    return _made(Entry, _named(_ENTRY, row))


def restoring_of(database: sqlite3.Connection, row: Sequence[Any]) -> Restoring:
    """Return the mark of a row (number, files). Raises Unsound."""
    return Restoring(number=row[0], displaced=_load_files(database, row[1]))


def drop_unused(database: sqlite3.Connection) -> None:
    """Remove every body that no row names any more. Raises sqlite3.Error, Unsound."""
    used: set[str] = set()
    for table in ("generations", "verdicts", "restoring"):
        rows = database.execute(f"SELECT files FROM {table} WHERE files IS NOT NULL")  # noqa: S608  our own text
        for (files,) in rows:
            used.update(name for _, name in _decoded(_files, files))
    used.update(name for (name,) in database.execute("SELECT effective FROM generations WHERE effective IS NOT NULL"))
    stored = {name for (name,) in database.execute("SELECT hash FROM bodies")}
    database.executemany("DELETE FROM bodies WHERE hash = ?", [(name,) for name in sorted(stored - used)])


def _insert(database: sqlite3.Connection, verb: str, columns: str, row: dict[str, Any]) -> None:
    names = columns.split(", ")
    marks = ", ".join("?" * len(names))
    database.execute(f"{verb} ({columns}) VALUES ({marks})", [row[name] for name in names])


def _store(database: sqlite3.Connection, body: bytes) -> str:
    name = sha256(body).hexdigest()
    database.execute("INSERT INTO bodies VALUES (?, ?) ON CONFLICT DO NOTHING", (name, body))
    return name


def _store_files(database: sqlite3.Connection, files: Iterable[ProfileText]) -> bytes:
    return msgspec.json.encode([(file.path, _store(database, file.source)) for file in files])


def _load(database: sqlite3.Connection, name: str) -> bytes:
    row = database.execute("SELECT body FROM bodies WHERE hash = ?", (name,)).fetchone()
    if row is None:
        raise Unsound(f"text {name[:12]} is missing")
    body = row[0]
    if not isinstance(body, bytes) or sha256(body).hexdigest() != name:
        raise Unsound(f"text {name[:12]} is altered")
    return body


def _load_files(database: sqlite3.Connection, files: bytes | None) -> tuple[ProfileText, ...]:
    if files is None:
        return ()
    return tuple(ProfileText(path=path, source=_load(database, name)) for path, name in _decoded(_files, files))


def _named(columns: str, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(columns.split(", "), row, strict=True))


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, TypeError) as error:
        raise Unsound(f"a list cannot be read: {error}") from error


def _made(kind: type[_T], named: dict[str, Any]) -> _T:
    try:
        return msgspec.convert(named, kind, from_attributes=True)
    except msgspec.ValidationError as error:
        raise Unsound(f"a row cannot be read: {error}") from error


def newest_usable(database: sqlite3.Connection, of: str) -> tuple[str, tuple[str, ...]]:
    """Return the clause of the newest generation to fall back to, and its last values: the paths that are `of`.

    Its first values are the state and the digest that is to be left; `of` "" is any path.
    """
    paths = [path for (path,) in database.execute("SELECT DISTINCT path FROM generations")]
    same = tuple(path for path in paths if not of or os.path.abspath(path) == os.path.abspath(of))
    marks = ", ".join("?" * len(same))
    return f"WHERE state = ? AND {_USABLE} AND path IN ({marks}) ORDER BY number DESC LIMIT 1", same


def trial_of(database: sqlite3.Connection) -> dict[str, int]:
    """Return how often in a row starts have put a text on probation, by its digest; nothing where none is."""
    row = database.execute("SELECT value FROM meta WHERE key = 'trial'").fetchone()
    digest, _, count = str(row[0]).rpartition(" ") if row else ("", "", "")
    return {digest: int(count)} if digest and count.isdecimal() else {}
