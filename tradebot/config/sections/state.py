"""What of the engine is kept, and how often?"""

from tradebot.config.base import Real, Seconds, Table, setting


class State(Table):
    """What is kept of the engine's state, and how often."""

    persist_interval_s: Seconds = setting(30.0, ge=0.1, le=86_400)
    """How often the checkpoint is written."""

    persist_on_shutdown: bool = setting(True)
    """Write a last checkpoint when the bot ends."""

    crash_recovery: bool = setting(True, reload="restart")
    """Begin with the last checkpoint and the journal's tail; off begins from the journal alone, windows empty."""

    slice_ms: Real = setting(0.5, gt=0, le=1000)
    """How long price windows are copied between two cycles, one symbol's at least."""
