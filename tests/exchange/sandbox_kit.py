"""How does a test run a whole sandbox exchange in its own process, and a venue and a feed on it?"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.exchange.little_exchange import LittleExchange
from tests.feeds.loopback import Heard
from tests.venues.ccxt_kit import QUICK, Bench
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import Event, QuoteSeen
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import NO_CREDENTIALS, Credentials
from tradebot.exchange.instruments import instruments_of
from tradebot.feeds.ccxt_live import CcxtLive
from tradebot.venues.ccxt_spot import CcxtSpot

KEY, SECRET = "key-of-this-test", "secret-of-this-test"

Connector = Callable[[], aiohttp.BaseConnector]


@contextmanager
def sandbox_process(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a sandbox exchange until left; yield it and its address. What froze it is undone at the end."""
    keys = folder / "sandbox.key"
    keys.write_text(f"{KEY}\n{SECRET}\n")
    keys.chmod(0o600)
    command = (sys.executable, "-m", "tradebot.cli.main", "sandbox", "--port", "0", "--key-file", str(keys), *more)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"REST (\S+?),", process.stdout.readline())
        assert found is not None
        yield process, found[1]
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)
        process.stdout.close()


class Listening(Bench):
    """A venue and a feed of one exchange, and what both were told."""

    def __init__(self, settings: Exchange, connector: Connector | None = None) -> None:
        super().__init__(LittleExchange())
        self.settings = settings
        self.prices = Heard()
        self.quoted_s: list[float] = []
        """When each quote came, by the loop's clock."""
        self.feed: CcxtLive
        self._connector = connector
        self.spot = CcxtSpot(
            settings,
            Credentials(KEY, SECRET),
            quote="USDT",
            id_prefix="a-",
            clock=self.clock,
            deliver=self.deliver,
            log=self.told,
            failed=lambda _name, error: self.broken.append(error),
            connector=connector,
        )

    def connected(self, *, keys: bool = False) -> Any:
        """Return an instance of ccxt that only reads, or with the account's keys."""
        taps = public_taps(self.settings, Budget(self.clock))
        connector = self._connector() if self._connector is not None else None
        credentials = Credentials(KEY, SECRET) if keys else NO_CREDENTIALS
        return connect(self.settings, taps, credentials=credentials, connector=connector)

    async def prepare(self, feed: CcxtFeed) -> None:
        """Make the feed of every symbol in USDT."""
        loading = self.connected()
        try:
            instruments = instruments_of(await loading.load_markets(), "USDT")
        finally:
            await disconnect(loading)
        self.feed = CcxtLive(
            self.connected,
            feed,
            instruments,
            self.clock,
            self.prices,
            offset_ms=lambda: 0,
            keep_alive_s=float(self.settings.keep_alive_s),
            renew_after_s=float(self.settings.renew_after_s),
        )

    def publish(self, event: Event) -> None:
        """Keep an event of the feed."""
        if isinstance(event, QuoteSeen):
            self.quoted_s.append(asyncio.get_running_loop().time())
        self.prices.publish(event)

    def quotes(self, since: int = 0) -> list[QuoteSeen]:
        """Return the quotes heard, but for so many events."""
        return [one for one in self.prices.events[since:] if isinstance(one, QuoteSeen)]


@asynccontextmanager
async def listening(
    settings: dict[str, Any], feed: CcxtFeed | None = None, connector: Connector | None = None
) -> AsyncIterator[Listening]:
    """Run a venue and a feed on an exchange; begin when the user stream stands and a quote came."""
    there = Listening(Exchange(**{**QUICK, **settings}), connector)
    await there.prepare(feed or CcxtFeed(trades=False))
    await there.spot.start()
    task = asyncio.create_task(there.feed.run(there.publish))
    try:
        await there.until(lambda: task.done() or (there.spot.stream_up and bool(there.quotes())))
        yield there
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await there.spot.stop()
    assert there.broken == []
