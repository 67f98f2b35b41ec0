"""Where do the metrics end up? Asked by the metrics component every export interval and at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from tradebot.domain.errors import StorageFailed
from tradebot.ports import Log
from tradebot.telemetry.metrics import Metrics, SwitchedMetrics
from tradebot.telemetry.records import iso_ms

SCHEMA = 1
"""Version of `metrics/summary.json`."""

Write = Callable[[Path, bytes], None]
"""Replaces a file at once; raises StorageFailed."""


class MetricsSummary:
    """Writes `metrics/summary.json`: `counters`, `gauges`, `histograms`, whole at any time."""

    def __init__(self, metrics: Metrics | SwitchedMetrics, path: Path, write: Write, log: Log) -> None:
        self._metrics = metrics
        self._path = path
        self._write = write
        self._log = log
        self._failing = False

    def announce(self, export_interval_s: float) -> None:
        """Tell that metrics are collected, and where they go."""
        self._log.emit(
            "system",
            "INFO",
            "METRICS_INITIALIZED",
            f"Metrics on, written every {export_interval_s:g} s",
            path=str(self._path),
            export_interval_s=export_interval_s,
        )

    def prove(self) -> None:
        """Write and remove a file beside the summary. Raises StorageFailed, OSError."""
        beside = self._path.with_name(f".{self._path.name}.proof")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write(beside, b"{}\n")
        beside.unlink()

    def export(self, at_ms: int) -> bool:
        """Write the summary as it is at `at_ms`; return whether it was written. A failure is told once, and its end."""
        document = {"schema": SCHEMA, "time": iso_ms(at_ms), **self._metrics.snapshot()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write(self._path, orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        except (StorageFailed, OSError) as error:
            if not self._failing:
                self._failing = True
                self._log.emit("system", "WARNING", "METRICS_EXPORT_FAILED", f"Metrics not written: {error}")
            return False
        if self._failing:
            self._failing = False
            self._log.emit("system", "INFO", "METRICS_EXPORT_RESTORED", "Metrics are written again")
        return True
