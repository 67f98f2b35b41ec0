"""How long after a write is the reload told, and what does waiting for it cost?"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.watching import PATIENCE_S, Watched, watched
from tests.runtime.ways_to_edit import in_place, replaced

pytestmark = pytest.mark.benchmark

EDITS = 300
IDLE_S = 10.0


@pytest.mark.parametrize("way", [replaced, in_place], ids=lambda way: way.__name__)
def test_from_a_write_to_the_hint(
    tmp_path: Path, way: Callable[[Path], tuple[Path, Callable[[int], object]]], show: Callable[..., None]
) -> None:
    file, edit = way(tmp_path)
    took_ms: list[float] = []

    async def main() -> None:
        told = asyncio.Event()
        async with watched(file, sweep_s=2.0) as seen:
            seen.watcher._hint = told.set
            for number in range(EDITS):
                await asyncio.sleep(random.uniform(0.02, 0.08))
                told.clear()
                began = time.perf_counter()
                edit(1 + number)
                await asyncio.wait_for(told.wait(), PATIENCE_S)
                took_ms.append((time.perf_counter() - began) * 1000)

    asyncio.run(main())
    took_ms.sort()
    show(p50_ms=took_ms[EDITS // 2], p99_ms=took_ms[EDITS * 99 // 100], max_ms=took_ms[-1])


def test_what_waiting_costs(tmp_path: Path, show: Callable[..., None]) -> None:
    file, _ = in_place(tmp_path)
    cost: dict[str, float] = {}

    async def main() -> None:
        async with watched(file, sweep_s=2.0) as seen:
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(IDLE_S)
            cost["idle_pct"] = 100 * (time.process_time() - used) / (time.perf_counter() - began)
            cost["looks"] = seen.watcher.looks

    asyncio.run(main())
    show(**cost)
    assert cost["idle_pct"] < 1.0


def test_what_a_busy_folder_costs(tmp_path: Path, show: Callable[..., None]) -> None:
    file, _ = in_place(tmp_path)
    cost: dict[str, float] = {}

    async def main(seen: Watched) -> None:
        began, used, looks = time.perf_counter(), time.process_time(), seen.watcher.looks
        while time.perf_counter() - began < IDLE_S / 2:
            (tmp_path / "other").touch()
            await asyncio.sleep(0.005)
        cost["busy_pct"] = 100 * (time.process_time() - used) / (time.perf_counter() - began)
        cost["looks_per_s"] = (seen.watcher.looks - looks) / (IDLE_S / 2)

    async def run() -> None:
        async with watched(file, sweep_s=2.0) as seen:
            await main(seen)
            assert seen.hints == 0

    asyncio.run(run())
    show(**cost, cores=os.cpu_count() or 0)
