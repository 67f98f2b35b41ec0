"""Which prices does a recorded candle stand for, and when? Asked by the simulated shell.

A candle tells four prices and not their order. The path walked here is conservative for a buyer of drops:

    open at its opening, LOW after a third, HIGH after two thirds, close in its last millisecond

The low comes before the high, so a candle that reaches both a stop and a target always meets the stop. A buy that is
decided at the low is filled at a later price, never back at the low itself. `docs/replay.md` tells how this is biased.
"""

from __future__ import annotations

from math import inf

from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.events import QuoteSeen
from tradebot.domain.numbers import BPS
from tradebot.feeds.candles import CandleRow


def path_offsets(interval_ms: int) -> tuple[int, int, int]:
    """Return when, in ms after the opening, the low, the high and the close of a candle are walked."""
    return interval_ms // 3, 2 * interval_ms // 3, interval_ms - 1


class CandleQuotes:
    """Lays the declared spread and shown size around the points of a candle's path."""

    def __init__(self, settings: RecordedFeed) -> None:
        self.half_spread = float(settings.spread_bps / 2 / BPS)
        self._share = settings.volume_share if settings.shown_size == "volume_share" else inf
        self._down = 1 - self.half_spread
        self._up = 1 + self.half_spread

    def size(self, volume: float) -> float:
        """Return what is shown on each side, in base, of a candle that traded `volume`."""
        return inf if self._share == inf else volume * self._share

    def quotes(
        self, symbol: str, row: CandleRow, interval_ms: int
    ) -> tuple[QuoteSeen, QuoteSeen, QuoteSeen, QuoteSeen]:
        """Return the quotes of the candle's path in time order; the last one `closes` it and carries its volume."""
        open_ms, _, open_, high, low, close, volume = row
        down, up = self._down, self._up
        size = self.size(volume)
        to_low, to_high, to_close = path_offsets(interval_ms)
        return (
            QuoteSeen(symbol, open_ * down, open_ * up, size, size, open_ms),
            QuoteSeen(symbol, low * down, low * up, size, size, open_ms + to_low),
            QuoteSeen(symbol, high * down, high * up, size, size, open_ms + to_high),
            QuoteSeen(symbol, close * down, close * up, size, size, open_ms + to_close, volume, True),
        )
