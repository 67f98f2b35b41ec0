"""Is a feed of an exchange made of what was asked for once, and anew where an edit makes another?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.exchange.little_exchange import in_loop
from tests.feeds.loopback import Heard, MarketServer
from tests.venues.ccxt_kit import WallClock
from tradebot.config.profile import Profile
from tradebot.domain.errors import CannotStart
from tradebot.ports import Feed
from tradebot.runtime.places import make_feed

MARKETS, TIME = "/api/v3/exchangeInfo", "/api/v3/time"


def profile_for(server: MarketServer, *symbols: str, **exchange: Any) -> Profile:
    """Return a profile of paper orders on live prices."""
    return Profile.model_validate(
        {
            "market": {"symbols": symbols},
            "feed": {"kind": "ccxt", "ccxt": {"trades": False}},
            "exchange": {"base_url": server.base_url, **exchange},
        }
    )


async def made(profile: Profile, heard: Heard, gauges: dict[str, float] | None = None) -> Feed:
    """Make a feed as a start does: outside of the loop."""
    gauge: Callable[[str, float], None] = (gauges if gauges is not None else {}).__setitem__
    return await asyncio.to_thread(make_feed, profile, WallClock(), heard, gauge)


async def run_once(server: MarketServer, feed: Feed, heard: Heard) -> None:
    """Run a feed until it listens."""
    task = asyncio.create_task(feed.run(heard.publish))
    await server.subscribed("btcusdt@bookTicker")
    task.cancel()
    await asyncio.wait([task])
    await server.until(lambda: not server.open())


def telling_the_time(server: MarketServer, ahead_ms: int = 0) -> None:
    server.time_ms = lambda: time.time_ns() // 1_000_000 + ahead_ms


@in_loop
async def test_markets_are_asked_for_once_for_the_start_and_the_first_run_and_anew_by_every_later_one() -> None:
    async with MarketServer() as server:
        telling_the_time(server)
        heard = Heard()
        feed = await made(profile_for(server, "BTC/USDT"), heard)
        assert [one.symbol for one in feed.instruments()] == ["BTC/USDT"]
        await run_once(server, feed, heard)
        assert server.requests.count(MARKETS) == 1
        await run_once(server, feed, heard)
        assert server.requests.count(MARKETS) == 2


@in_loop
async def test_a_feed_made_by_an_edit_sees_what_the_exchange_lists_by_then() -> None:
    async with MarketServer(["BTCUSDT"]) as server:
        telling_the_time(server)
        heard = Heard()
        assert [one.symbol for one in (await made(profile_for(server), heard)).instruments()] == ["BTC/USDT"]
        server.ids.append("ETHUSDT")
        later = await made(profile_for(server), heard)
        assert [one.symbol for one in later.instruments()] == ["BTC/USDT", "ETH/USDT"]
        assert server.requests.count(MARKETS) == 2


@in_loop
async def test_a_symbol_that_the_exchange_does_not_list_is_refused_by_name() -> None:
    async with MarketServer() as server:
        telling_the_time(server)
        with pytest.raises(CannotStart, match="binance does not trade NONE/USDT"):
            await made(profile_for(server, "NONE/USDT"), Heard())


@in_loop
async def test_an_exchange_that_does_not_answer_ends_a_start_in_one_line() -> None:
    async with MarketServer() as server:
        with pytest.raises(CannotStart, match="its markets cannot be had"):
            await made(profile_for(server), Heard())


@in_loop
async def test_a_paper_run_on_live_prices_tells_of_a_clock_that_is_wrong_and_measures_on() -> None:
    async with MarketServer() as server:
        telling_the_time(server, ahead_ms=-400)
        heard, gauges = Heard(), dict[str, float]()
        feed = await made(profile_for(server, "BTC/USDT", clock_interval_s=1), heard, gauges)
        assert heard.kinds() == ["FEED_CLOCK_OFF"]
        assert abs(gauges["clock_offset_ms"] - 400) <= 50
        telling_the_time(server)
        task = asyncio.create_task(feed.run(heard.publish))
        await heard.until(lambda: "FEED_CLOCK_RIGHT" in heard.kinds())
        assert abs(gauges["clock_offset_ms"]) <= 50
        task.cancel()
        await asyncio.wait([task])


@in_loop
async def test_where_orders_go_to_the_exchange_the_venue_tells_of_the_clock_and_the_feed_does_not() -> None:
    async with MarketServer() as server:
        telling_the_time(server, ahead_ms=-400)
        heard, gauges = Heard(), dict[str, float]()
        profile = profile_for(server, "BTC/USDT")
        venue = profile.venue.model_copy(update={"kind": "ccxt"})
        await made(profile.model_copy(update={"venue": venue}), heard, gauges)
        assert heard.kinds() == []
        assert gauges == {}
