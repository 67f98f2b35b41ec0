"""Is what a client was told like what was recorded of the real exchange? Asked of clients that heard such a body."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.conformance.wiretap import Wiretap
from tests.sandbox.rest_kit import shapes_of

_DOCUMENTED, _LIVE = "binance_spot_http", "binance_spot_http_it/http_spot_market"
_USER, _WS = "binance_spot_user_data", "binance_spot_ws/ws_spot"

BODIES: Final = {
    "GET /api/v3/ping": (f"{_DOCUMENTED}/ping_response", f"{_LIVE}_ping"),
    "GET /api/v3/time": (f"{_DOCUMENTED}/server_time_response", f"{_LIVE}_time"),
    "GET /api/v3/exchangeInfo": (f"{_DOCUMENTED}/exchange_info_response", f"{_LIVE}_exchange_info"),
    "GET /api/v3/depth": (f"{_DOCUMENTED}/depth_response", f"{_LIVE}_depth"),
    "GET /api/v3/trades": (f"{_DOCUMENTED}/trades_response", f"{_LIVE}_trades"),
    "GET /api/v3/historicalTrades": (f"{_LIVE}_historical_trades",),
    "GET /api/v3/aggTrades": (f"{_LIVE}_agg_trades",),
    "GET /api/v3/klines": (f"{_DOCUMENTED}/klines_response", f"{_LIVE}_klines"),
    "GET /api/v3/avgPrice": (f"{_DOCUMENTED}/avg_price_response", f"{_LIVE}_avg_price"),
    "GET /api/v3/ticker/24hr": (f"{_DOCUMENTED}/ticker_24hr_response",),
    "GET /api/v3/ticker/price": (f"{_DOCUMENTED}/ticker_price_response", f"{_LIVE}_ticker_price"),
    "GET /api/v3/ticker/bookTicker": (f"{_DOCUMENTED}/book_ticker_response", f"{_LIVE}_book_ticker"),
    "POST /api/v3/order": (f"{_DOCUMENTED}/new_order_full_response",),
    "GET /api/v3/order": (f"{_DOCUMENTED}/order_response",),
    "DELETE /api/v3/order": (f"{_DOCUMENTED}/cancel_order_response",),
    "DELETE /api/v3/openOrders": (f"{_DOCUMENTED}/cancel_open_orders_response",),
    "GET /api/v3/openOrders": (f"{_DOCUMENTED}/open_orders_response",),
    "GET /api/v3/allOrders": (f"{_DOCUMENTED}/all_orders_response",),
    "GET /api/v3/myTrades": (f"{_DOCUMENTED}/account_trades_response",),
    "GET /api/v3/account": (
        f"{_DOCUMENTED}/account_response",
        "binance_spot_http_it/http_spot_wallet_account",
    ),
    "GET /sapi/v1/asset/tradeFee": ("binance_spot_http_it/http_wallet_trading_fees",),
    "event executionReport": (
        *(f"{_USER}/execution_report_{what}" for what in ("new", "trade", "canceled", "wrapped")),
        *(f"{_WS}_execution_report_{what}" for what in ("new", "trade", "canceled", "custom_client_id")),
    ),
    "event outboundAccountPosition": (f"{_USER}/account_position", f"{_USER}/account_position_wrapped"),
    "event balanceUpdate": (f"{_USER}/balance_update", f"{_USER}/balance_update_wrapped"),
    "stream <symbol>@aggTrade": (f"{_WS}_agg_trade",),
    "stream <symbol>@trade": (f"{_WS}_trade",),
    "stream <symbol>@bookTicker": (f"{_WS}_ticker_book",),
    "stream <symbol>@ticker": (f"{_WS}_ticker_24hr",),
}
"""Files below ../shared/data/api, without their ending, by the call or stream that they are the answer of."""

LEFT_OUT: Final = {
    "GET /api/v3/exchangeInfo": (
        *(".sors", ".symbols[].permissions[]"),  # told where there are any
        *(
            ".symbols[].filters[].multiplier",
            ".symbols[].filters[].applyToMarket",
        ),  # of filters that newer ones replaced
    ),
    "DELETE /api/v3/openOrders": (".orderReports", ".orders", ".list", ".contingencyType", ".transactionTime"),  # lists
    "stream <symbol>@aggTrade": (".st",),  # in no document
    "stream <symbol>@trade": (".a", ".b"),  # ids of the orders, which are told no more
    "stream <symbol>@bookTicker": (".E", ".T"),  # of futures
}
"""Beginnings of what was recorded and the real exchange does not tell in the case at hand."""


def lacking(tap: Wiretap, folder: Path) -> Iterator[str]:
    """Yield each field that a recorded body has and no body heard for its call, or that is of another type there."""
    for call, names in BODIES.items():
        told = {shape for body in tap.told(call) for shape in _shapes(body)}
        if not told:
            continue
        for name in names:
            body = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            wanted = set(_shapes(body))
            if call.startswith(("event", "stream")):
                wanted = set(_shapes(body.get("event") or body.get("data") or body))
            left_out = LEFT_OUT.get(call, ())
            yield from (
                f"{call}: {path} ({kind}) of {name}"
                for path, kind in sorted(wanted - told)
                if not path.startswith(left_out)
            )


def _shapes(body: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of every leaf; a list of rows is like one row."""
    rows = body if isinstance(body, list) else [body]
    for row in rows:
        yield from shapes_of(row)
