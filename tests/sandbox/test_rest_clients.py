"""Do clients that nobody here wrote trade on the sandbox over REST, unchanged?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_spot.spot import Spot

from tests.sandbox.rest_kit import KEY, SECRET, SYMBOL, Client, running


def official(url: str) -> list[str]:
    """Make every call of Binance's own client, whose models check the type of each field; return their names."""
    rest = Spot(config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=url)).rest_api
    made: list[str] = []

    def call(name: str, **params: Any) -> Any:
        method: Callable[..., Any] = getattr(rest, name)
        made.append(name)
        return method(**params).data()

    limit = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 1.0, "price": 90.0}
    assert {each.symbol for each in call("exchange_info").symbols} == {SYMBOL, "BNBUSDT"}
    for name in ("ping", "time", "get_account", "rate_limit_order", "ticker24hr", "ticker_price", "ticker_book_ticker"):
        call(name)
    for name in ("depth", "get_trades", "agg_trades", "avg_price", "ticker24hr", "ticker_price", "ticker_book_ticker"):
        call(name, symbol=SYMBOL)
    call("klines", symbol=SYMBOL, interval="1m")
    call("account_commission", symbol=SYMBOL)
    call("order_test", **limit)
    taken = call("new_order", symbol=SYMBOL, side="BUY", type="MARKET", quantity=1.0, new_order_resp_type="FULL")
    assert (taken.status, taken.fills[0].price) == ("FILLED", "101.00000000")
    call("new_order", **limit, new_client_order_id="first")
    assert call("get_order", symbol=SYMBOL, orig_client_order_id="first").status == "NEW"
    replaced = call(
        "order_cancel_replace",
        **limit,
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_orig_client_order_id="first",
        new_client_order_id="second",
    )
    assert replaced.new_order_result == "SUCCESS"
    assert [each.client_order_id for each in call("get_open_orders")] == ["second"]
    assert call("delete_order", symbol=SYMBOL, orig_client_order_id="second").status == "CANCELED"
    call("new_order", **limit)
    assert len(call("delete_open_orders", symbol=SYMBOL)) == 1
    assert len(call("all_orders", symbol=SYMBOL)) == 4
    assert len(call("my_trades", symbol=SYMBOL)) == 1
    return made


def test_the_official_client_makes_every_call_and_finds_every_field_of_its_type() -> None:
    async def ask(client: Client) -> list[str]:
        return await asyncio.to_thread(official, client.sandbox.url)

    made = running(ask)
    print(f"binance-sdk-spot made {len(made)} calls: {', '.join(dict.fromkeys(made))}")
    assert len(made) == 28
