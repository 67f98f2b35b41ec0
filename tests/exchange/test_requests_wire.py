"""Is every request worded as each exchange wants it, and every answer read as what it says? Over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.dialect_answers import SPOKEN, Spoken
from tests.exchange.little_exchange import Asked, LittleExchange, in_loop, little_exchange, says
from tests.exchange.walls import Wall
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.exchange.budget import Budget
from tradebot.exchange.capabilities import capabilities_of
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.outcomes import Accepted, NeverSent, Refused, Unknown
from tradebot.exchange.parsing import SeenOrder
from tradebot.exchange.requests import Requests, absent

KEYS = Credentials("k" * 16, base64.b64encode(b"s" * 32).decode(), "password-of-this-test")
ALL = pytest.mark.parametrize("name", SPOKEN)


@asynccontextmanager
async def speaking(name: str) -> AsyncIterator[tuple[Requests, LittleExchange, Spoken]]:
    """Speak to a little exchange that answers as `name` would."""
    spoken = SPOKEN[name]
    async with little_exchange() as server:
        settings = server.settings(name)
        exchange = connect(settings, public_taps(settings, Budget(Wall())), credentials=KEYS, throttled=False)
        exchange.set_markets([_market(exchange, spoken)])
        try:
            yield Requests(exchange, KEYS, capabilities_of(exchange)), server, spoken
        finally:
            await disconnect(exchange)


def _market(exchange: Any, spoken: Spoken) -> Any:
    return exchange.safe_market_structure(
        {
            "id": spoken.market_id,
            "symbol": "BTC/USDT",
            "base": "BTC",
            "quote": "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
            "type": "spot",
            **dict.fromkeys(("spot", "active"), True),
            **dict.fromkeys(("margin", "swap", "future", "option", "contract"), False),
            "precision": {"price": "0.01", "amount": "0.00001"},
            "limits": {"amount": {"min": "0.00001"}, "price": {}, "cost": {}},
            "info": {
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
                "quoteOrderQtyMarketAllowed": True,
                **spoken.limits,
            },
        }
    )


def order(**more: Any) -> PlaceOrder:
    wanted: dict[str, Any] = {
        "client_id": "t-1-1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "tif": TimeInForce.GTC,
        "send_by_ms": 2**60,
        "price": Decimal("50000.00"),
        "amount": Decimal("0.00200"),
    }
    return PlaceOrder(**{**wanted, **more})


KINDS: dict[str, dict[str, Any]] = {
    "IOC": {"tif": TimeInForce.IOC},
    "PO": {"tif": TimeInForce.PO},
    "market": {
        "type": OrderType.MARKET,
        "tif": TimeInForce.IOC,
        "price": Decimal(0),
        "amount": Decimal(0),
        "quote_amount": Decimal("100.5"),
    },
}


def said(asked: Asked) -> dict[str, Any]:
    """Return the fields of a request, of its one order where it holds a list."""
    if asked.body.startswith("["):
        (fields,) = json.loads(asked.body)
        return dict(fields)
    return asked.fields


@ALL
@in_loop
async def test_an_order_carries_its_client_id_and_exact_texts(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.place, says(spoken.placed))
        outcome = await requests.place(order())
        (sent,) = server.asked
        fields = said(sent)
        assert {key: fields.get(key) for key in spoken.wire} == spoken.wire
        assert isinstance(outcome, Accepted)
        assert outcome.order.venue_id in {"V1", "1"}
        assert outcome.order.client_id in {"t-1-1", ""}


@ALL
@pytest.mark.parametrize("kind", KINDS)
@in_loop
async def test_every_kind_of_order_is_worded_for_it(name: str, kind: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.place, says(spoken.placed))
        assert isinstance(await requests.place(order(**KINDS[kind])), Accepted)
        (sent,) = server.asked
        fields = said(sent)
        assert {key: fields.get(key) for key in spoken.kinds[kind]} == spoken.kinds[kind]


@ALL
@in_loop
async def test_its_own_refusal_is_a_refusal_and_a_broken_answer_is_not(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        status, body, code = spoken.refused
        server.on(*spoken.place, says(body, status))
        outcome = await requests.place(order())
        assert isinstance(outcome, Refused), outcome
        assert (outcome.code, outcome.why) == (code, "rule")
        assert outcome.message
        server.on(*spoken.place, says(body, 502))
        assert isinstance(await requests.place(order()), Unknown)
        server.on(*spoken.place, says({}))
        assert isinstance(await requests.place(order()), Unknown)


@ALL
@in_loop
async def test_an_order_is_found_by_its_client_id(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.find, says(spoken.found))
        found = await requests.find("t-1-1", "BTC/USDT", "")
        assert isinstance(found, SeenOrder), found
        assert (found.client_id, found.status, found.filled) == ("t-1-1", "open", Decimal("0.001"))
        assert found.venue_id in {"V1", "1"}


@ALL
@in_loop
async def test_an_order_that_is_not_there_is_absent_and_a_broken_answer_is_not(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        status, body = spoken.missing
        server.on("*", "", says(body, status))
        missing = await requests.find("t-1-1", "BTC/USDT", "")
        assert absent(missing), missing
        server.on("*", "", says({}))
        assert isinstance(await requests.find("t-1-1", "BTC/USDT", ""), Unknown)
        server.on("*", "", says(body, 500))
        assert isinstance(await requests.find("t-1-1", "BTC/USDT", ""), Unknown)


@ALL
@in_loop
async def test_a_cancel_names_the_order_and_what_it_answers_is_not_taken_for_more(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.cancel, says(spoken.canceled))
        outcome = await requests.cancel("t-1-1", "BTC/USDT", "V1")
        (sent,) = server.asked
        assert {key: sent.fields.get(key) for key in spoken.cancel_wire} == spoken.cancel_wire
        assert outcome is None or (isinstance(outcome, SeenOrder) and outcome.status == "canceled")


@ALL
@in_loop
async def test_the_trades_of_an_order_are_read_with_their_fees(name: str) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.trades, says(spoken.traded))
        fills = await requests.fills("BTC/USDT", "1" if name == "binance" else "V1")
        assert isinstance(fills, list), fills
        (fill,) = fills
        assert fill.trade_id in {"T7", "7"}
        assert (fill.price, fill.amount, fill.maker) == (Decimal(50_000), Decimal("0.001"), True)
        assert (fill.fee, fill.fee_asset) == (Decimal("0.05"), "USDT")
        server.on(*spoken.trades, says({}))
        assert isinstance(await requests.fills("BTC/USDT", "V1"), Unknown)


@in_loop
async def test_a_fee_that_is_paid_in_the_exchange_s_own_asset_is_read() -> None:
    async with speaking("gate") as (requests, server, spoken):
        paid = {**spoken.traded[0], "fee": "0", "fee_currency": "BTC", "gt_fee": "0.0123", "point_fee": "0"}
        server.on(*spoken.trades, says([paid]))
        fills = await requests.fills("BTC/USDT", "V1")
        assert isinstance(fills, list), fills
        assert [(fill.fee, fill.fee_asset) for fill in fills] == [(Decimal("0.0123"), "GT")]


@in_loop
async def test_what_a_market_buy_has_bought_is_what_the_exchange_says_and_not_worked_out_from_its_price() -> None:
    async with speaking("gate") as (requests, server, spoken):
        bought = {"type": "market", "amount": "100", "left": "33.1", "avg_deal_price": "50331.7"}
        bought |= {"filled_amount": "0.00133", "finish_as": "ioc", "status": "cancelled"}
        server.on(*spoken.find, says({**spoken.found, **bought}))
        found = await requests.find("t-1-1", "BTC/USDT", "")
        assert isinstance(found, SeenOrder), found
        assert (found.status, found.filled) == ("canceled", Decimal("0.00133"))


@pytest.mark.parametrize(
    ("word", "status"), [("fok", "expired"), ("poc", "expired"), ("stp", "expired"), ("depth_not_enough", "expired")]
)
@in_loop
async def test_every_way_in_which_an_order_finishes_at_gate_is_an_end(word: str, status: str) -> None:
    async with speaking("gate") as (requests, server, spoken):
        server.on(*spoken.find, says({**spoken.found, "status": "cancelled", "finish_as": word}))
        found = await requests.find("t-1-1", "BTC/USDT", "")
        assert isinstance(found, SeenOrder), found
        assert found.status == status


@pytest.mark.parametrize(
    ("name", "canceled"), [("bybit", {"orderStatus": "Cancelled"}), ("bitget", {"status": "cancelled"})]
)
@in_loop
async def test_an_order_that_was_canceled_is_among_those_that_ended(name: str, canceled: dict[str, str]) -> None:
    async with speaking(name) as (requests, server, _):
        row, history = {
            "bybit": (SPOKEN["bybit"].found["result"]["list"][0], "/v5/order/history"),
            "bitget": (SPOKEN["bitget"].found["data"][0], "/spot/trade/history-orders"),
        }[name]

        async def ended(asked: Asked) -> Any:
            rows = [] if asked.fields.get("orderStatus") == "Filled" else [{**row, **canceled}]
            whole = {"retCode": 0, "result": {"list": rows}} if name == "bybit" else {"code": "00000", "data": rows}
            return await says(whole)(asked)

        none = {"retCode": 0, "result": {"list": []}} if name == "bybit" else {"code": "00000", "data": []}
        server.on("GET", "/v5/order/realtime" if name == "bybit" else "/spot/trade/unfilled-orders", says(none))
        server.on("GET", history, ended)
        listed = await requests.recent_orders("BTC/USDT", None)
        assert isinstance(listed, list), listed
        assert [(one.client_id, one.status) for one in listed] == [("t-1-1", "canceled")]


@pytest.mark.parametrize("name", ["bybit", "gate", "bitget", "coinbase"])
@in_loop
async def test_what_an_exchange_cannot_do_is_refused_before_it_is_sent(name: str) -> None:
    async with speaking(name) as (requests, server, _):
        by_base = order(type=OrderType.MARKET, tif=TimeInForce.IOC, price=Decimal(0))
        assert await requests.place(by_base) == NeverSent(f"{name} has no market buy by base amount")
        assert server.asked == []


@in_loop
async def test_where_open_orders_are_listed_by_symbol_those_of_the_named_ones_are_everything() -> None:
    async with speaking("okx") as (requests, server, spoken):

        async def by_symbol(asked: Asked) -> Any:
            if asked.query.get("instId") == spoken.market_id:
                return await says(spoken.found)(asked)
            return await says({"code": "51000", "msg": "Parameter instId error", "data": []})(asked)

        server.on("GET", "/trade/orders-pending", by_symbol)
        listed = await requests.everything_open(["BTC/USDT"])
        assert isinstance(listed, list), listed
        assert [one.client_id for one in listed] == ["t-1-1"]
        assert isinstance(await requests.everything_open([]), Refused)


@in_loop
async def test_a_list_that_may_go_on_is_not_everything_that_is_open() -> None:
    async with speaking("bybit") as (requests, server, spoken):
        row = spoken.found["result"]["list"][0]
        rows = [{**row, "orderId": f"V{each}"} for each in range(50)]
        server.on("GET", "/v5/order/realtime", says({"retCode": 0, "result": {"list": rows[1:], "category": "spot"}}))
        listed = await requests.everything_open(["BTC/USDT"])
        assert isinstance(listed, list)
        assert len(listed) == 49
        server.on("GET", "/v5/order/realtime", says({"retCode": 0, "result": {"list": rows, "category": "spot"}}))
        assert isinstance(await requests.everything_open(["BTC/USDT"]), Unknown)


@pytest.mark.parametrize(("name", "goes_on"), [("coinbase", True), ("binance", False)])
@in_loop
async def test_as_many_trades_as_one_list_holds_may_be_more_where_no_page_follows(name: str, goes_on: bool) -> None:
    async with speaking(name) as (requests, server, spoken):
        server.on(*spoken.trades, says(spoken.traded))
        fills = await requests.trades("BTC/USDT", after_id=None, since_ms=None)
        assert isinstance(fills, list), fills
        assert not requests.may_go_on(fills)
        assert requests.may_go_on(fills * 100) is goes_on
