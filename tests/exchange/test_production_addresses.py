"""Does all work by the exchange's own addresses, over TLS, as it does on loopback? Nothing leaves this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt  # type: ignore[import-untyped]
import pytest

from tests.exchange.binance_answers import exchange_info
from tests.exchange.little_exchange import in_loop, little_exchange, says
from tests.exchange.sandbox_kit import listening, sandbox_process
from tests.exchange.test_outcomes import KEYS, REFUSALS, outcome_of
from tests.exchange.tls_front import HOSTS, Front, tls_front
from tests.exchange.walls import Wall
from tests.outward import OUTBOUND, Outbound
from tests.venues.ccxt_kit import order
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import BookSeen, FillReported, OrderAcknowledged, OrderClosed, QuoteSeen, TradeSeen
from tradebot.domain.numbers import exact
from tradebot.domain.orders import TimeInForce
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """Watch, block and count what leaves this machine."""
    with OUTBOUND.watched():
        yield OUTBOUND


def test_a_bot_trades_and_listens_by_the_production_addresses_over_tls(tmp_path: Path, outbound: Outbound) -> None:
    async def run(address: str) -> Front:
        async with (
            tls_front(address, tmp_path) as front,
            listening({}, CcxtFeed(depth_levels=5), front.connector) as there,
        ):
            assert there.settings.base_url == ""
            heard = there.prices.events
            await there.until(lambda: {QuoteSeen, TradeSeen, BookSeen} <= {type(one) for one in heard})
            listed = there.feed.instruments()[0]
            await there.until(lambda: any(one.symbol == listed.symbol for one in there.quotes()))
            ask = next(one.ask for one in reversed(there.quotes()) if one.symbol == listed.symbol)
            price = listed.price_down(exact(ask) * Decimal("1.02"))
            amount = listed.amount_down(Decimal(20) / price)
            buy = order(symbol=listed.symbol, price=price, amount=amount, tif=TimeInForce.IOC)
            there.spot.submit(buy, 0)
            (closed,) = await there.heard(OrderClosed)
            assert closed.filled == amount
            assert sum(fill.amount for fill in there.of(FillReported)) == amount
            resting = order(
                "a-1-2", symbol=listed.symbol, price=listed.price_down(price * Decimal("0.8")), amount=amount
            )
            there.spot.submit(resting, 0)
            await there.heard(OrderAcknowledged, 2)
            await cancelled_elsewhere(there, "a-1-2", listed.symbol)
            await there.heard(OrderClosed, 2)  # the user stream alone tells of it
            assert "VENUE_STREAM_LOST" not in there.told.kinds()
        return front

    with sandbox_process(tmp_path, "--count", "2") as (_, address):
        front = asyncio.run(asyncio.wait_for(run(address), 40))
    assert front.resolver.asked == {(HOSTS[0], 443), (HOSTS[1], 9443), (HOSTS[2], 443)}
    assert outbound.outside == []
    assert outbound.inside > 0


async def cancelled_elsewhere(there: Any, client_id: str, symbol: str) -> None:
    other = there.connected(keys=True)
    try:
        await other.load_markets()
        await other.cancel_order(None, symbol, {"origClientOrderId": client_id})
    finally:
        await disconnect(other)


@asynccontextmanager
async def connected(settings: Exchange, connector: Any = None) -> AsyncIterator[Any]:
    """Make an instance of ccxt that knows BTC/USDT, with keys."""
    exchange = connect(
        settings, public_taps(settings, Budget(Wall())), credentials=KEYS, throttled=False, connector=connector
    )
    try:
        exchange.set_markets(await exchange.fetch_markets())
        yield exchange
    finally:
        await disconnect(exchange)


async def placing(exchange: Any) -> Any:
    more = {"newClientOrderId": "a-1-1", "timeInForce": "GTC"}
    return await outcome_of(exchange, lambda: exchange.create_order("BTC/USDT", "limit", "buy", "0.002", "50000", more))


@in_loop
async def test_every_code_of_spot_means_the_same_at_the_exchanges_own_address(
    tmp_path: Path, outbound: Outbound
) -> None:
    async with little_exchange() as server, tls_front(server.base_url, tmp_path) as front:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        async with connected(server.settings()) as here, connected(Exchange(), front.connector()) as there:
            assert there.urls["api"]["private"].startswith("https://api.binance.com/")
            assert here.urls["api"]["private"].startswith("http://127.0.0.1:")
            own = there.exceptions["spot"]["exact"]
            assert {"-1008", "-2008", "-1004", "-3022"} <= own.keys()
            rows = [(status, code, text) for status, code, text, _ in REFUSALS if status < 418]  # beyond, one waits
            rows += [(status, int(code), "Whatever it says.") for code in own for status in (400, 503)]
            different = []
            for status, code, text in rows:
                server.on("POST", "/order", says({"code": code, "msg": text}, status))
                outcomes = await placing(here), await placing(there)
                if outcomes[0] != outcomes[1]:
                    different.append((status, code, *outcomes))
            assert different == []
            assert len(server.calls("POST", "/order")) == 2 * len(rows)
    assert front.resolver.asked == {(HOSTS[0], 443)}
    assert outbound.outside == []


@in_loop
async def test_a_server_without_the_exchanges_certificate_is_told_nothing(tmp_path: Path, outbound: Outbound) -> None:
    async with little_exchange() as server, tls_front(server.base_url, tmp_path) as front:
        settings = Exchange()
        exchange = connect(settings, public_taps(settings, Budget(Wall())), credentials=KEYS, connector=front.strict())
        try:
            with pytest.raises(ccxt.ExchangeNotAvailable) as refused:
                await exchange.fetch_balance()
            assert isinstance(refused.value.__cause__, aiohttp.ClientConnectorCertificateError)
        finally:
            await disconnect(exchange)
        assert server.asked == []
    assert outbound.outside == []
