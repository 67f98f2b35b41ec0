"""How does the run look on a terminal? A few lines, redrawn in place by a thread of their own; asked by `run`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from tradebot.cli.streams import forget_terminal, hung_up
from tradebot.ports import Log
from tradebot.runtime.component import in_thread
from tradebot.runtime.status import Status, status_lines

STDOUT = 1

REDRAW_S = 0.25
"""Between two drawings, for the eye alone: the status itself is taken every `engine.loop_sleep_s`."""


class LiveStatus:
    """Draws the latest status; a terminal that stalls delays only this thread, one that is closed ends the drawing."""

    name = "status"

    def __init__(self, latest: Callable[[], Status | None], log: Log) -> None:
        self._latest = latest
        self._log = log
        self._live = Live(get_renderable=self._draw, transient=True, auto_refresh=False)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to draw."""
        self._over.clear()
        self._thread = threading.Thread(target=self._redraw, name="tradebot-status", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and take the status off the screen; harmless when called twice."""
        await in_thread("tradebot-status-stop", self._end)

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()

    def _redraw(self) -> None:
        try:
            self._live.start()
            while not self._over.wait(REDRAW_S):
                if hung_up(STDOUT):
                    self._lose("it was closed")
                    return
                self._live.refresh()
            self._live.stop()
        except (OSError, ValueError) as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        """Draw no more: whatever is printed from here on leads nowhere."""
        forget_terminal()
        with contextlib.suppress(OSError, ValueError):
            self._live.stop()
        text = f"The terminal takes no more lines, the run goes on without: {why}"
        self._log.emit("system", "WARNING", "CONSOLE_LOST", text)

    def _draw(self) -> RenderableType:
        status = self._latest()
        if status is None:
            return Text("starting …")
        text = Text("\n".join(status_lines(status)), no_wrap=True, overflow="ellipsis")
        if status.synthetic:
            text.highlight_words(["SYNTHETIC MARKET"], style="bold yellow")
        return text
