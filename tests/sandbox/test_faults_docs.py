"""Is the page about faults true: its example, its actions, and what the real ccxt makes of each fault?"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.sandbox.faults_kit import KEY, SECRET
from tests.sandbox.rehearsal_kit import Rehearsal, rehearsing, until
from tradebot.config.faults_file import Action, FaultsFile
from tradebot.exchange.addresses import moved
from tradebot.exchange.dialects import dialect_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/faults.md").read_text(encoding="utf-8")


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield each row of the table about ccxt: the fault, what ccxt raises, and whether the order exists."""
    yield from re.findall(r"^\| `(action = .*?)` \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)


def test_the_example_is_a_faults_file() -> None:
    example = re.search(r"```faults\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    file = FaultsFile.model_validate(tomllib.loads(example[1], parse_float=Decimal))
    assert [fault.on for fault in file.fault][:2] == ["order.place", "order.status"]


def test_every_action_is_explained() -> None:
    table = PAGE.partition("## What it does")[2].partition("## Steering")[0]
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert told == set(get_args(Action))


@pytest.mark.parametrize(("fault", "seen", "exists"), list(rows()))
def test_ccxt_makes_of_a_fault_what_the_page_says(fault: str, seen: str, exists: str) -> None:
    async def run() -> None:
        async with rehearsing() as rehearsal:
            said: dict[str, Any] = tomllib.loads(f"fault = {{ {fault} }}")["fault"]
            assert await through_ccxt(rehearsal, said) == (seen, exists == "yes")
            if exists == "later":
                await until(lambda: rehearsal.placed("bot-1"))
            else:
                assert rehearsal.placed("bot-1") == (exists == "yes")

    asyncio.run(run())


async def through_ccxt(rehearsal: Rehearsal, fault: dict[str, Any]) -> tuple[str, bool]:
    """Return ccxt's error for an order under a fault, and whether the order existed then.

    It is "answer" where there is none, and neither id nor status is known.
    """
    import ccxt.pro  # type: ignore[import-untyped]

    settings = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
    exchange = ccxt.pro.binance(
        {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, "timeout": 400, "options": settings}
    )
    exchange.has["fetchCurrencies"] = False
    exchange.urls = moved(exchange.urls, rehearsal.url, dialect_of("binance").places)
    try:
        await exchange.load_markets()
        await rehearsal.fault(on="order.place", times=1, **fault)
        order = await exchange.create_order("BTC/USDT", "limit", "buy", "0.5", "90", {"newClientOrderId": "bot-1"})
    except ccxt.BaseError as error:
        return type(error).__name__, rehearsal.placed("bot-1")
    else:
        assert (order["id"], order["status"]) == (None, None)
        return "answer", rehearsal.placed("bot-1")
    finally:
        await exchange.close()
