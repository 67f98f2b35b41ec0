"""Does every answer an exchange can give, and every way a connection can end, become the outcome it proves?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.exchange.binance_answers import exchange_info, placed
from tests.exchange.little_exchange import (
    Answer,
    LittleExchange,
    hanging,
    in_loop,
    little_exchange,
    raw,
    reset,
    says,
    truncated,
)
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.evidence import followed
from tradebot.exchange.outcomes import Accepted, AlreadyThere, NeverSent, Outcome, Refused, Unknown, failure_of
from tradebot.exchange.parsing import Unreadable, order_of

KEYS = Credentials("the-key-of-this-test", "the-secret-of-this-test")


class Wall:
    """A clock that stands."""

    def now_ms(self) -> int:
        return 1_700_000_000_000


async def outcome_of(exchange: Any, place: Callable[[], Awaitable[Any]]) -> Outcome:
    """Return what placing an order came to."""
    with followed() as trail:
        try:
            answer = await place()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, it must be judged
            return failure_of(error, trail, exchange=exchange.id, hide=KEYS.hide)
    try:
        return Accepted(order_of(answer, "BTC/USDT", dialect_of(exchange.id)))
    except Unreadable as error:
        return Unknown(str(error))


async def placing(server: LittleExchange, **settings: Any) -> Outcome:
    """Return what placing a limit order on `server` comes to."""
    chosen = server.settings(**settings)
    exchange = connect(chosen, public_taps(chosen, Budget(Wall())), credentials=KEYS, throttled=False)
    try:
        exchange.set_markets(await exchange.fetch_markets())
        return await outcome_of(
            exchange,
            lambda: exchange.create_order(
                "BTC/USDT", "limit", "buy", "0.002", "50000", {"newClientOrderId": "a-1-1", "timeInForce": "GTC"}
            ),
        )
    finally:
        await disconnect(exchange)


async def answered(answer: Answer, **settings: Any) -> Outcome:
    """Return what placing comes to where the order is answered so."""
    async with little_exchange() as server:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        server.on("POST", "/order", answer)
        outcome = await placing(server, **settings)
        assert len(server.calls("POST", "/order")) == 1, "an order is sent once, whatever is answered"
        return outcome


REFUSALS = [
    (400, -1013, "Filter failure: LOT_SIZE", "rule"),
    (400, -1013, "Filter failure: PRICE_FILTER", "rule"),
    (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", "rule"),
    (400, -1013, "Filter failure: NOTIONAL", "rule"),
    (400, -1013, "Filter failure: MAX_NUM_ORDERS", "rule"),
    (400, -1111, "Parameter 'quantity' has too much precision.", "rule"),
    (400, -1100, "Illegal characters found in parameter 'price'.", "rule"),
    (400, -1102, "Mandatory parameter 'symbol' was not sent.", "rule"),
    (400, -1121, "Invalid symbol.", "closed"),
    (400, -1130, "Data sent for parameter 'timeInForce' is not valid.", "rule"),
    (400, -1131, "recvWindow must be less than 60000", "rule"),
    (400, -1016, "This service is no longer available.", "rule"),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", "clock"),
    (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.", "clock"),
    (400, -1022, "Signature for this request is not valid.", "rule"),
    (401, -2014, "API-key format invalid.", "rule"),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", "rule"),
    (401, -1002, "You are not authorized to execute this request.", "rule"),
    (400, -2008, "Invalid Api-Key ID.", "rule"),
    (400, -2010, "Account has insufficient balance for requested action.", "rule"),
    (400, -2010, "Order would immediately match and take.", "rule"),
    (400, -2010, "Market is closed.", "closed"),
    (400, -2010, "This action is disabled on this account.", "rule"),
    (400, -2011, "Unknown order sent.", "absent"),
    (400, -2013, "Order does not exist.", "absent"),
    (429, -1003, "Too much request weight used.", "pace"),
    (429, -1015, "Too many new orders.", "pace"),
    (418, -1003, "Way too much request weight used; IP banned until 1700000120000.", "pace"),
]


@pytest.mark.parametrize(("status", "code", "text", "why"), REFUSALS, ids=[f"{row[1]} {row[2]}" for row in REFUSALS])
@in_loop
async def test_a_code_that_proves_a_refusal_is_one(status: int, code: int, text: str, why: Any) -> None:
    assert await answered(says({"code": code, "msg": text}, status)) == Refused(str(code), text, why)


@in_loop
async def test_a_duplicate_that_is_open_is_no_refusal() -> None:
    outcome = await answered(says({"code": -2010, "msg": "Duplicate order sent."}, 400))
    assert outcome == AlreadyThere("-2010", "Duplicate order sent.")


UNKNOWNS = {
    "500 -1000": says({"code": -1000, "msg": "An unknown error occurred."}, 500),
    "500 -1001": says({"code": -1001, "msg": "Internal error; unable to process your request."}, 500),
    "500 -1006": says({"code": -1006, "msg": "An unexpected response was received."}, 500),
    "503 -1000": says({"code": -1000, "msg": "Unknown error, please check your request or try again later."}, 503),
    "503 -1008": says({"code": -1008, "msg": "Server is currently overloaded."}, 503),
    "408 -1007": says({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 408),
    "504 -1007": says({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 504),
    "502 html": raw("<html>bad gateway</html>", 502, "text/html"),
    "503 empty": raw("", 503),
    "520 html": raw("<html>cloud</html>", 520, "text/html"),
    "403 html": raw("<html>firewall</html>", 403, "text/html"),
    "404 html": raw("<html>not here</html>", 404, "text/html"),
    "400 html": raw("<html>bad request</html>", 400, "text/html"),
    "429 html": raw("<html>slow down</html>", 429, "text/html"),
    "200 html": raw("<html>hello</html>", 200, "text/html"),
    "200 empty": raw(""),
    "200 cut json": raw('{"symbol":"BTCUSDT","orderId":28,"clientOrd'),
    "200 without an id": says({"symbol": "BTCUSDT", "clientOrderId": "a-1-1"}),
    "200 a list": says([]),
    "200 a number": raw("28"),
    "200 an id of another kind": says({**placed("a-1-1"), "orderId": {"of": "a kind"}}),
    "200 an amount that is none": says({**placed("a-1-1"), "executedQty": "NaN"}),
    "200 a status never seen": says({**placed("a-1-1"), "status": "BAFFLED"}),
    "a code never seen": says({"code": -4711, "msg": "Something new."}, 400),
    "a refusal with 200": says({"code": -1013, "msg": "Filter failure: LOT_SIZE"}, 200),
    "reset": reset,
    "truncated": truncated,
}


@pytest.mark.parametrize("case", UNKNOWNS)
@in_loop
async def test_what_proves_nothing_is_unknown(case: str) -> None:
    outcome = await answered(UNKNOWNS[case])
    assert isinstance(outcome, Unknown), outcome
    assert outcome.cause
    assert "signature" not in outcome.cause
    assert "127.0.0.1" not in outcome.cause


@in_loop
async def test_an_answer_that_does_not_come_is_unknown() -> None:
    async with little_exchange() as server:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        server.on("POST", "/order", hanging(server))
        assert isinstance(await placing(server, request_timeout_s=1.0), Unknown)
        assert len(server.calls("POST", "/order")) == 1


@in_loop
async def test_a_wait_that_is_cancelled_is_unknown() -> None:
    async with little_exchange() as server:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        arrived = asyncio.Event()
        hang = hanging(server)

        async def arrive(asked: Any) -> Any:
            arrived.set()
            return await hang(asked)

        server.on("POST", "/order", arrive)
        task = asyncio.create_task(placing(server, request_timeout_s=5.0))
        await arrived.wait()
        task.cancel()
        assert isinstance(await task, Unknown)


@in_loop
async def test_a_connection_that_is_refused_never_took_anything_along() -> None:
    async with little_exchange() as server:
        chosen = server.settings()
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        exchange = connect(chosen, public_taps(chosen, Budget(Wall())), credentials=KEYS, throttled=False)
        markets = await exchange.fetch_markets()
        await disconnect(exchange)
    exchange = connect(chosen, public_taps(chosen, Budget(Wall())), credentials=KEYS, throttled=False)
    exchange.set_markets(markets)
    try:
        outcome = await outcome_of(
            exchange, lambda: exchange.create_order("BTC/USDT", "limit", "buy", "0.002", "50000", {})
        )
    finally:
        await disconnect(exchange)
    assert outcome == NeverSent("no connection to the exchange", unreachable=True)


@pytest.mark.parametrize(
    ("symbol", "amount"), [("BTC/NOTHING", "0.002"), ("BTC/USDT", "0.000000001")], ids=["symbol", "amount"]
)
@in_loop
async def test_what_ccxt_refuses_by_itself_was_never_sent(symbol: str, amount: str) -> None:
    async with little_exchange() as server:
        server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT")))
        chosen = server.settings()
        exchange = connect(chosen, public_taps(chosen, Budget(Wall())), credentials=KEYS, throttled=False)
        try:
            exchange.set_markets(await exchange.fetch_markets())
            outcome = await outcome_of(
                exchange, lambda: exchange.create_order(symbol, "limit", "buy", amount, "50000", {})
            )
        finally:
            await disconnect(exchange)
        assert isinstance(outcome, NeverSent)
        assert server.calls("POST", "/order") == []


@in_loop
async def test_an_answer_that_says_so_is_an_order() -> None:
    outcome = await answered(says(placed("a-1-1", status="PARTIALLY_FILLED", filled="0.00100000")))
    assert isinstance(outcome, Accepted)
    order = outcome.order
    assert (order.venue_id, order.client_id, order.status, str(order.filled)) == ("28", "a-1-1", "open", "0.00100000")
    (fill,) = order.fills
    assert (fill.trade_id, str(fill.price), str(fill.amount)) == ("7", "50000.00", "0.00100000")
    assert (str(fill.fee), fill.fee_asset, fill.maker) == ("0.00001", "BNB", False)


@in_loop
async def test_a_redirect_takes_neither_order_nor_key_elsewhere() -> None:
    async with little_exchange() as elsewhere:

        async def redirect(_asked: Any) -> Any:
            from aiohttp import web

            return web.Response(status=307, headers={"Location": f"{elsewhere.base_url}/api/v3/order"})

        assert isinstance(await answered(redirect), Unknown)
        assert elsewhere.asked == []


@in_loop
async def test_what_an_exchange_says_of_a_key_is_masked() -> None:
    outcome = await answered(says({"code": -1022, "msg": f"no {KEYS.secret} for {KEYS.api_key}"}, 400))
    assert outcome == Refused("-1022", "no *** for ***")
