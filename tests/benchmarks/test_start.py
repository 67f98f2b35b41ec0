"""How long does a person wait for a command that only reads a profile?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = 7


@pytest.mark.benchmark
@pytest.mark.parametrize("arguments", [["validate", "profiles/demo.toml"], ["--help"]], ids=["validate", "help"])
def test_how_long_a_command_takes_to_answer(arguments: list[str], show: Callable[..., None]) -> None:
    tradebot = Path(sys.executable).with_name("tradebot")
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([tradebot, *arguments], cwd=ROOT, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    show(best_s=min(took), median_s=sorted(took)[RUNS // 2])
