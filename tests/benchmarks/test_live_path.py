"""How long from the bytes of a price to the bytes of an order, where does it go, and what does a bot cost? Real
processes over a loopback socket.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.live_path import BASE, STAGES, exchange, ordering, percentile, start_bot, stretches
from tests.integration.processes import ROOT, records

Print = Callable[[str], None]

RUNS = 3
RUN_S = 15.0
LEAST_ORDERS = 300
DURABILITIES = ("off", "process", "power")
WARM_S, MEASURED_S = 15.0, 60.0

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Print:
    """Return a function that prints past pytest's capture."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    return show


@pytest.mark.benchmark
@pytest.mark.parametrize("symbols", [8, 50], ids=["8-symbols", "50-symbols"])
def test_from_a_frame_to_an_order(tmp_path: Path, printed: Print, symbols: int) -> None:
    found: dict[str, list[dict[str, list[float]]]] = {durability: [] for durability in DURABILITIES}
    orders, pauses_ms = dict.fromkeys(DURABILITIES, 0), []
    begun_load = os.getloadavg()[0]
    with exchange(symbols) as url:
        for run in range(RUNS):
            for durability in DURABILITIES:  # side by side in time: what disturbs one disturbs all
                stamped = ordering(tmp_path / f"{durability[:5]}-{run}", url, durability, RUN_S)
                found[durability].append(stretches(stamped["rows"]))
                orders[durability] += len(stamped["rows"])
                pauses_ms += stamped["gc_ms"]
    load = f"load {begun_load:.1f} to {os.getloadavg()[0]:.1f}"
    printed(f"\n  {symbols} symbols, ten events a second each; ms at the median of {RUNS} runs, p50 / p99; {load}")
    printed("  " + "stage".ljust(10) + "".join(one.rjust(18) for one in DURABILITIES))
    for stage in STAGES:
        cells = []
        for durability in DURABILITIES:
            p50, p99 = (median(percentile(run[stage], share) for run in found[durability]) for share in (0.5, 0.99))
            cells.append(f"{p50:.3f} / {p99:.3f}".rjust(18))
        printed("  " + stage.ljust(10) + "".join(cells))
    printed("  " + "orders".ljust(10) + "".join(f"{orders[one]:,}".rjust(18) for one in DURABILITIES))
    printed(f"  full collections: {len(pauses_ms)}, the longest {max(pauses_ms, default=0.0):.1f} ms")
    assert min(orders.values()) >= LEAST_ORDERS


def _spent(pid: int) -> tuple[float, float]:
    """Return the processor time of a process in s, and its memory in MB."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / _TICKS, int(stat[21]) * _PAGE / 1e6


@pytest.mark.benchmark
@pytest.mark.parametrize(("symbols", "decoder"), [(50, "fast"), (50, "general"), (200, "fast"), (500, "fast")], ids=str)
def test_what_a_bot_costs(tmp_path: Path, printed: Print, symbols: int, decoder: str) -> None:
    with exchange(symbols) as url:
        profile = BASE.format(root=ROOT, url=url, instance="bench") + f'[feed.ccxt]\ndecoder = "{decoder}"\n'
        process = start_bot(tmp_path, profile, 600, ("-m", "tradebot.cli.main"))
        try:
            end = time.monotonic() + 60
            while "BOT_STARTED" not in (tmp_path / "bot.out").read_text():
                assert process.poll() is None
                assert time.monotonic() < end, (tmp_path / "bot.out").read_text()[-2000:]
                time.sleep(0.1)  # another process's file tells nobody that it grows
            time.sleep(WARM_S)  # the time that passes is what is measured
            before_s, _ = _spent(process.pid)
            begun_s, load = time.monotonic(), os.getloadavg()[0]
            time.sleep(MEASURED_S)
            after_s, rss_mb = _spent(process.pid)
            share = (after_s - before_s) / (time.monotonic() - begun_s)
            process.terminate()
            process.wait(60)
        finally:
            process.kill()
            process.wait(60)
    begun, ended = (
        next(one for one in records(tmp_path) if one["event_type"] == event_type)
        for event_type in ("ENGINE_LOOP_START", "ENGINE_LOOP_STOP")
    )
    lived_s = (datetime.fromisoformat(ended["time"]) - datetime.fromisoformat(begun["time"])).total_seconds()
    printed(
        f"\n  {symbols} symbols, {decoder} decoder, {ended['events'] / lived_s:.0f} events a second:"
        f" {share:.1%} of one processor, {rss_mb:.0f} MB"
        f" (load {load:.1f} to {os.getloadavg()[0]:.1f})"
    )
    assert share < 1
