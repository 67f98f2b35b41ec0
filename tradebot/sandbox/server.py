"""How does the sandbox exchange run as a process? Asked by `tradebot sandbox`, and by tests that want one of their own.

It listens on 127.0.0.1 alone. Everything of it is one loop: REST, streams and ws-api, the market, the faults.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from tradebot.config.faults_file import FaultsFile, load_faults
from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.errors import CannotStart, DataInvalid, ExitCode, StorageFailed
from tradebot.domain.events import Event
from tradebot.runtime.clock import WallClock
from tradebot.sandbox.calls import Calls
from tradebot.sandbox.calls_account import AccountCalls
from tradebot.sandbox.calls_market import MarketCalls
from tradebot.sandbox.calls_orders import OrderCalls
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_state import SkewedClock
from tradebot.sandbox.faults_service import Service
from tradebot.sandbox.limits import DAY_S, Limits
from tradebot.sandbox.market_feed import MarketFeed, RecordedMarketFeed, SyntheticMarketFeed
from tradebot.sandbox.market_rules import RATE_LIMITS, SymbolRules, rules_of
from tradebot.sandbox.orders import AccountEvent, Credentials, FeeRates
from tradebot.sandbox.rest import Rest
from tradebot.sandbox.signing import Keyring
from tradebot.sandbox.store import Store

HOST: Final = "127.0.0.1"
STORE: Final = "exchange.sqlite"
_CLOSE_S: Final = 2.0


class Settings(Struct, frozen=True):
    """What a sandbox exchange is made of; `market` is "synthetic" or the path of a recording.

    `pace` is how many times faster than it was a recording is played.
    """

    credentials: tuple[Credentials, ...]
    balances: Mapping[str, Decimal]
    rates: FeeRates
    port: int = 0
    market: str = "synthetic"
    pace: float = 1.0
    symbols: tuple[str, ...] = ()
    quote: str = "USDT"
    seed: int = 1
    synthetic: SyntheticFeed = SyntheticFeed()
    history_minutes: int = 120
    exchange_info: Path | None = None
    faults: Path | None = None
    state: Path | None = None
    day_s: float = DAY_S


class Sandbox:
    """A whole exchange: made from settings, started and stopped inside a running loop."""

    def __init__(self, settings: Settings) -> None:
        """Make it, without listening. Raises CannotStart, DataInvalid, ProfileInvalid or StorageFailed."""
        self._wall = WallClock()
        self.clock = SkewedClock(self._wall.now_ms)
        self._settings = settings
        info = _exchange_info(settings.exchange_info)
        self.feed = _feed(settings, self._wall, info)
        rules, rate_limits = _rules(self.feed, info)
        file = _paced(load_faults(str(settings.faults)) if settings.faults else FaultsFile(), settings.day_s)
        self._store = Store(_store_path(settings.state))
        self.failure: Exception | None = None
        self.on_market_end: Callable[[], None] = lambda: None
        """Called once, where the market ends while the exchange goes on: a recording has been played."""
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self.port = 0
        try:
            self._assemble(settings, rules, rate_limits, file)
        except BaseException:
            self._store.close()
            raise

    def _assemble(
        self, settings: Settings, rules: list[SymbolRules], rate_limits: Sequence[Mapping[str, Any]], file: FaultsFile
    ) -> None:
        now_ms = self._wall.now_ms()
        self.exchange = Exchange(rules, self._store, now_ms)
        self.exchange.on_failure = self._fail
        keys, limits = Keyring(settings.credentials), Limits(rate_limits, settings.day_s)
        for each in settings.credentials:
            self.exchange.open_account(each.key, settings.balances, settings.rates)
            self.exchange.subscribe_account(each.key, _hearing(limits, each.key))
        table = {
            **MarketCalls(self.exchange, rate_limits).table(),
            **OrderCalls(self.exchange).table(),
            **AccountCalls(self.exchange, keys, limits).table(),
        }
        self.calls = Calls(self.exchange, keys, limits, self.clock.now_ms, table)
        try:
            self.service = Service(self.exchange, self.calls, self.clock, file)
        except ValueError as error:
            raise CannotStart(str(error), ExitCode.BAD_PROFILE) from error
        for rule in rules:
            market = self.exchange.market.symbols[rule.symbol]
            self.feed.past(market, rule.pair, settings.history_minutes, now_ms)

    @property
    def url(self) -> str:
        """The address REST and everything else is reached at."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen and let the market move. Raises CannotStart where the port is taken."""
        app = web.Application(client_max_size=1 << 20)
        app.add_routes([*Rest(self.calls, self.service.interpose).routes(), *self.service.routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._settings.port, backlog=1_024)
        try:
            await site.start()
        except OSError as error:
            raise CannotStart(
                f"port {self._settings.port} of {HOST} cannot be listened on ({error.strerror})"
            ) from error
        self.port = self._runner.addresses[0][1]
        await self.service.start()
        self._tasks.append(asyncio.create_task(self._move(), name="market"))

    async def stop(self) -> None:
        """End everything; harmless when called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.service.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._store.close()

    def end(self) -> None:
        """Ask for the end; harmless when called twice."""
        self._ended.set()

    async def ended(self) -> None:
        """Wait until somebody asked for the end, or something failed, which is then in `failure`."""
        await self._ended.wait()

    async def _move(self) -> None:
        try:
            await self.feed.run(self._publish)
        except Exception as error:  # noqa: BLE001 - supervision border: whatever ends the market ends the exchange, told
            self._fail(error)
        else:
            self.on_market_end()

    def _publish(self, event: Event) -> None:
        skew_ms = self.clock.skew_ms
        if skew_ms:
            event = msgspec.structs.replace(event, at_ms=getattr(event, "at_ms") + skew_ms)  # noqa: B009
        self.exchange.on_market(event, self.clock.now_ms())

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self._ended.set()


async def serve(settings: Settings, announce: Callable[[Sandbox], None], market_ended: Callable[[], None]) -> None:
    """Run an exchange until SIGINT or SIGTERM. Raises TradebotError, and what broke its market.

    `announce` is called when it listens, `market_ended` once where its recording has been played.
    """
    with _interruptible():
        sandbox = Sandbox(settings)
    sandbox.on_market_end = market_ended
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, sandbox.end)
    try:
        await sandbox.start()
        announce(sandbox)
        await sandbox.ended()
    finally:
        await sandbox.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    if sandbox.failure is not None:
        raise sandbox.failure


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT end what is made inside at once: the loop's own handler waits for the next await."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hearing(limits: Limits, account: str) -> Callable[[AccountEvent], None]:
    return lambda event: limits.hear(account, event)


def _store_path(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder}: the folder cannot be made ({error.strerror})") from error
    return folder / STORE


def _exchange_info(path: Path | None) -> dict[str, Any] | None:
    """Return a recorded exchangeInfo. Raises DataInvalid naming the file."""
    if path is None:
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        SymbolRules(info["symbols"][0])
    except (OSError, ValueError, KeyError, TypeError, LookupError, ArithmeticError) as error:
        raise DataInvalid(f"{path}: no exchangeInfo of a spot exchange ({error})") from error
    return dict(info)


def _feed(settings: Settings, clock: WallClock, info: dict[str, Any] | None) -> MarketFeed:
    if settings.market != "synthetic":
        return RecordedMarketFeed.of(Path(settings.market), settings.symbols, settings.quote, clock, settings.pace)
    symbols = settings.symbols
    if info is not None and not symbols:
        rows = [
            each for each in info["symbols"] if each["quoteAsset"] == settings.quote and each["status"] == "TRADING"
        ]
        symbols = tuple(f"{each['baseAsset']}/{each['quoteAsset']}" for each in rows)
    return SyntheticMarketFeed(symbols, settings.quote, settings.seed, settings.synthetic, clock)


def _rules(feed: MarketFeed, info: dict[str, Any] | None) -> tuple[list[SymbolRules], Sequence[Mapping[str, Any]]]:
    """Return the rules of the feed's symbols, as recorded where they were, and the rate limits."""
    recorded = {} if info is None else {each.pair: each for each in map(SymbolRules, info["symbols"])}
    rules = [recorded.get(made.pair, made) for made in rules_of(feed.instruments())]
    limits = RATE_LIMITS if info is None or not info.get("rateLimits") else info["rateLimits"]
    return rules, [{"intervalNum": 1} | dict(each) for each in limits]


def _paced(file: FaultsFile, day_s: float) -> FaultsFile:
    """Return the faults file with the sockets' lifetime shortened as the day is."""
    if day_s == DAY_S:
        return file
    lifetime_s = max(0.001, float(file.sockets.lifetime_s) * day_s / DAY_S)
    return file.model_copy(update={"sockets": file.sockets.model_copy(update={"lifetime_s": lifetime_s})})
