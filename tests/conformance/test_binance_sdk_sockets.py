"""Does Binance's own client trade and listen over the sandbox's sockets, each field as its models declare it?"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_streams.models import (
    AllMarketRollingWindowTickerResponseInner,
    DiffBookDepthResponse,
    PartialBookDepthResponse,
    RollingWindowTickerResponse,
    TickerResponse,
)

from tests.conformance.conftest import Complaints
from tests.conformance.recorded import lacking
from tests.conformance.typed import unlike
from tests.conformance.wiretap import Wiretap
from tests.sandbox.rest_kit import KEY, SECRET
from tradebot.sandbox.rest import ROUTES
from tradebot.sandbox.signing import signed_query
from tradebot.sandbox.userdata import OF_SOCKET

pytestmark = [
    pytest.mark.timeout(240),  # a shared machine stalls; alone it takes a tenth of it
    pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float' is deprecated:DeprecationWarning"),
]

CLIENT = "binance-sdk-spot"
SYMBOL = "BTCUSDT"
EVENTS = ("executionReport", "outboundAccountPosition", "balanceUpdate", "eventStreamTerminated")


class Talk:
    """What the client said and heard, and what its models and the wire's bodies do not agree on."""

    def __init__(self, tap: Wiretap) -> None:
        self.tap = tap
        self.unlike: dict[str, None] = {}
        self.limits: dict[str, list[str]] = {}
        self.events: list[Any] = []
        self.models: dict[str, list[Any]] = defaultdict(list)

    def check(self, name: str, model: Any, body: Any, *, part: bool = False) -> None:
        """Compare a model with the body it was made of."""
        found = (each for each in unlike(model, body, name) if not (part and each.endswith("missing")))
        self.unlike |= dict.fromkeys(found)


@pytest.fixture(scope="module")
def talk(exchange: str, tap: Wiretap, complaints: Complaints) -> Talk:
    """Say and hear everything."""
    talk = Talk(tap)
    asyncio.run(api(exchange, talk))
    asyncio.run(streams(talk))
    assert complaints.said == []
    return talk


async def api(exchange: str, talk: Talk) -> None:
    """Use the ws-api, listening to the account meanwhile."""
    configuration = ConfigurationWebSocketAPI(api_key=KEY, api_secret=SECRET, stream_url=f"{talk.tap.ws_url}/ws-api/v3")
    client: Any = Spot(config_ws_api=configuration).websocket_api
    await client.create_connection()

    async def call(name: str, *, part: bool = False, **params: Any) -> Any:
        method: Callable[..., Any] = getattr(client, name)
        before = len(talk.tap.heard)
        answer = await method(**params)
        model = getattr(answer.data(), "actual_instance", None) or answer.data()
        (body,) = (each.body for each in talk.tap.heard[before:] if each.call.startswith("ws-api "))
        talk.limits[name] = [each.rateLimitType for each in answer.rate_limits]
        if "result" not in type(model).model_fields:  # a model of the result alone, which the client fills with nothing
            result = type(model).from_dict(body["result"])
            talk.check(name, result, body["result"], part=part)
            return result
        talk.check(name, model, body, part=part)
        return model.result

    try:
        user = await client.user_data_stream_subscribe_signature()
        user.stream.on("message", talk.events.append)
        await ask(call)
        await trade(call)
        await dust(exchange)
        await asyncio.to_thread(talk.tap.until, lambda: bool(talk.tap.told("event balanceUpdate")))
        await call("session_status")
        assert [each.subscription_id for each in await call("session_subscriptions")] == [0]
        await call("user_data_stream_unsubscribe", subscription_id=0)
        await asyncio.to_thread(talk.tap.until, lambda: bool(talk.tap.told("event eventStreamTerminated")))
        told = [each for each in talk.tap.heard if each.call.startswith("event ")]
        async with asyncio.timeout(20):
            while len(talk.events) < len(told):  # noqa: ASYNC110 - the client tells nobody that it has heard
                await asyncio.sleep(0.005)
    finally:
        await client.close_connection()


async def ask(call: Callable[..., Any]) -> None:
    """Ask for everything that anybody may ask."""
    for name in ("ping", "time", "exchange_info", "ticker24hr", "ticker_price", "ticker_book"):
        await call(name)
    for name in (
        *("depth", "trades_recent", "trades_historical", "trades_aggregate", "avg_price", "ticker24hr"),
        *("ticker_price", "ticker_book", "ticker", "ticker_trading_day"),
    ):
        await call(name, symbol=SYMBOL)
    assert len(await call("ticker", symbols=["BTCUSDT", "BNBUSDT"], window_size="1h")) == 2
    for name in ("klines", "ui_klines"):
        assert len(await call(name, symbol=SYMBOL, interval="1m", limit=5)) == 5


async def trade(call: Callable[..., Any]) -> None:
    """Place, replace, cancel and look up orders."""
    price = round(float((await call("ticker_price", symbol=SYMBOL)).price) * 0.97, 2)
    amount = round(100 / price, 2)
    limit: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": amount, "price": price}
    limit |= {"time_in_force": "GTC"}
    await call("order_test", part=True, **limit)
    await call("order_test", **limit, compute_commission_rates=True)
    market: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": amount}
    for response in ("ACK", "RESULT"):
        await call("order_place", part=True, **market, new_order_resp_type=response)
    assert (await call("order_place", **market, new_order_resp_type="FULL")).status == "FILLED"
    assert (await call("order_place", **{**limit, "time_in_force": "IOC"})).status == "EXPIRED"
    first = await call("order_place", **limit, new_client_order_id="first")
    assert (await call("order_status", symbol=SYMBOL, orig_client_order_id="first")).status == "NEW"
    assert await call("order_amendments", symbol=SYMBOL, order_id=first.order_id) == []
    replaced = await call(
        "order_cancel_replace",
        **limit,
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_orig_client_order_id="first",
        new_client_order_id="second",
    )
    assert replaced.new_order_result == "SUCCESS"
    assert [each.client_order_id for each in await call("open_orders_status")] == ["second"]
    assert (await call("order_cancel", symbol=SYMBOL, orig_client_order_id="second")).status == "CANCELED"
    await call("order_place", **limit)
    assert len(await call("open_orders_cancel_all", symbol=SYMBOL)) == 1
    assert len(await call("all_orders", symbol=SYMBOL)) == 7
    assert await call("my_trades", symbol=SYMBOL)
    for name in ("account_status", "account_rate_limits_orders", "open_order_lists_status", "all_order_lists"):
        await call(name)
    for name in ("account_commission", "my_allocations"):
        await call(name, symbol=SYMBOL)


async def dust(exchange: str) -> None:
    """Turn dust into BNB, of which the account's stream tells."""
    query = signed_query(SECRET, {"asset": "ETH", "timestamp": time.time_ns() // 1_000_000})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{exchange}/sapi/v1/asset/dust?{query}", headers={"X-MBX-APIKEY": KEY}) as answer,
    ):
        assert answer.status == 200


LOWER = SYMBOL.lower()
NAMED: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {"symbol": LOWER})
        for name in ("trade", "agg_trade", "book_ticker", "mini_ticker", "ticker", "avg_price")
    ),
    ("kline", {"symbol": LOWER, "interval": "1m"}),
    ("diff_book_depth", {"symbol": LOWER}),
    ("partial_book_depth", {"symbol": LOWER, "levels": "5"}),
    ("rolling_window_ticker", {"symbol": LOWER, "window_size": "1h"}),
    ("all_mini_ticker", {}),
    ("all_market_rolling_window_ticker", {"window_size": "1h"}),
]
"""The client's method for each kind of stream; it waits half a second before each."""

OTHERS: list[tuple[Any, list[str]]] = [
    (DiffBookDepthResponse, [f"{LOWER}@depth@100ms"]),
    (
        PartialBookDepthResponse,
        [f"{LOWER}@depth{levels}" for levels in ("5@100ms", "10@100ms", "20@100ms", "10", "20")],
    ),
    (RollingWindowTickerResponse, [f"{LOWER}@ticker_{window}" for window in ("4h", "1d")]),
    (AllMarketRollingWindowTickerResponseInner, [f"!ticker_{window}@arr" for window in ("4h", "1d")]),
    (TickerResponse, ["!ticker@arr"]),
]
"""The other streams, by what parses their messages; each line is one message to the exchange."""


async def streams(talk: Talk) -> None:
    """Follow every stream until each has spoken, then leave them."""
    configuration = ConfigurationWebSocketStreams(stream_url=talk.tap.ws_url)
    client: Any = Spot(config_ws_streams=configuration).websocket_streams
    await client.create_connection()
    try:
        names: list[str] = []
        for name, params in NAMED:
            follow: Callable[..., Any] = getattr(client, name)
            handle = await follow(**params)
            names.append(handle._stream)
            handle.on("message", talk.models[handle._stream].append)
        for model, others in OTHERS:
            await client.subscribe(others, model)
            for each in others:
                names.append(each)
                client.on("message", talk.models[each].append, each)
        assert (await client.list_subscribe())["result"] == names
        async with asyncio.timeout(20):
            while not all(talk.models[name] for name in names):  # noqa: ASYNC110 - it is the client's own ear
                await asyncio.sleep(0.02)
        await client.unsubscribe(names)
        assert (await client.list_subscribe())["result"] == []
    finally:
        await client.close_connection()


def test_every_answer_has_the_fields_and_types_that_are_declared(talk: Talk) -> None:
    assert list(talk.unlike) == []


def test_every_method_that_is_served_was_used(talk: Talk) -> None:
    served = {name for name in ROUTES.values() if not name.startswith("sapi.")} | set(OF_SOCKET)
    assert served - {call.removeprefix("ws-api ") for call in talk.tap.calls} == set()


def test_answers_tell_the_limits(talk: Talk) -> None:
    assert talk.limits["ping"] == ["REQUEST_WEIGHT"]
    assert talk.limits["order_place"].count("ORDERS") == 2


def test_the_accounts_events_arrive_as_their_models_in_the_order_they_were_sent(talk: Talk) -> None:
    told = [each.body for each in talk.tap.heard if each.call.startswith("event ")]
    assert {each["e"] for each in told} == set(EVENTS)
    assert len(talk.events) == len(told)
    found = [line for model, body in zip(talk.events, told, strict=True) for line in unlike(model, body, body["e"])]
    assert found == []


def test_every_message_of_every_stream_has_the_fields_and_types_that_are_declared(talk: Talk) -> None:
    assert len(talk.models) == len(NAMED) + sum(len(names) for _, names in OTHERS)
    found: dict[str, None] = {}
    for name, models in talk.models.items():
        told = talk.tap.told(f"stream {name.replace(LOWER, '<symbol>')}")
        for model, body in zip(models, told, strict=False):
            found |= dict.fromkeys(unlike(model, body, name))
    assert list(found) == []


def test_events_and_messages_have_every_field_of_the_recorded_ones(talk: Talk, shared_data: Path) -> None:
    assert list(lacking(talk.tap, shared_data / "api")) == []
