"""Does everything stay on the one address that is given, whatever ccxt, an answer or a setting says?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import WSServerHandshakeError, web

from tests.exchange.binance_answers import account, exchange_info
from tests.exchange.little_exchange import in_loop, little_exchange, says
from tests.outward import OUTBOUND, Outbound
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import CannotStart
from tradebot.exchange.addresses import Elsewhere, leaves
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, exchange_class, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import DIALECTS

KEYS = Credentials("key-of-the-test", "c2VjcmV0IG9mIHRoZSB0ZXN0", "password-of-the-test")


class Wall:
    """A clock that stands."""

    def now_ms(self) -> int:
        return 1_700_000_000_000


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """Watch, block and count what leaves this machine."""
    with OUTBOUND.watched():
        yield OUTBOUND


def test_the_block_of_these_tests_blocks(outbound: Outbound) -> None:
    import socket

    with pytest.raises(PermissionError):
        socket.create_connection(("example.invalid", 80), timeout=1)
    assert outbound.outside == [("socket.getaddrinfo", "example.invalid")]


@pytest.mark.parametrize("name", [*DIALECTS, "mexc", "htx"])
@in_loop
async def test_no_address_of_an_exchange_is_its_own_any_more(name: str) -> None:
    settings = Exchange(name=name, base_url="http://127.0.0.1:9")
    own = dict(leaves(exchange_class(name)().urls))
    exchange = connect(settings, public_taps(settings, Budget(Wall())), credentials=KEYS)
    try:
        now = dict(leaves(exchange.urls))
        assert now.keys() == own.keys()
        assert len(now) > 3
        assert {urlsplit(each).netloc or each for each in now.values()} == {"127.0.0.1:9"}
        sockets = {key for key, each in own.items() if each.startswith("ws")}
        assert {key for key, each in now.items() if each.startswith("ws:")} == sockets
    finally:
        await disconnect(exchange)


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("fetch_balance", ()),
    ("fetch_ticker", ("BTC/USDT",)),
    ("fetch_trading_fee", ("BTC/USDT",)),
    ("fetch_open_orders", ("BTC/USDT",)),
    ("fetch_my_trades", ("BTC/USDT",)),
    ("fetch_currencies", ()),
    ("fapiPublicGetPing", ()),
    ("dapiPublicGetPing", ()),
    ("eapiPublicGetPing", ()),
    ("papiGetPing", ()),
    ("sapiGetSystemStatus", ()),
    ("watch_orders", ("BTC/USDT",)),
    ("watch_ticker", ("BTC/USDT",)),
]


@in_loop
async def test_nothing_falls_through_to_a_real_host(outbound: Outbound) -> None:
    async with little_exchange() as server:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        server.on("GET", "/account", says(account(USDT="10")))
        settings = server.settings()
        exchange = connect(settings, public_taps(settings, Budget(Wall())), credentials=KEYS, throttled=False)
        try:
            await exchange.load_markets()
            assert (await exchange.fetch_balance())["free"]["USDT"] == "10"
            said: list[str] = []
            for call, arguments in CALLS:
                before = len(server.asked)
                try:
                    await getattr(exchange, call)(*arguments)
                except Exception as error:  # noqa: BLE001 - most of these are answered with 404 here
                    said.append(str(error))
                assert len(server.asked) > before or call == "fetch_currencies", f"{call} asked somebody else"
            assert not [text for text in said if "blocked by the test" in text]
        finally:
            await disconnect(exchange)
    assert outbound.outside == []
    assert outbound.inside >= 1


@in_loop
async def test_an_answer_cannot_lead_elsewhere(outbound: Outbound) -> None:
    async with little_exchange() as server:

        async def away(_asked: Any) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": "http://example.invalid/api/v3/time"})

        server.on("GET", "/time", away)
        settings = server.settings()
        exchange = connect(settings, public_taps(settings, Budget(Wall())), throttled=False)
        try:
            with pytest.raises(Exception, match="GET") as caught:
                await exchange.fetch_time()
            assert isinstance(caught.value.__cause__, Elsewhere)
        finally:
            await disconnect(exchange)
    assert outbound.outside == []


@in_loop
async def test_a_session_connects_nowhere_else_even_when_asked_to(outbound: Outbound) -> None:
    async with little_exchange() as server, little_exchange() as other:
        settings = server.settings()
        exchange = connect(settings, public_taps(settings, Budget(Wall())), throttled=False)
        try:
            for address in ("http://example.invalid/", "http://192.0.2.1/", other.base_url):
                with pytest.raises(Elsewhere):
                    await exchange.session.get(address)
            with pytest.raises(Elsewhere):
                await exchange.session.ws_connect("ws://example.invalid/stream")
            with pytest.raises(WSServerHandshakeError):
                await exchange.session.ws_connect(server.base_url.replace("http", "ws"))
        finally:
            await disconnect(exchange)
        assert other.asked == []
    assert outbound.outside == []


@pytest.mark.parametrize("base_url", ["http://192.0.2.1:8080", "https://example.invalid", "http://0.0.0.0:1"])
@in_loop
async def test_an_address_outside_this_machine_is_refused(base_url: str) -> None:
    settings = Exchange(base_url=base_url)
    with pytest.raises(CannotStart, match="is not on this machine"):
        connect(settings, public_taps(settings, Budget(Wall())))


@in_loop
async def test_an_exchange_that_ccxt_does_not_know_is_refused() -> None:
    settings = Exchange(name="nosuchexchange", base_url="http://127.0.0.1:9")
    with pytest.raises(CannotStart, match="ccxt knows no nosuchexchange"):
        connect(settings, public_taps(settings, Budget(Wall())))
