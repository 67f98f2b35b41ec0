"""Is what an exchange had fetched whole, once, and gone on with after an interruption?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tests.feeds.loopback import TestClock, made
from tradebot.domain.errors import DataInvalid
from tradebot.exchange.construction import disconnect
from tradebot.feeds import ccxt_fetch
from tradebot.feeds.candles import load_candles
from tradebot.feeds.ccxt_fetch import PAGE, Fetcher, FetchFailed
from tradebot.feeds.gaps import Gap

MINUTE = 60_000
START = 1_700_000_040_000 // MINUTE * MINUTE
T = TypeVar("T")


class Past:
    """An exchange with a past: a candle a minute but for `missing`, and trades; it fails when it is told to."""

    def __init__(self, candles: int = 2_500, missing: range = range(0)) -> None:
        self.end_ms = START + candles * MINUTE
        self.minutes = [at for at in range(candles) if at not in missing]
        self.trades = [(at, START + at // 3) for at in range(2_300)]
        self.requests = 0
        self.fail_from = 10**9
        self.fail_until = 0

    async def klines(self, request: web.Request) -> web.Response:
        """Serve candles."""
        if failed := self._failed():
            return failed
        since, limit = int(request.query["startTime"]), int(request.query["limit"])
        opens = [START + at * MINUTE for at in self.minutes]
        rows = [[ts, "1.5", "2.5", "0.5", "1.25", "9", ts + MINUTE - 1] for ts in opens if ts >= since][:limit]
        return web.json_response(rows)

    async def aggregates(self, request: web.Request) -> web.Response:
        """Serve trades."""
        if failed := self._failed():
            return failed
        limit = int(request.query["limit"])
        if "fromId" in request.query:
            rows = [one for one in self.trades if one[0] >= int(request.query["fromId"])]
        else:
            begin, end = int(request.query["startTime"]), int(request.query["endTime"])
            rows = [one for one in self.trades if begin <= one[1] <= end]
        about = {"p": "10.5", "q": "2.25", "f": 1, "l": 1}
        return web.json_response([{"a": at, "T": ms, "m": at % 2 == 0, **about} for at, ms in rows[:limit]])

    def _failed(self) -> web.Response | None:
        self.requests += 1
        if self.fail_from <= self.requests <= self.fail_until:
            return web.Response(status=502, text="bad gateway")
        return None


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_fetch, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(ccxt_fetch, "MOST_WAIT_S", 0.002)


def fetching(past: Past, folder: Path, body: Callable[[Fetcher], Awaitable[T]], name: str = "binance") -> T:
    """Run `body` with a fetcher that speaks to `past`."""

    async def run() -> T:
        app = web.Application()
        app.router.add_get("/api/v3/klines", past.klines)
        app.router.add_get("/api/v3/aggTrades", past.aggregates)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        clock = TestClock(past.end_ms)
        exchange = made(f"http://127.0.0.1:{runner.addresses[0][1]}", clock, name, [("BTC/USDT", "BTCUSDT")])
        try:
            return await body(Fetcher(exchange, folder, clock, lambda _symbol, _ms: None))
        finally:
            await disconnect(exchange)
            await runner.cleanup()

    return asyncio.run(run())


def rows_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_candles_are_fetched_whole_and_can_be_replayed(tmp_path: Path) -> None:
    past = Past()
    done = fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", START, past.end_ms))
    assert (done.rows, done.gaps, done.path.name) == (2_500, (), "BTC-USDT.1m.csv")
    assert [int(row[0]) for row in rows_of(done.path)] == [START + at * MINUTE for at in range(2_500)]
    assert rows_of(done.path)[0][1:] == ["1.5", "2.5", "0.5", "1.25", "9"]
    recording = load_candles(tmp_path, None, "USDT", None, None)
    assert (recording.symbols, recording.candles) == (("BTC/USDT",), 2_500)


def test_what_the_exchange_has_not_is_reported_and_not_filled(tmp_path: Path) -> None:
    past = Past(missing=range(1_100, 2_300))  # more than a page
    early = START - 3 * MINUTE
    done = fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", early, past.end_ms))
    assert done.rows == 1_300
    assert done.gaps == (
        Gap(early, START, 3),
        Gap(START + 1_100 * MINUTE, START + 2_300 * MINUTE, 1_200),
    )


def test_a_candle_that_is_not_over_is_not_fetched(tmp_path: Path) -> None:
    past = Past(candles=10)
    past.end_ms -= 1
    done = fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", START, past.end_ms + MINUTE))
    assert done.rows == 9
    assert done.gaps == ()


@pytest.mark.parametrize("what", ["candles", "trades"])
def test_a_fetch_that_failed_goes_on_where_its_file_ends(tmp_path: Path, what: str) -> None:
    past = Past()

    async def ask(fetcher: Fetcher) -> Any:
        if what == "candles":
            return await fetcher.candles("BTC/USDT", "1m", START, past.end_ms)
        return await fetcher.trades("BTC/USDT", START, past.end_ms)

    past.fail_from, past.fail_until = 3, 10**9
    with pytest.raises(FetchFailed, match="does not answer"):
        fetching(past, tmp_path, ask)
    path = next(tmp_path.iterdir())
    assert len(rows_of(path)) == 2 * PAGE
    with path.open("a", encoding="utf-8") as file:
        file.write("17000001")  # what a crash leaves of a row
    past.fail_until = 0
    done = fetching(past, tmp_path, ask)
    rows = rows_of(path)
    assert done.rows == len(rows) - 2 * PAGE
    whole = [START + at * MINUTE for at in range(2_500)] if what == "candles" else list(range(2_300))
    assert [int(row[0 if what == "candles" else 1]) for row in rows] == whole


def test_a_passing_failure_is_tried_again(tmp_path: Path) -> None:
    past = Past()
    past.fail_from, past.fail_until = 2, 3
    done = fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", START, past.end_ms))
    assert done.rows == 2_500
    assert past.requests == 5


def test_trades_are_fetched_each_once_and_say_who_made_them(tmp_path: Path) -> None:
    past = Past()
    done = fetching(past, tmp_path, lambda one: one.trades("BTC/USDT", START + 1, START + 101))
    rows = rows_of(done.path)
    assert [int(row[1]) for row in rows] == list(range(3, 303))
    assert done.begins_ms is None
    assert rows[0] == [str(START + 1), "3", "10.5", "2.25", "false"]
    assert rows[1][4] == "true"


def test_hours_without_a_trade_do_not_end_the_fetch(tmp_path: Path) -> None:
    past = Past()
    early = START - 5 * 3_600_000
    done = fetching(past, tmp_path, lambda one: one.trades("BTC/USDT", early, past.end_ms))
    assert [int(row[1]) for row in rows_of(done.path)] == list(range(2_300))
    assert done.begins_ms == START, "what is missing before it is told"


def test_nothing_is_put_before_what_is_there(tmp_path: Path) -> None:
    past = Past()
    fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", START + 600_000, past.end_ms))
    with pytest.raises(DataInvalid, match="begins later than --from"):
        fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "1m", START, past.end_ms))


def test_what_cannot_be_fetched_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    past = Past()
    with pytest.raises(DataInvalid, match="does not trade ETH/USDT"):
        fetching(past, tmp_path, lambda one: one.candles("ETH/USDT", "1m", START, past.end_ms))
    with pytest.raises(DataInvalid, match="no candles of 7m"):
        fetching(past, tmp_path, lambda one: one.candles("BTC/USDT", "7m", START, past.end_ms))
    with pytest.raises(DataInvalid, match="gives only its latest trades"):
        fetching(past, tmp_path, lambda one: one.trades("BTC/USDT", START, past.end_ms), "coinbase")
    assert list(tmp_path.iterdir()) == []
