"""Is nothing sent to an exchange that bans this address, over no kind of connection? Else the ban never ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sandbox.faults_kit import KEY, SECRET
from tests.sandbox.rehearsal_kit import Rehearsal, rehearsing
from tradebot.config.sections.exchange import Exchange
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps
from tradebot.runtime.clock import WallClock

BAN_S = 60


async def speaking(rehearsal: Rehearsal, budget: Budget) -> Any:
    settings = Exchange(base_url=rehearsal.url)
    taps = Taps(budget, dialect_of("binance"), urgent=True)
    exchange = connect(settings, taps, credentials=Credentials(KEY, SECRET), throttled=False)
    await exchange.load_markets()
    return exchange


async def refused(exchange: Any) -> str:
    from ccxt.base.errors import NetworkError  # type: ignore[import-untyped]

    with pytest.raises(NetworkError) as caught:
        await exchange.watch_bids_asks(["BTC/USDT"])
    return str(caught.value)


def test_a_socket_that_is_refused_for_a_ban_is_not_dialled_again_before_its_end() -> None:
    async def main() -> None:
        async with rehearsing() as rehearsal:
            clock = WallClock()
            budget = Budget(clock)
            first, second = await speaking(rehearsal, budget), await speaking(rehearsal, budget)
            try:
                ban = rehearsal.service.controls.ban
                ban.begin(BAN_S, asyncio.get_running_loop().time())
                assert "418" in await refused(first)
                assert budget.banned
                assert budget.closed_until_ms > clock.now_ms() + BAN_S * 1000
                lasts_s = ban._last_s
                assert "banned by the exchange" in await refused(second)
                assert ban._last_s == lasts_s
                ban.lift()
            finally:
                await disconnect(first)
                await disconnect(second)

    asyncio.run(main())


def test_a_ban_told_over_the_user_stream_stops_everything_until_its_end() -> None:
    async def main() -> None:
        async with rehearsing() as rehearsal:
            clock = WallClock()
            budget = Budget(clock)
            exchange = await speaking(rehearsal, budget)
            try:
                await rehearsal.fault(on="userDataStream.subscribe.signature", action="ban", retry_after_s=BAN_S)
                asking = asyncio.create_task(exchange.ensure_user_data_stream_ws_subscribe_signature("spot"))
                async with asyncio.timeout(10):
                    while not budget.banned:  # noqa: ASYNC110 - it is told in the socket's reading, which tells nobody
                        await asyncio.sleep(0.01)
                left_ms = budget.closed_until_ms - clock.now_ms()
                assert (BAN_S - 5) * 1000 < left_ms <= BAN_S * 1000
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                rehearsal.service.controls.ban.lift()
            finally:
                await disconnect(exchange)

    asyncio.run(main())
