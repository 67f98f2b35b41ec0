"""Is nothing lost or taken at an exchange though a rebuild is killed at each step, or a bot by a stranger's order?"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.comparing import BEGUN
from tests.integration.comparing_pictures import Account
from tests.integration.dying_rebuild import STEPS
from tests.integration.hands import bid_below, by_hand
from tests.integration.processes import PATIENCE_S, ROOT, Bot, kinds, session, state
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_drift import KEPT, shown
from tests.integration.test_recover import held, truncated
from tests.integration.test_rehearsal import at_the_exchange
from tradebot.control.client import ask

NAME = "away"
DYING = Path(__file__).with_name("dying_rebuild.py")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """Serve the sandbox in a process of its own."""
    served = Exchange(tmp_path, ["--count", "4"])
    try:
        served.start()
        yield served
        assert served.end() == 0
    finally:
        served.away()


def written(folder: Path, exchange: Exchange, changes: dict[str, str]) -> Path:
    """Write the profile of a bot at the exchange, changed; return its home."""
    at_the_exchange(folder, exchange.url)
    profile = folder / "quick.toml"
    text = profile.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    profile.write_text(text)
    return folder / "state" / NAME


def agreed(folder: Path, exchange: Exchange) -> None:
    """Compare what the bot owns with what the exchange holds, to the last unit; both stand still."""
    ledger, _ = held(folder, NAME)
    there = Account(exchange.url).picture().balances
    for asset, amount in ledger.items():
        if asset not in ("USDT", "BNB"):
            assert Decimal(amount) == there[asset].total - BEGUN.get(asset, Decimal(0)), asset


@pytest.mark.timeout(240)
@pytest.mark.parametrize("steps", [("set aside",), pytest.param(tuple(STEPS), marks=pytest.mark.soak)])
def test_a_rebuild_that_is_killed_at_one_step_after_the_other_is_ended_and_agrees_with_the_exchange(
    tmp_path: Path, exchange: Exchange, steps: tuple[str, ...]
) -> None:
    url = f'base_url = "{exchange.url}"\n'
    home = written(tmp_path, exchange, {url: f"{url}recv_window_ms = 2000\nnot_found_after_s = 1\n"})
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("POSITION_CLOSED")
        bot.wait_for("POSITION_OPENED")
        bot.send(signal.SIGKILL)
        bot.end()
    (tmp_path / "state" / "demo").symlink_to(NAME)  # the damage is done to a bot of this name
    truncated(tmp_path)
    for step in steps:
        dying = subprocess.run(
            [sys.executable, str(DYING), step, "--profile", "quick.toml", "--headless"],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", **KEYS}, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert dying.returncode == -signal.SIGKILL, f"{step}: {dying.stdout}{dying.stderr}"
    with Bot(tmp_path, env=KEYS) as bot:
        for each in ("STATE_REBUILT", "RECOVERY_COMPLETED", "POSITION_CLOSED"):
            bot.wait_for(each)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    agreed(tmp_path, exchange)
    assert not Account(exchange.url).picture().open_ids
    aside = [path.name for path in home.glob("journal.sqlite.2*") if not path.name.endswith(("wal", "shm"))]
    assert len(aside) == 1, "set aside once, whatever was killed"
    assert not [path for path in home.iterdir() if ".new" in path.name or path.name.endswith("rebuild.json")]


@pytest.mark.timeout(150)
def test_a_foreign_order_outlives_a_kill_the_recovery_and_the_selling_of_everything(
    tmp_path: Path, exchange: Exchange
) -> None:
    home = written(tmp_path, exchange, KEPT)
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("POSITION_OPENED")
        position = shown(home).positions[0]
        foreign = bid_below(exchange, position.symbol.replace("/", ""), position.bid)
        bot.wait_for("FOREIGN_ORDER_SEEN")
        bot.send(signal.SIGKILL)
        bot.end()
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("RECOVERY_COMPLETED")

        async def flatten(client: Any) -> object:
            return await client.flatten()

        assert shown(home).positions
        ask(home, "tests", flatten)
        bot.wait_for("FLATTEN_DONE")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    ledger = state(tmp_path)["state"]["ledger"]
    assert not ledger["positions"]
    assert [order["orderId"] for order in by_hand(exchange, "GET", "openOrders")] == [foreign]
    agreed(tmp_path, exchange)
    assert "DRIFT_SEEN" not in kinds(tmp_path)


@pytest.mark.timeout(120)
def test_an_exchange_that_stands_still_keeps_no_state_from_being_written(tmp_path: Path, exchange: Exchange) -> None:
    """Its sockets are not closed by it; with a full wait for each step the final write had no time left."""
    hurried = "[shutdown]\norders_deadline_s = 6\nverify_deadline_s = 1\n[state]\n"
    written(tmp_path, exchange, {"[state]\n": hurried})
    with Bot(tmp_path, env=KEYS) as bot:
        bot.wait_for("POSITION_OPENED")
        served = exchange.lives[-1].process
        served.send_signal(signal.SIGSTOP)
        try:
            bot.send(signal.SIGTERM)
            code = bot.end()
        finally:
            served.send_signal(signal.SIGCONT)
    assert "state written (seq" in bot.text
    assert code != 1, bot.text
    assert state(tmp_path)["seq"] == session(tmp_path)["shutdown"]["seq"]
