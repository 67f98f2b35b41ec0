"""Is the exchange asked for its markets once by a start, though feed and venue both want them? Over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.exchange.little_exchange import in_loop
from tests.venues.ccxt_kit import QUICK, Bench, bench
from tradebot.config.profile import Profile
from tradebot.ports import Feed
from tradebot.runtime.places import make_feed, make_remote
from tradebot.venues.ccxt_spot import CcxtSpot

ENVIRON = {"TRADEBOT_API_KEY": "key-of-this-test", "TRADEBOT_API_SECRET": "-".join(("secret", "of", "this", "test"))}


def profile_for(there: Bench, **exchange: Any) -> Profile:
    """Return a profile whose prices and orders are both at this exchange."""
    settings = there.server.settings(**QUICK, **exchange)
    return Profile.model_validate(
        {
            "market": {"symbols": ["BTC/USDT"]},
            "feed": {"kind": "ccxt"},
            "venue": {"kind": "ccxt"},
            "exchange": settings.model_dump(mode="json"),
        }
    )


def venue_of(there: Bench, profile: Profile, feed: Feed | None) -> CcxtSpot:
    return make_remote(
        profile,
        there.clock,
        there.told,
        there.deliver,
        lambda _name, error: there.broken.append(error),
        lambda _secret: None,
        ENVIRON,
        symbols=["BTC/USDT"],
        feed=feed,
    )


def asked(there: Bench) -> int:
    return len(there.server.calls("GET", "/exchangeInfo"))


@in_loop
async def test_the_markets_the_feed_was_made_with_serve_the_first_start_and_a_later_one_asks_anew() -> None:
    async with bench() as there:
        profile = profile_for(there)
        feed = await asyncio.to_thread(make_feed, profile, there.clock)
        assert asked(there) == 1
        venue = venue_of(there, profile, feed)
        await venue.start()
        try:
            assert asked(there) == 1
            assert [one.symbol for one in feed.instruments()] == ["BTC/USDT"]
            assert "BTC/USDT" in {one.symbol for one in venue.instruments()}
        finally:
            await venue.stop()
        await venue.start()
        await venue.stop()
        assert asked(there) == 2
        assert there.broken == []


@in_loop
async def test_a_venue_without_such_a_feed_asks_by_itself() -> None:
    async with bench() as there:
        venue = venue_of(there, profile_for(there), None)
        await venue.start()
        await venue.stop()
        assert asked(there) == 1
