"""How does the run look on a terminal? A few lines, redrawn in place by a thread of their own; asked by `run`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from tradebot.runtime.component import in_thread
from tradebot.runtime.status import Status, status_lines

REDRAW_S = 0.25
"""Between two drawings, for the eye alone: the status itself is taken every `engine.loop_sleep_s`."""


class LiveStatus:
    """Draws the latest status; a terminal that stalls delays only this thread."""

    name = "status"

    def __init__(self, latest: Callable[[], Status | None]) -> None:
        self._latest = latest
        self._live = Live(get_renderable=self._draw, transient=True, auto_refresh=False)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to draw."""
        self._over.clear()
        self._live.start()
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
        self._live.stop()

    def _redraw(self) -> None:
        while not self._over.wait(REDRAW_S):
            self._live.refresh()

    def _draw(self) -> RenderableType:
        status = self._latest()
        if status is None:
            return Text("starting …")
        text = Text("\n".join(status_lines(status)), no_wrap=True, overflow="ellipsis")
        if status.synthetic:
            text.highlight_words(["SYNTHETIC MARKET"], style="bold yellow")
        return text
