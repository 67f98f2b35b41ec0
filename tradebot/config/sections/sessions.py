"""Where is a run told, and how long is it kept?"""

from tradebot.config.base import Table, setting


class Sessions(Table):
    """Where each run leaves its folder, and how long old ones are kept."""

    dir: str = setting("sessions", reload="restart", min_length=1)
    """Folder that holds one folder a run; `latest_session` beside it links to the newest."""

    keep: int = setting(50, ge=1, le=100_000)
    """How many session folders are kept; older ones are removed at start."""

    max_disk_mb: int = setting(2_000, ge=1, le=10_000_000)
    """Most disk all session folders may take; the oldest are removed beyond it."""
