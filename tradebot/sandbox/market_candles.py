"""What would trades and quotes have been, where only candles were recorded? Asked by the market feed.

Each candle is walked by the path that a replay walks (`feeds.candle_path`). A quarter of its volume is traded at each
of the four points, by takers in the direction of the price; then the book shows the point's quote, on the price grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from math import ceil, floor, inf
from operator import itemgetter
from typing import Final

from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.events import QuoteSeen, TradeSeen
from tradebot.domain.market import Instrument
from tradebot.feeds.candle_path import CandleQuotes
from tradebot.feeds.candles import CandleRecording, CandleRow

_ROWS: Final = 2_000
_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = 2, 3, 4, 5, 6
_PATH: Final = (_OPEN, _LOW, _HIGH, _CLOSE)


class CandleEvents:
    """The events of recorded candles; a candle without volume changes nothing."""

    def __init__(self, recording: CandleRecording, settings: RecordedFeed) -> None:
        self._recording = recording
        self._quotes = CandleQuotes(settings)
        self._scale = [10.0 ** recording.decimals(symbol) for symbol in recording.symbols]
        self.first_ms = recording.first_ms
        self.silent = recording.silent
        """Symbols of which no candle has a volume: they have neither a trade nor a price."""
        self.all_silent = len(self.silent) == len(recording.symbols)

    def instruments(self, min_notional: Decimal) -> Sequence[Instrument]:
        """Return the filters that the recorded prices suggest."""
        return self._recording.instruments(min_notional)

    def events(self) -> Iterator[TradeSeen | QuoteSeen]:
        """Yield every event in time order, symbols in their order; each call begins anew."""
        last = [0.0] * len(self._scale)
        for rows in self._recording.batches(_ROWS):
            for _, group in groupby(rows, key=itemgetter(0)):
                yield from self._interval([row for row in group if row[_VOLUME] > 0], last)

    def _interval(self, rows: Sequence[CandleRow], last: list[float]) -> Iterator[TradeSeen | QuoteSeen]:
        """Yield one interval's events; `last` holds each symbol's last price and is kept."""
        symbols, interval_ms = self._recording.symbols, self._recording.interval_ms
        paths = [self._quotes.quotes(symbols[row[1]], row, interval_ms) for row in rows]
        for point, column in enumerate(_PATH):
            for row, path in zip(rows, paths, strict=True):
                quote, price, index = path[point], float(row[column]), row[1]
                yield TradeSeen(quote.symbol, price, row[_VOLUME] / len(_PATH), price >= last[index], quote.at_ms)
                last[index] = price
                yield self._shown(quote, self._scale[index])

    def _shown(self, quote: QuoteSeen, scale: float) -> QuoteSeen:
        """Return the quote on the grid: never better than laid around the price, and never without a spread."""
        bid = floor(round(quote.bid * scale, 6)) / scale
        ask = ceil(round(quote.ask * scale, 6)) / scale
        size = quote.bid_size if quote.bid_size < inf else MOST_SHOWN
        return QuoteSeen(quote.symbol, max(bid, 1 / scale), max(ask, bid + 1 / scale), size, size, quote.at_ms)


MOST_SHOWN: Final = 1e9
"""Size in base that stands for one without limit: an exchange writes a number."""
