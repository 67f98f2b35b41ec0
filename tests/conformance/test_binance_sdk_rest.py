"""Does Binance's own client make every REST call of the sandbox, and find each field as its models declare it?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot

from tests.conformance.conftest import Complaints
from tests.conformance.recorded import lacking
from tests.conformance.typed import unlike
from tests.conformance.wiretap import Wiretap
from tests.sandbox.rest_kit import KEY, SECRET
from tradebot.sandbox.rest import ROUTES

CLIENT = "binance-sdk-spot"
SYMBOL = "BTCUSDT"


class Official:
    """The client, and what its answers and the wire's bodies do not agree on."""

    def __init__(self, tap: Wiretap) -> None:
        configuration = ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=tap.url, timeout=10_000)
        self.rest = Spot(config_rest_api=configuration).rest_api
        self.tap = tap
        self.unlike: dict[str, None] = {}
        self.limits: dict[str, list[str]] = {}

    def __call__(self, name: str, *, part: bool = False, **params: Any) -> Any:
        """Make a call; return its typed answer, which may lack fields where a `part` of it was asked for."""
        method: Callable[..., Any] = getattr(self.rest, name)
        answer = method(**params)
        model, body = answer.data(), self.tap.heard[-1].body
        found = (each for each in unlike(model, body, name) if not (part and each.endswith("missing")))
        self.unlike |= dict.fromkeys(found)
        self.limits[name] = [each.rateLimitType for each in answer.rate_limits]
        return getattr(model, "actual_instance", None) or model


@pytest.fixture(scope="module")
def official(tap: Wiretap, complaints: Complaints) -> Official:
    """Make every call."""
    call = Official(tap)
    ask(call)
    trade(call)
    assert complaints.said == []
    return call


def ask(call: Official) -> None:
    """Ask for everything that anybody may ask."""
    assert {each.symbol for each in call("exchange_info").symbols} == {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
    assert call("exchange_info", symbols=["BTCUSDT", "ETHUSDT"]).symbols[1].base_asset == "ETH"
    for name in ("ping", "time", "ticker24hr", "ticker_price", "ticker_book_ticker"):
        call(name)
    for name in (
        *("depth", "get_trades", "historical_trades", "agg_trades", "avg_price", "ticker24hr", "ticker_price"),
        *("ticker_book_ticker", "ticker", "ticker_trading_day"),
    ):
        call(name, symbol=SYMBOL)
    for name in ("ticker24hr", "ticker_price", "ticker_book_ticker", "ticker", "ticker_trading_day"):
        call(name, symbols=["BTCUSDT", "BNBUSDT"])
    for name in ("ticker24hr", "ticker", "ticker_trading_day"):
        call(name, part=True, symbol=SYMBOL, type="MINI")
    assert call("ticker", symbol=SYMBOL, window_size="1h").symbol == SYMBOL
    for name in ("klines", "ui_klines"):
        assert len(call(name, symbol=SYMBOL, interval="1m", limit=5)) == 5


def trade(call: Official) -> None:
    """Place, replace, cancel and look up orders."""
    price = round(float(call("ticker_price", symbol=SYMBOL).price) * 0.97, 2)
    amount = round(100 / price, 2)
    limit: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": amount, "price": price}
    limit |= {"time_in_force": "GTC"}
    call("order_test", part=True, **limit)
    call("order_test", **limit, compute_commission_rates=True)
    market: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET"}
    for response in ("ACK", "RESULT", "FULL"):
        call("new_order", part=response != "FULL", **market, quantity=amount, new_order_resp_type=response)
    assert call("new_order", **market, quote_order_qty=50).fills
    maker: dict[str, Any] = {"symbol": SYMBOL, "side": "SELL", "type": "LIMIT_MAKER", "quantity": amount}
    maker["price"] = round(price * 1.06, 2)
    call("new_order", part=True, **maker)
    assert call("new_order", **{**limit, "time_in_force": "IOC"}).status == "EXPIRED"
    first = call("new_order", **limit, new_client_order_id="first")
    assert call("get_order", symbol=SYMBOL, orig_client_order_id="first").status == "NEW"
    assert call("order_amendments", symbol=SYMBOL, order_id=first.order_id) == []
    replaced = call(
        "order_cancel_replace",
        **limit,
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_orig_client_order_id="first",
        new_client_order_id="second",
    )
    assert replaced.new_order_result == "SUCCESS"
    assert {each.client_order_id for each in call("get_open_orders")} >= {"second"}
    assert call("delete_order", symbol=SYMBOL, orig_client_order_id="second").status == "CANCELED"
    call("new_order", **limit)
    assert len(call("delete_open_orders", symbol=SYMBOL)) == 2
    assert len(call("all_orders", symbol=SYMBOL)) == 9
    assert call("my_trades", symbol=SYMBOL)
    for name in ("get_account", "rate_limit_order", "open_order_list", "all_order_list"):
        call(name)
    for name in ("account_commission", "my_allocations"):
        call(name, symbol=SYMBOL)


def test_every_field_is_declared_and_every_declared_field_is_there_with_its_type(official: Official) -> None:
    assert list(official.unlike) == []


def test_every_call_of_the_spot_api_that_is_served_was_made(official: Official) -> None:
    made = {tuple(call.split(" ", 1)) for call in official.tap.calls}
    assert {route for route in ROUTES if route[1].startswith("/api/")} - made == set()


def test_answers_carry_the_limits_in_their_headers(official: Official) -> None:
    assert official.limits["time"] == ["REQUEST_WEIGHT"]
    assert official.limits["new_order"].count("ORDERS") == 2


def test_a_refusal_is_the_error_that_the_client_knows(official: Official) -> None:
    with pytest.raises(BadRequestError) as caught:
        official("get_order", symbol=SYMBOL, orig_client_order_id="never")
    assert (caught.value.status_code, caught.value.error_message) == (-2013, "Order does not exist.")


def test_answers_have_every_field_of_the_recorded_ones(official: Official, shared_data: Path) -> None:
    assert list(lacking(official.tap, shared_data / "api")) == []
