"""How is a watcher watched in a test? A loop, a count of hints, and waits for events, never for time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.runtime.telling import Told
from tradebot.config.sections.reload import Reload
from tradebot.runtime.watcher import Watcher, fingerprint

PATIENCE_S = 20.0
"""Longest wait for a hint: one that does not come fails the test instead of the suite."""

NEVER_S = 3600.0
"""A sweep that does not come within a test: what is noticed was told by the system."""


class Watched:
    """A running watcher and what it has told. `hints` counts."""

    def __init__(self, files: Sequence[Path], sweep_s: float) -> None:
        self.files = [str(file) for file in files]
        self.log = Told()
        self.hints = 0
        self.told: list[str] = []
        self.failures: list[tuple[str, BaseException]] = []
        self._news = asyncio.Event()
        self.watcher = Watcher(self.files, self._on_hint, Reload(sweep_s=sweep_s), self.log, self._on_failure)
        self.watcher.follow(self.files, fingerprint(self.files))

    def _on_hint(self) -> None:
        self.hints += 1
        self.told.append(fingerprint(self.files))
        self._news.set()

    def _on_failure(self, name: str, error: BaseException) -> None:
        self.failures.append((name, error))
        self._news.set()

    def follow(self, files: Sequence[Path]) -> None:
        """Follow other files, as they are now."""
        self.files = [str(file) for file in files]
        self.watcher.follow(self.files, fingerprint(self.files))

    async def begun(self) -> None:
        """Wait until the folders are watched."""
        await self.until(lambda: self.watcher.looks > 0)

    async def noticed(self, change: Callable[[], object]) -> None:
        """Do `change`, then wait for a hint after which the files are as they are to stay."""
        before = self.hints
        await asyncio.to_thread(change)
        await self.until(lambda: self.hints > before and self.told[-1] == fingerprint(self.files))

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for a hint, a failure or another look that makes `true` hold."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self._news.clear()
                with_looks = asyncio.create_task(self._news.wait())
                await asyncio.wait({with_looks}, timeout=0.005)  # a look that gives no hint tells nobody
                with_looks.cancel()


@asynccontextmanager
async def watched(*files: Path, sweep_s: float = NEVER_S) -> AsyncIterator[Watched]:
    """Give a watcher that watches `files` by now, and end it."""
    seen = Watched(files, sweep_s)
    await seen.watcher.start()
    try:
        await seen.begun()
        yield seen
    finally:
        await seen.watcher.stop()
