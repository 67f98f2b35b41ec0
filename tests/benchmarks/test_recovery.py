"""How long until a bot with 1,000 open orders and 100,000 facts trades again, and where does the time go?

Bot and exchange are processes of their own, and 100 of the orders were filled while the bot was away. Time runs from
the moment the process is asked for; in brackets stands what the bot itself computed. The target, 3 s until it trades
and every symbol has a price, is of a quiet machine; the load is shown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks import recovery_home
from tests.benchmarks.live_path import BASE, PATIENCE_S, exchange, start_bot
from tests.benchmarks.recovery_stamps import STAGES
from tests.integration.processes import ROOT

ORDERS, FACTS, FILLED = 1_000, 100_000, 100
RUNS = 3
QUOTES_PER_S = 4
TARGET_S = 3.0
LONGEST_S = 120.0

PATIENT = """
[intents]
max_age_s = 86400
[exits]
take_profit_bps = 5000
stop_loss_bps = 5000
max_hold_s = "off"
trailing = "off"
"""
"""Nothing is cancelled for its age or sold at once, so that recovering is all there is to do."""


def _profile(url: str) -> str:
    return (BASE + PATIENT).format(root=ROOT, instance=recovery_home.INSTANCE, url=url)


def recovered(folder: Path) -> dict[str, tuple[float, float]]:
    """Return of each stage the s since its process was asked for when it was over, and those it had computed."""
    profile = folder / "bench.toml"
    home = folder / "state" / recovery_home.INSTANCE
    profile.write_text(_profile("http://127.0.0.1:1"))
    recovery_home.write(folder / "exchange", profile, home, FACTS, ORDERS, FILLED)
    kept = ("--state", str(folder / "exchange"))
    with exchange(ORDERS, *kept, quotes_per_s=QUOTES_PER_S, trades_per_s=0.2) as url:
        stamps = folder / "stamps.json"
        begun_ns = time.monotonic_ns()
        program = ("-m", "tests.benchmarks.recovery_stamps", str(stamps), str(begun_ns))
        process = start_bot(folder, _profile(url), 3600, program)
        try:
            while not stamps.exists() and process.poll() is None and time.monotonic_ns() - begun_ns < LONGEST_S * 1e9:
                time.sleep(0.05)  # another process's file tells nobody that it is there
            assert stamps.exists(), (folder / "bot.out").read_text()[-3000:]
        finally:
            process.kill()
            process.wait(PATIENCE_S)
    found: dict[str, tuple[float, float]] = json.loads(stamps.read_text())
    return found


@pytest.mark.benchmark
@pytest.mark.timeout(600)
def test_how_long_a_recovery_of_a_thousand_orders_takes(tmp_path: Path, show: Callable[..., None]) -> None:
    runs = []
    for number in range(RUNS):
        folder = tmp_path / str(number)
        folder.mkdir()
        runs.append(recovered(folder))
        words = {f"{stage}_s": f"{runs[-1][stage][0]:.2f} ({runs[-1][stage][1]:.2f})" for stage in STAGES}
        show(**words, load=os.getloadavg()[0])
    best = min(max(run["trading"][0], run["fresh"][0]) for run in runs)
    show(whole_s=best, target_s=TARGET_S)
    assert best < TARGET_S, "from the process to trading, every price fresh"
