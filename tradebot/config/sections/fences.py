"""What stops or slows trading while the venue is not fit for it?"""

from tradebot.config.base import Seconds, Table, setting


class Fences(Table):
    """What stops or slows trading while the venue is not fit for it, or while nothing comes of an action."""

    buy_when_degraded: bool = setting(False, looser="true")
    """Buy while the venue answers badly or its news are late; off waits until it is fit again. Exits go on anyway."""

    failures: int = setting(5, looser="higher", ge=1, le=100)
    """So many failures of one action of a symbol for one cause stop its buys, and slow its exits and cancels."""

    failures_window_s: Seconds = setting(300.0, ge=1, le=86_400)
    """Time within which those failures count."""

    rearm_s: Seconds = setting(900.0, ge=1, le=604_800)
    """How long a stopped action waits before it is tried again by itself; `tradebot rearm` does so at once."""

    compare_interval_s: Seconds = setting(60.0, ge=1, le=86_400)
    """How often the account's balances are compared with what the bot owns, besides after its own trades."""

    compare_quote: bool = setting(True, looser="false")
    """Compare the quote balance with the bot's cash, too; off where other bots or hands use the same."""

    exit_pause_max_s: Seconds = setting(60.0, ge=1, le=3600)
    """Longest wait between two attempts of an exit that keeps failing (it doubles), or of a halted symbol's."""
