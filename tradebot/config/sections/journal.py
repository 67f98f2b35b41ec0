"""What does the journal survive, and how long does it grow?"""

from typing import Literal

from tradebot.config.base import Seconds, Table, setting


class Journal(Table):
    """What the journal survives, and how it stays small."""

    durability: Literal["power", "process"] = setting("power", reload="restart")
    """What an order's plan survives before the order is sent: a loss of power, or the end of the process alone."""

    batch_ms: int = setting(2, reload="restart", ge=0, le=1000)
    """Longest time the writer gathers facts into one commit; a fact that an order waits for ends it."""

    wal_mb: int = setting(4, reload="restart", ge=1, le=10_000)
    """Written since the journal's file was last brought up to date, before that is done again: beside the writer, which
    waits for it only where twice as much was written."""

    retry_s: Seconds = setting(0.5, reload="restart", ge=0.01, le=60)
    """Wait before a failed write of the journal is tried again; nothing is sent meanwhile."""

    keep_days: int = setting(30, reload="restart", ge=2, le=36_500)
    """Facts older than this leave the journal's file, once a checkpoint holds what they did."""

    keep_facts: int = setting(1_000_000, reload="restart", ge=10_000, le=1_000_000_000)
    """Facts beyond this number leave the file earlier, the oldest first; those of the last 25 hours never do."""

    prune_interval_s: Seconds = setting(3600.0, reload="restart", ge=1, le=604_800)
    """How often it is looked whether facts may leave the file."""

    archive: bool = setting(True, reload="restart")
    """Keep the facts that leave the file, compressed beside it; off drops them, and old sessions lose their report."""

    rebuild: Literal["proven", "ask"] = setting("proven", reload="restart")
    """Who writes a damaged journal anew: the start itself where the venue's history proves what was lost, or nobody but
    `tradebot recover --rebuild`; what is not proven is refused with exit code 5 either way."""
