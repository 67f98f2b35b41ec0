"""Does `tradebot data` fetch and record what the exchange to rehearse against tells?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.exchange.sandbox_kit import sandbox_process
from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.events import BookSeen, QuoteSeen, TradeSeen
from tradebot.feeds.candles import load_candles
from tradebot.feeds.recorded_events import load_events

SYMBOLS = ("SYN001/USDT", "SYN002/USDT")
TRADEBOT = (sys.executable, "-m", "tradebot.cli.main")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a sandbox exchange; yield its address."""
    with sandbox_process(tmp_path_factory.mktemp("exchange")) as (_, found):
        yield found


def data(what: str, address: str, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `tradebot data` on both symbols of the sandbox."""
    where = ("--exchange", "binance", "--symbols", ",".join(SYMBOLS), "--out", str(out), "--base-url", address)
    return subprocess.run([*TRADEBOT, "data", what, *where, *words], capture_output=True, text=True, check=False)


def test_fetched_candles_can_be_replayed_and_are_fetched_once(address: str, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    begin, end = (f"{now - timedelta(minutes=minutes):%Y-%m-%dT%H:%M}" for minutes in (70, 10))
    done = data("fetch", address, tmp_path, "--from", begin, "--to", end)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("60 rows added") == 2
    recording = load_candles(tmp_path, None, "USDT", None, None)
    assert (recording.symbols, recording.candles) == (SYMBOLS, 120)
    assert recording.silent == (), "what a sandbox told of its past can be another one's market"
    assert data("fetch", address, tmp_path, "--from", begin, "--to", end).stdout.count("0 rows added") == 2


def test_trades_from_before_the_first_one_are_named_as_missing(address: str, tmp_path: Path) -> None:
    begin = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M}"
    done = data("fetch", address, tmp_path, "--trades", "--from", begin)
    assert done.returncode == 0, done.stderr
    first = datetime.fromtimestamp(load_first_ms(tmp_path) / 1000, UTC)
    assert f"  {begin.replace('T', ' ')} .. {first:%Y-%m-%d %H:%M}: no trade; the exchange has none" in done.stdout


def load_first_ms(folder: Path) -> int:
    """Return the time of the first trade of the first symbol."""
    return int((folder / f"{SYMBOLS[0].replace('/', '-')}.trades.csv").read_text().splitlines()[1].split(",")[0])


def test_recorded_prices_can_be_replayed(address: str, tmp_path: Path) -> None:
    done = data("record", address, tmp_path, "--for", "3", "--depth", "5")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("FEED_CONNECTED") == 3
    assert "WARNING" not in done.stderr
    events = list(load_events(tmp_path, None, "USDT", None, None, RecordedFeed()).events())
    assert {type(event) for event in events} == {QuoteSeen, BookSeen, TradeSeen}
    assert {event.symbol for event in events} == set(SYMBOLS)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = data("fetch", address, tmp_path / "file" / "out", "--from", f"{datetime.now(UTC):%Y-%m-%d}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith("cannot be written (Not a directory)\n")


def test_an_exchange_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    done = data("fetch", "http://127.0.0.1:9", tmp_path, "--from", "2026-01-01")
    assert done.returncode == 1
    assert done.stderr.startswith("tradebot: binance does not tell its symbols: ")
    assert "Traceback" not in done.stderr


def test_an_address_outside_this_machine_is_refused(tmp_path: Path) -> None:
    done = data("fetch", "http://192.0.2.1", tmp_path, "--from", "2026-01-01")
    assert done.returncode == 2
    assert "not on this machine" in done.stderr
