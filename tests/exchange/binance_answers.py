"""What does Binance answer? The shapes of its REST interface, as short as they may be."""

from __future__ import annotations

import time
from typing import Any


def now_ms() -> int:
    """Return the present: ccxt leaves out what is older than what was asked for, however long the tests have run."""
    return time.time_ns() // 1_000_000


def exchange_info(*symbols: str) -> dict[str, Any]:
    """Return exchangeInfo of some symbols, such as BTC/USDT."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms(),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(*each.split("/")) for each in symbols],
    }


def api_restrictions(**flags: bool) -> dict[str, Any]:
    """Return what a key may do: trade spot from its own address, unless `flags` say otherwise."""
    off = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer", "enableMargin", "enableFutures")
    on = ("ipRestrict", "enableReading", "enableSpotAndMarginTrading")
    return {"createTime": now_ms(), **dict.fromkeys(off, False), **dict.fromkeys(on, True), **flags}


def _symbol(base: str, quote: str) -> dict[str, Any]:
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissionSets": [["SPOT"]],
        "permissions": [],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
        ],
    }


def placed(client_id: str, *, order_id: int = 28, status: str = "NEW", filled: str = "0.00000000") -> dict[str, Any]:
    """Return the full answer to a new order of 0.002 BTC at 50 000 USDT; what is filled is one trade of id 7."""
    fills = [{"price": "50000.00", "qty": filled, "commission": "0.00001", "commissionAsset": "BNB", "tradeId": 7}]
    return {
        "symbol": "BTCUSDT",
        "orderId": order_id,
        "orderListId": -1,
        "clientOrderId": client_id,
        "transactTime": now_ms(),
        "price": "50000.00000000",
        "origQty": "0.00200000",
        "executedQty": filled,
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": f"{float(filled) * 50_000:.8f}",
        "status": status,
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": now_ms(),
        "selfTradePreventionMode": "NONE",
        "fills": fills if float(filled) else [],
    }


def queried(client_id: str, *, order_id: int = 28, status: str = "NEW", filled: str = "0.00000000") -> dict[str, Any]:
    """Return the answer to a query of the same order."""
    answer = placed(client_id, order_id=order_id, status=status, filled=filled)
    del answer["fills"], answer["transactTime"]
    times = {"time": now_ms(), "updateTime": now_ms(), "workingTime": now_ms()}
    return {**answer, "stopPrice": "0.0", "icebergQty": "0.0", "isWorking": True, **times}


def canceled(client_id: str, *, order_id: int = 28, filled: str = "0.00000000") -> dict[str, Any]:
    """Return the answer to a cancel of the same order: `clientOrderId` is the cancel's own."""
    answer = placed("cancel-of-it", order_id=order_id, status="CANCELED", filled=filled)
    del answer["fills"]
    return {**answer, "origClientOrderId": client_id}


def traded(order_id: int = 28, *, trade_id: int = 7, amount: str = "0.00100000") -> dict[str, Any]:
    """Return one row of myTrades of the same order."""
    return {
        "symbol": "BTCUSDT",
        "id": trade_id,
        "orderId": order_id,
        "orderListId": -1,
        "price": "50000.00000000",
        "qty": amount,
        "quoteQty": "50.00000000",
        "commission": "0.00001000",
        "commissionAsset": "BNB",
        "time": now_ms(),
        "isBuyer": True,
        "isMaker": True,
        "isBestMatch": True,
    }


def account(**held: str) -> dict[str, Any]:
    """Return the account with some balances, all of them free."""
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "canTrade": True,
        "updateTime": now_ms(),
        "accountType": "SPOT",
        "balances": [{"asset": asset, "free": free, "locked": "0.00000000"} for asset, free in held.items()],
        "permissions": ["SPOT"],
    }
