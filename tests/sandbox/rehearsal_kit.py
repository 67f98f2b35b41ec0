"""How is a whole sandbox exchange served to a test, and spoken to by a raw client? Asked by the tests of its faults."""

from __future__ import annotations

import asyncio
import json
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import aiohttp
from aiohttp import web

from tests.sandbox.faults_kit import KEY, SECRET, WAIT_S, Wire, book, signed, signed_ws, wire
from tests.sandbox.streams_kit import INSTRUMENTS
from tradebot.config.faults_file import FaultsFile
from tradebot.domain.events import Event
from tradebot.sandbox.calls import Calls
from tradebot.sandbox.calls_account import AccountCalls
from tradebot.sandbox.calls_market import MarketCalls
from tradebot.sandbox.calls_orders import OrderCalls
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_state import SkewedClock
from tradebot.sandbox.faults_service import Service
from tradebot.sandbox.limits import Limits
from tradebot.sandbox.market_rules import RATE_LIMITS, rules_of
from tradebot.sandbox.orders import Credentials, FeeRates
from tradebot.sandbox.rest import Rest
from tradebot.sandbox.signing import Keyring
from tradebot.sandbox.store import Store
from tradebot.sandbox.wire_errors import ApiError

ORDER: dict[str, object] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.50000",
    "price": "90.00",
    "newOrderRespType": "FULL",
}
T = TypeVar("T")


class Answer(NamedTuple):
    """What a raw client was told."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def code(self) -> int:
        """The exchange's error code."""
        return int(self.json["code"])


class Rehearsal:
    """A served exchange and its raw client."""

    def __init__(self, exchange: Exchange, service: Service, clock: SkewedClock, url: str) -> None:
        self.exchange = exchange
        self.service = service
        self.clock = clock
        self.url = url
        self.session: aiohttp.ClientSession

    def market(self, *events: Event) -> None:
        """Let the market move."""
        for event in events:
            self.exchange.on_market(event, self.clock.now_ms())

    def placed(self, client_id: str) -> bool:
        """Return whether the exchange has an order."""
        try:
            self.exchange.query(KEY, "BTCUSDT", None, client_id)
        except ApiError:
            return False
        return True

    async def ask(self, method: str, path: str, parameters: Mapping[str, object] | None = None) -> Answer:
        """Send a request; signed where parameters are given. Raises aiohttp's errors."""
        query = signed(parameters) if parameters is not None else ""
        url, body = f"{self.url}{path}", None
        if method == "POST":
            body = query.encode()
        elif query:
            url = f"{url}?{query}"
        headers = {"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded"}
        async with self.session.request(method, url, data=body, headers=headers) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    async def place(self, client_id: str, **changes: object) -> Answer:
        """Place an order that rests, or what it is changed to."""
        return await self.ask("POST", "/api/v3/order", {**ORDER, "newClientOrderId": client_id, **changes})

    async def query(self, client_id: str) -> Answer:
        """Ask for an order by its client id."""
        return await self.ask("GET", "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": client_id})

    async def steer(self, method: str, path: str, said: object = None) -> Answer:
        """Use a control path."""
        body = json.dumps(said).encode() if said is not None else None
        async with self.session.request(method, f"{self.url}/sandbox{path}", data=body) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    async def fault(self, **said: object) -> None:
        """Let a fault stand."""
        answer = await self.steer("POST", "/faults", said)
        assert answer.status == 200, answer.text

    @asynccontextmanager
    async def user(self) -> AsyncIterator[Wire]:
        """Open a ws-api socket that hears the account's events."""
        async with self.api() as client:
            answer = await client.ask("userDataStream.subscribe.signature", signed_ws({}))
            assert answer["result"] == {"subscriptionId": 0}, answer
            yield client

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Wire]:
        """Open a ws-api socket."""
        async with wire(self.session, f"{self.url}/ws-api/v3") as client:
            yield client


async def event(client: Wire) -> dict[str, Any]:
    """Return the next event of the account."""
    while True:
        message = await client.hear()
        if "event" in message:
            found: dict[str, Any] = message["event"]
            return found


async def within(awaited: Awaitable[T]) -> T:
    """Return what is awaited; it comes in time."""
    return await asyncio.wait_for(awaited, WAIT_S)


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; it becomes so in time."""
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110 - it is the exchange's state, which tells nobody
            await asyncio.sleep(0.005)


@asynccontextmanager
async def rehearsing(toml: str = "") -> AsyncIterator[Rehearsal]:
    """Serve an exchange with one account and a market that stands, with the faults of a file's text."""
    file = FaultsFile.model_validate(tomllib.loads(toml, parse_float=Decimal))
    clock = SkewedClock(lambda: int(time.time() * 1000))
    store = Store(None)
    exchange = Exchange(rules_of(INSTRUMENTS), store, clock.now_ms())
    exchange.on_market(book(100.0, 101.0), clock.now_ms())
    rates = FeeRates(Decimal(10), Decimal(10))
    exchange.open_account(KEY, {"USDT": Decimal(10_000), "BTC": Decimal(1)}, rates)
    keys, limits = Keyring([Credentials(KEY, SECRET)]), Limits(RATE_LIMITS)
    table = {
        **MarketCalls(exchange, RATE_LIMITS).table(),
        **OrderCalls(exchange).table(),
        **AccountCalls(exchange, keys, limits).table(),
    }
    calls = Calls(exchange, keys, limits, clock.now_ms, table)
    service = Service(exchange, calls, clock, file)
    app = web.Application()
    app.add_routes([*Rest(calls, service.interpose).routes(), *service.routes()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await service.start()
    rehearsal = Rehearsal(exchange, service, clock, f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as rehearsal.session:
            yield rehearsal
    finally:
        await service.stop()
        await runner.cleanup()
        store.close()
