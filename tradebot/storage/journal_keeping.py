"""When do facts leave the journal of a bot that runs for years? Asked by the checkpoint's writer, after each one."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread

from tradebot.ports import Log
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_pruning import Keeping, prune


class JournalKeeper:
    """Looks every `interval_s` whether facts may leave the journal's file, in a thread that ends with the work.

    What fails is told as JOURNAL_NOT_PRUNED and tried again at the next look; the journal is whole meanwhile.
    """

    def __init__(
        self, journal: SqliteJournal, keeping: Keeping, interval_s: float, log: Log, now_ms: Callable[[], int]
    ) -> None:
        self._journal = journal
        self._keeping = keeping
        self._interval_ms = round(interval_s * 1000)
        self._log = log
        self._now_ms = now_ms
        self._due_ms = 0
        self._stopped = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        journal.before_close(self.close)

    def offer(self, document: bytes) -> None:
        """Take a checkpoint that is on the disk, and begin with it if a look is due. Never blocks on the disk."""
        now_ms = self._now_ms()
        with self._lock:
            busy = self._thread is not None and self._thread.is_alive()
            if busy or self._stopped.is_set() or now_ms < self._due_ms:
                return
            self._due_ms = now_ms + self._interval_ms
            self._thread = Thread(target=self._run, args=(document, now_ms), name="journal-keeper", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until no look is under way; return whether none is."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def close(self, timeout_s: float = 5.0) -> bool:
        """End the look under way after its present step, and look no more; return whether it has ended."""
        with self._lock:
            self._stopped.set()
        return self.wait(timeout_s)

    def _run(self, document: bytes, now_ms: int) -> None:
        try:
            first, last = prune(self._journal, document, self._keeping, now_ms, self._stopped.is_set)
        except Exception as error:  # noqa: BLE001  supervision border: told, and tried again at the next look
            text = f"Facts that are no longer needed stay in the journal: {error}"
            self._log.emit("system", "WARNING", "JOURNAL_NOT_PRUNED", text, cause=str(error))
            return
        if last:
            where = "into the archive" if self._keeping.archive else "and were dropped"
            text = f"{last - first + 1:,} facts, {first:,} to {last:,}, left the journal's file {where}"
            self._log.emit("system", "INFO", "JOURNAL_PRUNED", text, first_seq=first, last_seq=last)
