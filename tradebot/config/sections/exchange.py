"""How is an exchange spoken to? Asked by the venue and the feed that go through ccxt."""

from tradebot.config.base import Seconds, Table, setting
from tradebot.config.sections.exchange_health import Health, RequestBudget


class Exchange(Table):
    """The exchange of `feed.kind = "ccxt"` and `venue.kind = "ccxt"`; its keys come from the environment only.

    `TRADEBOT_API_KEY`, `TRADEBOT_API_SECRET` and, where the exchange wants one, `TRADEBOT_API_PASSWORD`, or the same
    with `_FILE` behind, naming a file that holds it.
    """

    name: str = setting("binance", reload="restart", pattern=r"^[a-z0-9]{2,30}$", form="ccxt's id of it, like binance")
    """Which exchange, by ccxt's id."""

    base_url: str = setting(
        "", reload="restart", pattern=r"^(https?://[^\s/]+)?$", form="an address like http://127.0.0.1:8080, or none"
    )
    """Speak to this address instead of the exchange's own (a sandbox); nothing then reaches any other."""

    allow_withdrawals: bool = setting(False, reload="restart", looser="true")
    """Trade though the key can withdraw or transfer; off, a start with such a key is refused."""

    shared_account: bool = setting(False, reload="restart", looser="true")
    """Trade beside other bots of this machine that say so, too; off, a bot has the account for itself."""

    dead_man_s: int = setting(0, reload="restart", ge=0, le=3_600)
    """The exchange cancels all orders of the account when it hears nothing of a living bot for so long; 0 is off.

    It is renewed every third of it. Only where the exchange has such a switch (Kraken, OKX); elsewhere the start is
    refused, and a supervisor has to do (docs/operations.md).
    """

    dead_man_takes_all: bool = setting(False, reload="restart", looser="true")
    """Let the dead man's switch cancel orders that others placed on the account or that `shutdown` leaves."""

    start_patience_s: Seconds = setting(900.0, reload="restart", ge=0, le=86_400)
    """How long a start waits for an exchange that bans this address or is away, before it ends with exit code 7."""

    recv_window_ms: int = setting(5_000, reload="restart", ge=100, le=60_000)
    """Age from which the exchange refuses a request: it bounds how late a lost order can still become one."""

    request_timeout_s: Seconds = setting(10.0, reload="restart", gt=0, le=120)
    """How long an answer is awaited; without one the outcome is unknown, and is asked for."""

    not_found_after_s: Seconds = setting(20.0, reload="restart", ge=0, le=600)
    """Beyond `recv_window_ms`: how long after sending "no such order" is not believed yet."""

    not_found_misses: int = setting(2, reload="restart", ge=1, le=100)
    """So many queries in a row must miss an order before it is held to be absent."""

    lookups_at_once: int = setting(8, reload="restart", ge=1, le=100)
    """So many own orders are asked for at the same time where many have to be: at a start, or when it is back."""

    poll_interval_s: Seconds = setting(2.0, reload="restart", ge=0.1, le=600)
    """How often own open orders are asked for where the exchange tells nothing of them by itself, at the most."""

    reconcile_interval_s: Seconds = setting(60.0, reload="restart", ge=1, le=86_400)
    """How often open orders and trades are compared over REST, besides after every reconnect."""

    keep_alive_s: Seconds = setting(5.0, reload="restart", ge=0.1, le=120)
    """How often each socket is asked for a sign of life; one that gives none for 2.5 times as long is opened anew."""

    renew_after_s: Seconds = setting(82_800.0, reload="restart", ge=1, le=604_800)
    """Age at which a socket is replaced by a new one, before the exchange ends it (Binance: after 24 h)."""

    clock_interval_s: Seconds = setting(60.0, reload="restart", ge=1, le=86_400)
    """How often the difference to the exchange's clock is measured."""

    warn_clock_offset_ms: int = setting(250, reload="restart", ge=1, le=60_000)
    """Difference to the exchange's clock from which a run warns."""

    max_clock_offset_ms: int = setting(1_000, reload="restart", looser="higher", ge=1, le=60_000)
    """Difference to the exchange's clock from which a start is refused and a run buys nothing."""

    health: Health = setting(Health, reload="restart")
    """When it counts as fit to trade on."""

    requests: RequestBudget = setting(RequestBudget, reload="restart")
    """How many requests may leave."""
