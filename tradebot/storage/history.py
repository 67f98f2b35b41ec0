"""Which versions of the profile were, are and may come into force? Asked by a start, a reload and who shows them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from msgspec import structs

from tradebot.config.secrets import mask
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import Generation, GenerationState, ProfileText, Switch, Verdict
from tradebot.storage import history_rows as rows
from tradebot.storage.files import set_aside, sync_folder
from tradebot.storage.history_file import HistoryDamaged, connect, connect_read_only, failed, written_anew
from tradebot.storage.history_rows import Entry, EntryKind, Restoring
from tradebot.storage.sqlite_file import identity

__all__ = ["Entry", "EntryKind", "History", "HistoryDamaged", "Restoring"]


def _unheard(_story: str) -> None:
    """Tell nobody that a history was lost."""


class History:
    """The profile history in a SQLite file: generations, verdicts on texts not in force, and toggles set over it.

    Whatever a method has written when it returns survives the end of the process and a loss of power; each method is
    one transaction. Any thread may call; a call waits for the disk, so the loop calls from a worker thread.
    Every method raises StorageFailed naming the file, HistoryDamaged where its contents are at fault.

    A file that is removed while it is open is written anew, with all it held; `lost` hears of it, from any thread.
    """

    def __init__(
        self, path: Path, database: sqlite3.Connection, busy_s: float = 0.0, lost: Callable[[str], None] = _unheard
    ) -> None:
        self.path = path
        self._database = database
        self._busy_s = busy_s
        self._lost = lost
        self._file = self._told = identity(path)
        self._lock = RLock()

    @classmethod
    def open(cls, path: Path, busy_s: float, lost: Callable[[str], None] = _unheard) -> History:
        """Open the history at `path`, made anew where there is none; `busy_s` is the longest wait for a lock."""
        database = connect(path, busy_s)
        try:
            sync_folder(path.parent)
        except OSError as error:
            database.close()
            raise StorageFailed(f"{path}: the profile history cannot be written ({error})") from error
        return cls(path, database, busy_s, lost)

    @classmethod
    def read_only(cls, path: Path, busy_s: float = 1.0) -> History | None:
        """Open the history at `path` for reading, None where there is none; a bot may have it open meanwhile."""
        database = connect_read_only(path, busy_s)
        return None if database is None else cls(path, database)

    @staticmethod
    def reset(path: Path, now_ms: int) -> Path | None:
        """Set the history at `path` aside, so that the next opening begins a new one; return its new name."""
        return set_aside(path, now_ms, tails=("-wal", "-shm"))

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        with self._lock:
            self._database.close()

    def look(self) -> None:
        """Look whether the file is in its place, and write it anew where it was removed; never waits for a lock.

        What cannot be written is told once, and tried again with the next change.
        """
        found = identity(self.path)
        if found in (self._file, self._told) or not self._lock.acquire(blocking=False):
            return
        try:
            self._in_place()
        except StorageFailed as error:
            self._told = found
            self._lost(str(error))
        finally:
            self._lock.release()

    # -- generations -----------------------------------------------------------------------------------

    def next_number(self, above: int = 0) -> int:
        """Take the number of a new generation, above every number taken before and above `above`.

        It is never given again, also after a kill; a loss of power may give back one that was not begun.
        """
        with self._writing(power_safe=False) as database:
            database.execute("UPDATE current SET last_number = max(last_number, ?) + 1", (above,))
            return int(database.execute("SELECT last_number FROM current").fetchone()[0])

    def begin(self, generation: Generation) -> None:
        """Write down a generation that is about to come into force, as `preparing`; what is in force stays."""
        with self._writing() as database:
            if self._state(generation.number) is not None:
                raise StorageFailed(f"{self.path}: generation {generation.number} is in the history already")
            rows.insert_generation(database, structs.replace(generation, state="preparing"))
            database.execute("UPDATE current SET last_number = max(last_number, ?)", (generation.number,))
            self._enter(generation.at_ms, "begun", generation.number, generation.who)

    def commit(
        self, number: int, at_ms: int, *, switches: Sequence[Switch] | None = None, settle: str | None = None
    ) -> None:
        """Note that generation `number` is in force from `at_ms` (milliseconds UTC) on.

        `switches` replace all toggles set over the profile, None leaves them; `settle` is the digest of the text
        whose verdict has become void.
        """
        with self._writing() as database:
            self._move(number, "applied", "preparing")
            database.execute("UPDATE current SET in_force = ?", (number,))
            if switches is not None:
                rows.replace_switches(database, switches)
            if settle is not None:
                database.execute("DELETE FROM verdicts WHERE digest = ?", (settle,))
            self._enter(at_ms, "applied", number)

    def fail(self, number: int, at_ms: int, reason: str) -> None:
        """Note that generation `number` never came into force."""
        with self._writing():
            self._move(number, "failed", "preparing", reason=reason)
            self._enter(at_ms, "failed", number, reason=reason)

    def passed(self, number: int, at_ms: int) -> None:
        """Note that generation `number` has passed its probation."""
        with self._writing() as database:
            self._move(number, "good", "applied")
            database.execute("UPDATE generations SET good_ms = ? WHERE number = ?", (at_ms, number))
            database.execute(rows.DELETE_TRIAL)
            self._enter(at_ms, "good", number)

    def condemn(self, number: int, at_ms: int, reason: str, who: str) -> None:
        """Note that generation `number` was rolled back, and condemn its text where it was a new one.

        A generation with the text of the one before it (a toggle) leaves no verdict.
        """
        with self._writing() as database:
            self._move(number, "condemned", "preparing", "applied", "good", reason=reason)
            generation = self._generation("WHERE number = ?", number)
            before = database.execute(
                "SELECT 1 FROM generations AS one JOIN generations AS old ON old.number = one.previous"
                " WHERE one.number = ? AND old.digest = one.digest",
                (number,),
            ).fetchone()
            if generation is not None and before is None:
                verdict = Verdict(
                    digest=generation.digest,
                    kind="condemned",
                    at_ms=at_ms,
                    who=who,
                    files=generation.files,
                    reason=mask(reason),
                    generation=number,
                )
                rows.insert_verdict(database, verdict)
            self._enter(at_ms, "condemned", number, who, reason)

    def in_force(self) -> Generation | None:
        """Return the generation in force, or that was when the last run ended; None before the first."""
        with self._reading():
            return self._generation("WHERE number = (SELECT in_force FROM current)")

    def last_good(self, excluding: str = "", of: str = "") -> Generation | None:
        """Return the generation to fall back to: the newest good one, else the newest applied one.

        Never one whose text has the digest `excluding`, was condemned, or was pruned, and only one of the profile at
        the path `of`, "" for any; None where none is left.
        """
        with self._reading():
            return self._last_good(excluding, of)

    def was_good(self, digest: str) -> bool:
        """Whether the text with that digest has passed a probation, and was not condemned since."""
        with self._reading() as database:
            found = database.execute(
                "SELECT 1 FROM generations WHERE digest = ? AND state = 'good'"
                " AND NOT EXISTS (SELECT 1 FROM verdicts WHERE verdicts.digest = ? AND kind = 'condemned')",
                (digest, digest),
            ).fetchone()
            return found is not None

    def generation(self, number: int) -> Generation | None:
        """Return generation `number`, without files and effective values where they were pruned."""
        with self._reading():
            return self._generation("WHERE number = ?", number)

    def generations(self, limit: int) -> tuple[Generation, ...]:
        """Return the latest generations, newest first."""
        with self._reading():
            return self._generations("ORDER BY number DESC LIMIT ?", limit)

    def unfinished(self) -> tuple[Generation, ...]:
        """Return the generations whose coming into force was cut off, oldest first."""
        with self._reading():
            return self._generations("WHERE state = 'preparing' ORDER BY number")

    def tried(self, digest: str) -> int:
        """Note that a start puts the text with that digest on probation; return how many in a row now have.

        The count begins anew with another text, with `passed`, and with `end_trial`: it is of starts that were killed.
        """
        with self._writing() as database:
            count = 1 + rows.trial_of(database).get(digest, 0)
            database.execute(rows.INSERT_TRIAL, (f"{digest} {count}",))
            return count

    def trial(self) -> dict[str, int]:
        """Return the text that the last start put on probation by its digest, with how often in a row; else nothing."""
        with self._reading() as database:
            return rows.trial_of(database)

    def end_trial(self) -> None:
        """Note that the run ended by itself, not killed; harmless where nothing is on probation."""
        with self._writing() as database:
            database.execute(rows.DELETE_TRIAL)

    # -- texts that are not in force -------------------------------------------------------------------

    def judge(self, verdict: Verdict) -> None:
        """Remember a verdict in place of an older one on the same text; those on other texts stay."""
        with self._writing() as database:
            rows.insert_verdict(database, verdict)
            self._tell(
                Entry(verdict.at_ms, verdict.kind, verdict.generation, verdict.digest, verdict.who, verdict.reason)
            )

    def verdict(self, digest: str) -> Verdict | None:
        """Return the verdict on the text with that digest."""
        with self._reading():
            return self._verdict("WHERE digest = ?", digest)

    def verdicts(self, limit: int) -> tuple[Verdict, ...]:
        """Return the latest verdicts, newest first."""
        with self._reading() as database:
            found = database.execute(rows.SELECT_VERDICT + "ORDER BY n DESC LIMIT ?", (limit,)).fetchall()
            return tuple(rows.verdict_of(database, row) for row in found)

    def accept(self, digest: str, at_ms: int, who: str) -> Verdict | None:
        """Let the text with that digest run at the next start: return the verdict that is void by it, None for none."""
        with self._writing() as database:
            verdict = self._verdict("WHERE digest = ?", digest)
            if verdict is not None:
                database.execute("DELETE FROM verdicts WHERE digest = ?", (digest,))
                was = f"{verdict.kind}: {verdict.reason}" if verdict.reason else verdict.kind
                self._tell(Entry(at_ms, "accepted", verdict.generation, digest, who, was))
            return verdict

    # -- toggles, the mark of a rollback, upkeep -----------------------------------------------------------

    def switches(self) -> tuple[Switch, ...]:
        """Return the toggles that are set over the profile, in the order they were committed in."""
        with self._reading() as database:
            return tuple(rows.switch_of(row) for row in database.execute(rows.SELECT_SWITCH).fetchall())

    def begin_restore(self, number: int, displaced: Sequence[ProfileText]) -> None:
        """Mark that the files of generation `number` are being written over `displaced`; replaces an older mark."""
        with self._writing() as database:
            rows.replace_restoring(database, number, displaced)

    def restoring(self) -> Restoring | None:
        """Return the mark of a rollback that was cut off while files were written."""
        with self._reading() as database:
            row = database.execute("SELECT number, files FROM restoring").fetchone()
            return None if row is None else rows.restoring_of(database, row)

    def end_restore(self) -> None:
        """Remove the mark: all files are written, or all are as before; harmless where there is none."""
        with self._writing() as database:
            database.execute("DELETE FROM restoring")

    def entries(self, limit: int) -> tuple[Entry, ...]:
        """Return the latest lines of what happened, newest first."""
        with self._reading() as database:
            return tuple(rows.entry_of(row) for row in database.execute(rows.SELECT_ENTRY, (limit,)).fetchall())

    def prune(self, keep: int) -> int:
        """Remove the texts of all but the `keep` newest generations and verdicts; return how many lost theirs.

        Numbers and lines stay, but for rejected texts, which a start finds faulty again. Never pruned are what is in
        force, what would be fallen back to, what is being prepared or restored, and what waits for a confirmation.
        """
        with self._writing() as database:
            current = self._generation("WHERE number = (SELECT in_force FROM current)")
            needed = (current, self._last_good(""), self._last_good(current.digest if current else ""))
            kept = {generation.number for generation in needed if generation is not None}
            kept.update(self._column("SELECT number FROM generations ORDER BY number DESC LIMIT ?", keep))
            kept.update(self._column("SELECT number FROM generations WHERE state = 'preparing'"))
            kept.update(self._column("SELECT number FROM restoring"))
            old = set(self._column("SELECT number FROM generations WHERE files IS NOT NULL")) - kept
            database.executemany(
                "UPDATE generations SET files = NULL, effective = NULL WHERE number = ?", [(number,) for number in old]
            )
            newest = set(self._column("SELECT n FROM verdicts ORDER BY n DESC LIMIT ?", keep))
            past = set(self._column("SELECT n FROM verdicts WHERE files IS NOT NULL AND kind <> 'pending'")) - newest
            database.executemany("UPDATE verdicts SET files = NULL WHERE n = ?", [(n,) for n in past])
            database.execute("DELETE FROM verdicts WHERE kind = 'rejected' AND files IS NULL")
            rows.drop_unused(database)
            return len(old) + len(past)

    # -- how it is done ------------------------------------------------------------------------------------

    def _in_place(self) -> None:
        """Write the file anew where it was removed. Raises StorageFailed where another one is in its place."""
        found = identity(self.path)
        if found is None:
            self._database = written_anew(self.path, self._database, self._busy_s)
            self._file = identity(self.path)
            self._lost(f"{self.path}: the profile history was removed while the bot runs; it is written anew, whole")
        elif found != self._file:
            raise StorageFailed(f"{self.path}: another file was put in the place of the profile history")

    def _generations(self, clause: str, *values: object) -> tuple[Generation, ...]:
        found = self._database.execute(rows.SELECT_GENERATION + clause, values).fetchall()
        return tuple(rows.generation_of(self._database, row) for row in found)

    def _generation(self, clause: str, *values: object) -> Generation | None:
        return next(iter(self._generations(clause, *values)), None)

    def _last_good(self, excluding: str, of: str = "") -> Generation | None:
        newest, same = rows.newest_usable(self._database, of)
        found = (self._generation(newest, state, excluding, *same) for state in ("good", "applied"))
        return next((one for one in found if one is not None), None)

    def _verdict(self, clause: str, *values: object) -> Verdict | None:
        row = self._database.execute(rows.SELECT_VERDICT + clause, values).fetchone()
        return None if row is None else rows.verdict_of(self._database, row)

    def _column(self, query: str, *values: object) -> list[int]:
        return [number for (number,) in self._database.execute(query, values).fetchall()]

    def _state(self, number: int) -> str | None:
        row = self._database.execute("SELECT state FROM generations WHERE number = ?", (number,)).fetchone()
        return None if row is None else str(row[0])

    def _move(self, number: int, to: GenerationState, *origins: GenerationState, reason: str = "") -> None:
        """Change a generation's state from one of `origins`; without a `reason` the one it came to be for stays.

        Raises StorageFailed where it is in another state.
        """
        state = self._state(number)
        if state not in origins:
            raise StorageFailed(f"{self.path}: generation {number} is {state or 'unknown'}, so it cannot become {to}")
        self._database.execute("UPDATE generations SET state = ? WHERE number = ?", (to, number))
        if reason:
            self._database.execute("UPDATE generations SET reason = ? WHERE number = ?", (mask(reason), number))

    def _enter(self, at_ms: int, what: EntryKind, number: int, who: str = "", reason: str = "") -> None:
        row = self._database.execute("SELECT digest FROM generations WHERE number = ?", (number,)).fetchone()
        self._tell(Entry(at_ms, what, number, row[0], who, mask(reason)))

    def _tell(self, entry: Entry) -> None:
        rows.insert_entry(self._database, entry)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one reading, which sees one state of the file."""
        with self._lock, self._mapped("read"), self._transaction("BEGIN"):
            yield self._database

    @contextmanager
    def _writing(self, *, power_safe: bool = True) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one change, which is made whole or not at all."""
        with self._lock, self._mapped("written"):
            self._in_place()
            self._database.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
            with self._transaction("BEGIN IMMEDIATE"):
                yield self._database

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._database.execute(begin)
        try:
            yield
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    @contextmanager
    def _mapped(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failed(self.path, verb, error) from error
        except rows.Unsound as error:
            raise HistoryDamaged(f"{self.path}: the profile history is damaged ({error})") from error
        except UnicodeError as error:
            raise StorageFailed(f"{self.path}: the profile history cannot be {verb} ({error})") from error
