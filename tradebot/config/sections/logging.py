"""What is written to the logs?"""

from typing import Literal

from tradebot.config.base import Seconds, Table, setting


class Logging(Table):
    """What is written to the session's log files."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting("INFO")
    """Least level that is written."""

    max_file_mb: int = setting(50, reload="rebuild", ge=1, le=10_000)
    """Size at which a log file is closed and the next one begun."""

    max_disk_mb: int = setting(500, reload="rebuild", ge=2, le=1_000_000)
    """Most disk one session's logs may take; the oldest files are removed beyond it."""

    queue_limit: int = setting(100_000, reload="rebuild", ge=100, le=10_000_000)
    """Most records waiting to be written; beyond it the least important are counted and dropped."""

    retry_s: Seconds = setting(1.0, reload="rebuild", ge=0.01, le=60)
    """Wait before a failed write of a log file is tried again."""

    validate_timeout_s: Seconds = setting(5.0, reload="restart", gt=0, le=60)
    """Longest wait at start until a first record has gone through the queue into its file."""
