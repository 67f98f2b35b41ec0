"""Does a start wait for an exchange that is away, ask nothing while it is banned, and end in order all the same?"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import PATIENCE_S, Bot, records, session
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_rehearsal import at_the_exchange
from tradebot.cli.main import main

BAN_S = 4
BANNED_S = 600


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path, ["--count", "3"])
    try:
        exchange.start()
        yield exchange
    finally:
        exchange.away()


def steer(exchange: Exchange, path: str, said: dict[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{exchange.url}/sandbox{path}", json.dumps(said).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def prepared(folder: Path, url: str, **settings: float) -> None:
    """Write the profile, whose bots count their requests in a folder of this test alone."""
    at_the_exchange(folder, url)
    profile = folder / "quick.toml"
    more = "".join(f"{key} = {value}\n" for key, value in settings.items())
    text = profile.read_text().replace("[exchange]\n", f"[exchange]\n{more}")
    profile.write_text(f'{text}\n[exchange.requests]\nfolder = "{folder}/counts"\n')


@pytest.mark.timeout(180)
def test_a_start_under_a_ban_waits_for_its_end_without_a_request_and_then_trades(
    tmp_path: Path, exchange: Exchange
) -> None:
    prepared(tmp_path, exchange.url)
    steer(exchange, "/faults", {"on": "exchangeInfo", "action": "ban", "retry_after_s": BAN_S, "times": 1})
    with Bot(tmp_path, env=KEYS) as bot:
        line = bot.wait_for("START_WAITS")
        assert "binance bans this address until 20" in line
        assert "900 s at most (exchange.start_patience_s)" in line
        bot.wait_for("START_GOES_ON")
        bot.wait_for("BOT_STARTED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    found = records(tmp_path)
    waits = [one for one in found if one["event_type"] == "START_WAITS"]
    assert len(waits) == 1, "a ban that is asked about grows, and its new end would be told"
    (went_on,) = (one for one in found if one["event_type"] == "START_GOES_ON")
    assert went_on["waited_s"] <= BAN_S + 10


@pytest.mark.timeout(180)
def test_a_ban_is_remembered_by_the_next_start_which_ends_at_once_by_a_signal_with_0(
    tmp_path: Path, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(tmp_path, exchange.url)
    steer(exchange, "/ban", {"retry_after_s": BANNED_S})
    told = []
    for _ in range(2):
        with Bot(tmp_path, env=KEYS) as bot:
            told.append(bot.wait_for("START_WAITS").partition("until ")[2])
            assert main(["status", "--home", str(tmp_path / "state/away")]) == 1
            said = capsys.readouterr().err
            assert f"(process {bot.process.pid}) is starting: binance bans this address until {told[-1][:19]}" in said
            begun_s = time.monotonic()
            bot.send(signal.SIGTERM)
            assert bot.end() == 0, bot.text
            assert time.monotonic() - begun_s < BANNED_S / 10, "it does not wait for the ban"
            assert "stopped before it began: SIGTERM during start" in bot.text
        assert session(tmp_path)["exit_code"] == 0
    assert told[0] == told[1], "a question of the second start would have made the ban longer"


@pytest.mark.timeout(180)
def test_a_start_waits_for_an_exchange_that_is_down(tmp_path: Path, exchange: Exchange) -> None:
    prepared(tmp_path, exchange.url)
    exchange.kill()
    with Bot(tmp_path, env=KEYS) as bot:
        assert "its markets cannot be had: ExchangeNotAvailable" in bot.wait_for("START_WAITS")
        exchange.start()
        bot.wait_for("BOT_STARTED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text


@pytest.mark.timeout(180)
def test_a_start_that_has_waited_long_enough_ends_with_7_and_one_line(tmp_path: Path, exchange: Exchange) -> None:
    prepared(tmp_path, exchange.url, start_patience_s=1.5)
    steer(exchange, "/faults", {"on": "*", "action": "maintenance"})
    with Bot(tmp_path, env=KEYS) as bot:
        assert bot.end() == 7, bot.text
        (line,) = [line for line in bot.text.splitlines() if line.startswith("tradebot: ")]
        assert line.endswith("waited 1.5 s (exchange.start_patience_s): start again later")
    assert session(tmp_path)["exit_code"] == 7
