"""How do a real bot and a real exchange run for a benchmark? Processes of their own, over a loopback socket."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.live_path_stamps import STATIONS
from tests.integration.processes import ROOT

QUOTES_PER_S: Final = 8
TRADES_PER_S: Final = 2
"""What a symbol's market tells: ten events a second."""

KEYS: Final = {"TRADEBOT_API_KEY": "test-key", "TRADEBOT_API_SECRET": "-".join(("test", "secret"))}
PATIENCE_S: Final = 60.0

BASE = """
extends = "{root}/profiles/sandbox.toml"
[bot]
instance = "{instance}"
[exchange]
base_url = "{url}"
"""

EAGER = """
[journal]
durability = "{durability}"
[drop]
anchor = {{ kind = "rolling_high", window_s = 10, window_buckets = 10, warmup_s = 1 }}
threshold_bps = 2
cooldown_s = 0
debounce_s = 0
[budget]
per_trade_quote = 100
max_positions = 8
[execution]
max_spread_bps = 25
max_slippage_bps = 60
send_deadline_ms = 1000
steps = [{{ tif = "IOC", offset_bps = 30 }}]
wait_ms = {{ IOC = 1000, GTC = 1000, other = 1000 }}
[exits]
take_profit_bps = 25
stop_loss_bps = 40
max_hold_s = 1.5
trailing = "off"
steps = [{{ tif = "IOC", offset_bps = 30 }}, {{ type = "market" }}]
"""
"""Settings that order on the slightest move of a price."""


@contextmanager
def exchange(
    symbols: int, *more: str, quotes_per_s: float = QUOTES_PER_S, trades_per_s: float = TRADES_PER_S
) -> Iterator[str]:
    """Run a sandbox exchange of so many symbols, with `more` words for it; give its address."""
    words = ("-m", "tests.benchmarks.live_path_exchange", str(quotes_per_s), str(trades_per_s), "sandbox")
    balance = ("--port", "0", "--count", str(symbols), "--history", "1", "--balance", "USDT=10000000")
    process = subprocess.Popen([sys.executable, *words, *balance, *more], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"REST (\S+?),", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()


def start_bot(folder: Path, profile: str, seconds: float, program: Sequence[str]) -> subprocess.Popen[str]:
    """Start `program` as a bot with a profile, for so long."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.toml").write_text(profile)
    words = ("--profile", "bench.toml", "--headless", "--for", f"{seconds:g}")
    with (folder / "bot.out").open("w") as out:
        return subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )


def ordering(folder: Path, url: str, durability: str, seconds: float) -> dict[str, Any]:
    """Let a bot order for so long; return what was stamped."""
    profile = (BASE + EAGER).format(
        root=ROOT,
        url=url,
        instance=folder.name,  # of at most eight letters; an exchange that knows a bot without a home is refused
        durability="process" if durability == "off" else durability,
    )
    stamped = folder / "stamps.json"
    program = ("-m", "tests.benchmarks.live_path_stamps", str(stamped), durability)
    process = start_bot(folder, profile, seconds, program)
    try:
        assert process.wait(seconds + PATIENCE_S) in {0, 6}, (folder / "bot.out").read_text()[-3000:]
    finally:
        process.kill()
        process.wait(PATIENCE_S)
    found: dict[str, Any] = json.loads(stamped.read_text())
    return found


STAGES: Final = {
    "frame": ("read", "taken"),
    "decode": ("taken", "published"),
    "queue": ("published", "fed"),
    "decision": ("fed", "decided"),
    "durable": ("decided", "durable"),
    "wake": ("durable", "submitted"),
    "task": ("submitted", "begun"),
    "ccxt": ("begun", "signed"),
    "aiohttp": ("signed", "sent"),
    "whole": ("read", "sent"),
}
"""Each stretch of the way, between two stations."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def stretches(rows: Sequence[Sequence[int]]) -> dict[str, list[float]]:
    """Return the ms of every order on each stretch."""
    at = {station: number for number, station in enumerate(STATIONS)}
    return {stage: [(row[at[end]] - row[at[begin]]) / 1e6 for row in rows] for stage, (begin, end) in STAGES.items()}
