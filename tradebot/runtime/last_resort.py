"""What if the shutdown itself hangs? Asked by the bot, around its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tradebot.domain.errors import ExitCode

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

NAME = "tradebot-last-resort"


class LastResort:
    """Ends the process when the shutdown itself hangs beyond all its deadlines: said, dumped, exit code 3."""

    def __init__(self, run: Run, dump: Callable[[str], None]) -> None:
        limits = run.loaded.profile.shutdown
        self._after_s = (limits.stages_s + limits.supervisor_deadline_s) / 2
        self._run = run
        self._dump = dump
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=NAME, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._done.wait(self._after_s):
            return
        run = self._run
        text = f"the shutdown hangs after {self._after_s:g} s: the process ends now"
        run.telling.log.emit("events", "ERROR", "SHUTDOWN_HANGS", text)
        self._dump(text)
        run.telling.pipeline.stop(run.loaded.profile.shutdown.callback_timeout_s)
        os._exit(ExitCode.FORCED)
