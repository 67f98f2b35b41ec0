"""Does the sandbox's REST answer as Binance documents it, to the field and the code?"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.rest_kit import SYMBOL, WITH_PAST, Client, Reply, running, shapes_of

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "api" / "binance_spot_http"


def recorded(name: str) -> Any:
    """Return a documented answer."""
    path = RECORDED / f"{name}_response.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text(encoding="utf-8"))


async def every_answer(client: Client) -> dict[str, Reply]:
    """Trade a little, and return the answer of each call by the name of its documented example."""
    filled = await client.order(timeInForce="IOC", price="101", newClientOrderId="taken", newOrderRespType="FULL")
    resting = await client.order(newClientOrderId="resting")
    said = {
        "new_order_full": filled,
        "order": await client.signed("GET", "order", symbol=SYMBOL, origClientOrderId="resting"),
        "open_orders": await client.signed("GET", "openOrders", symbol=SYMBOL),
        "all_orders": await client.signed("GET", "allOrders", symbol=SYMBOL),
        "account_trades": await client.signed("GET", "myTrades", symbol=SYMBOL),
        "account": await client.signed("GET", "account"),
        "cancel_order": await client.signed("DELETE", "order", symbol=SYMBOL, orderId=resting.body["orderId"]),
    }
    for path, name in (
        ("ping", "ping"),
        ("time", "server_time"),
        ("depth", "depth"),
        ("trades", "trades"),
        ("klines", "klines"),
        ("avgPrice", "avg_price"),
        ("ticker/24hr", "ticker_24hr"),
        ("ticker/price", "ticker_price"),
        ("ticker/bookTicker", "book_ticker"),
    ):
        more = {"interval": "1m"} if path == "klines" else {}
        said[name] = await client.public(path, **({} if path in {"ping", "time"} else {"symbol": SYMBOL, **more}))
    return said


def test_every_answer_has_the_documented_fields_with_the_documented_types() -> None:
    said = running(every_answer)
    for name, reply in said.items():
        assert reply.status == 200, (name, reply)
        assert set(shapes_of(reply.body)) == set(shapes_of(recorded(name))), name


def test_exchange_info_has_every_documented_field_of_a_symbol_and_complete_filters() -> None:
    info = running(lambda client: client.public("exchangeInfo")).body
    wanted = recorded("exchange_info")
    assert set(info) >= set(wanted) - {"sors"}
    assert set(info["symbols"][0]) == set(wanted["symbols"][0])
    kinds = {each["filterType"] for each in info["symbols"][0]["filters"]}
    assert kinds >= {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "NOTIONAL",
        "PERCENT_PRICE_BY_SIDE",
        "MAX_NUM_ORDERS",
    }


def test_an_order_goes_its_whole_way_over_http() -> None:
    async def way(client: Client) -> None:
        placed = await client.order(quantity="5", price="99.5", newClientOrderId="mine")
        assert (placed.status, placed.body["status"], placed.body["fills"]) == (200, "NEW", [])
        assert placed.headers["X-MBX-ORDER-COUNT-10S"] == "1"
        client.trade(99.5, 2.0, buyer_taker=False)
        found = await client.signed("GET", "order", symbol=SYMBOL, origClientOrderId="mine")
        assert (found.body["status"], found.body["executedQty"]) == ("PARTIALLY_FILLED", "2.00000000")
        done = await client.signed("DELETE", "order", symbol=SYMBOL, origClientOrderId="mine", newClientOrderId="stop")
        assert (done.body["status"], done.body["origClientOrderId"], done.body["clientOrderId"]) == (
            "CANCELED",
            "mine",
            "stop",
        )
        again = await client.signed("DELETE", "order", symbol=SYMBOL, origClientOrderId="mine")
        assert again.refusal == (400, -2011, "Unknown order sent.")
        account = await client.signed("GET", "account", omitZeroBalances="true")
        held = {each["asset"]: each["free"] for each in account.body["balances"]}
        assert held == {"AAA": "1001.99800000", "BNB": "10.00000000", "USDT": "9801.00000000"}

    running(way)


def test_ack_and_result_tell_less_than_full() -> None:
    async def ask(client: Client) -> tuple[set[str], set[str], set[str]]:
        ack, result, full = [
            set((await client.order(newOrderRespType=kind)).body) for kind in ("ACK", "RESULT", "FULL")
        ]
        return ack, result, full

    ack, result, full = running(ask)
    assert ack == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert ack < result < full
    assert full - result == {"fills"}


MARKET: dict[str, object] = {"type": "MARKET", "timeInForce": None, "price": None}
MAKER: dict[str, object] = {"type": "LIMIT_MAKER", "timeInForce": None}
_MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
_SURPLUS = "Parameter '{}' sent when not required."
WRONG: list[tuple[dict[str, object], int, str]] = [
    ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
    ({"symbol": None}, -1102, _MANDATORY.format("symbol")),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "GUESS"}, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    ({"timeInForce": None}, -1102, _MANDATORY.format("timeInForce")),
    ({"quantity": None}, -1102, _MANDATORY.format("quantity")),
    ({"price": None}, -1102, _MANDATORY.format("price")),
    ({"price": ""}, -1105, "Parameter 'price' was empty."),
    ({"quantity": "1,5"}, -1100, r"Illegal characters found in parameter 'quantity'; legal range is"),
    ({"quantity": "-1"}, -1100, r"Illegal characters found in parameter 'quantity'; legal range is"),
    ({"quantity": "1e3"}, -1100, r"Illegal characters found in parameter 'quantity'; legal range is"),
    ({"quantity": "1.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
    ({"price": "90.123456789"}, -1111, "Parameter 'price' has too much precision."),
    ({"quantity": "0"}, -1013, "Invalid quantity."),
    ({"price": "0"}, -1013, "Invalid price."),
    ({"newClientOrderId": "a" * 37}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    ({"newClientOrderId": "no spaces"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    ({"quoteOrderQty": "10"}, -1106, _SURPLUS.format("quoteOrderQty")),
    ({"stopPrice": "80"}, -1106, _SURPLUS.format("stopPrice")),
    ({"clientOrderId": "x"}, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
    ({"selfTradePreventionMode": "MAYBE"}, -1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."),
    ({"selfTradePreventionMode": "DECREMENT"}, -1130, "This symbol does not allow"),
    (MARKET | {"price": "90"}, -1106, _SURPLUS.format("price")),
    (MARKET | {"timeInForce": "IOC"}, -1106, _SURPLUS.format("timeInForce")),
    (MARKET | {"quantity": None}, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
    (MARKET | {"quoteOrderQty": "10"}, -1128, "Combination of optional parameters invalid."),
    (MAKER | {"timeInForce": "GTC"}, -1106, _SURPLUS.format("timeInForce")),
    (MAKER | {"price": "101"}, -2010, "Order would immediately match and take."),
    ({"type": "STOP_LOSS"}, -2010, "Stop loss orders are not supported for this symbol."),
    ({"icebergQty": "1"}, -2010, "Iceberg orders are not supported for this symbol."),
    ({"quantity": "100000", "price": "99"}, -2010, "Account has insufficient balance for requested action."),
    ({"price": "90.000001"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"quantity": "1.05"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0.1", "price": "40"}, -1013, "Filter failure: NOTIONAL"),
    ({"price": "501"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
]


def test_what_is_wrong_with_an_order_is_said_with_binances_code_and_words() -> None:
    async def ask(client: Client) -> list[Reply]:
        return [await client.order(**wrong) for wrong, _, _ in WRONG]

    for (wrong, code, words), reply in zip(WRONG, running(ask), strict=True):
        status, told, message = reply.refusal
        assert (status, told) == (400, code), (wrong, reply.body)
        assert message.startswith(words), wrong


def test_queries_that_find_nothing_or_name_nothing_are_refused() -> None:
    async def ask(client: Client) -> None:
        unknown = await client.signed("GET", "order", symbol=SYMBOL, origClientOrderId="never")
        assert unknown.refusal == (400, -2013, "Order does not exist.")
        nameless = await client.signed("GET", "order", symbol=SYMBOL)
        assert nameless.refusal[1] == -1102
        none = await client.signed("DELETE", "openOrders", symbol=SYMBOL)
        assert none.refusal == (400, -2011, "Unknown order sent.")
        both = await client.signed("GET", "myTrades", symbol=SYMBOL, fromId=1, startTime=1)
        assert both.refusal[1] == -1128
        long = await client.signed("GET", "allOrders", symbol=SYMBOL, startTime=1, endTime=86_400_002)
        assert long.refusal == (400, -1127, "More than 24 hours between startTime and endTime.")
        twice = await client.raw("GET", "/api/v3/depth", f"symbol={SYMBOL}&symbol={SYMBOL}")
        assert twice.refusal == (400, -1101, "Duplicate values for a parameter detected.")
        nowhere = await client.raw("GET", "/api/v3/secret")
        assert (nowhere.status, nowhere.headers["Content-Type"]) == (404, "text/html")
        method = await client.raw("PUT", "/api/v3/order")
        assert method.status == 405

    running(ask)


def test_every_open_order_of_a_symbol_is_canceled_in_one_request() -> None:
    async def ask(client: Client) -> None:
        for _ in range(3):
            await client.order()
        done = await client.signed("DELETE", "openOrders", symbol=SYMBOL)
        assert [each["status"] for each in done.body] == ["CANCELED"] * 3
        assert (await client.signed("GET", "openOrders")).body == []

    running(ask)


def test_cancel_and_replace_tell_what_became_of_each_half() -> None:
    async def ask(client: Client) -> None:
        await client.order(newClientOrderId="old")
        new = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "91"}
        path, mode = "order/cancelReplace", {"cancelReplaceMode": "STOP_ON_FAILURE"}
        done = await client.signed("POST", path, **new, **mode, cancelOrigClientOrderId="old", newClientOrderId="new")
        assert (done.body["cancelResult"], done.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
        gone = await client.signed("POST", path, **new, **mode, cancelOrigClientOrderId="old")
        assert gone.refusal[:2] == (400, -2022)
        assert gone.body["data"]["newOrderResult"] == "NOT_ATTEMPTED"
        poor = new | {"quantity": "100000"}
        half = await client.signed("POST", path, **poor, **mode, cancelOrigClientOrderId="new")
        assert half.refusal[:2] == (409, -2021)
        assert half.body["data"]["newOrderResponse"]["code"] == -2010
        assert (await client.signed("GET", "openOrders")).body == []

    running(ask)


def test_a_test_order_is_checked_and_never_placed() -> None:
    async def ask(client: Client) -> None:
        order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "90"}
        assert (await client.signed("POST", "order/test", **order, quantity="1")).body == {}
        wrong = await client.signed("POST", "order/test", **order, quantity="0.1001")
        assert wrong.refusal == (400, -1013, "Filter failure: LOT_SIZE")
        told = await client.signed("POST", "order/test", **order, quantity="1", computeCommissionRates="true")
        assert told.body["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00200000"}
        assert (await client.signed("GET", "allOrders", symbol=SYMBOL)).body == []

    running(ask)


def test_candles_tickers_and_trades_are_those_of_the_market() -> None:
    async def ask(client: Client) -> None:
        for price in (100.0, 104.0, 98.0, 102.0):
            client.trade(price, 2.0, buyer_taker=price > 100)
        day = (await client.public("ticker/24hr", symbol=SYMBOL)).body
        assert (day["lastPrice"], day["volume"], day["count"]) == ("102.00000000", "9.00000000", 5)
        candles = (await client.public("klines", symbol=SYMBOL, interval="1m", limit=1)).body
        assert candles[0][2:5] == ["104.00000000", "98.00000000", "102.00000000"]
        recent = (await client.public("trades", symbol=SYMBOL, limit=2)).body
        assert [each["price"] for each in recent] == ["98.00000000", "102.00000000"]
        aggregates = (await client.public("aggTrades", symbol=SYMBOL, fromId=recent[0]["id"])).body
        assert [(each["a"], each["p"]) for each in aggregates] == [(each["id"], each["price"]) for each in recent]
        assert (await client.public("klines", symbol=SYMBOL, interval="7m")).refusal[1] == -1120
        several = (await client.public("ticker/bookTicker", symbols='["AAAUSDT","BNBUSDT"]')).body
        assert [each["symbol"] for each in several] == ["AAAUSDT", "BNBUSDT"]
        assert len((await client.public("ticker/price")).body) == 2

    running(ask)


def test_the_candles_before_the_start_were_traded() -> None:
    past = running(lambda client: client.public("klines", symbol=SYMBOL, interval="5m", limit=1000), WITH_PAST).body
    assert len(past) >= 2
    assert all(each[6] == each[0] + 299_999 for each in past)
    assert all(Decimal(each[5]) > 0 and each[8] > 0 for each in past)


def test_the_wallet_tells_fees_coins_permissions_and_turns_dust_into_bnb() -> None:
    async def ask(client: Client) -> None:
        fee = (await client.signed("GET", "/sapi/v1/asset/tradeFee", symbol=SYMBOL)).body
        assert fee == [{"symbol": SYMBOL, "makerCommission": "0.001", "takerCommission": "0.002"}]
        coins = (await client.signed("GET", "/sapi/v1/capital/config/getall")).body
        assert {each["coin"]: each["free"] for each in coins}["BNB"] == "10.00000000"
        allowed = (await client.signed("GET", "/sapi/v1/account/apiRestrictions")).body
        assert allowed["enableSpotAndMarginTrading"] is True
        sold = await client.order(side="SELL", quantity="10", price="99", timeInForce="IOC")
        assert sold.body["status"] == "FILLED"
        client.sandbox.exchange.deposit("test-key", "AAA", Decimal("-989.99"), client.sandbox.clock.now_ms())
        worth = (await client.signed("POST", "/sapi/v1/asset/dust-btc")).body
        assert [(each["asset"], each["amountFree"]) for each in worth["details"]] == [("AAA", "0.01000000")]
        done = (await client.signed("POST", "/sapi/v1/asset/dust", asset="AAA")).body
        assert done["transferResult"][0]["fromAsset"] == "AAA"
        assert done["totalTransfered"] == "0.00490000"

    running(ask)


def test_commission_rates_and_order_counts_are_told() -> None:
    async def ask(client: Client) -> None:
        rates = (await client.signed("GET", "account/commission", symbol=SYMBOL)).body
        assert rates["standardCommission"]["taker"] == "0.00200000"
        await client.order()
        counts = (await client.signed("GET", "rateLimit/order")).body
        assert [(each["interval"], each["count"]) for each in counts] == [("SECOND", 1), ("DAY", 1)]

    running(ask)
