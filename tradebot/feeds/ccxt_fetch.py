"""Which candles and trades did an exchange have? Fetched page by page into files; asked by `tradebot data fetch`.

A fetch goes on where its files end, so it may be interrupted at any time. What the exchange has not is left out and
reported as a gap, never filled.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradebot.domain.errors import DataInvalid, TradebotError
from tradebot.exchange.budget import HeldBack
from tradebot.feeds.ccxt_files import RowFile, file_of
from tradebot.feeds.gaps import Gap, gaps_of
from tradebot.feeds.tables import read_columns
from tradebot.ports import Clock

PAGE = 1_000
TRIES = 6
LATE_MS = 60_000
"""So long without a trade at the beginning is told: a trade's time alone does not say whether others are missing."""
FIRST_WAIT_S, MOST_WAIT_S = 0.5, 30.0

CANDLES = ("ts", "open", "high", "low", "close", "volume")
TRADES = ("ts", "trade_id", "price", "qty", "is_buyer_maker")

Progress = Callable[[str, int], None]
"""Told (symbol, milliseconds of it that are done now)."""


class FetchFailed(TradebotError):
    """The exchange does not answer; what was fetched stands, and the same command goes on from there."""


class Fetched(Struct, frozen=True):
    """What stands in a file now: `rows` were added by this fetch; `gaps` are candles the exchange does not have.

    `begins_ms` is when the file's first trade was, where that is noticeably after what was asked for; else None.
    """

    symbol: str
    path: Path
    rows: int
    gaps: tuple[Gap, ...]
    begins_ms: int | None = None


async def load_markets(exchange: Any) -> None:
    """Let `exchange` know its symbols. Raises FetchFailed where it does not answer."""
    try:
        await exchange.load_markets()
    except (import_module("ccxt").BaseError, HeldBack) as error:
        raise FetchFailed(f"{exchange.id} does not tell its symbols: {type(error).__name__}: {error}") from error


class Fetcher:
    """Fetches from a ccxt exchange whose markets are loaded into files of `folder`."""

    def __init__(self, exchange: Any, folder: Path, clock: Clock, progress: Progress) -> None:
        self._exchange = exchange
        self._folder = folder
        self._clock = clock
        self._progress = progress
        self._ccxt = import_module("ccxt")

    async def candles(self, symbol: str, interval: str, from_ms: int, to_ms: int) -> Fetched:
        """Fetch candles that open from `from_ms` on, before `to_ms`, and that are over by now.

        Raises FetchFailed, and DataInvalid where the file there begins later or holds something else.
        """
        self._known(symbol, "fetchOHLCV")
        if interval not in (self._exchange.timeframes or {}):
            raise DataInvalid(f"{self._exchange.id}: has no candles of {interval}")
        step = round(self._exchange.parse_timeframe(interval) * 1000)
        file = RowFile(file_of(self._folder, symbol, interval), CANDLES)
        since, rows = -(-from_ms // step) * step, 0
        if file.last is not None:
            self._begins(file.path, since)
            since = max(since, int(file.last[0]) + step)
        while since < to_ms and since + step <= self._clock.now_ms():
            end = min(to_ms, self._clock.now_ms() - step + 1)
            page = await self._ask("fetch_ohlcv", symbol, interval, since, PAGE)
            fresh = sorted({int(row[0]): row for row in page if since <= int(row[0]) < end}.items())
            file.append([(ts, *row[1:6]) for ts, row in fresh])
            rows += len(fresh)
            # an empty page says nothing of what follows it: the next one is looked at, up to the end
            since = fresh[-1][0] + step if fresh else since + PAGE * step
            self._progress(symbol, min(since, to_ms) - from_ms)
        over_ms = min(to_ms, self._clock.now_ms() // step * step)
        return Fetched(symbol, file.path, rows, _missing(file, -(-from_ms // step) * step, over_ms, step))

    async def trades(self, symbol: str, from_ms: int, to_ms: int) -> Fetched:
        """Fetch public trades from `from_ms` on, before `to_ms`. Raises FetchFailed and DataInvalid."""
        self._known(symbol, "fetchTrades")
        if self._exchange.id not in _BY_ID | _BY_TIME:
            raise DataInvalid(f"{self._exchange.id}: gives only its latest trades; its candles can be fetched")
        file = RowFile(file_of(self._folder, symbol, "trades"), TRADES)
        since, rows, last_id = from_ms, 0, ""
        if file.last is not None:
            since, last_id = max(since, int(file.last[0])), file.last[1]
        while since < to_ms:
            page = await self._page_of_trades(symbol, since, last_id)
            fresh = _after(page, last_id)
            wanted = [one for one in fresh if from_ms <= int(one["timestamp"]) < to_ms]
            file.append([_trade(one) for one in wanted])
            rows += len(wanted)
            if not fresh and not last_id and self._exchange.id in _BY_ID:
                since += _WINDOW_MS  # until the first trade is found; ccxt asks for one hour at a time
                continue
            if not fresh:
                break
            since, last_id = int(fresh[-1]["timestamp"]), str(fresh[-1]["id"])
            self._progress(symbol, min(since, to_ms) - from_ms)
        return Fetched(symbol, file.path, rows, (), _begins_late(file, from_ms))

    async def _page_of_trades(self, symbol: str, since: int, last_id: str) -> list[Any]:
        if last_id and self._exchange.id in _BY_ID:
            return await self._ask("fetch_trades", symbol, None, PAGE, {"fromId": int(last_id) + 1})
        page = await self._ask("fetch_trades", symbol, since, PAGE)
        if len(page) >= PAGE and not _after(page, last_id):
            raise FetchFailed(f"{symbol}: more than {PAGE} trades in one moment ({since}), which cannot be paged over")
        return page

    async def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """Return a page; a failure is tried again with growing waits. Raises FetchFailed."""
        wait_s = FIRST_WAIT_S
        for left in reversed(range(TRIES)):
            try:
                page: list[Any] = await getattr(self._exchange, method)(*arguments)
            except (self._ccxt.NetworkError, self._ccxt.OperationFailed, HeldBack) as error:
                if not left:
                    raise FetchFailed(
                        f"{self._exchange.id} does not answer: {type(error).__name__}: {error}"
                    ) from error
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, MOST_WAIT_S)
            except self._ccxt.BaseError as error:
                raise FetchFailed(f"{self._exchange.id} refuses: {type(error).__name__}: {error}") from error
            else:
                return page
        raise AssertionError("the last try returns or raises")

    def _known(self, symbol: str, call: str) -> None:
        if symbol not in self._exchange.markets:
            raise DataInvalid(f"{self._exchange.id}: does not trade {symbol}")
        if not self._exchange.has.get(call):
            raise DataInvalid(f"{self._exchange.id}: ccxt has no {call} there")

    def _begins(self, path: Path, since: int) -> None:
        first = read_columns(path, {"ts": "int"}).ints["ts"][0]
        if first > since:
            raise DataInvalid(f"{path}: begins later than --from; rows are only appended, so name another folder")


_BY_ID = frozenset({"binance", "binanceus"})
"""Exchanges that page trades by their ids."""

_WINDOW_MS = 3_600_000
"""Time that ccxt asks those exchanges for at once, by time."""

_BY_TIME = frozenset({"kraken"})
"""Exchanges that page trades by their time."""


def _missing(file: RowFile, from_ms: int, to_ms: int, step: int) -> tuple[Gap, ...]:
    """Return what is missing of the candles from `from_ms` on, before `to_ms`, the ends included."""
    if from_ms >= to_ms:
        return ()
    ts = array("q") if file.last is None else read_columns(file.path, {"ts": "int"}).ints["ts"]
    inside = array("q", [at for at in ts if from_ms <= at < to_ms])
    return gaps_of(array("q", [from_ms - step, *inside, -(-to_ms // step) * step]), step)


def _begins_late(file: RowFile, from_ms: int) -> int | None:
    """Return when a file's first trade was, None where that is about `from_ms`, or where there is none."""
    if file.last is None:
        return None
    first = read_columns(file.path, {"ts": "int"}).ints["ts"][0]
    return first if first - from_ms >= LATE_MS else None


def _after(page: Sequence[Any], last_id: str) -> list[Any]:
    """Return the trades of a page behind the one that was last written, in order; each once."""
    ordered = list({str(one["id"]): one for one in page}.values())
    # by ids as numbers: ccxt orders those of one moment as text, 10 before 9
    ordered.sort(key=lambda one: (int(one["timestamp"]), len(str(one["id"])), str(one["id"])))
    at = next((at for at, one in enumerate(ordered) if str(one["id"]) == last_id), -1)
    return ordered[at + 1 :]


def _trade(one: Any) -> tuple[object, ...]:
    return (int(one["timestamp"]), one["id"], one["price"], one["amount"], str(one["side"] == "sell").lower())
