"""How long does it take to look at everything, between two cycles of the engine?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.integration.processes import write_profile
from tests.runtime.runs import run_and_look
from tradebot.runtime.bot import Bot
from tradebot.runtime.viewing import snapshot, status
from tradebot.runtime.wiring import Run

LOOKS = 200


def timed(work: Callable[[], object]) -> list[float]:
    took_ms = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        work()
        took_ms.append((time.perf_counter() - began) * 1000)
    return sorted(took_ms)


@pytest.mark.benchmark
@pytest.mark.parametrize(("symbols", "most_ms"), [(50, 1.0), (1_000, 10.0)])
def test_what_a_look_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbols: int, most_ms: float, show: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = write_profile(tmp_path)
    text = profile.read_text().replace("symbols = 8\n", f"symbols = {symbols}\n")
    profile.write_text(text.replace("updates_per_s = 20\n", "updates_per_s = 2\n"))
    figures: dict[str, float] = {}

    async def look(run: Run, bot: Bot) -> None:
        engine = run.engine
        priced = engine.symbols.values()
        await run.shell.until(
            lambda: all(one.seen_ms >= 0 for one in priced) and len(engine.state.ledger.positions) > 3
        )
        view, features, now = bot.live.view(), bot.live.features(), run.clock.now_ms()
        whole = timed(lambda: snapshot(run, view, features, (), now))
        short = timed(lambda: status(run, view, now))
        figures["positions"] = len(engine.state.ledger.positions)
        figures["snapshot_p50_ms"], figures["snapshot_p99_ms"] = whole[LOOKS // 2], whole[LOOKS * 99 // 100]
        figures["status_p50_ms"], figures["status_p99_ms"] = short[LOOKS // 2], short[LOOKS * 99 // 100]
        figures["json_kb"] = len(msgspec.json.encode(snapshot(run, view, features, (), now))) / 1000
        figures["profile_view_p50_ms"] = timed(bot.live.view)[LOOKS // 2]

    run_and_look(profile, look)
    show(symbols=symbols, **figures)
    assert figures["snapshot_p50_ms"] < most_ms
