"""Are hundreds of symbols listened to within the exchange's limits? The sandbox cuts off who passes them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from tests.exchange.sandbox_kit import Listening, sandbox_process
from tests.venues.ccxt_kit import QUICK
from tradebot.config.faults_file import SocketPace
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.config.sections.exchange import Exchange

SYMBOLS = 500


def test_the_sandbox_enforces_the_limits_of_the_exchange() -> None:
    pace = SocketPace()
    assert (pace.messages_per_s, pace.most_streams) == (5, 1024)


@pytest.mark.parametrize(("decoder", "on_a_socket", "sockets"), [("fast", 200, 6), ("general", 60, 18)])
def test_every_one_of_500_symbols_is_quoted_and_no_connection_is_lost(
    decoder: Literal["fast", "general"], on_a_socket: int, sockets: int, tmp_path: Path
) -> None:
    async def run(address: str) -> None:
        there = Listening(Exchange(**{**QUICK, "base_url": address}))
        await there.prepare(CcxtFeed(decoder=decoder, streams_per_socket=on_a_socket))
        assert len(there.feed.instruments()) == SYMBOLS
        task = asyncio.create_task(there.feed.run(there.publish))
        quoted: set[str] = set()
        try:
            begun = 0
            while len(quoted) < SYMBOLS:
                assert not task.done()
                await there.until(lambda begun=begun: task.done() or len(there.prices.events) > begun + 200)  # type: ignore[misc]
                quoted |= {one.symbol for one in there.quotes(begun)}
                begun = len(there.prices.events)
            assert set(there.prices.kinds()) == {"FEED_CONNECTED"}
            assert there.feed.counts.connections == there.feed.counts.connects == sockets
        finally:
            task.cancel()
            await asyncio.wait([task])

    with sandbox_process(tmp_path, "--count", str(SYMBOLS), "--history", "0", "--levels", "1") as (_, address):
        asyncio.run(asyncio.wait_for(run(address), 50))
