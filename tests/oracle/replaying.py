"""How is a replay run as an operator runs it? In a process of its own; asked by the oracle's tests and benchmark."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.oracle.market import FEE, MINUTE_MS, T0_MS, Expected

ROOT = Path(__file__).resolve().parents[2]


def run(
    *words: str, cwd: Path, timeout_s: float = 50, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `tradebot` with these arguments in the folder `cwd`, `env` added to a bare environment."""
    return subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", *words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def replay(
    profile: str, data: Path, tmp: Path, *words: str, timeout_s: float = 50, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Replay `data` and return the JSON object on stdout, floats as Decimal; the trades go to `tmp`/trades.csv."""
    path = str(ROOT / "profiles" / f"{profile}.toml")
    trades = str(tmp / "trades.csv")
    done = run(
        "replay", "--profile", path, "--data", str(data), "--json", "--trades", trades, *words,
        cwd=tmp, timeout_s=timeout_s, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout, parse_float=Decimal)
    return told


def published() -> ModuleType:
    """Return the reference's own module, which stands beside the checkout; skip the test where it does not."""
    path = ROOT / "../shared/work/the_work.py"
    if not path.is_file():
        pytest.skip("no reference beside this checkout (../shared/work/the_work.py)")
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("the_work", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trades_of(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of a trades file by symbol, in the order of the file."""
    rows: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["symbol"], []).append(row)
    return rows


def candle_of(time: str) -> int:
    """Return the number of the candle that opens exactly at `time`."""
    offset = round(datetime.fromisoformat(time).timestamp() * 1000) - T0_MS
    number, rest = divmod(offset, MINUTE_MS)
    assert rest == 0, f"{time} is no candle's open"
    return number


def assert_equal(found: Sequence[dict[str, str]], wanted: Sequence[Expected]) -> None:
    """Compare candle for candle and price for price; PnL exactly, on the traded amount, and as floats say."""
    made = [
        (candle_of(row["opened"]), candle_of(row["closed"]), float(row["entry"]), float(row["exit"])) for row in found
    ]
    assert made == [(one.entry_candle, one.exit_candle, one.entry, one.exit) for one in wanted]
    for row, one in zip(found, wanted, strict=True):
        amount, entry, exit_ = (Decimal(row[name]) for name in ("amount", "entry", "exit"))
        assert Decimal(row["pnl"]) == amount * exit_ * (1 - FEE) - amount * entry * (1 + FEE)
        assert Decimal(row["cost"]) == amount * entry * (1 + FEE)
        assert Decimal(row["proceeds"]) == amount * exit_ * (1 - FEE)
        assert abs(float(row["pnl"]) - one.pnl) < 1e-6
