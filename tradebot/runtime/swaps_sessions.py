"""When are old session folders removed while the bot runs? Asked by the reload.

Concerned: `sessions.keep`, `sessions.max_disk_mb`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

from tradebot.config.profile import Profile
from tradebot.config.sections.sessions import Sessions
from tradebot.domain.facts import Level
from tradebot.ports import Log
from tradebot.runtime.component import in_thread
from tradebot.runtime.swapping import Retune, Staged
from tradebot.storage.retention import prune_sessions

KEYS = ("sessions.keep", "sessions.max_disk_mb")


class SessionKeeping:
    """Removes old sessions in a thread of its own whenever the limits were edited.

    A `ports.Component`, whose end waits for a removal under way, and a `Swappable`.
    """

    name = "session_keeping"

    def __init__(self, current: Path, log: Log) -> None:
        """`current` is the run's own session folder, which stays; the others are its neighbours."""
        self._current = current
        self._log = log
        self._asked: Sessions | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Start nothing: the start of a run removes old sessions itself."""

    async def stop(self) -> None:
        """Wait for the removal under way."""
        thread = self._thread
        if thread is not None:
            await in_thread("tradebot-sessions-join", thread.join)

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key in KEYS for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Return the share of the session folders: removed by the new limits once the edit stands."""
        return _Keeping(self, old, new)

    def keep(self, limits: Sessions) -> None:
        """Remove what is beyond `limits`, soon; limits told meanwhile are kept afterwards."""
        with self._lock:
            self._asked = limits
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tradebot-sessions", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                limits, self._asked = self._asked, None
                if limits is None:
                    self._thread = None
                    return
            prune(self._current, limits, self._log)


class _Keeping(Retune):
    """The share of the session folders: nothing is removed until the edit stands."""

    effect = "old sessions are removed now"

    def __init__(self, part: SessionKeeping, old: Profile, new: Profile) -> None:
        super().__init__(part.name, lambda profile: None, old, new)
        self._part = part
        self._limits = new.sessions

    async def retire(self) -> None:
        """Begin to remove what is beyond the new limits."""
        self._part.keep(self._limits)


def prune(current: Path, limits: Sessions, log: Log) -> None:
    """Remove the sessions beside `current` that are beyond `limits`, and tell which; never raises for a folder."""
    pruned = prune_sessions(current.parent, keep=limits.keep, max_disk_mb=limits.max_disk_mb, current=current)
    if pruned.removed or pruned.failed:
        level: Level = "WARNING" if pruned.failed else "INFO"
        text = f"{len(pruned.removed)} old sessions removed, {len(pruned.failed)} could not be"
        log.emit("system", level, "SESSIONS_PRUNED", text, removed=pruned.removed, failed=pruned.failed)
