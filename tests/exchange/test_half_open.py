"""Is a healthy socket kept, and one whose peer is gone noticed in time, by the feed and by the user stream?"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.little_exchange import in_loop
from tests.exchange.sandbox_kit import listening, sandbox_process
from tests.venues.ccxt_kit import bench, running
from tradebot.config.profile import Profile
from tradebot.exchange.construction import noticed_within_s
from tradebot.feeds.ccxt_live import ping_interval_s

KEEP_ALIVE_S = 0.3
BUSY_S = 3.0
"""How late a busy machine may do what is due."""


@pytest.mark.parametrize(("asked_s", "silence_s"), [(0.1, 20), (0.5, 20), (5, 1)])
def test_a_market_stream_is_asked_at_most_twice_a_second(asked_s: float, silence_s: float) -> None:
    """Binance takes five messages a second on a market stream, pings and subscriptions together."""
    assert ping_interval_s(asked_s, silence_s) == 0.5


def test_at_the_default_settings_a_peer_that_is_gone_is_noticed_within_20_s() -> None:
    profile = Profile()
    asked_s, silence_s = float(profile.exchange.keep_alive_s), float(profile.feed.ccxt.silence_s)
    assert noticed_within_s(asked_s) < 20, "the user stream"
    assert noticed_within_s(ping_interval_s(asked_s, silence_s)) < 20, "the feed"


@in_loop
async def test_a_socket_whose_pongs_come_is_never_lost() -> None:
    async with bench() as there, running(there, keep_alive_s=0.1) as venue:
        pings = 0
        (client,) = venue._instances[-1].clients.values()
        ping = client.connection.ping

        async def counted(*args: Any) -> None:
            nonlocal pings
            pings += 1
            await ping(*args)

        client.connection.ping = counted
        await there.until(lambda: pings >= 20)
        assert "VENUE_STREAM_LOST" not in there.told.kinds()
        assert venue.stream_up
        assert len(there.sockets) == 1


def test_a_frozen_exchange_is_noticed_by_feed_and_user_stream_and_both_come_back(tmp_path: Path) -> None:
    async def run(process: Any, address: str) -> None:
        settings = {"base_url": address, "keep_alive_s": KEEP_ALIVE_S, "request_timeout_s": 2.0}
        async with listening(settings) as there:
            loop = asyncio.get_running_loop()
            process.send_signal(signal.SIGSTOP)
            begun_s = loop.time()
            await there.until(
                lambda: bool(there.prices.told("FEED_DISCONNECTED")) and "VENUE_STREAM_LOST" in there.told.kinds()
            )
            noticed_s = noticed_within_s(ping_interval_s(KEEP_ALIVE_S, 20))
            assert loop.time() - begun_s < noticed_s + BUSY_S
            assert not there.spot.stream_up
            process.send_signal(signal.SIGCONT)
            seen = len(there.prices.events)
            await there.until(lambda: there.spot.stream_up and bool(there.quotes(seen)))

    with sandbox_process(tmp_path, "--count", "2") as (process, address):
        asyncio.run(asyncio.wait_for(run(process, address), 40))
