"""Does python-binance trade on the sandbox over REST and the ws-api, and follow its sockets, unchanged?"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Complaints
from tests.conformance.recorded import lacking
from tests.conformance.wiretap import Wiretap
from tests.sandbox.rest_kit import KEY, SECRET
from tradebot.sandbox.rest import ROUTES

with warnings.catch_warnings():  # it stands on a part of websockets that is deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance.async_client import AsyncClient  # type: ignore[import-untyped]
    from binance.base_client import BaseClient  # type: ignore[import-untyped]
    from binance.exceptions import BinanceAPIException  # type: ignore[import-untyped]
    from binance.ws.depthcache import DepthCacheManager  # type: ignore[import-untyped]
    from binance.ws.streams import BinanceSocketManager  # type: ignore[import-untyped]

pytestmark = pytest.mark.timeout(240)  # a shared machine stalls; alone it takes a tenth of it
CLIENT = "python-binance"
SYMBOL = "BTCUSDT"
BEYOND = {"allOrderLists", "order.amendments"}
"""Methods that this client has none for."""


class Story:
    """What the client found."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []
        self.messages: dict[str, Any] = {}
        self.best: dict[str, tuple[float, float]] = {}


@pytest.fixture(scope="module")
def story(tap: Wiretap, complaints: Complaints) -> Story:
    """Make every call that the client has a method for."""
    story = Story()
    with pytest.MonkeyPatch.context() as patch:  # the only way there is: these are read when a client is made
        patch.setattr(BaseClient, "API_URL", f"{tap.url}/api")
        patch.setattr(BaseClient, "MARGIN_API_URL", f"{tap.url}/sapi")
        patch.setattr(BaseClient, "WS_API_URL", f"{tap.ws_url}/ws-api/v3")
        patch.setattr(BinanceSocketManager, "STREAM_URL", f"{tap.ws_url}/")
        asyncio.run(tell(story))
    assert complaints.said == []
    return story


async def tell(story: Story) -> None:
    """Make every call."""
    client = await AsyncClient.create(KEY, SECRET)
    try:
        await ask(client)
        manager = BinanceSocketManager(client)
        async with asyncio.timeout(100):
            await follow(manager, story)
            await keep_a_book(client, story)
            async with manager.user_socket() as user:
                orders = await trade(client)
                await wallet(client)
                await over_the_socket(client)
                while not any(each["e"] == "balanceUpdate" for each in story.events) or orders - ended(story):
                    story.events.append(await user.recv())
        await refusals(client, story)
    finally:
        await client.close_connection()


def ended(story: Story) -> set[int]:
    """Return the orders whose end was told."""
    return {
        each["i"]
        for each in story.events
        if each["e"] == "executionReport" and each["X"] not in {"NEW", "PARTIALLY_FILLED"}
    }


async def ask(client: Any) -> None:
    """Ask for everything that anybody may ask."""
    assert (await client.get_symbol_info(SYMBOL))["baseAsset"] == "BTC"
    assert len(await client.get_all_tickers()) == 3
    assert len(await client.get_orderbook_tickers()) == 3
    named = {"symbol": SYMBOL}
    for call in (
        *(client.get_order_book, client.get_recent_trades, client.get_historical_trades, client.get_aggregate_trades),
        *(client.get_avg_price, client.get_ticker, client.get_symbol_ticker, client.get_orderbook_ticker),
        client.get_symbol_ticker_window,
    ):
        assert await call(**named)
    assert len(await client.get_klines(symbol=SYMBOL, interval="1m", limit=5)) == 5
    assert len(await client.get_ui_klines(symbol=SYMBOL, interval="1m", limit=5)) == 5
    assert len(await client.get_historical_klines(SYMBOL, "5m", "1 hour ago UTC")) >= 12


async def sizes(client: Any) -> tuple[str, str, str]:
    """Return an amount that may be traded, a price below the market, and one above it."""
    price = float((await client.get_symbol_ticker(symbol=SYMBOL))["price"])
    return f"{100 / price:.2f}", f"{price * 0.97:.2f}", f"{price * 1.03:.2f}"


async def trade(client: Any) -> set[int]:
    """Place orders of every kind, look them up and cancel them; return their ids."""
    amount, low, high = await sizes(client)
    named = {"symbol": SYMBOL}
    await client.create_test_order(**named, side="BUY", type="MARKET", quantity=amount)
    bought = await client.order_market_buy(**named, quantity=amount)
    assert (bought["status"], bool(bought["fills"])) == ("FILLED", True)
    made = [bought, await client.order_market_buy(**named, quoteOrderQty="50")]
    made.append(await client.order_market_sell(**named, quantity=amount))
    for tif in ("IOC", "FOK"):
        made.append(await client.order_limit_buy(**named, quantity=amount, price=low, timeInForce=tif))
        assert made[-1]["status"] == "EXPIRED"
    resting = [await client.order_limit_buy(**named, quantity=amount, price=low)]
    resting.append(await client.order_limit_sell(**named, quantity=amount, price=high))
    maker = {"side": "BUY", "type": "LIMIT_MAKER", "quantity": amount, "price": low}
    resting.append(await client.create_order(**named, **maker))
    assert len(await client.get_open_orders(**named)) == 3
    for each in resting:
        assert (await client.get_order(**named, orderId=each["orderId"]))["status"] == "NEW"
        assert (await client.cancel_order(**named, orderId=each["orderId"]))["status"] == "CANCELED"
    ids = {each["orderId"] for each in made + resting}
    assert {each["orderId"] for each in await client.get_all_orders(**named)} == ids
    assert {each["orderId"] for each in await client.get_my_trades(**named)} == {each["orderId"] for each in made[:3]}
    assert await client.get_current_order_count()
    assert (await client.get_account())["canTrade"]
    assert float((await client.get_asset_balance("BTC"))["free"]) > 1
    return ids


async def wallet(client: Any) -> None:
    """Ask the wallet's API, and turn dust into BNB."""
    assert (await client.get_trade_fee(symbol=SYMBOL))[0]["symbol"] == SYMBOL
    assert (await client.get_account_api_permissions())["enableReading"]
    assert (await client.get_all_coins_info())[0]["coin"]
    assert await client.get_margin_all_pairs() == []
    assert await client.get_all_isolated_margin_symbols() == []
    assert (await client.get_dust_assets())["details"]
    assert (await client.transfer_dust(asset="ETH"))["transferResult"]


async def over_the_socket(client: Any) -> None:
    """Use every method of the ws-api that the client has."""
    amount, low, _ = await sizes(client)
    named: dict[str, Any] = {"symbol": SYMBOL}
    for call in (client.ws_ping, client.ws_get_time, client.ws_get_exchange_info, client.ws_get_account):
        assert await call() is not None
    for call in (
        *(client.ws_get_order_book, client.ws_get_recent_trades, client.ws_get_historical_trades),
        *(client.ws_get_aggregate_trades, client.ws_get_avg_price, client.ws_get_ticker, client.ws_get_my_trades),
        *(client.ws_get_trading_day_ticker, client.ws_get_symbol_ticker_window, client.ws_get_symbol_ticker),
        *(client.ws_get_orderbook_ticker, client.ws_get_all_orders, client.ws_get_commission_rates),
    ):
        assert await call(**named)
    for call in (client.ws_get_klines, client.ws_get_uiKlines):
        assert len(await call(**named, interval="1m", limit=5)) == 5
    assert await client.ws_get_allocations(**named) == []
    assert await client.ws_get_account_rate_limits_orders()
    limit = {"quantity": amount, "price": low}
    await client.ws_create_test_order(**named, side="BUY", type="MARKET", quantity=amount)
    placed = await client.ws_order_limit_buy(**named, **limit)
    assert (await client.ws_get_order(**named, orderId=placed["orderId"]))["status"] == "NEW"
    assert (await client.ws_cancel_order(**named, orderId=placed["orderId"]))["status"] == "CANCELED"
    assert (await client.ws_order_market_buy(**named, quantity=amount))["status"] == "FILLED"
    rests = await client.ws_order_limit_buy(**named, **limit)
    replacing = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "cancelReplaceMode": "STOP_ON_FAILURE"}
    replaced = await client.ws_cancel_and_replace_order(**named, **limit, **replacing, cancelOrderId=rests["orderId"])
    assert replaced["newOrderResult"] == "SUCCESS"
    assert await client.ws_get_oco_open_orders() == await client.get_open_oco_orders() == []
    assert len(await client.ws_get_open_orders(**named)) == 1
    assert len(await client.ws_cancel_all_open_orders(**named)) == 1


async def follow(manager: Any, story: Story) -> None:
    """Follow every kind of market socket until it has spoken."""
    lower = SYMBOL.lower()
    sockets = {
        "trade": manager.trade_socket(SYMBOL),
        "aggTrade": manager.aggtrade_socket(SYMBOL),
        "kline": manager.kline_socket(SYMBOL),
        "depthUpdate": manager.depth_socket(SYMBOL),
        "depth": manager.depth_socket(SYMBOL, depth="5"),
        "depth@100ms": manager.depth_socket(SYMBOL, depth="20", interval=100),
        "24hrTicker": manager.symbol_ticker_socket(SYMBOL),
        "24hrMiniTicker": manager.symbol_miniticker_socket(SYMBOL),
        "bookTicker": manager.symbol_book_ticker_socket(SYMBOL),
        "24hrMiniTicker[]": manager.miniticker_socket(),
        "24hrTicker[]": manager.ticker_socket(),
        "multiplex": manager.multiplex_socket([f"{lower}@trade", f"{lower}@bookTicker"]),
    }

    async def first(name: str, socket: Any) -> None:
        async with socket:
            story.messages[name] = await socket.recv()

    await asyncio.gather(*(first(name, socket) for name, socket in sockets.items()))


async def keep_a_book(client: Any, story: Story) -> None:
    """Let the client keep a book of its own, from a snapshot and the changes that follow it."""
    async with DepthCacheManager(client, SYMBOL, ws_interval=100) as cache:
        for _ in range(4):
            await cache.recv()
        book = await cache.recv()
        story.best["own"] = book.get_bids()[0][0], book.get_asks()[0][0]


async def refusals(client: Any, story: Story) -> None:
    """Ask for what is refused."""
    amount, low, _ = await sizes(client)
    wrong: dict[str, Callable[[], Any]] = {
        "no such order": lambda: client.get_order(symbol=SYMBOL, origClientOrderId="never"),
        "no such open order": lambda: client.cancel_order(symbol=SYMBOL, origClientOrderId="never"),
        "no such symbol": lambda: client.get_order_book(symbol="NOPEUSDT"),
        "not enough": lambda: client.order_limit_sell(symbol=SYMBOL, quantity="9000", price=low),
        "off the grid": lambda: client.order_limit_buy(symbol=SYMBOL, quantity=amount, price=low + "0001"),
        "too small": lambda: client.order_limit_buy(symbol=SYMBOL, quantity="0.001", price=low),
        "not modelled": lambda: client.create_order(
            symbol=SYMBOL, side="SELL", type="STOP_LOSS", quantity=amount, stopPrice=low
        ),
        "over the socket": lambda: client.ws_get_order(symbol=SYMBOL, origClientOrderId="never"),
    }
    for name, call in wrong.items():
        with pytest.raises(BinanceAPIException) as caught:
            await call()
        story.refused[name] = caught.value.code


def test_every_path_and_method_that_the_client_knows_was_used(story: Story, tap: Wiretap) -> None:
    calls = set(tap.calls)
    assert {call for call in calls if call.startswith(("GET /sapi", "POST /sapi"))} == {
        f"{method} {path}" for method, path in ROUTES if path.startswith("/sapi")
    }
    methods = {call.removeprefix("ws-api ") for call in calls if call.startswith("ws-api ")}
    assert {name for name in ROUTES.values() if not name.startswith("sapi.")} - methods == BEYOND


def test_errors_are_the_exchanges_own(story: Story) -> None:
    assert story.refused == {
        "no such order": -2013,
        "no such open order": -2011,
        "no such symbol": -1121,
        "not enough": -2010,
        "off the grid": -1013,
        "too small": -1013,
        "not modelled": -2010,
        "over the socket": -2013,
    }


def test_the_user_socket_told_of_every_order_and_balance(story: Story) -> None:
    kinds = {each["e"] for each in story.events}
    assert kinds == {"executionReport", "outboundAccountPosition", "balanceUpdate"}
    executions = {each["x"] for each in story.events if each["e"] == "executionReport"}
    assert executions == {"NEW", "TRADE", "EXPIRED", "CANCELED"}


def test_every_market_socket_spoke(story: Story) -> None:
    for name, message in story.messages.items():
        assert message.get("e", "") != "error" if isinstance(message, dict) else message[0]["s"], name
    assert story.messages["multiplex"]["stream"].startswith("btcusdt@")
    assert len(story.messages["depth"]["bids"]) == 5


def test_the_clients_own_book_has_two_sides_that_do_not_cross(story: Story) -> None:
    bid, ask = story.best["own"]
    assert 0 < bid < ask


def test_bodies_have_every_field_of_the_recorded_ones(story: Story, tap: Wiretap, shared_data: Path) -> None:
    assert list(lacking(tap, shared_data / "api")) == []
