"""How does the loop run?"""

from tradebot.config.base import Seconds, Table, setting


class Engine(Table):
    """How the loop runs: a cycle is one drain of the queue."""

    loop_sleep_s: Seconds = setting(0.5, ge=0.001, le=60)
    """Longest idle wait between two cycles; an event ends it at once."""

    error_backoff_s: Seconds = setting(1.0, ge=0, le=600)
    """Wait after an error in input or output before the loop goes on."""

    max_consecutive_errors: int = setting(10, ge=1, le=10_000)
    """So many errors in a row are a crash."""

    slow_cycle_s: Seconds = setting(1.0, looser="higher", gt=0, le=600)
    """A cycle longer than this is reported."""

    queue_limit: int = setting(100_000, reload="restart", ge=100, le=10_000_000)
    """Most events waiting for the engine; beyond it the feed is held back."""

    heartbeat_interval_s: Seconds = setting(30.0, ge=0.1, le=3600)
    """How often components are asked for a sign of life."""

    heartbeat_timeout_s: Seconds = setting(90.0, gt=0, le=86_400)
    """Silence after which a component is reported and a stack dump is written."""

    max_component_failures: int = setting(5, looser="higher", ge=1, le=10_000)
    """So many failures of one component in a row switch it off by its toggle, until it is switched on again."""

    band: bool = setting(True, reload="restart")
    """Skip the full decision while a price stays where no decision can change; off decides on every price."""
