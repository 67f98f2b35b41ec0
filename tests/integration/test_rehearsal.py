"""Does the bot trade on an exchange through ccxt, and do both agree on every order, fill and balance afterwards?"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import Bot, write_profile
from tests.integration.rehearsing import KEYS, Outcome, Plan, rehearse
from tests.integration.rehearsing_processes import Exchange
from tests.integration.rehearsing_report import table

AT_THE_EXCHANGE = """
[bot]
instance = "away"
[venue]
kind = "ccxt"
[exchange]
base_url = "{url}"
"""


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path, ["--count", "12"])
    try:
        exchange.start()
        yield exchange
        assert exchange.end() == 0
    finally:
        exchange.away()


def at_the_exchange(folder: Path, url: str) -> None:
    write_profile(folder, AT_THE_EXCHANGE.format(url=url))
    profile = folder / "quick.toml"
    text = profile.read_text().replace("[feed.synthetic]", '[feed]\nkind = "ccxt"\n[feed.synthetic]')
    profile.write_text(text.replace("[market]\n", "[market]\nstale_after_s = 20\n"))


def rehearsed(folder: Path, plan: Plan) -> Outcome:
    print(f"\nrehearsal of seed {plan.seed}")
    outcome = rehearse(folder, plan)
    print(table(outcome.figures, outcome.differences))
    assert not outcome.wrong, "\n".join(outcome.wrong)
    return outcome


@pytest.mark.timeout(240)
def test_bot_and_exchange_agree_on_every_order_fill_and_balance(tmp_path: Path) -> None:
    outcome = rehearsed(tmp_path, Plan(20, symbols=8, seed=random.randrange(10**6), threshold_bps=6))
    assert outcome.differences.fills >= 20
    assert outcome.differences.symbols >= 4


@pytest.mark.timeout(240)
def test_bot_and_exchange_agree_though_each_was_killed(tmp_path: Path) -> None:
    outcome = rehearsed(tmp_path, Plan(25, symbols=8, seed=random.randrange(10**6), kills=2, threshold_bps=6))
    assert outcome.figures.codes == {"bot": (-signal.SIGKILL, 0), "exchange": (-signal.SIGKILL, 0)}
    assert outcome.differences.fills >= 20


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_bot_and_exchange_agree_after_ten_minutes_of_fifty_symbols(tmp_path: Path) -> None:
    outcome = rehearsed(tmp_path, Plan(600, symbols=50, seed=random.randrange(10**6)))
    assert outcome.differences.symbols == 50


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_bot_and_exchange_agree_after_ten_minutes_of_faults_and_kills(tmp_path: Path) -> None:
    plan = Plan(600, symbols=50, seed=random.randrange(10**6), faults="random", kills=6)
    assert sum(rehearsed(tmp_path, plan).figures.struck.values()) > 50


def test_without_a_key_nothing_is_sent_and_the_variable_is_named(tmp_path: Path, exchange: Exchange) -> None:
    at_the_exchange(tmp_path, exchange.url)
    with Bot(tmp_path, env=dict.fromkeys(KEYS, "")) as bot:
        assert bot.end() == 2
        assert "set TRADEBOT_API_KEY, or TRADEBOT_API_KEY_FILE" in bot.text


def test_a_key_never_stands_in_a_log_a_store_or_on_the_screen(tmp_path: Path, exchange: Exchange) -> None:
    at_the_exchange(tmp_path, exchange.url)
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0
        assert "test-secret" not in bot.text
        assert "paper money" not in bot.text
        assert f"orders go to binance at {exchange.url}, a rehearsal" in bot.text.rpartition("session ")[2], (
            "its report says so"
        )
    for path in (*(tmp_path / "sessions").rglob("*"), *(tmp_path / "state").rglob("*")):
        if path.is_file():
            assert b"test-secret" not in path.read_bytes(), path
