"""Does looking only read, by how many requests, and of which weight?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from tests.integration.doctoring import KEYS, PROFILE
from tests.sandbox.rest_kit import SETTINGS
from tradebot.config.loader import load_profile
from tradebot.config.sections.feed import SyntheticFeed
from tradebot.runtime.clock import WallClock
from tradebot.runtime.doctor import Case, Finding, examine
from tradebot.runtime.doctor_checks import checks_of
from tradebot.sandbox import server
from tradebot.sandbox.rest import Rest

MOST_REQUESTS = 12
MOST_WEIGHT = 100


async def _examined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Finding], list[tuple[str, str]], int]:
    asked: list[tuple[str, str]] = []
    used = 0

    class Counting(Rest):
        async def serve(self, request: web.Request) -> web.StreamResponse:
            nonlocal used
            asked.append((request.method, request.path))
            answer = await super().serve(request)
            used = max(used, int(answer.headers.get("X-MBX-USED-WEIGHT-1M", 0)))
            return answer

    monkeypatch.setattr(server, "Rest", Counting)
    sandbox = server.Sandbox(
        msgspec.structs.replace(SETTINGS, symbols=(), synthetic=SyntheticFeed(symbols=4), history_minutes=1)
    )
    await sandbox.start()
    try:
        path = folder / "p.toml"
        path.write_text(PROFILE.format(venue="ccxt", url=sandbox.url))
        case = Case(load_profile(str(path), {}), KEYS, WallClock(), folder / "state" / "doc")
        return await examine(case, checks_of(case)), asked, used
    finally:
        await sandbox.stop()


def test_looking_asks_little_and_changes_nothing_at_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, asked, used = asyncio.run(_examined(tmp_path, monkeypatch))
    assert {one.verdict for one in found} <= {"ok", "warn"}, found
    assert {method for method, _ in asked} == {"GET"}
    assert {path for _, path in asked} >= {"/api/v3/account", "/sapi/v1/account/apiRestrictions"}
    assert not any(path.endswith(("order", "openOrders", "allOrders")) for _, path in asked)
    assert len(asked) <= MOST_REQUESTS
    assert 0 < used <= MOST_WEIGHT
