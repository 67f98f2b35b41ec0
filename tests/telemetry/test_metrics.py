"""Do the metrics count what they are told, and does the summary always stand whole on the disk?"""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.errors import StorageFailed
from tradebot.storage.files import write_atomic
from tradebot.telemetry.metrics import Metrics, NoMetrics
from tradebot.telemetry.summary import MetricsSummary


class Heard:
    """A log that keeps event types and messages."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str]] = []

    def emit(self, stream: str, level: str, event_type: str, message: str = "", **fields: Any) -> None:
        self.records.append((level, event_type, message))


def test_a_labelled_count_also_counts_under_its_plain_name() -> None:
    metrics = Metrics(observations_kept=16)
    metrics.count("orders_sent", symbol="BTC/USDT", side="buy")
    metrics.count("orders_sent", side="sell", symbol="BTC/USDT")
    metrics.count("orders_sent", 2)
    assert metrics.snapshot()["counters"] == {
        "orders_sent": 4,
        'orders_sent{side="buy",symbol="BTC/USDT"}': 1,
        'orders_sent{side="sell",symbol="BTC/USDT"}': 1,
    }
    assert metrics.value("orders_sent") == 4
    assert metrics.value("orders_sent", symbol="BTC/USDT", side="buy") == 1
    assert metrics.value("never_told") == 0


def test_gauges_keep_the_last_value_and_peaks_the_highest() -> None:
    metrics = Metrics(observations_kept=16)
    for value in (3, 7, 5):
        metrics.gauge("pending", value)
        metrics.peak("pending_max", value)
    metrics.gauge("pnl", Decimal("-1.25"))
    assert metrics.snapshot()["gauges"] == {"pending": 5, "pending_max": 7, "pnl": -1.25}


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300))
def test_histograms_tell_count_sum_extremes_percentiles_and_buckets(values: list[float]) -> None:
    metrics = Metrics(observations_kept=1000)
    for value in values:
        metrics.observe("wait_ms", value)
    told = metrics.snapshot()["histograms"]["wait_ms"]
    ordered = sorted(values)
    assert (told["count"], told["min"], told["max"]) == (len(values), ordered[0], ordered[-1])
    assert told["sum"] == pytest.approx(sum(values))
    for percent in (50, 95, 99):
        rank = told[f"p{percent}"]
        assert rank in ordered
        assert sum(value <= rank for value in ordered) * 100 >= percent * len(ordered)
        assert sum(value < rank for value in ordered) * 100 < percent * len(ordered)
    assert sum(told["buckets"].values()) == len(values)
    assert told["buckets"].get("100", 0) == sum(50 < value <= 100 for value in values)


def test_percentiles_come_from_the_latest_observations_and_memory_is_bounded() -> None:
    metrics = Metrics(observations_kept=16)
    for value in range(10_000):
        metrics.observe("cycle_ms", float(value))
    told = metrics.snapshot()["histograms"]["cycle_ms"]
    assert (told["count"], told["min"], told["p99"]) == (10_000, 0.0, 9999.0)
    assert told["p50"] == 9991.0


def test_threads_lose_no_count() -> None:
    metrics = Metrics(observations_kept=16)

    def work() -> None:
        for _ in range(5000):
            metrics.count("beats", component="feed")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.value("beats") == metrics.value("beats", component="feed") == 20_000


def test_metrics_switched_off_count_nothing() -> None:
    metrics = NoMetrics()
    metrics.declare("orders_sent")
    metrics.count("orders_sent", symbol="BTC/USDT")
    metrics.gauge("pending", 1)
    metrics.peak("pending_max", 1)
    metrics.observe("wait_ms", 1.0)
    assert metrics.snapshot() == {"counters": {}, "gauges": {}, "histograms": {}}


def test_the_summary_holds_counters_gauges_and_histograms(tmp_path: Path) -> None:
    metrics, log, path = Metrics(observations_kept=16), Heard(), tmp_path / "metrics" / "summary.json"
    metrics.count("orders_sent")
    metrics.observe("wait_ms", 3)
    summary = MetricsSummary(metrics, path, write_atomic, log)
    summary.announce(60.0)
    assert summary.export(1_795_364_703_123)
    told = json.loads(path.read_bytes())
    assert told["time"] == "2026-11-22T16:25:03.123Z"
    assert told["counters"] == {"orders_sent": 1}
    assert told["gauges"] == {}
    assert told["histograms"]["wait_ms"]["buckets"] == {"5": 1}
    assert [record[1] for record in log.records] == ["METRICS_INITIALIZED"]


def test_a_summary_that_cannot_be_written_is_told_once_and_so_is_its_return(tmp_path: Path) -> None:
    log, broken = Heard(), True

    def write(path: Path, data: bytes) -> None:
        if broken:
            raise StorageFailed(f"{path}: cannot be written (No space left on device)")
        write_atomic(path, data)

    summary = MetricsSummary(Metrics(observations_kept=16), tmp_path / "summary.json", write, log)
    assert not summary.export(1)
    assert not summary.export(2)
    broken = False
    assert summary.export(3)
    assert summary.export(4)
    assert [(level, kind) for level, kind, _ in log.records] == [
        ("WARNING", "METRICS_EXPORT_FAILED"),
        ("INFO", "METRICS_EXPORT_RESTORED"),
    ]
    assert "No space left on device" in log.records[0][2]
