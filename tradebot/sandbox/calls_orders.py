"""How does a client trade? Asked by the calls that place, cancel and query orders.

Which parameters a type of order takes, and what is said where they are wrong: Binance spot API, "Trading endpoints".
"""

from __future__ import annotations

import secrets
import string
from decimal import Decimal
from typing import Any, Final, cast

from tradebot.domain.numbers import ZERO
from tradebot.sandbox import shapes
from tradebot.sandbox.calls import Asked, Call, always
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.orders import OrderRequest, Prevention, WireSide, WireTif, WireType
from tradebot.sandbox.params import CLIENT_ID, Params
from tradebot.sandbox.wire_errors import ApiError, missing, not_required, one_of, rejected

DAY_MS: Final = 86_400_000

_STOPS: Final = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}
_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET", *_STOPS)
_MODES: Final = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
_LETTERS: Final = string.ascii_letters + string.digits
_ONLY: Final = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}


class OrderCalls:
    """The calls that trade, and those that tell of orders and trades."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def table(self) -> dict[str, Call]:
        """Return the calls by name. Placing and canceling weigh nothing where they succeed, so they weigh nothing."""
        return {
            "order.place": Call("trade", always(0), self._place),
            "order.test": Call("trade", lambda sent: 20 if "computeCommissionRates" in sent else 1, self._test),
            "order.cancel": Call("trade", always(0), self._cancel),
            "order.cancelReplace": Call("trade", always(0), self._replace),
            "order.status": Call("signed", always(4), self._status),
            "openOrders.status": Call("signed", lambda sent: 6 if "symbol" in sent else 80, self._open),
            "openOrders.cancelAll": Call("trade", always(0), self._cancel_all),
            "allOrders": Call("signed", always(20), self._all),
            "myTrades": Call("signed", lambda sent: 5 if "orderId" in sent else 20, self._trades),
        }

    def _place(self, asked: Asked) -> Any:
        request, response = self._understood(asked.params)
        asked.params.finish()
        return shapes.placed(self._exchange.place(asked.account, request, asked.now_ms), response)

    def _test(self, asked: Asked) -> Any:
        request, _ = self._understood(asked.params)
        rates = asked.params.choice("computeCommissionRates", ("true", "false")) == "true"
        asked.params.finish()
        self._exchange.check(asked.account, request, asked.now_ms)
        if not rates:
            return {}
        told = shapes.commission(request.symbol, self._exchange.rates(asked.account))
        return {
            "standardCommissionForOrder": {side: told["standardCommission"][side] for side in ("maker", "taker")},
            "specialCommissionForOrder": {side: told["specialCommission"][side] for side in ("maker", "taker")},
            "taxCommissionForOrder": {side: told["taxCommission"][side] for side in ("maker", "taker")},
            "discount": told["discount"],
        }

    def _cancel(self, asked: Asked) -> Any:
        params = asked.params
        symbol = params.symbol()
        order_id, client_id = _which(params)
        cancel_id = params.matching("newClientOrderId", CLIENT_ID) or fresh_id()
        only = params.choice("cancelRestrictions", _ONLY)
        params.finish()
        done = self._exchange.cancel(
            asked.account, symbol, order_id, client_id, cancel_id, asked.now_ms, only=_ONLY.get(only or "", "")
        )
        return shapes.canceled(done)

    def _cancel_all(self, asked: Asked) -> Any:
        symbol = asked.params.symbol()
        asked.params.finish()
        done = self._exchange.cancel_all(asked.account, symbol, fresh_id(), asked.now_ms)
        return [shapes.canceled(each) for each in done]

    def _replace(self, asked: Asked) -> Any:
        """Cancel an order and place another; what failed, and what was not tried, is told (-2021, -2022)."""
        params = asked.params
        stop = params.choice("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"))
        if stop is None:
            raise missing("cancelReplaceMode")
        order_id, client_id = _which(params, "cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = params.matching("cancelNewClientOrderId", CLIENT_ID) or fresh_id()
        only = params.choice("cancelRestrictions", _ONLY)
        params.choice("orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"))
        request, response = self._understood(params)
        params.finish()
        told: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED"}
        told |= {"cancelResponse": None, "newOrderResponse": None}
        try:
            done = self._exchange.cancel(
                asked.account,
                request.symbol,
                order_id,
                client_id,
                cancel_id,
                asked.now_ms,
                only=_ONLY.get(only or "", ""),
            )
            told["cancelResponse"] = shapes.canceled(done)
        except ApiError as refusal:
            told |= {"cancelResult": "FAILURE", "cancelResponse": refusal.body()}
            if stop == "STOP_ON_FAILURE":
                raise ReplaceFailed(told) from None
        try:
            placed = self._exchange.place(asked.account, request, asked.now_ms)
            told |= {"newOrderResult": "SUCCESS", "newOrderResponse": shapes.placed(placed, response)}
        except ApiError as refusal:
            told |= {"newOrderResult": "FAILURE", "newOrderResponse": refusal.body()}
        if "FAILURE" in {told["cancelResult"], told["newOrderResult"]}:
            raise ReplaceFailed(told)
        return told

    def _status(self, asked: Asked) -> Any:
        params = asked.params
        symbol = params.symbol()
        order_id, client_id = _which(params)
        params.finish()
        return shapes.order(self._exchange.query(asked.account, symbol, order_id, client_id))

    def _open(self, asked: Asked) -> Any:
        params = asked.params
        symbol = params.symbol() if "symbol" in params else None
        params.finish()
        return [shapes.order(each) for each in self._exchange.open_orders(asked.account, symbol)]

    def _all(self, asked: Asked) -> Any:
        params = asked.params
        symbol, from_id = params.symbol(), params.integer("orderId")
        from_ms, to_ms = _span(params)
        most = params.limit(500, 1_000)
        params.finish()
        found = self._exchange.all_orders(
            asked.account, symbol, from_id=from_id, from_ms=from_ms, to_ms=to_ms, limit=most
        )
        return [shapes.order(each) for each in found]

    def _trades(self, asked: Asked) -> Any:
        params = asked.params
        symbol, order_id, from_id = params.symbol(), params.integer("orderId"), params.integer("fromId")
        from_ms, to_ms = _span(params)
        most = params.limit(500, 1_000)
        params.finish()
        if from_id is not None and (from_ms is not None or to_ms is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        found = self._exchange.my_trades(
            asked.account, symbol, order_id=order_id, from_id=from_id, from_ms=from_ms, to_ms=to_ms, limit=most
        )
        return [shapes.own_trade(each) for each in found]

    # -- understanding an order ------------------------------------------------------------------------

    def _understood(self, params: Params) -> tuple[OrderRequest, str]:
        """Return the order that is meant, and how its answer is to look. Raises ApiError."""
        symbol = params.symbol()
        params.text("side")
        side = params.choice("side", ("BUY", "SELL"), lambda: ApiError(-1117, "Invalid side."))
        params.text("type")
        kind = params.choice("type", _TYPES, lambda: ApiError(-1116, "Invalid orderType."))
        rules = self._exchange.rules_of(symbol)
        _refuse_what_is_not_modelled(params, kind or "")
        tif = params.choice("timeInForce", ("GTC", "IOC", "FOK"), lambda: ApiError(-1115, "Invalid timeInForce."))
        amount = params.number("quantity", rules.amount_places)
        price = params.number("price", rules.quote_places)
        quote = params.number("quoteOrderQty", rules.quote_places)
        _check_parts(params, kind or "", amount, price, quote)
        client_id = params.matching("newClientOrderId", CLIENT_ID) or fresh_id()
        mode = params.choice("selfTradePreventionMode", _MODES) or "NONE"
        usual = "ACK" if kind not in {"MARKET", "LIMIT"} else "FULL"
        response = params.choice("newOrderRespType", ("ACK", "RESULT", "FULL")) or usual
        params.ignore(("strategyId", "strategyType"))
        request = OrderRequest(
            symbol,
            cast("WireSide", side),
            cast("WireType", kind),
            client_id,
            cast("WireTif", tif or "GTC"),
            amount or ZERO,
            price or ZERO,
            quote or ZERO,
            cast("Prevention", mode),
        )
        return request, response


class ReplaceFailed(ApiError):
    """A cancel-replace that failed in whole (-2022) or in part (-2021), with what became of each half."""

    def __init__(self, told: dict[str, Any]) -> None:
        whole = "SUCCESS" not in {told["cancelResult"], told["newOrderResult"]}
        if whole:
            super().__init__(-2022, "Order cancel-replace failed.")
        else:
            super().__init__(-2021, "Order cancel-replace partially failed.", 409)
        self._told = told

    def body(self) -> dict[str, object]:
        """Return the answer's JSON object, with both halves."""
        return super().body() | {"data": self._told}


def fresh_id() -> str:
    """Return a client id as the exchange invents one."""
    return "".join(secrets.choice(_LETTERS) for _ in range(22))


def _refuse_what_is_not_modelled(params: Params, kind: str) -> None:
    if kind in _STOPS:
        raise rejected(_STOPS[kind])
    if "icebergQty" in params:
        raise rejected("Iceberg orders are not supported for this symbol.")
    for name in ("stopPrice", "trailingDelta"):
        if name in params:
            raise not_required(name)


def _check_parts(
    params: Params, kind: str, amount: Decimal | None, price: Decimal | None, quote: Decimal | None
) -> None:
    """Raise ApiError where an order lacks a part of its type, or has one of another."""
    if kind == "MARKET":
        if amount is None and quote is None:
            raise one_of("quantity", "quoteOrderQty")
        if amount is not None and quote is not None:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
    elif amount is None or price is None:
        raise missing("quantity" if amount is None else "price")
    if kind == "LIMIT" and "timeInForce" not in params:
        raise missing("timeInForce")
    foreign = {"MARKET": ("price", "timeInForce"), "LIMIT_MAKER": ("timeInForce", "quoteOrderQty")}
    for name in foreign.get(kind, ("quoteOrderQty",)):
        if name in params:
            raise not_required(name)
    if amount == ZERO:
        raise ApiError(-1013, "Invalid quantity.")
    if price == ZERO:
        raise ApiError(-1013, "Invalid price.")
    if quote == ZERO:
        raise ApiError(-1013, "Invalid quote order qty.")


def _which(
    params: Params, by_id: str = "orderId", by_client_id: str = "origClientOrderId"
) -> tuple[int | None, str | None]:
    """Return the order that is meant, by its id, the client's, or both."""
    order_id, client_id = params.integer(by_id), params.optional(by_client_id)
    if order_id is None and client_id is None:
        raise one_of(by_client_id, by_id)
    return order_id, client_id


def _span(params: Params) -> tuple[int | None, int | None]:
    from_ms, to_ms = params.integer("startTime"), params.integer("endTime")
    if from_ms is not None and to_ms is not None and not 0 <= to_ms - from_ms <= DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return from_ms, to_ms
