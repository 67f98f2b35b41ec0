"""Is the sandbox's market the one that was asked for, with the filters that were recorded, and its books continuous?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sandbox.core_kit import INSTRUMENTS, T0, Floor
from tests.sandbox.rest_kit import SETTINGS
from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.errors import DataInvalid
from tradebot.domain.events import QuoteSeen
from tradebot.domain.market import Instrument
from tradebot.feeds.synthetic import MEAN_TRADE_SHARE
from tradebot.sandbox.market import BookChanged, MarketEvent, PublicTrade, SymbolMarket
from tradebot.sandbox.market_feed import SyntheticMarketFeed
from tradebot.sandbox.market_rules import SymbolRules, rules_of
from tradebot.sandbox.server import Sandbox, Settings

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
INSTRUMENT_FILES = sorted((DATA / "api" / "instruments").glob("binance*_exchangeInfo_*.json"))


class At:
    """A clock that stands."""

    def __init__(self, at_ms: int) -> None:
        self._at_ms = at_ms

    def now_ms(self) -> int:
        """Return the time it stands at."""
        return self._at_ms


def sandbox_of(**changes: Any) -> Sandbox:
    """Make an exchange, which does not listen."""
    return Sandbox(msgspec.structs.replace(SETTINGS, **changes))


async def closed(settings: Settings) -> Sandbox:
    """Make an exchange and let go of what it holds open."""
    sandbox = Sandbox(settings)
    await sandbox.stop()
    return sandbox


def test_a_market_that_breaks_ends_the_exchange_with_what_broke_it() -> None:
    async def run() -> Exception | None:
        sandbox = sandbox_of()
        sandbox.exchange.subscribe_market(_broken)
        await sandbox.start()
        try:
            async with asyncio.timeout(20):
                await sandbox.ended()
        finally:
            await sandbox.stop()
        return sandbox.failure

    assert str(asyncio.run(run())) == "a listener broke"


def _broken(_event: MarketEvent) -> None:
    raise RuntimeError("a listener broke")


@pytest.mark.parametrize("path", INSTRUMENT_FILES, ids=lambda path: path.stem)
def test_every_recorded_exchange_info_loads_and_is_served_as_recorded(path: Path) -> None:
    recorded = json.loads(path.read_text(encoding="utf-8"))
    for info in recorded["symbols"]:
        served = SymbolRules(info).info()
        assert served["filters"] == info["filters"]
        assert {name: served[name] for name in ("symbol", "status", "baseAsset", "quoteAsset")} == {
            name: info[name] for name in ("symbol", "status", "baseAsset", "quoteAsset")
        }
        assert set(served["orderTypes"]) <= {"LIMIT", "LIMIT_MAKER", "MARKET"}


def test_there_are_recordings_to_load() -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    assert len(INSTRUMENT_FILES) == 3


def test_recorded_filters_are_those_that_orders_meet(tmp_path: Path) -> None:
    [info] = [each.info() for each in rules_of(INSTRUMENTS[:1])]
    info["filters"][0]["tickSize"] = "0.50000000"
    path = tmp_path / "info.json"
    path.write_text(json.dumps({"symbols": [info], "rateLimits": [_LIMIT]}), encoding="utf-8")
    sandbox = asyncio.run(closed(msgspec.structs.replace(SETTINGS, exchange_info=path, symbols=())))
    assert list(sandbox.exchange.rules) == ["BTCUSDT"]
    assert sandbox.exchange.rules["BTCUSDT"].instrument.tick_size == Decimal("0.5")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(DataInvalid, match=r"info\.json: no exchangeInfo"):
        sandbox_of(exchange_info=path)


_LIMIT: Mapping[str, object] = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "limit": 1200}


def test_a_recorded_market_is_played_as_if_it_were_now() -> None:
    path = DATA / "trades" / "binance_spot_TRX-USDT_trades_2025-03-04.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    pytest.importorskip("pyarrow")

    async def play() -> tuple[PublicTrade, int, str]:
        sandbox = sandbox_of(market=str(path), symbols=("TRX/USDT",))
        heard: asyncio.Queue[MarketEvent] = asyncio.Queue()
        sandbox.exchange.subscribe_market(heard.put_nowait)
        await sandbox.start()
        try:
            while True:
                event = await asyncio.wait_for(heard.get(), 20)
                if isinstance(event, PublicTrade):
                    return event, sandbox.clock.now_ms(), sandbox.feed.label()
        finally:
            await sandbox.stop()

    trade, now, label = asyncio.run(play())
    assert trade.symbol == "TRXUSDT"
    assert now - 10_000 < trade.at_ms <= now
    assert "recorded market" in label


def test_the_synthetic_market_moves_by_itself_and_has_a_past() -> None:
    async def play() -> tuple[list[MarketEvent], int, SymbolMarket]:
        sandbox = sandbox_of(history_minutes=30)
        heard: list[MarketEvent] = []
        enough = asyncio.Event()

        def put(event: MarketEvent) -> None:
            heard.append(event)
            if len(heard) >= 10:
                enough.set()

        sandbox.exchange.subscribe_market(put)
        await sandbox.start()
        try:
            await asyncio.wait_for(enough.wait(), 20)
            return heard, sandbox.clock.now_ms(), sandbox.exchange.market.symbols["AAAUSDT"]
        finally:
            await sandbox.stop()

    heard, now, market = asyncio.run(play())
    assert all(now - 20_000 < event.at_ms <= now for event in heard)
    opened = [candle.open_ms for candle in market.minutes]
    assert len(opened) >= 30
    assert all(later - before == 60_000 for before, later in pairwise(opened))


def test_the_past_was_traded_and_is_the_same_after_a_restart() -> None:
    settings, now_ms = SyntheticFeed(symbols=2), 1_800_000_030_000
    past: list[SymbolMarket] = []
    for later_ms in (0, 60_000):
        feed = SyntheticMarketFeed((), "USDT", 1, settings, At(now_ms + later_ms))
        past.append(SymbolMarket("SYN001USDT", now_ms + later_ms))
        feed.past(past[-1], "SYN001/USDT", 120, now_ms + later_ms)
    first, second = past
    assert len(first.minutes) == 120
    assert all(candle.volume > 0 and candle.count == 12 for candle in first.minutes)
    assert [msgspec.to_builtins(one) for one in list(first.minutes)[1:]] == [
        msgspec.to_builtins(one) for one in list(second.minutes)[:-1]
    ]
    ids = [trade.trade_id for trade in first.trades]
    assert ids == sorted(set(ids))
    assert ids[-1] < first.next_trade
    shared = {trade.trade_id: trade for trade in second.trades}
    assert all(shared[trade.trade_id] == trade for trade in first.trades if trade.trade_id in shared)
    a_minute = sum(candle.quote_volume for candle in first.minutes) / 120
    live = settings.depth_quote * MEAN_TRADE_SHARE * settings.trades_per_s * 60
    assert 0.8 * live < a_minute < 1.2 * live


def test_update_ids_follow_each_other_and_a_snapshot_has_the_last() -> None:
    floor = Floor()
    heard: list[MarketEvent] = []
    floor.exchange.subscribe_market(heard.append)
    for step in range(5):
        floor.book(((99.0 - step, 1.0),), ((101.0, 1.0),))
        floor.book(((99.0 - step, 1.0),), ((101.0, 1.0),))
    ids = [event.update_id for event in heard if isinstance(event, BookChanged)]
    assert ids == list(range(T0 + 1, T0 + 6))
    assert floor.exchange.market.symbols["BTCUSDT"].update_id == ids[-1]


def test_a_quote_beside_a_book_moves_its_best_level_alone() -> None:
    floor = Floor()
    floor.book()
    floor.exchange.on_market(QuoteSeen("BTC/USDT", 98.5, 101.0, 3.0, 2.0, floor.now), floor.now)
    market = floor.exchange.market.symbols["BTCUSDT"]
    assert market.bids == ((98.5, 3.0), (98.0, 1.0))
    assert market.asks == ((101.0, 2.0), (102.0, 1.0))


def test_minutes_without_a_trade_are_candles_of_the_last_price() -> None:
    floor = Floor()
    floor.trade(100.0, 1.0, buyer_taker=True)
    market = floor.exchange.market.symbols["BTCUSDT"]
    floor.now += 3 * 60_000
    found = market.candles(60_000, 0, 2**62, 10, floor.now)
    assert [(each.close, each.count) for each in found] == [(100.0, 1), (100.0, 0), (100.0, 0), (100.0, 0)]
    floor.trade(110.0, 2.0, buyer_taker=False)
    day = market.day(floor.now)
    assert day is not None
    assert (day.open, day.high, day.volume, day.count) == (100.0, 110.0, 3.0, 2)
    assert market.average(floor.now) == pytest.approx((100 + 220) / 3)
    assert market.average(floor.now + 3_600_000) == 110.0


def test_candles_of_longer_intervals_join_their_minutes() -> None:
    floor = Floor()
    floor.now = T0 - T0 % 3_600_000 + 3_600_000 - 1
    for price in range(1, 11):
        floor.trade(float(price), 1.0, buyer_taker=True)
        floor.now += 59_999
    market = floor.exchange.market.symbols["BTCUSDT"]
    fives = market.candles(300_000, 0, 2**62, 10, floor.now)
    assert [(each.open, each.high, each.close, each.count) for each in fives][:2] == [
        (1.0, 5.0, 5.0, 5),
        (6.0, 10.0, 10.0, 5),
    ]
    assert market.candles(300_000, fives[1].open_ms, 2**62, 1, floor.now) == [fives[1]]
    assert market.candles(300_000, 0, fives[0].open_ms, 10, floor.now) == [fives[0]]


def test_a_lot_of_the_smallest_price_step_is_a_whole_number_of_the_exchanges_units() -> None:
    dear = Instrument("DEAR/USDT", "DEAR", "USDT", Decimal("0.01"), Decimal("0.0000001"), Decimal("0.0000001"))
    for rules in rules_of((dear, *INSTRUMENTS)):
        one = rules.instrument
        assert one.tick_size * one.amount_step % Decimal("0.00000001") == 0
        assert one.min_amount >= one.amount_step
    assert rules_of(INSTRUMENTS)[0].instrument.amount_step == INSTRUMENTS[0].amount_step
