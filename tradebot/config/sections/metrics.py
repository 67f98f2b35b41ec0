"""What is counted, and how often is it written?"""

from tradebot.config.base import Seconds, Table, setting


class Metrics(Table):
    """How often the metrics are written."""

    export_interval_s: Seconds = setting(60.0, ge=0.1, le=86_400)
    """How often `metrics/summary.json` is written; it is also written at the end."""

    observations_kept: int = setting(2048, reload="rebuild", ge=16, le=1_000_000)
    """How many of the latest observations of each histogram its percentiles are taken from."""
