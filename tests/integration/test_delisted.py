"""Does a bot whose symbol was delisted start all the same, keep what it holds of it, and trade the others?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE_S, Bot, kinds, records
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_rehearsal import at_the_exchange

NAMED = [f"SYN{number:03}/USDT" for number in range(1, 5)]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path, ["--count", "4"])
    try:
        exchange.start()
        yield exchange
    finally:
        exchange.away()


def prepared(folder: Path, url: str) -> None:
    """Write the profile of a bot that buys soon and keeps what it has bought."""
    at_the_exchange(folder, url)
    profile = folder / "quick.toml"
    text = profile.read_text().replace("[market]\n", f"[market]\nsymbols = {json.dumps(NAMED)}\n")
    for old, new in (("max_hold_s = 2", "max_hold_s = 3600"), ("_bps = 30", "_bps = 9000")):
        text = text.replace(old, new)
    profile.write_text(text)


def delist(exchange: Exchange, symbol: str) -> None:
    said = json.dumps({"symbol": symbol.replace("/", "")}).encode()
    request = urllib.request.Request(f"{exchange.url}/sandbox/market/delist", said, method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def status(folder: Path) -> str:
    words = [sys.executable, "-m", "tradebot.cli.main", "status", "--profile", "quick.toml"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout


def bought(bot: Bot) -> str:
    """Return the symbol of the next position."""
    return bot.wait_for("POSITION_OPENED").split()[3].rstrip(":")


@pytest.mark.timeout(240)
def test_a_delisted_symbol_ends_no_start_and_what_is_held_of_it_stays(tmp_path: Path, exchange: Exchange) -> None:
    prepared(tmp_path, exchange.url)
    with Bot(tmp_path, env=KEYS) as bot:
        gone = bought(bot)
        bought(bot)  # by then the end of the first one's order is written
        bot.send(signal.SIGKILL)
        bot.end()
    delist(exchange, gone)
    with Bot(tmp_path, env=KEYS) as bot:
        held = bot.wait_for("HELD_NOT_LISTED")
        assert f"{gone}: HELD by this home, whatever the profile names, and not listed by binance" in held
        assert "`tradebot drift` settles what was sold" in held
        assert gone in bot.wait_for("SYMBOL_NOT_LISTED")
        line = bot.wait_for("SYMBOL_QUARANTINED")
        assert gone in line
        assert "delisted" in line
        other = bought(bot)
        assert other != gone
        told = status(tmp_path)
        assert f"{gone}" in told
        assert "delisted" in told
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert kinds(tmp_path).count("SYMBOL_NOT_LISTED") == 1
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("BOT_STARTED")
        assert gone in status(tmp_path)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert "SYMBOL_QUARANTINED" not in kinds(tmp_path), "it was told already"
    (completed,) = [one for one in records(tmp_path) if one["event_type"] == "RECOVERY_COMPLETED"]
    assert completed["positions"] >= 2, "what is held of it, and of the other"


@pytest.mark.timeout(240)
def test_a_symbol_that_is_delisted_while_the_bot_runs_is_quarantined_with_that_reason(
    tmp_path: Path, exchange: Exchange
) -> None:
    prepared(tmp_path, exchange.url)
    profile = tmp_path / "quick.toml"
    quick = "[exchange.health]\nmarkets_interval_s = 1\n"
    profile.write_text(f"{profile.read_text()}\n{quick}")
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("BOT_STARTED")
        delist(exchange, NAMED[0])
        line = bot.wait_for("SYMBOL_QUARANTINED")
        assert NAMED[0] in line
        assert "delisted" in line
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
