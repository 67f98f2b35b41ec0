"""What does the bot cost while it trades on paper in real time, and what does a checkpoint cost its cycle?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60

PROFILE = """
extends = "{root}/profiles/demo.toml"
[bot]
instance = "load"
[feed.synthetic]
symbols = {symbols}
updates_per_s = {updates}
[state]
persist_interval_s = 5
"""


@pytest.mark.benchmark
@pytest.mark.parametrize(("symbols", "updates"), [(50, 10), (1000, 1)])
def test_a_paper_session_on_the_synthetic_market(
    tmp_path: Path, symbols: int, updates: int, show: Callable[..., None]
) -> None:
    profile = tmp_path / "load.toml"
    profile.write_text(PROFILE.format(root=ROOT, symbols=symbols, updates=updates))
    began = time.monotonic()
    bot = subprocess.Popen(
        [Path(sys.executable).with_name("tradebot"), "--profile", profile, "--headless", "--for", str(SECONDS)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(bot.pid, 0)
    took = time.monotonic() - began
    bot.returncode = os.waitstatus_to_exitcode(status)
    assert bot.returncode == 0
    told = json.loads((tmp_path / "latest_session/metrics/summary.json").read_text())
    cycle, checkpoint = told["histograms"]["cycle_ms"], told["histograms"]["checkpoint_cycle_ms"]
    show(
        symbols=symbols,
        updates_per_s=symbols * updates,
        cpu_percent_of_a_core=100 * (usage.ru_utime + usage.ru_stime) / took,
        rss_mb=usage.ru_maxrss / 1024,
        cycle_p50_ms=cycle["p50"],
        cycle_p99_ms=cycle["p99"],
        checkpoint_p50_ms=checkpoint["p50"],
        checkpoint_p99_ms=checkpoint["p99"],
        fills=told["counters"]["fills"],
        trades=told["counters"]["trades"],
    )
    assert told["counters"]["fills"] > 0
