"""How do facts become durable without the engine waiting? Asked by the live shell, which sends only what is durable."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, Lock, Thread
from typing import TypeVar

from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import Fact, OrderPlanned
from tradebot.storage import journal_file
from tradebot.storage.journal_file import SYNCHRONOUS, Durability
from tradebot.storage.journal_merging import Merger
from tradebot.storage.journal_rows import Row, row_of

_Item = tuple[int, int, Sequence[Fact]]
"""Seq of the first fact, time in ms, the facts."""

_T = TypeVar("_T")

_PAGE_BYTES = 4096
_ROW_BYTES = 64
"""What a commit adds to the write-ahead log at least, however little it says: one page; and a fact beside its body."""

_AT_ONCE = 32
_MORE = ", (?, ?, ?, ?, ?)"
"""So many facts are written by one statement: the writer gives way to the engine once, not at each of them. More are
never written in the engine's thread."""


class SqliteJournal:
    """The journal in a SQLite file: `append` hands over to one writer thread, which commits in groups.

    What `durable_seq` names survives the end of the process at any instruction, with the durability "power" a loss of
    power too. Facts wait for others at most a batch's time, one that plans an order not at all: with the durability
    "process", where no commit waits for the disk, `append` itself commits it with all that waits before it.

    Who holds `writing` owns the connection, and what waits from the first row to the last: it takes all of it, writes
    it and gives the lock back after one commit. `append` takes the lock only where it is free, and leaves to the writer
    whatever fails, is much, or would wait: for a lock of the file, or for the disk, as the first commit to a log that
    begins anew does.
    After a failed write nothing more becomes durable, in order, until the same rows could be written: `failed` tells
    why meanwhile. `lost` says that the file is not in its place any more: what is written to it would be there for
    nobody, so it is not durable.
    """

    def __init__(
        self,
        path: Path,
        database: sqlite3.Connection,
        writing: Lock,
        merger: Merger,
        *,
        batch_ms: int,
        retry_s: float,
        at_once: bool,
    ) -> None:
        self.path = path
        self.failed: StorageFailed | None = None
        self.lost = False
        self._file = _identity(path)
        self._database = database
        self._batch_s = batch_ms / 1000
        self._merger = merger
        self._retry_s = retry_s
        self._runs: frozenset[str] = frozenset()
        self._last = self._durable = journal_file.last_seq(database)
        self._at_once = at_once
        self._items: deque[_Item] = deque()
        self._rows: list[Row] = []  # of what waits, those that could not be written yet
        self._doubted = False  # whether they may have been written after all
        self._waits: SimpleQueue[None] = SimpleQueue()
        self._append_lock = Lock()
        self._database_lock = writing
        self._changed = Condition()
        self._hurry = Event()
        self._closing = Event()
        self._give_up = Event()
        self._on_durable: list[Callable[[int], None]] = []
        self._on_failure: list[Callable[[StorageFailed], None]] = []
        self._on_recovery: list[Callable[[int], None]] = []
        self._before_close: list[Callable[[], object]] = []
        self._writer = Thread(target=self._run, name="journal-writer", daemon=True)

    @classmethod
    def open(
        cls, path: Path, *, batch_ms: int, wal_mb: int, retry_s: float, durability: Durability = "power"
    ) -> SqliteJournal:
        """Open or make the journal at `path` and start its writer; the rest is as the profile's table `journal` says.

        Raises StorageFailed naming the file when it is no journal, damaged, or from a newer version.
        """
        database = journal_file.connect(path, busy_s=retry_s, synchronous=SYNCHRONOUS[durability])
        writing = Lock()
        try:
            merger = Merger(path, writing, wal_bytes=wal_mb * 1_000_000, busy_s=retry_s)
        except StorageFailed:
            database.close()
            raise
        try:
            at_once = durability == "process"
            journal = cls(path, database, writing, merger, batch_ms=batch_ms, retry_s=retry_s, at_once=at_once)
        except sqlite3.Error as error:
            merger.close(0)
            database.close()
            raise StorageFailed(f"{path}: the journal cannot be read ({error})") from error
        merger.start()
        journal._writer.start()
        return journal

    # -- the engine's side ------------------------------------------------------------------------

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        """Queue `facts` (immutable, as all facts are); return the seq of the last one. Never waits for the disk.

        Raises StorageFailed once the journal is closed.
        """
        if not facts:
            return self._last
        with self._append_lock:
            if self._closing.is_set():
                raise StorageFailed(f"{self.path}: the journal is closed")
            first = self._last + 1
            self._last += len(facts)
            self._items.append((first, now_ms, facts))
            last = self._last
        planned = False
        for fact in facts:
            if type(fact) is OrderPlanned:  # the order waits for its plan to be durable
                planned = True
                break
        if planned and self._at_once and self._commit_here():
            return last
        self._waits.put(None)
        if planned:
            self._hurry.set()
        return last

    @property
    def last_seq(self) -> int:
        """The seq of the last fact appended, durable or not."""
        return self._last

    @property
    def durable_seq(self) -> int:
        """The last seq that survives a crash."""
        return self._durable

    def on_durable(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the durable seq after each commit, from the thread that committed: quickly done."""
        self._on_durable.append(callback)

    def on_failure(self, callback: Callable[[StorageFailed], None]) -> None:
        """Call `callback` once when writing begins to fail, from the writer's thread."""
        self._on_failure.append(callback)

    def on_recovery(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the durable seq once writing works again, from the writer's thread."""
        self._on_recovery.append(callback)

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        """Yield (seq, time, fact) of everything durable after `after_seq`. Raises StorageFailed at any damage."""
        return journal_file.read_facts(self.path, after_seq)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is durable; return whether it is, at the latest after `timeout_s`."""
        wanted = self._last
        self._hurry.set()
        with self._changed:
            return self._changed.wait_for(lambda: self._durable >= wanted, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what is left and end the writer; return whether everything is durable. Harmless when called twice."""
        for before in self._before_close:
            before()
        with self._append_lock:
            self._closing.set()
        self._waits.put(None)
        complete = self.flush(timeout_s)
        self._give_up.set()
        self._writer.join(timeout_s)
        self._merger.close(timeout_s)
        if not self._writer.is_alive():
            with self._database_lock:
                self._database.close()
        return complete

    # -- beside the writer --------------------------------------------------------------------------

    def beside(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do `work` between two commits of the writer, which waits for it: be short.

        Raises StorageFailed; of a transaction that `work` left open nothing is done.
        """
        with self._database_lock:
            if self._closing.is_set():
                raise StorageFailed(f"{self.path}: the journal is closed")
            try:
                work(self._database)
            except sqlite3.Error as error:
                raise StorageFailed(f"{self.path}: cannot be written ({error})") from error
            finally:
                self._roll_back()
                self._merger.wrote(_PAGE_BYTES)

    def transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do `work` in one transaction, all of it or nothing, as `beside`. Raises StorageFailed."""

        def whole(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            work(database)
            database.execute("COMMIT")

        self.beside(whole)

    def before_close(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the journal is being closed, before anything else, from the closing thread."""
        self._before_close.append(callback)

    # -- runs ---------------------------------------------------------------------------------------

    def open_run(self, run: str, at_ms: int) -> str | None:
        """Note that `run` begins and seal every earlier one; return the name of one that never ended, or None.

        Raises StorageFailed.
        """
        with self._database_lock:
            try:
                row = self._database.execute(
                    "SELECT run FROM runs WHERE ended_ms IS NULL ORDER BY started_ms DESC"
                ).fetchone()
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute("UPDATE runs SET ended_ms = ? WHERE ended_ms IS NULL", (at_ms,))
                self._database.execute("INSERT INTO runs (run, started_ms) VALUES (?, ?)", (run, at_ms))
                self._database.execute("COMMIT")
                self._runs = frozenset(str(known) for (known,) in self._database.execute("SELECT run FROM runs"))
            except sqlite3.Error as error:
                self._roll_back()
                raise StorageFailed(f"{self.path}: run {run} cannot be noted ({error})") from error
        return str(row[0]) if row else None

    def knows_run(self, run: str) -> bool:
        """Whether `run` is one of this journal's, as of the last `open_run`; none is before."""
        return run in self._runs

    def end_run(self, run: str, at_ms: int, exit_code: int) -> None:
        """Note how `run` ended. Raises StorageFailed."""
        with self._database_lock:
            try:
                self._database.execute(
                    "UPDATE runs SET ended_ms = ?, exit_code = ? WHERE run = ?", (at_ms, exit_code, run)
                )
            except sqlite3.Error as error:
                raise StorageFailed(f"{self.path}: the end of run {run} cannot be noted ({error})") from error

    # -- the writer's side --------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            closing = self._closing.is_set()
            self._gather(patient=not (self._items or self._rows or closing or self.failed))
            if closing and not self._items and not self._rows:
                return
            try:
                with self._database_lock:
                    durable = self._commit_all()
                if durable:
                    self._tell(self._on_durable, durable)
                self._merger.look()
                if self.failed is not None:
                    self.failed = None
                    self._tell(self._on_recovery, self._durable)
            except Exception as error:  # noqa: BLE001  the writer is supervised here: it keeps its rows and tries again
                self._fail(error)
                if self._give_up.wait(self._retry_s):
                    return

    def _gather(self, *, patient: bool) -> None:
        """Return when there is something to write; a `patient` call waits for it, and up to a batch's time for more."""
        if patient:
            self._waits.get()
            if not self._closing.is_set():
                self._hurry.wait(self._batch_s)
        self._hurry.clear()
        try:
            while True:
                self._waits.get_nowait()
        except Empty:
            return

    def _commit_here(self) -> bool:
        """Commit what waits in the thread that appends; return False where that is left to the writer."""
        if self.failed is not None or self._merger.begins_anew or self._last - self._durable > _AT_ONCE:
            return False
        if not self._database_lock.acquire(blocking=False):
            return False
        try:
            if self._closing.is_set() or self._doubted:
                return False
            self._database.execute("PRAGMA busy_timeout=0")
            try:
                durable = self._commit_all()
            finally:
                self._database.execute(f"PRAGMA busy_timeout={round(self._retry_s * 1000)}")
        except Exception:  # noqa: BLE001  what is wrong shows in the writer's thread, where it is told and tried again
            return False
        finally:
            self._database_lock.release()
        if durable:
            self._tell(self._on_durable, durable)
        return True

    def _commit_all(self) -> int:
        """Write what waits, in its order; return the seq of the last of it, 0 for nothing. `writing` is held."""
        while self._items:
            self._rows += _rows(self._items[0])
            self._items.popleft()
        if not self._rows:
            return 0
        rows = self._rows
        self._commit(rows)
        self._rows = []
        return rows[-1][0]

    def _commit(self, rows: list[Row]) -> None:
        doubted, self._doubted = self._doubted, True
        try:
            self._write(rows, doubted=doubted)
        except sqlite3.Error:
            self._roll_back()
            raise
        self._merger.wrote(_PAGE_BYTES + sum(_ROW_BYTES + len(row[3]) for row in rows))
        if _identity(self.path) != self._file:
            self.lost = True
            raise StorageFailed("the file was removed or replaced while the bot runs")
        self._doubted = False
        with self._changed:
            self._durable = rows[-1][0]
            self._changed.notify_all()

    def _write(self, rows: list[Row], *, doubted: bool) -> None:
        if not doubted and len(rows) <= _AT_ONCE:  # one statement, which is a transaction of its own
            statement = journal_file.INSERT + _MORE * (len(rows) - 1)
            self._database.execute(statement, list(chain.from_iterable(rows)))
            return
        self._database.execute("BEGIN IMMEDIATE")
        if doubted:  # what failed before may have been written after all
            written = journal_file.last_seq(self._database)
            rows = [row for row in rows if row[0] > written]
        self._database.executemany(journal_file.INSERT, rows)
        self._database.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def _fail(self, error: Exception) -> None:
        first = self.failed is None
        self.failed = StorageFailed(
            f"{self.path}: cannot be written ({error}); {self._last - self._durable} facts wait"
        )
        if first:
            self._tell(self._on_failure, self.failed)

    def _tell(self, callbacks: list[Callable[[_T], None]], news: _T) -> None:
        """Call back; one that raises is shown as an error of this thread and does not end it."""
        for callback in callbacks:
            try:
                callback(news)
            except Exception as error:  # noqa: BLE001  supervision border: what is told must not stop the writing
                threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self._writer)))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _rows(item: _Item) -> list[Row]:
    first, at_ms, facts = item
    return [row_of(first + index, at_ms, fact) for index, fact in enumerate(facts)]
