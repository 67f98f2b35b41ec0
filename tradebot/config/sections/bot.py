"""Which bot is this? The identity that outlives runs."""

from tradebot.config.base import Table, setting


class Bot(Table):
    """Who this bot is, and where it keeps what must outlive a run."""

    instance: str = setting(
        "tradebot",
        reload="restart",
        pattern=r"^[a-z0-9][a-z0-9-]{0,7}$",
        form="1 to 8 characters of a-z, 0-9 and -, not beginning with -",
    )
    """Name of this bot on its account: the first part of every client order id, and its folder in `state_dir`."""

    seed: int = setting(1, reload="restart", ge=0, le=2**31 - 1)
    """Seed of everything random (synthetic market, paper latency): the same seed gives the same run in a replay."""

    state_dir: str = setting("state", reload="restart", min_length=1)
    """Folder of what must outlive a run (journal, checkpoint, paper account), one folder an instance inside."""
