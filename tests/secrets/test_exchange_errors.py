"""Does any text that is made of an exchange's or a library's error hold a key? Each error is produced for real."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.exchange.tls_front import tls_front
from tests.secrets.planting import KEY, PASSWORD, SECRET, echo, found_in
from tests.venues.ccxt_kit import order
from tradebot.config.secrets import mask
from tradebot.config.sections.exchange import Exchange
from tradebot.exchange.budget import Budget
from tradebot.exchange.capabilities import capabilities_of
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.permissions import permissions_of
from tradebot.exchange.requests import Requests
from tradebot.runtime.clock import WallClock

Answer = Callable[[web.Request], web.StreamResponse]


async def texts_of(settings: Exchange, connector: aiohttp.BaseConnector | None = None) -> tuple[list[str], list[str]]:
    """Return what is made of the errors of every kind of request, and what the errors themselves say."""
    keys = Credentials(KEY, SECRET, PASSWORD)
    exchange = connect(
        settings, public_taps(settings, Budget(WallClock())), credentials=keys, throttled=False, connector=connector
    )
    told, raw = [], []
    try:
        exchange.set_markets([_MARKET])
        requests = Requests(exchange, keys, capabilities_of(exchange))
        told.append(repr(await requests.place(order(symbol="BTC/USDT"))))
        told.append(repr(await requests.find("a-1-1", "BTC/USDT", "")))
        told.append(repr(await requests.open_orders("BTC/USDT")))
        told.append(repr(await requests.balances()))
        told.append(repr(await permissions_of(exchange, keys)))
        try:
            await exchange.fetch_balance()
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is what is looked at
            whole = "".join(traceback.format_exception(error))
            told.append(mask(whole))
            raw.append(f"{whole} {error!r} {vars(error)}")
    finally:
        await disconnect(exchange)
    return told, raw


_MARKET = {
    "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
    "type": "spot", "spot": True, "active": True, "precision": {"amount": "0.00001", "price": "0.01"},
    "limits": {}, "info": {"orderTypes": ["LIMIT", "MARKET"], "timeInForce": []}, "margin": False, "contract": False,
}  # fmt: skip


async def against(answer: Answer) -> tuple[list[str], list[str]]:
    """Return the texts that come of an exchange which answers everything by `answer`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    server = web.Application()
    server.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(server, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        return await texts_of(Exchange(base_url=f"http://127.0.0.1:{port}", request_timeout_s=2))
    finally:
        await runner.cleanup()


def said(status: int, body: str, kind: str = "application/json") -> Answer:
    return lambda _: web.Response(status=status, text=body, content_type=kind, headers={"X-Echo": KEY})


def refused(code: int) -> str:
    return json.dumps({"code": code, "msg": echo()})


def repeats(request: web.Request) -> web.StreamResponse:
    """Answer with the whole request, as a proxy that explains itself does."""
    head = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return web.Response(status=403, text=f"<html>{request.url}\n{head}</html>", content_type="text/html")


def resets(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    "answer",
    [
        said(400, refused(-1022)),
        said(401, refused(-2015)),
        said(400, refused(-2010)),
        said(400, refused(-1100)),
        said(400, json.dumps({"code": KEY, "msg": SECRET * 9})),
        said(400, json.dumps({"code": -1, "msg": "x" * 190 + KEY})),
        said(418, f"<html>banned: {echo()}</html>", "text/html"),
        said(418, refused(-1003)),
        said(429, refused(-1015)),
        said(500, refused(-1000)),
        said(503, f"<html>{echo()}</html>", "text/html"),
        said(200, f'{{"half": "{KEY}'),
        said(200, ""),
        said(200, json.dumps({"orderId": None, "status": KEY, "msg": echo(), "balances": echo()})),
        said(200, json.dumps([{"symbol": "BTCUSDT", "orderId": None, "status": SECRET, "price": PASSWORD}])),
        repeats,
        resets,
    ],
)
def test_no_text_made_of_an_exchange_s_answer_holds_a_key(answer: Answer) -> None:
    async def run() -> None:
        told, _ = await against(answer)
        assert len(told) >= 5
        assert [found for text in told for found in found_in(text)] == []

    asyncio.run(run())


def test_what_is_masked_there_stood_in_the_errors_themselves() -> None:
    async def run() -> None:
        _, raw = await against(repeats)
        assert any(found_in(text) for text in raw)
        assert any("signature=" in text for text in raw)

    asyncio.run(run())


class _NoNames(AbstractResolver):
    """Knows no name."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise OSError(f"no such host {host}")

    async def close(self) -> None:
        """Hold nothing."""


def test_no_text_of_a_failed_name_or_certificate_holds_a_key(tmp_path: Path) -> None:
    async def run() -> None:
        lost = aiohttp.TCPConnector(resolver=_NoNames(), ssl=ssl.create_default_context())
        told, raw = await texts_of(Exchange(request_timeout_s=2), lost)
        async with tls_front("http://127.0.0.1:9", tmp_path) as front:
            more, whole = await texts_of(Exchange(request_timeout_s=2), front.strict())
        assert "no such host" in " ".join(raw) or "DNS" in " ".join(raw)
        assert "CERTIFICATE" in " ".join(whole).upper()
        assert [found for text in told + more for found in found_in(text)] == []

    asyncio.run(run())


def test_requests_that_ccxt_would_print_whole_are_told_without_keys(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def run(settings: Exchange) -> None:
        keys = Credentials(KEY, SECRET, PASSWORD)
        exchange = connect(settings, public_taps(settings, Budget(WallClock())), credentials=keys, throttled=False)
        exchange.verbose = True
        try:
            with pytest.raises(Exception, match="binance"):
                await exchange.fetch_balance({"type": "spot"})
        finally:
            await disconnect(exchange)

    caplog.set_level(logging.DEBUG)
    asyncio.run(run(Exchange(base_url="http://127.0.0.1:9", request_timeout_s=2)))
    captured = capfd.readouterr()
    told = caplog.text + captured.out + captured.err
    assert "RequestHeaders" in told
    assert found_in(told) == []


def test_the_ring_of_a_task_and_its_stack_hold_no_key() -> None:
    async def run() -> None:
        from tradebot.runtime.stackdump import stack_text

        keys = Credentials(KEY, SECRET, PASSWORD)

        async def holds(secret: str) -> None:
            local: Any = {"key": secret, "all": keys}
            await asyncio.sleep(60 if local else 0)

        task = asyncio.create_task(holds(SECRET), name=f"signing with {KEY}")
        await asyncio.sleep(0)
        text = stack_text(f"silent: {SECRET}", 0, asyncio.get_running_loop())
        task.cancel()
        assert "await asyncio.sleep(60" in text
        assert "signing with ***" in text
        assert found_in(text) == []

    asyncio.run(run())
