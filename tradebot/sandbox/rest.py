"""How does REST carry the calls? Asked by the server for every HTTP request under /api and /sapi.

`Rest(calls, interpose)`: every request is given to `interpose(request, occasion, accept)`, which answers the client;
`accept()` does the request's own work once and returns its `Reply`, and whoever interposes may call it before, after or
instead of answering. `carried` is the interposer that does nothing of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from tradebot.sandbox.calls import Calls
from tradebot.sandbox.fault_replies import Accept, Reply
from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.signing import rest_signed
from tradebot.sandbox.wire_errors import ApiError

Interpose = Callable[[web.Request, Occasion, Accept], Awaitable[web.StreamResponse]]

ROUTES: Final = {
    ("GET", "/api/v3/ping"): "ping",
    ("GET", "/api/v3/time"): "time",
    ("GET", "/api/v3/exchangeInfo"): "exchangeInfo",
    ("GET", "/api/v3/depth"): "depth",
    ("GET", "/api/v3/trades"): "trades.recent",
    ("GET", "/api/v3/historicalTrades"): "trades.historical",
    ("GET", "/api/v3/aggTrades"): "trades.aggregate",
    ("GET", "/api/v3/klines"): "klines",
    ("GET", "/api/v3/uiKlines"): "uiKlines",
    ("GET", "/api/v3/avgPrice"): "avgPrice",
    ("GET", "/api/v3/ticker"): "ticker",
    ("GET", "/api/v3/ticker/tradingDay"): "ticker.tradingDay",
    ("GET", "/api/v3/ticker/24hr"): "ticker.24hr",
    ("GET", "/api/v3/ticker/price"): "ticker.price",
    ("GET", "/api/v3/ticker/bookTicker"): "ticker.book",
    ("POST", "/api/v3/order"): "order.place",
    ("DELETE", "/api/v3/order"): "order.cancel",
    ("GET", "/api/v3/order"): "order.status",
    ("POST", "/api/v3/order/test"): "order.test",
    ("POST", "/api/v3/order/cancelReplace"): "order.cancelReplace",
    ("GET", "/api/v3/openOrders"): "openOrders.status",
    ("DELETE", "/api/v3/openOrders"): "openOrders.cancelAll",
    ("GET", "/api/v3/allOrders"): "allOrders",
    ("GET", "/api/v3/myTrades"): "myTrades",
    ("GET", "/api/v3/openOrderList"): "openOrderLists.status",
    ("GET", "/api/v3/allOrderList"): "allOrderLists",
    ("GET", "/api/v3/order/amendments"): "order.amendments",
    ("GET", "/api/v3/myAllocations"): "myAllocations",
    ("GET", "/api/v3/account"): "account.status",
    ("GET", "/api/v3/account/commission"): "account.commission",
    ("GET", "/api/v3/rateLimit/order"): "account.rateLimits.orders",
    ("GET", "/sapi/v1/asset/tradeFee"): "sapi.asset.tradeFee",
    ("POST", "/sapi/v1/asset/dust"): "sapi.asset.dust",
    ("POST", "/sapi/v1/asset/dust-btc"): "sapi.asset.dust-btc",
    ("GET", "/sapi/v1/capital/config/getall"): "sapi.capital.config.getall",
    ("GET", "/sapi/v1/account/apiRestrictions"): "sapi.account.apiRestrictions",
    ("GET", "/sapi/v1/margin/allPairs"): "sapi.margin.allPairs",
    ("GET", "/sapi/v1/margin/isolated/allPairs"): "sapi.margin.isolated.allPairs",
}
"""The call of each method and path."""

_OLDER: Final = ("/api/v1/", "/api/v3/")
_MANY: Final = frozenset({"asset"})
"""Parameters that may be sent more than once."""


_PLACING: Final = frozenset({"order.place", "order.test", "order.cancelReplace"})


async def carried(_request: web.Request, _occasion: Occasion, accept: Accept) -> web.StreamResponse:
    """Answer a request with its own reply, untouched."""
    reply = await accept()
    headers = reply.headers | {"Content-Type": reply.content_type}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


class Rest:
    """The exchange's REST."""

    def __init__(self, calls: Calls, interpose: Interpose = carried) -> None:
        self._calls = calls
        self._interpose = interpose

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to be served; paths that nobody knows are answered with a page, as Binance does."""
        return [web.route("*", path, self.serve) for path in ("/api/{rest:.*}", "/sapi/{rest:.*}")]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        path = request.path.replace(*_OLDER) if request.path in {"/api/v1/ping", "/api/v1/time"} else request.path
        name = ROUTES.get((request.method, path))
        body = (await request.read()).decode("utf-8", "replace")
        query = request.raw_path.partition("?")[2]
        kind = "unknown" if name is None else "sapi" if name.startswith("sapi.") else name
        sent, repeated = _sent(query, body)
        client_id = sent.get("newClientOrderId" if kind in _PLACING else "origClientOrderId", "")

        async def accept() -> Reply:
            if name is None:
                return _unknown(request.method, path)
            if repeated:
                return _refused(ApiError(-1101, "Duplicate values for a parameter detected."))
            signed = rest_signed(request.headers.get("X-MBX-APIKEY"), query, body)
            answer = self._calls.answer(name, sent, request.remote or "", signed)
            return Reply(answer.status, msgspec.json.encode(answer.body), answer.headers)

        return await self._interpose(request, Occasion(kind, sent.get("symbol", ""), client_id), accept)


def _sent(query: str, body: str) -> tuple[dict[str, str], bool]:
    """Return the parameters of query and body, and whether one was sent twice."""
    sent: dict[str, str] = {}
    repeated = False
    for name, value in (*parse_qsl(query, keep_blank_values=True), *parse_qsl(body, keep_blank_values=True)):
        if name not in sent:
            sent[name] = value
        elif name in _MANY:
            sent[name] += f",{value}"
        else:
            repeated = True
    return sent, repeated


def _refused(refusal: ApiError) -> Reply:
    return Reply(refusal.status, msgspec.json.encode(refusal.body()))


def _unknown(method: str, path: str) -> Reply:
    if any(known == path for _, known in ROUTES):
        return _refused(ApiError(-1000, f"Request method '{method}' is not supported.", 405))
    return Reply(404, b"<html><body><h2>404 Not found</h2></body></html>", content_type="text/html")
