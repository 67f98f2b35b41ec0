"""What do the tests of clients stand on? An exchange in its own process, a wiretap before it, and no way outside."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conformance.wiretap import WAIT_S, Wiretap
from tests.outward import OUTBOUND

ROOT = Path(__file__).resolve().parents[2]
HOLDS = ("USDT=100000", "BTC=2000", "ETH=0.001", "BNB=50")


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    """Serve an exchange of three symbols until the module's tests are done; yield its address."""
    typed = ["sandbox", "--symbols", "BTC/USDT,ETH/USDT,BNB/USDT", "--seed", "7"]
    balances = [word for each in HOLDS for word in ("--balance", each)]
    with subprocess.Popen(
        [sys.executable, "-m", "tradebot.cli.main", *typed, *balances], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"REST (http://[\d.:]+)", process.stdout.readline())
            assert found is not None
            asyncio.run(asyncio.wait_for(market_moving(found[1]), WAIT_S))
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


async def market_moving(url: str) -> None:
    """Wait until every symbol has a book and one has traded: the market begins to move when the exchange listens."""
    missing = {"btcusdt@trade", *(f"{each}usdt@depth5@100ms" for each in ("btc", "eth", "bnb"))}
    streams = f"{url}/stream?streams={'/'.join(missing)}".replace("http", "ws", 1)
    async with aiohttp.ClientSession() as session, session.ws_connect(streams) as socket:
        while missing:
            said = await socket.receive_json()
            if said["stream"] == "btcusdt@trade" or (said["data"]["asks"] and said["data"]["bids"]):
                missing.discard(said["stream"])


@pytest.fixture(scope="module")
def tap(exchange: str) -> Iterator[Wiretap]:
    """Stand between the client and the exchange; nothing else of this machine or beyond is reached."""
    with OUTBOUND.watched() as outbound, Wiretap(exchange) as tap:
        yield tap
        assert outbound.outside == []
        assert outbound.inside > 0


class Complaints(logging.Handler):
    """What a client's log complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(scope="module")
def complaints() -> Iterator[Complaints]:
    """Keep every warning and error that is logged."""
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def _calls_are_told(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Hand the calls made so far to the list that is printed at the end of the run."""
    yield
    if "tap" in request.fixturenames:
        calls = dict(request.getfixturevalue("tap").calls)
        record_property("calls", [request.module.CLIENT, request.module.__name__, calls])
