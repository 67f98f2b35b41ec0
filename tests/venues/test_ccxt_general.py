"""Is an exchange other than Binance traded on as surely, where the stream only hints and REST is believed?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from aiohttp import WSMsgType, web

from tests.exchange.dialect_answers import SPOKEN
from tests.exchange.little_exchange import Asked, LittleExchange, in_loop, little_exchange, says
from tests.venues.ccxt_kit import KEYS, QUICK, Bench, order
from tradebot.domain.commands import CancelOrder
from tradebot.domain.events import FillReported, OrderAcknowledged, OrderClosed, OrderReported
from tradebot.exchange.credentials import Credentials
from tradebot.venues.ccxt_spot import CcxtSpot

OKX = SPOKEN["okx"]
CANCEL = CancelOrder("t-1-1", "BTC/USDT")


class Okx(Bench):
    """A little OKX: one symbol, a private socket that is logged in to and subscribed."""

    def __init__(self, server: LittleExchange) -> None:
        super().__init__(server)
        self.subscribed = 0
        instrument = {
            "instId": "BTC-USDT",
            "instType": "SPOT",
            "baseCcy": "BTC",
            "quoteCcy": "USDT",
            "tickSz": "0.01",
            "lotSz": "0.00001",
            "minSz": "0.00001",
            "state": "live",
        }
        server.on("GET", "/public/instruments", says({"code": "0", "data": [instrument]}))
        server.on("GET", "/public/time", self._okx_time)
        server.on("GET", "/account/balance", says({"code": "0", "data": [{"details": [], "uTime": "1"}]}))
        server.on("GET", "/trade/orders-pending", says({"code": "0", "data": []}))
        server.on("GET", "/trade/fills-history", says({"code": "0", "data": []}))
        server.on("GET", "/trade/orders-history", says({"code": "0", "data": []}))
        server.on(*OKX.place, says(OKX.placed))
        server.on("GET", "/ws/v5/private", self._private)

    def okx(self, **settings: Any) -> CcxtSpot:
        return CcxtSpot(
            self.server.settings("okx", **{**QUICK, **settings}),
            Credentials(KEYS.api_key, KEYS.secret, "password-of-this-test"),
            quote="USDT",
            id_prefix="t-",
            clock=self.clock,
            deliver=self.deliver,
            log=self.told,
            failed=lambda _name, error: self.broken.append(error),
        )

    def stands(self, **fields: str) -> None:
        """Let a query of the order answer so."""
        self.server.on(*OKX.find, says({"code": "0", "data": [{**OKX.found["data"][0], **fields}], "msg": ""}))

    async def hint(self) -> None:
        """Tell over the stream that the order changed, with numbers that are wrong."""
        wrong = {**OKX.found["data"][0], "accFillSz": "0.0005", "state": "partially_filled", "uTime": "1"}
        await self.sockets[-1].send_json({"arg": {"channel": "orders", "instType": "ANY"}, "data": [wrong]})

    async def _okx_time(self, _asked: Asked) -> web.StreamResponse:
        return web.json_response({"code": "0", "data": [{"ts": str(self.clock.now_ms())}]})

    async def _private(self, asked: Asked) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(asked.request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT or message.data == "ping":
                continue
            said = message.json()
            if said["op"] == "login":
                await socket.send_json({"event": "login", "code": "0", "msg": "", "connId": "1"})
            elif said["op"] == "subscribe":
                await socket.send_json({"event": "subscribe", "arg": said["args"][0], "connId": "1"})
                self.subscribed += 1
        return socket


@asynccontextmanager
async def trading(**settings: Any) -> AsyncIterator[tuple[Okx, CcxtSpot]]:
    """Trade on a little OKX until left."""
    async with little_exchange() as server:
        there = Okx(server)
        venue = there.okx(**settings)
        await venue.start()
        try:
            async with asyncio.timeout(10):
                await there.until(lambda: there.subscribed == 1 and venue.reconciliations > 1)
            yield there, venue
        finally:
            await venue.stop()
            assert there.broken == []


@in_loop
async def test_an_answer_that_names_only_an_id_is_followed_by_a_query() -> None:
    async with trading() as (there, venue):
        there.stands()
        there.server.on(*OKX.trades, says(OKX.traded))
        venue.submit(order("t-1-1"), 0)
        (found,) = await there.heard(OrderReported)
        assert [event.venue_id for event in there.of(OrderAcknowledged)] == ["V1"]
        assert (found.status, found.filled) == ("open", Decimal("0.001"))
        assert [(fill.trade_id, fill.fee) for fill in found.fills] == [("T7", Decimal("0.05"))]


@in_loop
async def test_a_hint_of_the_stream_has_the_order_asked_for_and_that_is_believed() -> None:
    async with trading() as (there, venue):
        there.stands(accFillSz="0", state="live")
        venue.submit(order("t-1-1"), 0)
        await there.heard(OrderReported)
        there.stands(state="filled", accFillSz="0.002")
        fill = {**OKX.traded["data"][0], "fillSz": "0.002"}
        there.server.on(*OKX.trades, says({"code": "0", "data": [fill]}))
        await there.hint()
        (closed,) = await there.heard(OrderClosed)
        assert (closed.outcome, closed.filled) == ("filled", Decimal("0.002"))
        assert [event.amount for event in there.of(FillReported)] == [Decimal("0.002")]


@in_loop
async def test_a_cancel_that_is_only_confirmed_is_followed_by_a_query() -> None:
    async with trading() as (there, venue):
        there.stands(accFillSz="0", state="live")
        there.server.on(*OKX.cancel, says(OKX.canceled))
        venue.submit(order("t-1-1"), 0)
        await there.heard(OrderReported)
        there.stands(accFillSz="0", state="canceled")
        venue.submit(CANCEL, 0)
        await there.heard(OrderReported, 2)
        assert there.of(OrderReported)[-1].status == "canceled"


@in_loop
async def test_what_happened_while_the_stream_was_away_is_told() -> None:
    async with trading() as (there, venue):
        there.stands(accFillSz="0", state="live")
        venue.submit(order("t-1-1"), 0)
        await there.heard(OrderReported)
        there.stands(accFillSz="0", state="canceled")
        await there.sockets[-1].close()
        (closed,) = await there.heard(OrderClosed)
        assert closed.outcome == "canceled"
        await there.until(lambda: there.subscribed == 2)
        assert "VENUE_STREAM_LOST" in there.told.kinds()
