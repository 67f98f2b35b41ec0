"""When is the exchange held to be unfit, and how many requests may leave?"""

from tradebot.config.base import Seconds, Table, setting


class Health(Table):
    """When the exchange counts as fit to trade on, by its own answers; all else stops buying."""

    degraded_after: int = setting(2, reload="restart", ge=1, le=100)
    """So many requests in a row without a proper answer, or failed comparisons of orders, and it is `degraded`."""

    down_after: int = setting(5, reload="restart", ge=1, le=1000)
    """So many requests in a row without a proper answer, and it is `down`."""

    up_after: int = setting(2, reload="restart", ge=1, le=100)
    """So many proper answers in a row, and it is `up` again."""

    probe_interval_s: Seconds = setting(5.0, reload="restart", ge=0.1, le=600)
    """How often it is asked for its time while it is not `up` and bans nobody."""

    stream_grace_s: Seconds = setting(15.0, reload="restart", ge=0.1, le=3600)
    """How long its news of own orders may be interrupted before it is `degraded`."""

    markets_interval_s: Seconds = setting(300.0, reload="restart", ge=1, le=86_400)
    """How often it is asked which symbols it trades."""

    halted_interval_s: Seconds = setting(30.0, reload="restart", ge=0.1, le=86_400)
    """The same while one of ours is not traded."""


class RequestBudget(Table):
    """How much of the exchange's limits may be used, by all processes of this machine together."""

    folder: str = setting("", reload="restart")
    """Where the processes of this user count together; "" is `XDG_RUNTIME_DIR`, or the temporary one."""

    polling_pct: int = setting(80, reload="restart", ge=1, le=100)
    """Share of request weight up to which prices, balances and markets are asked for."""

    watching_pct: int = setting(25, reload="restart", ge=1, le=100)
    """Share of request weight that goes into asking for open orders while the exchange does not tell of them."""

    entries_pct: int = setting(60, reload="restart", ge=1, le=100)
    """Share of request weight and of order counts up to which buys are sent; the rest is for what protects."""
