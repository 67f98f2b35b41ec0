"""Does the page of the sandbox list exactly what is served?"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.sandbox.faults_kit import signed_ws
from tests.sandbox.rehearsal_kit import rehearsing
from tests.sandbox.rest_kit import SETTINGS
from tradebot.sandbox.rest import ROUTES
from tradebot.sandbox.server import Sandbox
from tradebot.sandbox.streams import _STREAM
from tradebot.sandbox.streams_board import _TIMED, ALL_SYMBOLS
from tradebot.sandbox.userdata import OF_SOCKET

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
SERVED = PAGE.partition("## What it serves")[2].partition("## What it does not model")[0]


def test_the_page_lists_every_path_and_every_method_and_no_other() -> None:
    told = set(re.findall(r"^\| (?:`(\w+) (\S+)`)? ?\|(?: `(\S+)`)? \|$", SERVED, re.MULTILINE))
    served = {(method, path, "" if name.startswith("sapi.") else name) for (method, path), name in ROUTES.items()}
    assert told == served | {("", "", name) for name in OF_SOCKET}


def test_every_call_has_a_path_and_every_path_a_call() -> None:
    sandbox = Sandbox(SETTINGS)
    try:
        assert set(sandbox.calls._table) == set(ROUTES.values())
    finally:
        sandbox._store.close()


def test_every_method_of_a_socket_is_known_there() -> None:
    async def run() -> list[int]:
        async with rehearsing() as rehearsal, rehearsal.api() as client:
            return [(await client.ask(method, signed_ws({})))["status"] for method in OF_SOCKET]

    assert asyncio.run(run()) == [200] * len(OF_SOCKET)


def test_every_stream_that_is_listed_is_made() -> None:
    streams = re.findall(r"`((?:<symbol>|!\w+)@[\w@]+)`", SERVED)
    assert len(streams) > 20
    for stream in streams:
        name = stream.replace("<symbol>", "btcusdt")
        what = name.partition("@")[2]
        known = _STREAM.fullmatch(name) and (what in {"trade", "aggTrade", "bookTicker"} or _TIMED.fullmatch(what))
        assert known or ALL_SYMBOLS.fullmatch(name), stream
