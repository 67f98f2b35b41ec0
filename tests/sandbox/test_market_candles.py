"""Is a market of recorded candles the one that a replay walks, at the pace that is asked for?"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from tests.feeds.writing import CANDLE, MINUTE, START, TRADE, sound, write
from tests.sandbox.rest_kit import SETTINGS
from tradebot.cli.main import main
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import Event, QuoteSeen, TradeSeen
from tradebot.domain.numbers import exact
from tradebot.feeds.candle_path import CandleQuotes
from tradebot.sandbox.market import MarketEvent
from tradebot.sandbox.market_feed import RecordedMarketFeed
from tradebot.sandbox.server import Sandbox, Settings


class Played:
    """A time that passes by sleeping, and what was published when."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000
        self.events: list[Event] = []

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


def played(folder: Path, pace: float = 1.0) -> Played:
    """Play every recording of a folder to its end."""
    time = Played()
    feed = RecordedMarketFeed.of(folder, (), "USDT", time, pace)
    feed._sleep = time.sleep
    asyncio.run(feed.run(time.events.append))
    return time


def recorded(folder: Path, minutes: int = 3) -> None:
    """Record candles of two symbols; the second misses a minute, and trades nothing in another."""
    write(folder / "BTC-USDT.1m.csv", CANDLE, [sound(at, 100.0 + at) for at in range(minutes)])
    rows = [sound(0, 7.0), (*sound(2, 8.0)[:5], 0.0)]
    write(folder / "ETH-USDT.1m.csv", CANDLE, rows)


def test_the_prices_are_those_that_a_replay_walks_and_the_trades_those_of_the_candles(tmp_path: Path) -> None:
    recorded(tmp_path)
    time = played(tmp_path)
    trades = [one for one in time.events if isinstance(one, TradeSeen) and one.symbol == "BTC/USDT"]
    quotes = [one for one in time.events if isinstance(one, QuoteSeen) and one.symbol == "BTC/USDT"]
    path = CandleQuotes(RecordedFeed())
    for minute in range(3):
        at, open_, high, low, close, volume = sound(minute, 100.0 + minute)
        four = slice(4 * minute, 4 * minute + 4)
        assert [one.price for one in trades[four]] == [open_, low, high, close]
        assert sum(one.size for one in trades[four]) == volume
        walked = path.quotes("BTC/USDT", (at, 0, open_, high, low, close, volume), MINUTE)
        for shown, wanted in zip(quotes[four], walked, strict=True):
            assert (shown.bid_size, shown.ask_size) == (wanted.bid_size, wanted.ask_size)
            assert shown.at_ms - quotes[0].at_ms == wanted.at_ms - START
            assert 0 <= wanted.bid - shown.bid < 0.01 + 1e-9
            assert 0 <= shown.ask - wanted.ask < 0.01 + 1e-9
            assert all(exact(price) % exact(0.01) == 0 for price in (shown.bid, shown.ask))
    assert [one.buyer_taker for one in trades[:8]] == [True, False, True, False, True, False, True, False]


def test_symbols_are_told_together_in_time_order_and_an_empty_candle_changes_nothing(tmp_path: Path) -> None:
    recorded(tmp_path)
    events = [one for one in played(tmp_path).events if isinstance(one, TradeSeen | QuoteSeen)]
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(events))
    assert [one.symbol for one in events[:4]] == ["BTC/USDT"] * 2 + ["ETH/USDT"] * 2
    assert sum(one.symbol == "ETH/USDT" for one in events) == 8


def test_candles_without_volume_are_refused_and_a_symbol_that_has_no_others_is_named(tmp_path: Path) -> None:
    silent = [(*sound(at, 7.0)[:5], 0.0) for at in range(3)]
    write(tmp_path / "ETH-USDT.1m.csv", CANDLE, silent)
    with pytest.raises(DataInvalid, match="no candle has a volume, so nothing was traded and no price can be shown"):
        RecordedMarketFeed.of(tmp_path, (), "USDT", Played())
    write(tmp_path / "BTC-USDT.1m.csv", CANDLE, [sound(at, 100.0) for at in range(3)])
    feed = RecordedMarketFeed.of(tmp_path, (), "USDT", Played())
    assert feed.label().endswith(", without a price, as no volume was recorded: ETH/USDT)")


@pytest.mark.parametrize("pace", [1.0, 60.0, 0.5])
def test_the_pace_is_how_many_times_faster_than_recorded_it_is_played(tmp_path: Path, pace: float) -> None:
    recorded(tmp_path)
    time = played(tmp_path, pace)
    last = time.events[-1]
    assert isinstance(last, QuoteSeen)
    assert last.at_ms == time.now
    assert abs((time.now - 1_700_000_000_000) * pace - (3 * MINUTE - 1)) <= pace


def test_beside_recorded_trades_candles_are_left_out(tmp_path: Path) -> None:
    recorded(tmp_path)
    write(tmp_path / "BTC-USDT.trades.csv", TRADE, [(START, 1, 55.0, 1.0, True), (START + 5, 2, 56.0, 1.0, False)])
    prices = [one.price for one in played(tmp_path).events if isinstance(one, TradeSeen)]
    assert prices == [55.0, 56.0]


def test_an_exchange_is_served_on_recorded_candles(tmp_path: Path) -> None:
    recorded(tmp_path)

    ends: list[bool] = []

    async def run() -> None:
        sandbox = Sandbox(_settings(tmp_path))
        over = asyncio.Event()

        def ended() -> None:
            ends.append(True)
            over.set()

        sandbox.on_market_end = ended
        market, all_traded = sandbox.exchange.market.symbols["BTCUSDT"], asyncio.Event()

        def hear(_event: MarketEvent) -> None:
            if len(market.trades) == 12:
                all_traded.set()

        sandbox.exchange.subscribe_market(hear)
        await sandbox.start()
        try:
            await asyncio.wait_for(all_traded.wait(), 10)
            minute = market.day(sandbox.clock.now_ms())
            assert minute is not None
            assert (minute.open, minute.high, minute.low, minute.close) == (100.0, 104.5, 98.75, 103.0)
            assert minute.volume == 33.0
            await asyncio.wait_for(over.wait(), 10)
        finally:
            await sandbox.stop()

    asyncio.run(run())
    assert ends == [True]


def _settings(folder: Path) -> Settings:
    return msgspec.structs.replace(SETTINGS, market=str(folder), pace=1_000.0, symbols=())


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--pace", "0"], "--pace is more than 0"), (["--pace", "2"], "the synthetic market has a time of its own")],
)
def test_a_pace_that_means_nothing_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", *words]) == 2
    assert told in capsys.readouterr().err
