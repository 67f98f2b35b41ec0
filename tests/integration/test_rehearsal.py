"""Does the bot trade on an exchange through ccxt, and do both agree on every order, fill and balance afterwards?"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import PATIENCE_S, ROOT, Bot, session, write_profile
from tradebot.domain import facts as f
from tradebot.sandbox.signing import signed_query
from tradebot.storage.history import History
from tradebot.storage.journal_file import read_facts

KEYS = {"TRADEBOT_API_KEY": "test-key", "TRADEBOT_API_SECRET": "test-secret"}

UNIT = Decimal("1e-8")
"""What the exchange's answers are rounded to; it books more places."""

AT_THE_EXCHANGE = """
[bot]
instance = "away"
[venue]
kind = "ccxt"
[exchange]
base_url = "{url}"
"""


class Exchange:
    """A sandbox exchange in a process of its own."""

    def __init__(self, folder: Path) -> None:
        words = ["sandbox", "--port", "0", "--count", "12", "--history", "5", "--state", str(folder / "exchange")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tradebot.cli.main", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"REST (http://127\.0\.0\.1:\d+)", line)
        assert found, line
        self.url = found[1]

    def ask(self, path: str, **params: object) -> Any:
        """Return the exchange's answer to a signed request of the account's owner."""
        query = signed_query("test-secret", {**params, "timestamp": int(time.time() * 1000), "recvWindow": 5000})
        request = urllib.request.Request(f"{self.url}/api/v3/{path}?{query}", headers={"X-MBX-APIKEY": "test-key"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())

    def end(self) -> None:
        """End it as an operator does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE_S) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path)
    yield exchange
    exchange.end()


@pytest.fixture
def bot(tmp_path: Path, exchange: Exchange) -> Iterator[Bot]:
    write_profile(tmp_path, AT_THE_EXCHANGE.format(url=exchange.url))
    profile = tmp_path / "quick.toml"
    text = profile.read_text().replace("[feed.synthetic]", '[feed]\nkind = "ccxt"\n[feed.synthetic]')
    profile.write_text(text.replace("[market]\n", "[market]\nstale_after_s = 20\n"))
    with Bot(tmp_path, env=KEYS) as bot:
        yield bot


def told(folder: Path) -> list[f.Fact]:
    return [fact for _, _, fact in read_facts(folder / "state" / "away" / "journal.sqlite")]


def test_bot_and_exchange_agree_on_every_order_fill_and_balance(tmp_path: Path, bot: Bot, exchange: Exchange) -> None:
    bot.wait_for("POSITION_CLOSED", times=4)
    bot.send(signal.SIGTERM)
    assert bot.end() == 0, bot.text
    facts = told(tmp_path)
    sent = {fact.client_id: fact.symbol for fact in facts if isinstance(fact, f.OrderSent)}
    assert len(sent) >= 8
    at_exchange: dict[str, dict[str, Any]] = {}
    trades: dict[tuple[str, str], tuple[Decimal, ...]] = {}
    for symbol in sorted(set(sent.values())):
        market = symbol.replace("/", "")
        orders = exchange.ask("allOrders", symbol=market)
        at_exchange |= {order["clientOrderId"]: order for order in orders}
        trades |= {
            (symbol, str(one["id"])): (Decimal(one["price"]), Decimal(one["qty"]), Decimal(one["commission"]))
            for one in exchange.ask("myTrades", symbol=market)
        }
    assert at_exchange.keys() == sent.keys()
    fills = {
        (fact.symbol, fact.trade_id): (fact.price, fact.amount, fact.fee)
        for fact in facts
        if isinstance(fact, f.OrderFilled)
    }
    assert fills == trades
    done = {fact.client_id: fact for fact in facts if isinstance(fact, f.OrderDone)}
    for client_id, end in done.items():
        assert Decimal(at_exchange[client_id]["executedQty"]) == end.filled
    assert exchange.ask("openOrders") == []
    balances = {
        one["asset"]: Decimal(one["free"]) + Decimal(one["locked"]) for one in exchange.ask("account")["balances"]
    }
    expected = {"USDT": Decimal(10_000)}
    for fact in facts:
        if isinstance(fact, f.OrderFilled):
            base, sign = fact.symbol.partition("/")[0], 1 if fact.side.value == "buy" else -1
            expected[base] = expected.get(base, Decimal(0)) + sign * fact.amount
            expected["USDT"] -= sign * fact.amount * fact.price
            expected[fact.fee_asset] = expected.get(fact.fee_asset, Decimal(0)) - fact.fee
    assert {asset for asset, held in balances.items() if held} == {asset for asset, held in expected.items() if held}
    for asset, held in expected.items():
        assert abs(balances.get(asset, Decimal(0)) - held) < UNIT, asset
    assert session(tmp_path)["shutdown"]["threads_cleaned_pct"] == 100


def test_after_kill_9_the_next_start_knows_every_order_of_the_exchange(
    tmp_path: Path, bot: Bot, exchange: Exchange
) -> None:
    bot.wait_for("POSITION_OPENED", times=3)
    bot.send(signal.SIGKILL)
    bot.end()
    with Bot(tmp_path, env=KEYS) as again:
        again.wait_for("RECOVERY_COMPLETED")
        again.wait_for("POSITION_CLOSED")
        again.send(signal.SIGTERM)
        assert again.end() == 0, again.text
    facts = told(tmp_path)
    fills = [(fact.symbol, fact.trade_id) for fact in facts if isinstance(fact, f.OrderFilled)]
    assert len(fills) == len(set(fills))
    symbols = {fact.symbol for fact in facts if isinstance(fact, f.OrderSent)}
    trades = {
        (symbol, str(one["id"]))
        for symbol in symbols
        for one in exchange.ask("myTrades", symbol=symbol.replace("/", ""))
    }
    assert set(fills) == trades
    assert exchange.ask("openOrders") == []


def test_without_a_key_nothing_is_sent_and_the_variable_is_named(tmp_path: Path, exchange: Exchange) -> None:
    write_profile(tmp_path, AT_THE_EXCHANGE.format(url=exchange.url))
    profile = tmp_path / "quick.toml"
    profile.write_text(profile.read_text().replace("[feed.synthetic]", '[feed]\nkind = "ccxt"\n[feed.synthetic]'))
    with Bot(tmp_path, env=dict.fromkeys(KEYS, "")) as bot:
        assert bot.end() == 2
        assert "set TRADEBOT_API_KEY, or TRADEBOT_API_KEY_FILE" in bot.text
    history = History.read_only(tmp_path / "state" / "away" / "profiles.sqlite")
    assert history is not None
    assert history.generations(9) == (), "no generation is begun"
    history.close()
    assert session(tmp_path)["exit_code"] == 2


def test_a_key_never_stands_in_a_log_a_store_or_on_the_screen(tmp_path: Path, bot: Bot) -> None:
    bot.wait_for("POSITION_OPENED")
    bot.send(signal.SIGTERM)
    assert bot.end() == 0
    assert "test-secret" not in bot.text
    for path in (*(tmp_path / "sessions").rglob("*"), *(tmp_path / "state").rglob("*")):
        if path.is_file():
            assert b"test-secret" not in path.read_bytes(), path
