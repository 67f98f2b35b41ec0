"""What does each exchange answer, in its own words? As short as ccxt reads it; the same order everywhere.

A limit buy of 0.002 BTC at 50 000 USDT of the client id `t-1-1`; 0.001 of it is filled by the trade T7, fee 0.05 USDT.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from tests.exchange.binance_answers import canceled, placed, queried, traded
from tradebot.exchange.dialects import as_hex

AT: Final = 1_700_000_000_000
HEX: Final = as_hex("t-1-1")


class Spoken(Struct, frozen=True):
    """One exchange. `cancels` and so on are (method, end of the path); the answers come in the same order."""

    market_id: str
    place: tuple[str, str]
    placed: Any
    wire: dict[str, str]
    kinds: dict[str, dict[str, Any]]
    refused: tuple[int, Any, str]
    find: tuple[str, str]
    found: Any
    missing: tuple[int, Any]
    cancel: tuple[str, str]
    canceled: Any
    cancel_wire: dict[str, Any]
    trades: tuple[str, str]
    traded: Any
    limits: dict[str, Any] = {}


_OKX: Final = {
    "instId": "BTC-USDT",
    "ordId": "V1",
    "clOrdId": "tZ1Z1",
    "px": "50000",
    "sz": "0.002",
    "ordType": "limit",
    "side": "buy",
    "accFillSz": "0.001",
    "avgPx": "50000",
    "state": "partially_filled",
    "cTime": str(AT),
    "instType": "SPOT",
}
_BYBIT: Final = {
    "symbol": "BTCUSDT",
    "orderId": "V1",
    "orderLinkId": "t-1-1",
    "price": "50000",
    "qty": "0.002",
    "side": "Buy",
    "orderStatus": "PartiallyFilled",
    "cumExecQty": "0.001",
    "cumExecValue": "50",
    "orderType": "Limit",
    "timeInForce": "GTC",
    "createdTime": str(AT),
}
_KUCOIN: Final = {
    "id": "V1",
    "symbol": "BTC-USDT",
    "clientOid": "t-1-1",
    "type": "limit",
    "side": "buy",
    "price": "50000",
    "size": "0.002",
    "dealSize": "0.001",
    "dealFunds": "50",
    "isActive": True,
    "cancelExist": False,
    "createdAt": AT,
}
_GATE: Final = {
    "id": "V1",
    "text": "t-t-1-1",
    "currency_pair": "BTC_USDT",
    "type": "limit",
    "side": "buy",
    "amount": "0.002",
    "price": "50000",
    "left": "0.001",
    "filled_total": "50",
    "status": "open",
    "create_time_ms": AT,
}
_BITGET: Final = {
    "symbol": "BTCUSDT",
    "orderId": "V1",
    "clientOid": "t-1-1",
    "price": "50000",
    "size": "0.002",
    "orderType": "limit",
    "side": "buy",
    "status": "partially_filled",
    "baseVolume": "0.001",
    "quoteVolume": "50",
    "cTime": str(AT),
}
_KRAKEN: Final = {
    "cl_ord_id": HEX,
    "status": "open",
    "opentm": AT / 1000,
    "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "50000"},
    "vol": "0.002",
    "vol_exec": "0.001",
    "cost": "50",
    "fee": "0.05",
    "price": "50000",
}
_COINBASE: Final = {
    "order_id": "V1",
    "client_order_id": "t-1-1",
    "product_id": "BTC-USDT",
    "side": "BUY",
    "status": "OPEN",
    "filled_size": "0.001",
    "average_filled_price": "50000",
    "order_configuration": {"limit_limit_gtc": {"base_size": "0.002", "limit_price": "50000"}},
    "created_time": "2023-11-14T22:13:20.000Z",
}

SPOKEN: Final = {
    "binance": Spoken(
        market_id="BTCUSDT",
        place=("POST", "/api/v3/order"),
        placed=placed("t-1-1", order_id=1),
        wire={"newClientOrderId": "t-1-1", "quantity": "0.002", "price": "50000"},
        kinds={"IOC": {"timeInForce": "IOC"}, "PO": {"type": "LIMIT_MAKER"}, "market": {"quoteOrderQty": "100.5"}},
        refused=(400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}, "-2010"),
        find=("GET", "/api/v3/order"),
        found=queried("t-1-1", order_id=1, status="PARTIALLY_FILLED", filled="0.00100000"),
        missing=(400, {"code": -2013, "msg": "Order does not exist."}),
        cancel=("DELETE", "/api/v3/order"),
        canceled=canceled("t-1-1", order_id=1),
        cancel_wire={"origClientOrderId": "t-1-1"},
        trades=("GET", "/myTrades"),
        traded=[{**traded(1), "commission": "0.05", "commissionAsset": "USDT"}],
    ),
    "okx": Spoken(
        market_id="BTC-USDT",
        place=("POST", "/trade/batch-orders"),
        placed={"code": "0", "data": [{"clOrdId": "tZ1Z1", "ordId": "V1", "sCode": "0", "sMsg": ""}], "msg": ""},
        wire={"clOrdId": "tZ1Z1", "sz": "0.002", "px": "50000"},
        kinds={
            "IOC": {"ordType": "ioc"},
            "PO": {"ordType": "post_only"},
            "market": {"sz": "100.5", "tgtCcy": "quote_ccy"},
        },
        refused=(
            200,
            {"code": "1", "data": [{"ordId": "", "sCode": "51008", "sMsg": "Insufficient USDT"}], "msg": ""},
            "51008",
        ),
        find=("GET", "/trade/order"),
        found={"code": "0", "data": [_OKX], "msg": ""},
        missing=(200, {"code": "51603", "data": [], "msg": "Order does not exist"}),
        cancel=("POST", "/trade/cancel-order"),
        canceled={"code": "0", "data": [{"clOrdId": "tZ1Z1", "ordId": "V1", "sCode": "0", "sMsg": ""}], "msg": ""},
        cancel_wire={"clOrdId": "tZ1Z1", "ordId": None},
        trades=("GET", "/trade/fills-history"),
        traded={
            "code": "0",
            "data": [
                {
                    "instId": "BTC-USDT",
                    "tradeId": "T7",
                    "ordId": "V1",
                    "fillPx": "50000",
                    "fillSz": "0.001",
                    "side": "buy",
                    "fee": "-0.05",
                    "feeCcy": "USDT",
                    "execType": "M",
                    "ts": str(AT),
                }
            ],
        },
    ),
    "bybit": Spoken(
        market_id="BTCUSDT",
        place=("POST", "/v5/order/create"),
        placed={"retCode": 0, "retMsg": "OK", "result": {"orderId": "V1", "orderLinkId": "t-1-1"}},
        wire={"orderLinkId": "t-1-1", "qty": "0.002", "price": "50000"},
        kinds={"IOC": {"timeInForce": "IOC"}, "PO": {"timeInForce": "PostOnly"}, "market": {"qty": "100.5"}},
        refused=(200, {"retCode": 170131, "retMsg": "Insufficient balance.", "result": {}}, "170131"),
        find=("GET", "/v5/order/realtime"),
        found={"retCode": 0, "result": {"list": [_BYBIT], "category": "spot"}},
        missing=(200, {"retCode": 0, "result": {"list": [], "category": "spot"}}),
        cancel=("POST", "/v5/order/cancel"),
        canceled={"retCode": 0, "result": {"orderId": "V1", "orderLinkId": "t-1-1"}},
        cancel_wire={"orderLinkId": "t-1-1", "orderId": None},
        trades=("GET", "/v5/execution/list"),
        traded={
            "retCode": 0,
            "result": {
                "category": "spot",
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "execId": "T7",
                        "orderId": "V1",
                        "execPrice": "50000",
                        "execQty": "0.001",
                        "execFee": "0.05",
                        "feeCurrency": "USDT",
                        "isMaker": True,
                        "side": "Buy",
                        "execTime": str(AT),
                    }
                ],
            },
        },
    ),
    "kucoin": Spoken(
        market_id="BTC-USDT",
        place=("POST", "/api/v1/orders"),
        placed={"code": "200000", "data": {"orderId": "V1"}},
        wire={"clientOid": "t-1-1", "size": "0.002", "price": "50000"},
        kinds={"IOC": {"timeInForce": "IOC"}, "PO": {"postOnly": True}, "market": {"funds": "100.5"}},
        refused=(200, {"code": "200004", "msg": "Balance insufficient!"}, "200004"),
        find=("GET", "/order/client-order/t-1-1"),
        found={"code": "200000", "data": _KUCOIN},
        missing=(200, {"code": "400100", "msg": "order not exist."}),
        cancel=("DELETE", "/order/client-order/t-1-1"),
        canceled={"code": "200000", "data": {"cancelledOrderId": "V1", "clientOid": "t-1-1"}},
        cancel_wire={},
        trades=("GET", "/fills"),
        traded={
            "code": "200000",
            "data": {
                "items": [
                    {
                        "symbol": "BTC-USDT",
                        "tradeId": "T7",
                        "orderId": "V1",
                        "side": "buy",
                        "liquidity": "maker",
                        "price": "50000",
                        "size": "0.001",
                        "funds": "50",
                        "fee": "0.05",
                        "feeCurrency": "USDT",
                        "createdAt": AT,
                    }
                ]
            },
        },
        limits={"quoteIncrement": "0.000001"},
    ),
    "gate": Spoken(
        market_id="BTC_USDT",
        place=("POST", "/spot/orders"),
        placed=_GATE,
        wire={"text": "t-t-1-1", "amount": "0.002", "price": "50000"},
        kinds={"IOC": {"time_in_force": "ioc"}, "PO": {"time_in_force": "poc"}, "market": {"amount": "100.5"}},
        refused=(400, {"label": "BALANCE_NOT_ENOUGH", "message": "Not enough balance"}, "BALANCE_NOT_ENOUGH"),
        find=("GET", "/spot/orders/t-t-1-1"),
        found=_GATE,
        missing=(404, {"label": "ORDER_NOT_FOUND", "message": "Order not found"}),
        cancel=("DELETE", "/spot/orders/t-t-1-1"),
        canceled={**_GATE, "status": "cancelled", "finish_as": "cancelled"},
        cancel_wire={"currency_pair": "BTC_USDT"},
        trades=("GET", "/spot/my_trades"),
        traded=[
            {
                "id": "T7",
                "create_time_ms": str(AT),
                "currency_pair": "BTC_USDT",
                "side": "buy",
                "role": "maker",
                "amount": "0.001",
                "price": "50000",
                "order_id": "V1",
                "fee": "0.05",
                "fee_currency": "USDT",
            }
        ],
    ),
    "bitget": Spoken(
        market_id="BTCUSDT",
        place=("POST", "/trade/place-order"),
        placed={"code": "00000", "msg": "success", "data": {"orderId": "V1", "clientOid": "t-1-1"}},
        wire={"clientOid": "t-1-1", "size": "0.002", "price": "50000"},
        kinds={"IOC": {"force": "IOC"}, "PO": {"force": "post_only"}, "market": {"size": "100.5"}},
        refused=(400, {"code": "43012", "msg": "Insufficient balance"}, "43012"),
        find=("GET", "/trade/orderInfo"),
        found={"code": "00000", "msg": "success", "data": [_BITGET]},
        missing=(200, {"code": "00000", "msg": "success", "data": []}),
        cancel=("POST", "/trade/cancel-order"),
        canceled={"code": "00000", "data": {"orderId": "V1", "clientOid": "t-1-1"}},
        cancel_wire={"clientOid": "t-1-1", "orderId": None},
        trades=("GET", "/trade/fills"),
        traded={
            "code": "00000",
            "data": [
                {
                    "symbol": "BTCUSDT",
                    "orderId": "V1",
                    "tradeId": "T7",
                    "side": "buy",
                    "priceAvg": "50000",
                    "size": "0.001",
                    "tradeScope": "maker",
                    "feeDetail": {"feeCoin": "USDT", "totalFee": "-0.05"},
                    "cTime": str(AT),
                }
            ],
        },
    ),
    "kraken": Spoken(
        market_id="XBTUSDT",
        place=("POST", "/private/AddOrder"),
        placed={"error": [], "result": {"descr": {"order": "buy 0.002 XBTUSDT @ limit 50000"}, "txid": ["V1"]}},
        wire={"cl_ord_id": HEX, "volume": "0.002", "price": "50000"},
        kinds={
            "IOC": {"timeinforce": "IOC"},
            "PO": {"oflags": "post"},
            "market": {"volume": "100.5", "oflags": "viqc"},
        },
        refused=(200, {"error": ["EOrder:Insufficient funds"]}, "EOrder:Insufficient funds"),
        find=("POST", "/private/OpenOrders"),
        found={"error": [], "result": {"open": {"V1": _KRAKEN}}},
        missing=(200, {"error": [], "result": {"open": {}}}),
        cancel=("POST", "/private/CancelOrder"),
        canceled={"error": [], "result": {"count": 1}},
        cancel_wire={"cl_ord_id": HEX, "txid": None},
        trades=("POST", "/private/TradesHistory"),
        traded={
            "error": [],
            "result": {
                "trades": {
                    "T7": {
                        "ordertxid": "V1",
                        "pair": "XBTUSDT",
                        "time": AT / 1000,
                        "type": "buy",
                        "ordertype": "limit",
                        "price": "50000",
                        "cost": "50",
                        "fee": "0.05",
                        "vol": "0.001",
                        "maker": True,
                    }
                }
            },
        },
    ),
    "coinbase": Spoken(
        market_id="BTC-USDT",
        place=("POST", "/brokerage/orders"),
        placed={"success": True, "success_response": {"order_id": "V1", "client_order_id": "t-1-1", "side": "BUY"}},
        wire={"client_order_id": "t-1-1"},
        kinds={
            "IOC": {"order_configuration": {"sor_limit_ioc": {"base_size": "0.002", "limit_price": "50000"}}},
            "PO": {
                "order_configuration": {
                    "limit_limit_gtc": {"base_size": "0.002", "limit_price": "50000", "post_only": True}
                }
            },
            "market": {"order_configuration": {"market_market_ioc": {"quote_size": "100.5"}}},
        },
        refused=(
            200,
            {"success": False, "error_response": {"error": "INSUFFICIENT_FUND", "message": "Insufficient balance"}},
            "INSUFFICIENT_FUND",
        ),
        find=("GET", "/orders/historical/batch"),
        found={"orders": [_COINBASE]},
        missing=(200, {"orders": []}),
        cancel=("POST", "/orders/batch_cancel"),
        canceled={"results": [{"success": True, "failure_reason": "UNKNOWN", "order_id": "V1"}]},
        cancel_wire={"order_ids": ["V1"]},
        trades=("GET", "/orders/historical/fills"),
        traded={
            "fills": [
                {
                    "trade_id": "T7",
                    "order_id": "V1",
                    "trade_time": "2023-11-14T22:13:20.000Z",
                    "price": "50000",
                    "size": "0.001",
                    "commission": "0.05",
                    "product_id": "BTC-USDT",
                    "liquidity_indicator": "MAKER",
                    "side": "BUY",
                }
            ]
        },
    ),
}
