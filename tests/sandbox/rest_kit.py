"""Who speaks to the sandbox's REST in its tests? A whole exchange on loopback, and a raw client that signs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec

from tradebot.domain.events import BookSeen, Event, TradeSeen
from tradebot.sandbox.orders import Credentials, FeeRates
from tradebot.sandbox.server import Sandbox, Settings
from tradebot.sandbox.signing import signed_query

KEY, SECRET = "test-key", "test-secret"
READER = Credentials("reader-key", "reader-secret", may_trade=False)
SYMBOL, PAIR = "AAAUSDT", "AAA/USDT"
SETTINGS = Settings(
    credentials=(Credentials(KEY, SECRET), READER),
    balances={"USDT": Decimal(10_000), "AAA": Decimal(1_000), "BNB": Decimal(10)},
    rates=FeeRates(Decimal(10), Decimal(20)),
    symbols=("AAA/USDT", "BNB/USDT"),
    history_minutes=0,
)
WITH_PAST = msgspec.structs.replace(SETTINGS, history_minutes=10)
T = TypeVar("T")


class Reply(NamedTuple):
    """What was answered."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def refusal(self) -> tuple[int, int, str]:
        """Status, code and text of a refusal."""
        return self.status, self.body["code"], self.body["msg"]


class StillFeed:
    """A market that moves only when a test says so; its symbols are those of the feed it stands for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._instruments = sandbox.feed.instruments()
        self.label = sandbox.feed.label
        self.past = sandbox.feed.past

    def instruments(self) -> Any:
        """Return the symbols."""
        return self._instruments

    async def run(self, _publish: Callable[[Event], None]) -> None:
        """Publish nothing."""


class Client:
    """A raw client of one exchange."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self._session = session
        self.price = 0.0

    def show(self, price: float = 100.0, size: float = 10.0, pair: str = PAIR) -> None:
        """Let the book be `price` ± 1, `size` on both sides, after a trade at `price`."""
        now = self.sandbox.clock.now_ms()
        self.sandbox.exchange.on_market(TradeSeen(pair, price, 1.0, True, now), now)
        self.sandbox.exchange.on_market(BookSeen(pair, ((price - 1, size),), ((price + 1, size),), now), now)

    def trade(self, price: float, size: float, *, buyer_taker: bool, pair: str = PAIR) -> None:
        """Let somebody trade."""
        now = self.sandbox.clock.now_ms()
        self.sandbox.exchange.on_market(TradeSeen(pair, price, size, buyer_taker, now), now)

    async def raw(
        self, method: str, path: str, query: str = "", body: str | None = None, key: str | None = KEY
    ) -> Reply:
        """Send a request as it is written."""
        url = f"{self.sandbox.url}{path}?{query}" if query else f"{self.sandbox.url}{path}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({} if key is None else {"X-MBX-APIKEY": key})
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            text = await answer.read()
            kind = answer.headers["Content-Type"]
            decoded = msgspec.json.decode(text) if kind.startswith("application/json") else text.decode()
            return Reply(answer.status, decoded, dict(answer.headers))

    async def public(self, path: str, **params: object) -> Reply:
        """Ask what anybody may ask."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return await self.raw("GET", f"/api/v3/{path}", query, key=None)

    async def signed(self, method: str, path: str, **params: object) -> Reply:
        """Send a signed request, in its body where it posts."""
        query = signed_query(SECRET, {**params, "timestamp": params.pop("timestamp", self.sandbox.clock.now_ms())})
        path = path if path.startswith("/") else f"/api/v3/{path}"
        return await self.raw(method, path, body=query) if method == "POST" else await self.raw(method, path, query)

    async def order(self, **params: object) -> Reply:
        """Place an order: a limit buy of one at 90 where nothing else is said; None leaves a part out."""
        usual: dict[str, object] = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        usual |= {"quantity": "1", "price": "90"}
        wanted = {name: value for name, value in (usual | params).items() if value is not None}
        return await self.signed("POST", "order", **wanted)


@asynccontextmanager
async def exchange(settings: Settings = SETTINGS) -> AsyncIterator[Client]:
    """Serve an exchange whose market stands still until a test moves it."""
    sandbox = Sandbox(settings)
    sandbox.feed = StillFeed(sandbox)
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as session:
            client = Client(sandbox, session)
            client.show()
            client.show(200.0, pair="BNB/USDT")
            yield client
    finally:
        await sandbox.stop()


def running(test: Callable[[Client], Awaitable[T]], settings: Settings = SETTINGS) -> T:
    """Run a test's body against an exchange of its own."""

    async def run() -> T:
        async with exchange(settings) as client:
            return await test(client)

    return asyncio.run(run())


def shapes_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of every leaf of a JSON value; rows of a list are one path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from shapes_of(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from shapes_of(inner, f"{path}[]")
    else:
        yield path, type(value).__name__
