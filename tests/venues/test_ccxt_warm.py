"""Is the connection of orders still open when one comes? Over a real socket, with an idle limit that is short."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiohttp import web

from tests.exchange.little_exchange import Asked, in_loop, little_exchange
from tests.exchange.walls import Wall
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.venues.ccxt_warm import keep_warm

IDLE_S = 0.2


class Clock:
    """Answers requests for the time; notes from which port each came."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.fails = False
        self.asked = asyncio.Event()

    async def answer(self, asked: Asked) -> web.StreamResponse:
        transport = asked.request.transport
        assert transport is not None
        self.ports.append(transport.get_extra_info("peername")[1])
        self.asked.set()
        if self.fails:
            return web.Response(status=503)
        return web.json_response({"serverTime": time.time_ns() // 1_000_000})

    async def heard(self, count: int) -> None:
        while len(self.ports) < count:
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), 20)


async def ports(reused_s: float, count: int, *, throttled: bool = False, fails: bool = False) -> list[int]:
    """Return the ports from which so many questions came, asked so often."""
    async with little_exchange() as server:
        clock = Clock()
        clock.fails = fails
        server.on("GET", "/time", clock.answer)
        settings = server.settings()
        exchange = connect(settings, public_taps(settings, Budget(Wall())), throttled=throttled)
        exchange.session.connector._keepalive_timeout = IDLE_S
        task = asyncio.create_task(keep_warm(exchange, exchange.fetch_time, reused_s))
        try:
            await (asyncio.wait_for(asyncio.shield(task), 20) if throttled else clock.heard(count))
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await disconnect(exchange)
        return clock.ports


@in_loop
async def test_a_connection_that_is_used_again_in_time_stays_open() -> None:
    begun = time.monotonic()
    seen = await ports(IDLE_S / 5, 12)
    assert time.monotonic() - begun > IDLE_S
    assert len(set(seen)) < 6, "a machine under load may be late now and then"


@in_loop
async def test_one_that_is_not_is_opened_anew_each_time() -> None:
    assert len(set(await ports(IDLE_S * 3, 3))) == 3


@in_loop
async def test_a_question_that_fails_is_asked_again() -> None:
    assert len(await ports(IDLE_S / 5, 3, fails=True)) >= 3


@in_loop
async def test_an_instance_that_spaces_its_requests_is_left_alone() -> None:
    assert await ports(0.0, 0, throttled=True) == []
