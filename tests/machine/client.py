"""What does the venue take for ccxt's Binance? Asked by the machine's bot for each of its instances.

Its methods are ccxt's and answer in ccxt's unified shapes; each is one request on the machine's network. What listens
to ccxt (`exchange.hooks`) listens here, so that budget, evidence and verdict are the product's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.machine.far import INSTRUMENTS, WIRE, Row
from tests.machine.network import Kind, Network
from tradebot.exchange.hooks import Taps, hooked

MARKETS: Final[dict[str, Row]] = {
    each.symbol: {
        "symbol": each.symbol,
        "id": WIRE[each.symbol],
        "base": each.base,
        "quote": each.quote,
        "spot": True,
        "active": True,
        "precision": {"price": str(each.tick_size), "amount": str(each.amount_step)},
        "limits": {"amount": {"min": str(each.min_amount)}, "cost": {"min": str(each.min_notional)}},
        "info": {"status": "TRADING"},
    }
    for each in INSTRUMENTS
}

_HAS: Final = dict.fromkeys(
    (
        *("spot", "createOrder", "cancelOrder", "fetchOrder", "fetchOrders", "fetchOpenOrders", "fetchBalance"),
        *("fetchMyTrades", "fetchTime", "createMarketBuyOrderWithCost", "watchMyTrades", "watchBalance"),
    ),
    True,
)
_URLS: Final[dict[Kind, str]] = {
    "place": "order",
    "cancel": "order",
    "order": "order",
    "open": "openOrders",
    "orders": "allOrders",
    "trades": "myTrades",
    "balances": "account",
    "time": "time",
    "info": "exchangeInfo",
}


class Said(Exception):
    """The exchange answered with an error, or with something that is no answer."""


class NoSession:
    """A session of aiohttp that holds nothing."""

    closed = True


class BinanceAsCcxt:
    """An exchange object of ccxt, as far as the venue uses it."""

    id = "binance"
    enableRateLimit = True  # noqa: N815 - ccxt's name; spaced by ccxt, its own methods word every request
    tradebot_session = NoSession()

    async def close(self) -> None:
        """Close nothing."""

    def __init__(self, network: Network, now_ms: Callable[[], int], *, urgent: bool) -> None:
        self._network = network
        self._now_ms = now_ms
        self._urgent = urgent
        self.has: dict[str, Any] = dict(_HAS)
        self.features = {
            "spot": {
                "createOrder": {
                    "timeInForce": {"IOC": True, "FOK": True, "PO": True, "GTC": True},
                    "marketBuyByCost": True,
                }
            }
        }
        self.exceptions: dict[str, Any] = {"exact": {}}
        self.options: dict[str, Any] = {"timeDifference": 0}
        self.markets: Mapping[str, Any] = {}

    # -- the wire, where the hooks listen -----------------------------------------------------------------

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        kind, what = body
        stamp_ms = self._now_ms() - int(self.options["timeDifference"])
        answer = await self._network.carry(kind, what, stamp_ms, urgent=self._urgent)
        self.handle_errors(answer.status, "", url, method, answer.headers, "", answer.body, headers, None)
        return answer.body

    def handle_errors(
        self,
        code: int,
        _reason: str,
        _url: str,
        _method: str,
        _headers: Any,
        _body: str,
        response: Any,
        _request_headers: Any,
        _request_body: Any,
    ) -> None:
        if code >= 400 or response is None:
            raise Said(f"HTTP {code}")

    async def _ask(self, kind: Kind, **what: Any) -> Any:
        method = {"place": "POST", "cancel": "DELETE"}.get(kind, "GET")
        return await self.fetch(f"{_URLS[kind]}?symbol=", method, None, (kind, what))

    # -- ccxt's methods -------------------------------------------------------------------------------------

    async def load_markets(self) -> Mapping[str, Any]:
        self.markets = MARKETS
        return MARKETS

    def set_markets_from_exchange(self, other: Any) -> None:
        self.markets = other.markets

    async def fetch_time(self) -> int:
        return int((await self._ask("time"))["serverTime"])

    async def create_order(
        self, symbol: str, kind: str, side: str, amount: Any, price: Any = None, params: Any = None
    ) -> Any:
        return await self._place(symbol, kind, side, amount, price, None, params)

    async def create_market_buy_order_with_cost(self, symbol: str, cost: Any, params: Any) -> Any:
        return await self._place(symbol, "market", "buy", None, None, cost, params)

    async def _place(
        self, symbol: str, kind: str, side: str, amount: Any, price: Any, cost: Any, params: Mapping[str, Any]
    ) -> Any:
        wire = "LIMIT_MAKER" if params.get("postOnly") else kind.upper()
        return await self._ask(
            "place",
            symbol=symbol,
            side=side.upper(),
            type=wire,
            tif=params.get("timeInForce", "GTC"),
            amount=amount,
            price=price,
            cost=cost,
            client_id=params["newClientOrderId"],
        )

    async def cancel_order(self, _order_id: Any, symbol: str, params: Mapping[str, Any]) -> Any:
        return await self._ask("cancel", symbol=symbol, client_id=params["origClientOrderId"])

    async def fetch_order(self, order_id: str, symbol: str, params: Mapping[str, Any]) -> Any:
        client_id = params.get("origClientOrderId", "")
        return await self._ask("order", symbol=symbol, client_id=client_id, order_id="" if client_id else order_id)

    async def fetch_open_orders(self, symbol: str | None) -> Any:
        return await self._ask("open", symbol=symbol)

    async def fetch_orders(self, symbol: str, since: int | None, _limit: int) -> Any:
        return await self._ask("orders", symbol=symbol, since_ms=since or 0)

    async def fetch_my_trades(
        self, symbol: str, since: int | None, _limit: int, params: Mapping[str, Any] | None = None
    ) -> Any:
        asked = params or {}
        return await self._ask(
            "trades",
            symbol=symbol,
            since_ms=since or 0,
            order_id=str(asked.get("orderId", "")),
            from_id=int(asked.get("fromId", 0)),
        )

    async def fetch_balance(self) -> Any:
        return await self._ask("balances")

    async def publicGetExchangeInfo(self, params: Mapping[str, str]) -> Any:  # noqa: N802 - ccxt's name
        return await self._ask("info", symbols=json.loads(params["symbols"]))

    async def sapiGetAccountApiRestrictions(self) -> Any:  # noqa: N802 - ccxt's name
        flags = {"enableReading": True, "enableSpotAndMarginTrading": True, "ipRestrict": True}
        others = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
        return flags | dict.fromkeys((*others, "enableMargin", "enableFutures"), False)


def client(network: Network, now_ms: Callable[[], int], taps: Taps) -> Any:
    """Return an instance that tells `taps`, as every instance of the product does."""
    return hooked(BinanceAsCcxt, taps)(network, now_ms, urgent=taps.urgent)
