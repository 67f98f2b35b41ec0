"""How long after a save is an edit in force, and what does it cost the cycles of an engine that trades?"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.integration.driving import ROOT, Probed

pytestmark = pytest.mark.benchmark

EDITS = 500
STEPS = ("load_profile", "next_number", "begin", "swap", "commit")

PROFILE = f"""
extends = "{ROOT}/profiles/base.toml"
[bot]
instance = "edits"
[feed.synthetic]
symbols = 50
updates_per_s = 10
volatility_bps = 8
[drop]
threshold_bps = 10
cooldown_s = 1
debounce_s = 0
[drop.anchor]
window_s = 20
window_buckets = 20
warmup_s = 1
[execution]
steps = [{{{{ tif = "IOC" }}}}, {{{{ tif = "GTC", offset_bps = -2 }}}}]
wait_ms.GTC = 1_000
send_deadline_ms = 500
[budget]
per_trade_quote = 100
max_positions = 25
[exits]
take_profit_bps = {{target}}
stop_loss_bps = 60
max_hold_s = 10
[reload]
probation_s = 0
[state]
persist_interval_s = 5
"""


def written(number: int) -> bytes:
    """Return the profile of one edit: another gain at which a position is sold."""
    return PROFILE.format(target=40 + number % 7).encode() + b"# %d\n" % number


def saved(path: Path, text: bytes) -> int:
    """Replace the profile as editors do; return the time of it, in ns."""
    beside = path.with_name(".p.toml.new")
    beside.write_bytes(text)
    at_ns = time.time_ns()
    beside.replace(path)
    return at_ns


def share(values: Sequence[float], per_cent: int) -> float:
    return sorted(values)[len(values) * per_cent // 100]


def test_from_save_to_in_force(tmp_path: Path, show: Callable[..., None]) -> None:
    path = tmp_path / "p.toml"
    saved(path, written(0))
    draw = random.Random(1)
    took_ms: list[float] = []
    told_ms: list[float] = []
    spent_ms: dict[str, list[float]] = {name: [] for name in ("watch", *STEPS)}
    with Probed(tmp_path) as bot:
        bot.wait_until_it_trades()
        for number in range(1, EDITS + 1):
            time.sleep(draw.uniform(0.05, 0.15))
            at_ns = saved(path, written(number))
            while (told := bot.outcome())["kind"] == "unchanged":
                continue
            assert told["kind"] == "applied"
            took_ms.append((bot.taken[told["generation"]] - at_ns) / 1e6)
            told_ms.append((told["at_ns"] - at_ns) / 1e6)
            hint = next(begun for name, begun, _ in told["steps"] if name == "hint" and begun >= at_ns)
            spent_ms["watch"].append((hint - at_ns) / 1e6)
            for name in STEPS:
                spent_ms[name].append(sum(end - begun for one, begun, end in told["steps"] if one == name) / 1e6)
        bot.process.send_signal(signal.SIGTERM)
        assert bot.finish() == 0
    show(
        edits=EDITS,
        p50_ms=share(took_ms, 50),
        p99_ms=share(took_ms, 99),
        max_ms=max(took_ms),
        cores=os.cpu_count() or 0,
    )
    show(told_p50_ms=share(told_ms, 50), told_p99_ms=share(told_ms, 99))
    for name, values in spent_ms.items():
        show(step=name, p50_ms=share(values, 50), p99_ms=share(values, 99), max_ms=max(values))
    for name in ("busy", "idle", "gaps"):
        show(cycles=name, **{f"{key}_ms" if key != "count" else key: value for key, value in bot.end[name].items()})
