"""Which components are on?"""

from tradebot.config.base import Table, setting


class Features(Table):
    """Each is a rollback switch: off is a stated, safe behaviour."""

    buying: bool = setting(True, looser="true")
    """Open new positions; off, drops are still told but nothing is bought."""

    exits: bool = setting(True, looser="false")
    """Sell positions by the exit rules; off, nothing is sold and positions stay."""

    metrics: bool = setting(True, reload="rebuild")
    """Count metrics and write `metrics/summary.json`; off, nothing is counted."""

    state_persistence: bool = setting(True, reload="rebuild")
    """Write the checkpoint periodically; off, only the journal (and the last checkpoint at shutdown) remain."""

    split_logging: bool = setting(True, reload="rebuild")
    """Write events, system, engine and orders to files of their own; off, all records go to one system file."""

    stale_warnings: bool = setting(True)
    """Report stale market data; off, stale symbols are still never bought."""

    cycle_time_logging: bool = setting(False)
    """Log every cycle's time; off, only slow cycles are logged."""

    watcher: bool = setting(True, reload="rebuild")
    """Notice edits of the profile; off, only `tradebot reload` and SIGHUP read it again."""

    control_door: bool = setting(True, reload="rebuild")
    """Answer `tradebot status`, `reload`, `feature` and the like; off, nobody is answered, only signals are heard."""

    probation: bool = setting(True, looser="false")
    """Watch the guards after an edit; off, no edit is ever taken back by itself."""
