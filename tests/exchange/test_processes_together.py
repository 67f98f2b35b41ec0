"""Do two processes at one exchange stay below its limits together, and does a ban of one stop both?

The exchange is a sandbox, the processes are real, and each asks as fast as its budget lets it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.sandbox.rest_kit import KEY, SECRET, Client, exchange
from tradebot.sandbox.market_rules import RATE_LIMITS

PATIENCE_S = 100.0
MOST = next(int(row["limit"]) for row in RATE_LIMITS if row["rateLimitType"] == "REQUEST_WEIGHT")

ASKER = """
import asyncio, json, sys
from tradebot.config.sections.exchange import Exchange
from tradebot.exchange.budget import HeldBack, asking
from tradebot.exchange.construction import connect, disconnect
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps
from tradebot.exchange.shared_budget import shared_budget
from tradebot.runtime.clock import WallClock
from tradebot.telemetry.logs import NoLog

async def main():
    url, folder, key, secret, count = sys.argv[1:6]
    settings = Exchange.model_validate({"base_url": url, "requests": {"folder": folder}})
    keys = Credentials(key, secret)
    taps = Taps(shared_budget(settings, WallClock(), NoLog(), keys), dialect_of("binance"), urgent=False)
    exchange = connect(settings, taps, credentials=keys, throttled=False)
    with asking("safety"):
        await exchange.load_markets()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    fates = {"answered": 0, "held": 0, "refused": 0, "why": ""}

    async def ask():
        try:
            await exchange.fetch_open_orders("AAA/USDT")
            fates["answered"] += 1
        except HeldBack as held:
            fates["held"] += 1
            fates["why"] = str(held)
        except Exception as error:
            fates["refused"] += 1
            fates["why"] = type(error).__name__

    for _ in range(int(count)):
        await asyncio.gather(*(ask() for _ in range(5)))
    await disconnect(exchange)
    print(json.dumps(fates), flush=True)

asyncio.run(main())
"""


class Asker:
    """A process that asks for open orders, five at a time, once it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begun(cls, client: Client, folder: Path, rounds: int) -> Asker:
        """Return one that has loaded the markets."""
        arguments = [client.sandbox.url, str(folder), KEY, SECRET, str(rounds)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ASKER, *arguments, stdin=pipe, stdout=pipe)
        asker = cls(process)
        assert await asker._line() == "ready"
        return asker

    async def done(self) -> dict[str, Any]:
        """Let it ask; return what became of its requests."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()
        fates: dict[str, Any] = json.loads(await self._line())
        assert await self._process.wait() == 0
        return fates

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


async def _in_a_fresh_minute(client: Client) -> None:
    """Wait where the minute is about to end: both sides count in minutes of the same clock."""
    left_ms = 60_000 - client.sandbox.clock.now_ms() % 60_000
    if left_ms < 15_000:
        await asyncio.sleep(left_ms / 1000 + 0.1)


def test_two_processes_stay_below_the_limit_together(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(_below_the_limit(tmp_path), PATIENCE_S))


def test_a_ban_of_one_process_stops_both(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(_one_is_banned(tmp_path), PATIENCE_S))


async def _below_the_limit(tmp_path: Path) -> None:
    async with exchange() as client:
        folder = tmp_path / "counts"
        one, other = await asyncio.gather(*(Asker.begun(client, folder, rounds=100) for _ in range(2)))
        await _in_a_fresh_minute(client)
        fates = await asyncio.gather(one.done(), other.done())
        assert [fate["refused"] for fate in fates] == [0, 0]
        assert all(fate["answered"] and fate["held"] for fate in fates), "both asked, and both were held back"
        answer = await client.public("time")
        assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) <= MOST


async def _one_is_banned(tmp_path: Path) -> None:
    async with exchange() as client, aiohttp.ClientSession() as session:
        folder = tmp_path / "counts"
        one, other = await asyncio.gather(*(Asker.begun(client, folder, rounds=1) for _ in range(2)))
        ban = {"name": "ban", "on": "openOrders.status", "action": "ban", "retry_after_s": 600, "times": 1}
        async with session.post(f"{client.sandbox.url}/sandbox/faults", json=ban) as answer:
            assert answer.status in {200, 201}, await answer.text()
        first = await one.done()
        assert first["refused"] >= 1
        second = await other.done()
        assert (second["answered"], second["refused"], second["held"]) == (0, 0, 5)
        assert "banned by the exchange" in second["why"]
