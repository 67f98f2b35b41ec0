"""Does whatever goes wrong at an exchange end in fresh prices? A sandbox in its own process, with faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import pytest
from aiohttp import ClientSession

from tests.exchange.sandbox_kit import sandbox_process
from tests.feeds.loopback import Heard, TestClock, made
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.instruments import instruments_of
from tradebot.feeds.ccxt_live import CcxtLive
from tradebot.runtime.clock import WallClock

SYMBOLS = tuple(f"SYN{number:03d}/USDT" for number in range(1, 4))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a sandbox exchange; yield its address."""
    with sandbox_process(tmp_path_factory.mktemp("exchange"), "--count", str(len(SYMBOLS))) as (_, found):
        yield found


async def ask(address: str, place: str, **body: Any) -> None:
    """Steer the sandbox."""
    async with ClientSession() as session, session.post(f"{address}/sandbox/{place}", json=body) as answer:
        assert answer.status == 200, await answer.text()


@asynccontextmanager
async def feeding(address: str, decoder: Literal["fast", "general"]) -> AsyncIterator[tuple[CcxtLive, Heard]]:
    """Run a feed of every symbol against the sandbox; begin when each was quoted, traded and shown."""
    heard = Heard()
    loading = made(address, TestClock())
    await loading.load_markets()
    instruments = instruments_of(loading.markets, "USDT")
    await disconnect(loading)
    settings = CcxtFeed(decoder=decoder, depth_levels=5, silence_s=2.0)
    feed = CcxtLive(lambda: made(address, TestClock()), settings, instruments, WallClock(), heard, offset_ms=lambda: 0)
    task = asyncio.create_task(feed.run(heard.publish))
    try:
        await fresh(heard)
        yield feed, heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def fresh(heard: Heard) -> None:
    """Return once every symbol was quoted, traded and shown from here on."""
    begun = len(heard.events)
    kinds = {QuoteSeen, TradeSeen, BookSeen}
    wanted = {(kind, symbol) for kind in kinds for symbol in SYMBOLS}
    seen: set[tuple[type, str]] = set()

    def all_seen() -> bool:
        nonlocal begun
        seen.update(
            (type(one), one.symbol) for one in heard.events[begun:] if isinstance(one, QuoteSeen | TradeSeen | BookSeen)
        )
        begun = len(heard.events)
        return wanted <= seen

    await heard.until(all_seen, 30)


async def lost(address: str, heard: Heard, cause: Callable[[], Coroutine[Any, Any, None]], sign: str) -> None:
    """Let `cause` happen; return once `sign` was told and everything is fresh again."""
    before = heard.told(sign)
    await cause()
    await heard.until(lambda: heard.told(sign) > before, 30)
    await fresh(heard)


@pytest.mark.parametrize("decoder", ["fast", "general"])
@pytest.mark.parametrize(
    ("place", "body", "sign"),
    [
        ("sockets", {"action": "disconnect", "room": "market"}, "FEED_DISCONNECTED"),
        ("sockets", {"action": "half_open", "room": "market"}, "FEED_DISCONNECTED"),
        ("freeze", {"for_ms": 3_000, "how": "silent"}, "FEED_DISCONNECTED"),
        (
            "faults",
            {"on": "market.depthUpdate", "symbol": "SYN002USDT", "action": "drop", "times": 1},
            "FEED_GAP",
        ),
    ],
    ids=["disconnected", "half open", "frozen", "gap"],
)
def test_prices_are_fresh_again(
    address: str, decoder: Literal["fast", "general"], place: str, body: dict[str, Any], sign: str
) -> None:
    if decoder == "general" and sign == "FEED_GAP":
        sign = "FEED_SUBSCRIPTION_FAILED"  # ccxt's own books are lost with their subscription

    async def run() -> None:
        async with feeding(address, decoder) as (_, heard):
            await lost(address, heard, lambda: ask(address, place, **body), sign)

    asyncio.run(run())


def test_a_server_that_announces_its_end_is_left_before_it_goes(address: str) -> None:
    async def run() -> None:
        async with feeding(address, "fast") as (feed, heard):
            connects = feed.counts.connects
            await lost(address, heard, lambda: ask(address, "shutdown-notice"), "FEED_SERVER_SHUTDOWN")
            await heard.until(lambda: feed.counts.connects >= 2 * connects and feed.counts.connections == connects)
            await fresh(heard)

    asyncio.run(run())


def test_a_ban_is_waited_for_and_is_no_fault_of_the_feed(address: str) -> None:
    async def main() -> None:
        clock, heard = WallClock(), Heard()
        loading = made(address, TestClock())
        await loading.load_markets()
        instruments = instruments_of(loading.markets, "USDT")
        await disconnect(loading)
        settings, budget = Exchange(base_url=address), Budget(clock)
        budget.note(418, {"Retry-After": "0.3"})
        until_ms = budget.closed_until_ms
        feed = CcxtLive(
            lambda: connect(settings, public_taps(settings, budget)),
            CcxtFeed(silence_s=2.0),
            instruments,
            clock,
            heard,
            offset_ms=lambda: 0,
        )
        task = asyncio.create_task(feed.run(heard.publish))
        try:
            await heard.until(lambda: any(isinstance(one, QuoteSeen) for one in heard.events), 30)
            assert clock.now_ms() >= until_ms
            assert heard.told("FEED_SUBSCRIPTION_FAILED") == 1
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_a_server_that_announces_its_end_is_left_by_the_general_decoder_too(address: str) -> None:
    async def run() -> None:
        async with feeding(address, "general") as (feed, heard):
            connects = feed.counts.connects
            await lost(address, heard, lambda: ask(address, "shutdown-notice"), "FEED_DISCONNECTED")
            await heard.until(lambda: feed.counts.connects >= 2 * connects and feed.counts.connections == connects)
            await fresh(heard)

    asyncio.run(run())
