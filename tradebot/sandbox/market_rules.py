"""What may be traded, and by which filters? Asked by the core for every order, and told as exchangeInfo.

The rules are exchangeInfo's own objects, recorded or made from an instrument: what is served is what is enforced.
Filters: Binance spot API, "Filters".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO
from tradebot.sandbox.orders import PREVENTIONS, OrderRequest
from tradebot.sandbox.wire_errors import ApiError, filter_failure, rejected

TRADING: Final = "TRADING"
_PLACES: Final = 8
_MANY: Final = "9000000000.00000000"

ORDER_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET")

_NOT_MODELLED: Final = dict.fromkeys(
    (
        *("icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "allowTrailingStop", "amendAllowed"),
        *("pegInstructionsAllowed", "isMarginTradingAllowed"),
    ),
    False,
)
"""What a symbol says of kinds of orders that nobody here understands, whatever was recorded."""

RATE_LIMITS: Final[list[dict[str, Any]]] = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
]
"""The limits of an exchange whose exchangeInfo was not recorded."""


class SymbolRules:
    """One symbol: its exchangeInfo object, and the filters on its orders. `status` may change while it runs."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = dict(info) | _NOT_MODELLED
        self._info["orderTypes"] = [each for each in info["orderTypes"] if each in ORDER_TYPES]
        self.symbol = str(info["symbol"])
        self.base = str(info["baseAsset"])
        self.quote = str(info["quoteAsset"])
        self.pair = f"{self.base}/{self.quote}"
        self.status = str(info["status"])
        self.order_types = frozenset(self._info["orderTypes"])
        self.takes_quote_amount = bool(info.get("quoteOrderQtyMarketAllowed", True))
        filters = {str(each["filterType"]): each for each in info["filters"]}
        self.amount_places = int(info["baseAssetPrecision"])
        self.quote_places = int(info.get("quoteAssetPrecision", info.get("quotePrecision", _PLACES)))
        price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
        self._tick = _number(price, "tickSize")
        self._price_range = _number(price, "minPrice"), _number(price, "maxPrice")
        self._lot = _number(lot, "minQty"), _number(lot, "maxQty"), _number(lot, "stepSize")
        market = filters.get("MARKET_LOT_SIZE", {})
        self._market_lot = _number(market, "minQty"), _number(market, "maxQty"), _number(market, "stepSize")
        self._percents = _percents(filters)
        self.average_minutes = max((int(each.get("avgPriceMins", 0)) for each in filters.values()), default=0)
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        self._notional_name = str(notional.get("filterType", "NOTIONAL"))
        self.least_notional, self._most_notional = _number(notional, "minNotional"), _number(notional, "maxNotional")
        self._least_at_market = bool(notional.get("applyMinToMarket", notional.get("applyToMarket", True)))
        self._most_at_market = bool(notional.get("applyMaxToMarket", False))
        self._max_orders = int(filters.get("MAX_NUM_ORDERS", {}).get("maxNumOrders", 0))
        self._max_position = _number(filters.get("MAX_POSITION", {}), "maxPosition")

    @property
    def instrument(self) -> Instrument:
        """Return the filters as the matching core knows them; what it does not know is checked here."""
        least, _, step = self._lot
        smallest = Decimal(1).scaleb(-_PLACES)
        return Instrument(self.pair, self.base, self.quote, self._tick or smallest, step or smallest, least)

    def info(self) -> dict[str, Any]:
        """Return the symbol's exchangeInfo object as it stands."""
        return self._info | {"status": self.status}

    def check(self, order: OrderRequest, average: Decimal, open_orders: int, held: Decimal, open_buys: Decimal) -> None:
        """Raise ApiError where `order` breaks a rule.

        `average` is the price (quote) percentages and market notionals stand on, 0 where nothing was traded; `held`
        is what the account holds of the base, `open_buys` what its open orders are buying.
        """
        if self.status != TRADING:
            raise ApiError(-1013, "Market is closed.")
        self._check_type(order)
        self._check_price(order, average)
        self._check_lot(order)
        self._check_notional(order, average)
        if self._max_orders and order.type != "MARKET" and open_orders >= self._max_orders:
            raise filter_failure("MAX_NUM_ORDERS")
        if self._max_position and order.side == "BUY" and held + open_buys + order.amount > self._max_position:
            raise filter_failure("MAX_POSITION")

    def _check_type(self, order: OrderRequest) -> None:
        if order.type not in self.order_types:
            kind = {"MARKET": "Market orders are", "LIMIT_MAKER": "Limit maker orders are"}.get(
                order.type, "Limit orders are"
            )
            raise rejected(f"{kind} not supported for this symbol.")
        if order.quote_amount and not self.takes_quote_amount:
            raise rejected("Quote order qty market orders are not support for this symbol.")
        if order.prevention not in self._info.get("allowedSelfTradePreventionModes", ("NONE",)):
            raise ApiError(-1130, "This symbol does not allow the specified self-trade prevention mode.")

    def _check_price(self, order: OrderRequest, average: Decimal) -> None:
        if order.type == "MARKET":
            return
        least, most = self._price_range
        price = order.price
        if price <= 0 or (least and price < least) or (most and price > most):
            raise filter_failure("PRICE_FILTER")
        if self._tick and price % self._tick:
            raise filter_failure("PRICE_FILTER")
        if self._percents and average:
            name, sides = self._percents
            down, up = sides[order.side]
            if price > average * up or price < average * down:
                raise filter_failure(name)

    def _check_lot(self, order: OrderRequest) -> None:
        if order.quote_amount:
            return
        _check_range("LOT_SIZE", self._lot, order.amount)
        if order.type == "MARKET":
            _check_range("MARKET_LOT_SIZE", self._market_lot, order.amount)

    def _check_notional(self, order: OrderRequest, average: Decimal) -> None:
        market = order.type == "MARKET"
        price = average if market else order.price
        worth = order.quote_amount or price * order.amount
        if not worth and market:
            return  # nothing was ever traded: there is no price to count with
        if worth < self.least_notional and (self._least_at_market or not market):
            raise filter_failure(self._notional_name)
        if self._most_notional and worth > self._most_notional and (self._most_at_market or not market):
            raise filter_failure(self._notional_name)


def rules_of(instruments: Iterable[Instrument]) -> list[SymbolRules]:
    """Return the rules of symbols of which only the instrument is known.

    A lot step is coarse enough that every trade's value is a whole number of the exchange's units, eight places.
    """
    return [SymbolRules(_info(_in_units(instrument))) for instrument in instruments]


def _in_units(instrument: Instrument) -> Instrument:
    unit = Decimal(1).scaleb(-_PLACES)
    if instrument.tick_size * instrument.amount_step % unit == ZERO:
        return instrument
    step = unit / instrument.tick_size
    return msgspec.structs.replace(instrument, amount_step=step, min_amount=max(step, instrument.min_amount))


def _number(values: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(str(values.get(name, 0)))


def _percents(filters: Mapping[str, Mapping[str, Any]]) -> tuple[str, dict[str, tuple[Decimal, Decimal]]] | None:
    """Return the filter's name and (lowest, highest) share of the average price by side, None without one."""
    by_side = filters.get("PERCENT_PRICE_BY_SIDE")
    if by_side is not None:
        return "PERCENT_PRICE_BY_SIDE", {
            "BUY": (_number(by_side, "bidMultiplierDown"), _number(by_side, "bidMultiplierUp")),
            "SELL": (_number(by_side, "askMultiplierDown"), _number(by_side, "askMultiplierUp")),
        }
    both = filters.get("PERCENT_PRICE")
    if both is None:
        return None
    span = _number(both, "multiplierDown"), _number(both, "multiplierUp")
    return "PERCENT_PRICE", {"BUY": span, "SELL": span}


def _check_range(name: str, lot: tuple[Decimal, Decimal, Decimal], amount: Decimal) -> None:
    least, most, step = lot
    if amount <= 0 or amount < least or (most and amount > most) or (step and amount % step):
        raise filter_failure(name)


def _text(value: Decimal) -> str:
    return f"{value:.{_PLACES}f}"


def _info(instrument: Instrument) -> dict[str, Any]:
    zero = _text(ZERO)
    filters: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _text(instrument.tick_size),
            "maxPrice": _text(instrument.tick_size * 1_000_000_000),
            "tickSize": _text(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _text(instrument.min_amount or instrument.amount_step),
            "maxQty": _text(instrument.max_amount) if instrument.max_amount else _MANY,
            "stepSize": _text(instrument.amount_step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": zero, "maxQty": _MANY, "stepSize": zero},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": _text(instrument.min_notional),
            "applyMinToMarket": True,
            "maxNotional": _MANY,
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]
    return {
        "symbol": instrument.base + instrument.quote,
        "status": TRADING,
        "baseAsset": instrument.base,
        "baseAssetPrecision": _PLACES,
        "quoteAsset": instrument.quote,
        "quotePrecision": _PLACES,
        "quoteAssetPrecision": _PLACES,
        "baseCommissionPrecision": _PLACES,
        "quoteCommissionPrecision": _PLACES,
        "orderTypes": list(ORDER_TYPES),
        "quoteOrderQtyMarketAllowed": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": list(PREVENTIONS),
    }
