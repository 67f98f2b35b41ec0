"""How does the run look on a terminal? A few lines, redrawn in place by a thread of their own; asked by `run`."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from tradebot.runtime.component import in_thread
from tradebot.runtime.status import Status, status_lines


class LiveStatus:
    """Draws the latest status; a terminal that stalls delays only this thread."""

    name = "status"

    def __init__(self, latest: Callable[[], Status | None]) -> None:
        self._latest = latest
        self._live = Live(get_renderable=self._draw, transient=True)

    async def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    async def stop(self) -> None:
        """Take the status off the screen and end the thread; harmless when called twice."""
        await in_thread("tradebot-status-stop", self._live.stop)

    def _draw(self) -> RenderableType:
        status = self._latest()
        if status is None:
            return Text("starting …")
        text = Text("\n".join(status_lines(status)), no_wrap=True, overflow="ellipsis")
        if status.synthetic:
            text.highlight_words(["SYNTHETIC MARKET"], style="bold yellow")
        return text
