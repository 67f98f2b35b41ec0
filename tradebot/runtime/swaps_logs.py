"""How do the logs come to another way of writing while everybody tells? Asked by the reload.

Concerned: `logging.max_file_mb`, `logging.max_disk_mb`, `logging.queue_limit`, `logging.retry_s`,
`features.split_logging`. The level is told to the pipeline at once (`swaps_bench`).
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Collection
from threading import Event
from typing import Final

from tradebot.config.profile import Profile
from tradebot.runtime.component import in_thread
from tradebot.runtime.swapping import CannotBuild, Staged
from tradebot.telemetry.log_files import OneFile, SplitFiles
from tradebot.telemetry.logs import LogPipeline, StagedLogs

KEYS: Final = (
    "logging.max_file_mb",
    "logging.max_disk_mb",
    "logging.queue_limit",
    "logging.retry_s",
    "features.split_logging",
)


class LogsSwap:
    """The log pipeline's files and their limits; no record is lost and none changes places."""

    name = "logs"

    def __init__(self, pipeline: LogPipeline) -> None:
        self._pipeline = pipeline

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key in KEYS for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Open the files that `new` asks for. Raises CannotBuild where one cannot be opened."""
        stamp = self._pipeline.files.stamp
        files = SplitFiles(stamp) if new.features.split_logging else OneFile(stamp)
        made: list[StagedLogs] = []
        given_up = Event()

        def open_files() -> StagedLogs:
            made.append(self._pipeline.stage(new.logging, files))
            if given_up.is_set():
                made[0].discard()
            return made[0]

        try:
            staged = await in_thread("tradebot-logs-open", open_files)
        except OSError as error:
            raise CannotBuild(f"the logs cannot be written: {error}") from error
        except CancelledError:  # the disk is slow: what is opened from here on, or is already, is closed again
            given_up.set()
            for one in made:
                one.discard()
            raise
        return _StagedLogs(staged, files.split is not self._pipeline.files.split, old, new)


class _StagedLogs:
    """The share of the logs."""

    name = "logs"

    def __init__(self, staged: StagedLogs, moved: bool, old: Profile, new: Profile) -> None:
        self._staged = staged
        self._old = old
        self._new = new
        into = "files by purpose" if new.features.split_logging else "one system file"
        self.effect = f"from the next record, to {into}" if moved else "from the next record"

    def commit(self) -> None:
        """Write the next record in the new way."""
        self._staged.commit()

    def revert(self) -> None:
        """Write the next record in the old way again."""
        self._staged.revert()

    async def retire(self) -> None:
        """Wait until the old files are closed. Raises TimeoutError beyond `reload.drain_timeout_s`."""
        await self._wait(self._new.reload.drain_timeout_s)

    async def discard(self) -> None:
        """Close the new files, and wait until the old way is taken up again. Raises TimeoutError, OSError."""
        await in_thread("tradebot-logs-discard", self._staged.discard)
        await self._wait(self._old.reload.drain_timeout_s)

    async def _wait(self, limit_s: float) -> None:
        if not await in_thread("tradebot-logs-wait", lambda: self._staged.wait(limit_s)):
            raise TimeoutError(f"the log's thread did not take the change up within {limit_s:g} s")
