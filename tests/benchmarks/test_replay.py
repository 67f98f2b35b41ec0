"""How fast does the whole machine replay, event by event, with router, ledger and journal on?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.market import Expected
from tests.oracle.replaying import ROOT, assert_equal, published, replay, trades_of

SYMBOLS = 20
MOST_RSS_MB = 500
TIMEOUT_S = 600


def told(show: Callable[..., None], figures: dict[str, Any]) -> None:
    """Print what a reader compares; nothing here is asserted on a shared machine's speed."""
    names = ("candles", "trades", "candles_per_s", "cpu_seconds", "load_seconds", "peak_rss_mb")
    show(**{name: f"{figures[name]:,.1f}" if isinstance(figures[name], Decimal) else figures[name] for name in names})


@pytest.mark.benchmark
def test_the_work_of_twenty_symbols(tmp_path: Path, show: Callable[..., None]) -> None:
    the_work = published()
    pytest.importorskip("pyarrow")
    data = tmp_path / "data"
    the_work.write(str(data), SYMBOLS)
    figures = replay("the-work", data, tmp_path, timeout_s=TIMEOUT_S)
    told(show, figures)
    found = trades_of(tmp_path / "trades.csv")
    for k in range(SYMBOLS):
        candles = the_work.candles(k)
        wanted = the_work.reference(candles[:, 0].tolist(), candles[:, 3].tolist())
        assert_equal(found.get(f"S{k:03d}/USDT", []), [Expected(*trade) for trade in wanted])
    assert figures["conservation_error"] == 0
    assert figures["peak_rss_mb"] < MOST_RSS_MB


@pytest.mark.benchmark
def test_ninety_one_real_symbols_twice(shared_data: Path, tmp_path: Path, show: Callable[..., None]) -> None:
    data = shared_data / "ohlcv_1m/binance_spot_2021-04"
    if not data.is_dir():
        pytest.skip(f"no recording in {data.relative_to(ROOT.parent)}")
    pytest.importorskip("pyarrow")
    figures = [replay("replay", data, tmp_path, timeout_s=TIMEOUT_S) for _ in range(2)]
    told(show, figures[0])
    assert figures[0]["candles"] == 1_074_356
    assert figures[0]["trades"] > 0
    assert figures[0]["conservation_error"] == 0
    assert figures[0]["journal_sha256"] == figures[1]["journal_sha256"]
    assert figures[0]["peak_rss_mb"] < MOST_RSS_MB


@pytest.mark.benchmark
def test_what_the_band_pays(shared_data: Path, tmp_path: Path, show: Callable[..., None]) -> None:
    data = shared_data / "ohlcv_1m/binance_spot_2021-04"
    if not data.is_dir():
        pytest.skip(f"no recording in {data.relative_to(ROOT.parent)}")
    pytest.importorskip("pyarrow")
    with_band = replay("replay", data, tmp_path, timeout_s=TIMEOUT_S)
    without = replay("replay", data, tmp_path, timeout_s=TIMEOUT_S, env={"TRADEBOT__ENGINE__BAND": "false"})
    show(
        with_band_s=float(with_band["cpu_seconds"]),
        without_s=float(without["cpu_seconds"]),
        ratio=float(without["cpu_seconds"] / with_band["cpu_seconds"]),
    )
    assert with_band["journal_sha256"] == without["journal_sha256"]
