"""What happens next on the embedded market? Asked by the live shell's synthetic feed and by replays of it.

Nothing of it is real. Prices are a pure function of seed, symbol and time (`synthetic_path`), so a restart goes on
where the market is by then. Around them, from the moment a market is made, a generator of each symbol draws quotes,
books and trades. Each symbol draws from a generator of its own: another symbol beside it changes nothing for it.

Every update is one `BookSeen` (with more than one level) and then one `QuoteSeen` of its best prices, so that whoever
decides on the quote finds the book of the same moment. Trades come between updates, at the bid or the ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from heapq import heapify, heapreplace
from random import Random

from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.domain.market import Instrument, instrument_from_price
from tradebot.domain.numbers import BPS
from tradebot.feeds.synthetic_path import PricePath

Happened = QuoteSeen | BookSeen | TradeSeen
"""What a synthetic market tells."""

_UPDATE, _TRADE = 0, 1

_TRADE_SHARE = 0.2
"""The largest trade, as a share of the typical size at the best price; most are far smaller."""

MEAN_TRADE_SHARE = _TRADE_SHARE / 3
"""The average trade, as such a share."""


def synthetic_symbols(settings: SyntheticFeed, quote: str) -> tuple[str, ...]:
    """Return the names of the synthetic symbols of a profile that names none: SYN001/quote and so on."""
    return tuple(f"SYN{number:03d}/{quote}" for number in range(1, settings.symbols + 1))


class SyntheticMarket:
    """All synthetic symbols, in the order given; `next_events` moves them on in time."""

    def __init__(self, settings: SyntheticFeed, symbols: Sequence[str], quote: str, seed: int, start_ms: int) -> None:
        self.symbols = tuple(symbols) or synthetic_symbols(settings, quote)
        self.seed = seed
        self._books = [_SymbolMarket(settings, symbol, seed, start_ms) for symbol in self.symbols]
        self._waits = {_UPDATE: 1000.0 / settings.updates_per_s}
        if settings.trades_per_s:
            self._waits[_TRADE] = 1000.0 / settings.trades_per_s
        self._due = [
            (start_ms + book.rng.random() * wait, index, kind)
            for index, book in enumerate(self._books)
            for kind, wait in self._waits.items()
        ]
        heapify(self._due)

    def label(self) -> str:
        """Return how every view names this market."""
        return label(self.seed)

    def instruments(self, min_notional: Decimal) -> tuple[Instrument, ...]:
        """Return the filters of the symbols; they do not change with the prices, so a restart finds them again."""
        return tuple(book.instrument(min_notional) for book in self._books)

    def prepare(self, now_ms: int) -> Iterator[str]:
        """Compute the prices around `now_ms` one symbol at a time, yielding its name after each.

        Without it each symbol's first event from a new block on costs that; nothing else differs.
        """
        for symbol, book in zip(self.symbols, self._books, strict=True):
            book.prepare(now_ms)
            yield symbol

    @property
    def next_ms(self) -> int:
        """When the next event happens."""
        return int(self._due[0][0])

    def next_events(self, until_ms: int) -> list[Happened]:
        """Return what happens up to and including `until_ms`, in time order; each event is returned once."""
        happened: list[Happened] = []
        due = self._due
        end = until_ms + 1
        while due[0][0] < end:
            when, index, kind = due[0]
            book = self._books[index]
            if kind == _UPDATE:
                book.update(when, happened)
            else:
                book.trade(when, happened)
            heapreplace(due, (when + self._waits[kind] * (0.5 + book.rng.random()), index, kind))
        return happened

    def skip_to(self, now_ms: int) -> None:
        """Leave out what would happen before `now_ms`: after a stall nothing is made up for."""
        self._due = [
            (max(when, now_ms + self._books[index].rng.random() * self._waits[kind]), index, kind)
            if when < now_ms
            else (when, index, kind)
            for when, index, kind in self._due
        ]
        heapify(self._due)


def label(seed: int) -> str:
    """Return how every view names the market of `seed`."""
    return f"synthetic market (seed {seed})"


class _SymbolMarket:
    """One symbol: its path, and what is shown and traded around it."""

    __slots__ = ("_ask", "_bid", "_depth", "_half", "_lots", "_noise", "_path", "_rungs", "_symbol", "_unit", "rng")

    def __init__(self, settings: SyntheticFeed, symbol: str, seed: int, start_ms: int) -> None:
        self._symbol = symbol
        self._path = PricePath(settings, symbol, seed)
        self.rng = Random(f"{seed}/{symbol}/from {start_ms}")  # noqa: S311  (a market, not a secret)
        self._unit = float(10**self._path.decimals)  # ticks in one unit of quote
        self._lots = float(1 / self.instrument(Decimal(0)).amount_step)
        self._half = settings.spread_bps / 2 / float(BPS)
        self._noise = settings.volatility_bps / float(BPS)
        self._depth = settings.depth_quote
        self._rungs = [(rung, 1.0 + rung * self.rng.random()) for rung in range(settings.levels)]
        self._bid = self._ask = 0.0

    def instrument(self, min_notional: Decimal) -> Instrument:
        path = self._path
        return instrument_from_price(
            self._symbol, round(path.scale, path.decimals), decimals=path.decimals, min_notional=min_notional
        )

    def prepare(self, now_ms: int) -> None:
        self._path.at(now_ms)

    def update(self, when: float, happened: list[Happened]) -> None:
        """Append the book and the quote of a moment. Prices are whole ticks, sizes whole lots."""
        draw, unit = self.rng.random, self._unit
        price, width = self._path.at(when)
        price *= 1.0 + (draw() - 0.5) * self._noise
        half = price * self._half * width * (0.75 + 0.5 * draw())
        low = max(int((price - half) * unit), 1)
        high = max(int((price + half) * unit), low) + 1
        shown = self._depth / price * self._lots
        bid_lots, ask_lots = shown * (0.25 + 1.5 * draw()), shown * (0.25 + 1.5 * draw())
        now = int(when)
        self._bid, self._ask = low / unit, high / unit
        if len(self._rungs) > 1:
            apart = int(half * unit) + 1
            bids = tuple(
                [
                    ((low - rung * apart) / unit, (int(bid_lots * weight) + 1) / self._lots)
                    for rung, weight in self._rungs
                    if rung * apart < low
                ]
            )
            asks = tuple(
                [
                    ((high + rung * apart) / unit, (int(ask_lots * weight) + 1) / self._lots)
                    for rung, weight in self._rungs
                ]
            )
            happened.append(BookSeen(self._symbol, bids, asks, now))
        bid_size, ask_size = (int(bid_lots) + 1) / self._lots, (int(ask_lots) + 1) / self._lots
        happened.append(QuoteSeen(self._symbol, self._bid, self._ask, bid_size, ask_size, now))

    def trade(self, when: float, happened: list[Happened]) -> None:
        """Append a trade at the prices last shown; before the first of them nothing can trade."""
        if not self._bid:
            return
        draw = self.rng.random
        buyer, price = (True, self._ask) if draw() < 0.5 else (False, self._bid)
        reach = draw()
        lots = int(self._depth / price * self._lots * reach * reach * _TRADE_SHARE) + 1
        happened.append(TradeSeen(self._symbol, price, lots / self._lots, buyer, int(when)))
