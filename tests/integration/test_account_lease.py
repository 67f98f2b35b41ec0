"""Is a second bot on the same account stopped at its start, from another home as well, until the first has gone?"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import Bot, session
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_rehearsal import at_the_exchange


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path, ["--count", "3"])
    try:
        exchange.start()
        yield exchange
    finally:
        exchange.away()


def home(folder: Path, name: str, exchange: Exchange) -> Path:
    """Return a folder of its own with the profile of a bot of this instance."""
    place = folder / name
    place.mkdir()
    at_the_exchange(place, exchange.url)
    profile = place / "quick.toml"
    profile.write_text(profile.read_text().replace('instance = "away"', f'instance = "{name}"'))
    return place


@pytest.mark.timeout(240)
def test_a_second_bot_on_the_account_is_refused_and_may_start_once_the_first_was_killed(
    tmp_path: Path, exchange: Exchange
) -> None:
    one, two = home(tmp_path, "one", exchange), home(tmp_path, "two", exchange)
    with Bot(one, env=KEYS) as first:
        first.wait_for("BOT_STARTED")
        with Bot(two, env=KEYS) as second:
            assert second.end() == 1, second.text
            (line,) = [line for line in second.text.splitlines() if line.startswith("tradebot: ")]
            assert f"process {first.process.pid}, instance one, home {one / 'state' / 'one'}, since " in line
            assert "START_FAILED" in second.text
            assert KEYS["TRADEBOT_API_KEY"] not in second.text
        assert session(two)["money"].startswith("orders go to binance at http://127.0.0.1:")
        first.send(signal.SIGKILL)
        first.end()
    with Bot(two, env=KEYS) as second:
        second.wait_for("BOT_STARTED")
        second.send(signal.SIGTERM)
        assert second.end() == 0, second.text
