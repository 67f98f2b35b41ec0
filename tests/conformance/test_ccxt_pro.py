"""Does the unchanged ccxt.pro.binance trade on the sandbox and watch it, without any hook of ours?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Complaints
from tests.conformance.recorded import lacking
from tests.conformance.wiretap import Wiretap
from tests.sandbox.rest_kit import KEY, SECRET

pytestmark = pytest.mark.timeout(240)  # a shared machine stalls; alone it takes a tenth of it
CLIENT = "ccxt.pro.binance"
PAIR = "BTC/USDT"
REDUCED: dict[str, Any] = {
    "defaultType": "spot",
    "fetchMarkets": {"types": ["spot"]},
    "fetchCurrencies": False,
    "fetchMargins": False,
    "fetchOpenOrders": {"warnWithoutSymbol": False},
}


class Story:
    """What the client found."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.watched: dict[str, Any] = {}
        self.refused: dict[str, str] = {}


@pytest.fixture(scope="module")
def story(tap: Wiretap, complaints: Complaints) -> Story:
    """Trade and watch."""
    story = Story()
    asyncio.run(tell(tap, story))
    assert complaints.said == []
    return story


async def tell(tap: Wiretap, story: Story) -> None:
    """Make every call."""
    import ccxt.pro  # type: ignore[import-untyped]

    exchange = ccxt.pro.binance({"apiKey": KEY, "secret": SECRET, "options": REDUCED})
    exchange.has["fetchCurrencies"] = False
    exchange.urls["api"] = {
        **dict.fromkeys(("public", "private"), f"{tap.url}/api/v3"),
        "v1": f"{tap.url}/api/v1",
        **{name: f"{tap.url}/sapi/{version}" for name, version in SAPI.items()},
        "ws": {
            "spot": f"{tap.ws_url}/stream/ws",
            "margin": f"{tap.ws_url}/stream/ws",
            "ws-api": {"spot": f"{tap.ws_url}/ws-api/v3"},
        },
    }
    try:
        async with asyncio.timeout(100):
            await exchange.load_markets()
            await ask(exchange)
            await watch(exchange, story)
            own = [asyncio.ensure_future(exchange.watch_orders()), asyncio.ensure_future(exchange.watch_my_trades())]
            own.append(asyncio.ensure_future(exchange.watch_balance()))
            await exchange.fetch_balance_ws()
            await asyncio.to_thread(tap.until, lambda: bool(tap.told("ws-api userDataStream.subscribe.signature")))
            await trade(exchange, story)
            await over_the_socket(exchange, story)
            for name, task in zip(("orders", "my_trades", "balance"), own, strict=True):
                story.watched[name] = await task
            await refusals(exchange, story)
    finally:
        await exchange.close()


SAPI = {"sapi": "v1", "sapiV2": "v2", "sapiV3": "v3", "sapiV4": "v4"}


async def ask(exchange: Any) -> None:
    """Ask for everything that anybody may ask."""
    assert exchange.markets[PAIR]["limits"]["cost"]["min"] > 0
    await exchange.fetch_time()
    await exchange.fetch_ticker(PAIR)
    assert len(await exchange.fetch_tickers([PAIR, "BNB/USDT"])) == 2
    assert len(await exchange.fetch_bids_asks([PAIR])) == 1
    assert (await exchange.fetch_order_book(PAIR, 5))["bids"]
    assert len(await exchange.fetch_ohlcv(PAIR, "1m", limit=5)) == 5
    assert await exchange.fetch_trades(PAIR)
    assert (await exchange.fetch_balance())["free"]["BTC"] > 1
    assert (await exchange.fetch_trading_fee(PAIR))["taker"] == 0.001


async def watch(exchange: Any, story: Story) -> None:
    """Watch the market in every manner."""
    calls: dict[str, Any] = {
        "ticker": exchange.watch_ticker(PAIR),
        "tickers": exchange.watch_tickers([PAIR, "BNB/USDT"]),
        "bids_asks": exchange.watch_bids_asks([PAIR, "ETH/USDT"]),
        "order_book": exchange.watch_order_book(PAIR),
        "order_books": exchange.watch_order_book_for_symbols([PAIR, "ETH/USDT"]),
        "trades": exchange.watch_trades(PAIR),
        "many_trades": exchange.watch_trades_for_symbols([PAIR, "BNB/USDT"]),
        "ohlcv": exchange.watch_ohlcv(PAIR, "1m"),
    }
    story.watched |= dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))


async def sizes(exchange: Any) -> tuple[float, float]:
    """Return an amount that may be traded, and a price below the market."""
    price = (await exchange.fetch_ticker(PAIR))["last"]
    return round(100 / price, 2), round(price * 0.97, 2)


async def trade(exchange: Any, story: Story) -> None:
    """Trade over REST."""
    amount, low = await sizes(exchange)
    orders = story.orders
    orders["market"] = await exchange.create_order(PAIR, "market", "buy", amount)
    orders["cost"] = await exchange.create_market_buy_order_with_cost(PAIR, 50)
    orders["ioc"] = await exchange.create_order(PAIR, "limit", "buy", amount, low, {"timeInForce": "IOC"})
    orders["maker"] = await exchange.create_order(PAIR, "limit", "buy", amount, low, {"postOnly": True})
    await exchange.create_order(PAIR, "limit", "buy", amount, low, {"test": True})
    orders["limit"] = await exchange.create_order(PAIR, "limit", "buy", amount, low, {"newClientOrderId": "mine"})
    assert len(await exchange.fetch_open_orders()) == len(await exchange.fetch_open_orders(PAIR)) == 2
    named = {"origClientOrderId": "mine"}
    assert (await exchange.fetch_order(None, PAIR, named))["id"] == orders["limit"]["id"]
    orders["edited"] = await exchange.edit_order(orders["limit"]["id"], PAIR, "limit", "buy", amount, low - 0.1)
    orders["canceled"] = await exchange.cancel_order(orders["edited"]["id"], PAIR)
    assert len(await exchange.cancel_all_orders(PAIR)) == 1
    assert len(await exchange.fetch_orders(PAIR)) == 6
    assert await exchange.fetch_my_trades(PAIR)
    assert await exchange.fetch_order_trades(orders["market"]["id"], PAIR)


async def over_the_socket(exchange: Any, story: Story) -> None:
    """Trade over the ws-api."""
    amount, low = await sizes(exchange)
    orders = story.orders
    orders["ws"] = await exchange.create_order_ws(PAIR, "limit", "buy", amount, low, {"newClientOrderId": "socket"})
    assert (await exchange.fetch_order_ws(orders["ws"]["id"], PAIR))["status"] == "open"
    assert len(await exchange.fetch_open_orders_ws(PAIR)) == 1
    assert len(await exchange.fetch_orders_ws(PAIR)) == 7
    orders["ws edited"] = await exchange.edit_order_ws(orders["ws"]["id"], PAIR, "limit", "buy", amount, low - 0.1)
    orders["ws canceled"] = await exchange.cancel_order_ws(orders["ws edited"]["id"], PAIR)
    orders["ws market"] = await exchange.create_order_ws(PAIR, "market", "sell", amount)
    await exchange.create_order_ws(PAIR, "limit", "buy", amount, low)
    await exchange.cancel_all_orders_ws(PAIR)
    assert await exchange.fetch_my_trades_ws(PAIR)
    assert len(await exchange.fetch_ohlcv_ws(PAIR, "1m", limit=5)) == 5


async def refusals(exchange: Any, story: Story) -> None:
    """Ask for what is refused."""
    import ccxt

    amount, low = await sizes(exchange)
    wrong: dict[str, Callable[[], Any]] = {
        "no such order": lambda: exchange.fetch_order("999999", PAIR),
        "no such open order": lambda: exchange.cancel_order("999999", PAIR),
        "not enough": lambda: exchange.create_order(PAIR, "limit", "sell", 9_000, low),
        "would take": lambda: exchange.create_order(PAIR, "limit", "buy", amount, low * 1.1, {"postOnly": True}),
        "too small": lambda: exchange.create_order(PAIR, "limit", "buy", 0.01, low),
        "over the socket": lambda: exchange.fetch_order_ws("999999", PAIR),
    }
    for name, call in wrong.items():
        with pytest.raises(ccxt.BaseError) as caught:
            await call()
        story.refused[name] = type(caught.value).__name__


def test_orders_end_as_they_should(story: Story) -> None:
    found = {name: order["status"] for name, order in story.orders.items()}
    assert found == {
        "market": "closed",
        "cost": "closed",
        "ioc": "expired",
        "maker": "open",
        "limit": "open",
        "edited": "open",
        "canceled": "canceled",
        "ws": "open",
        "ws edited": "open",
        "ws canceled": "canceled",
        "ws market": "closed",
    }


def test_everything_that_is_watched_tells(story: Story) -> None:
    watched = story.watched
    assert watched["ticker"]["last"] > 0
    assert watched["order_book"]["bids"][0][0] < watched["order_book"]["asks"][0][0]
    assert watched["ohlcv"][0][4] > 0
    assert watched["trades"][0]["price"] > 0
    assert watched["orders"][0]["symbol"] == watched["my_trades"][0]["symbol"] == PAIR
    assert watched["balance"]["BTC"]["free"] > 1
    assert all(watched.values())


def test_refusals_are_the_errors_that_ccxt_has_for_them(story: Story) -> None:
    assert story.refused == {
        "no such order": "OrderNotFound",
        "no such open order": "OrderNotFound",
        "not enough": "InsufficientFunds",
        "would take": "OrderImmediatelyFillable",
        "too small": "BadRequest",
        "over the socket": "OrderNotFound",
    }


def test_bodies_have_every_field_of_the_recorded_ones(story: Story, tap: Wiretap, shared_data: Path) -> None:
    assert story.orders
    assert list(lacking(tap, shared_data / "api")) == []
