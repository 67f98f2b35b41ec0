"""How much may be spent?"""

from decimal import Decimal

from tradebot.config.base import Number, Seconds, Table, setting


class Budget(Table):
    """How much may be spent, and on how many positions."""

    per_trade_quote: Number = setting(Decimal(100), looser="higher", gt=0, le=10**12)
    """Quote spent on one buy, before fees."""

    max_positions: int = setting(10, looser="higher", ge=1, le=10_000)
    """Most symbols held or being bought at a time."""

    max_per_symbol_quote: Number = setting(Decimal(300), looser="higher", gt=0, le=10**12)
    """Most quote invested in one symbol (cost of its lots and of the buy under way)."""

    max_exposure_quote: Number = setting(Decimal(1_000_000_000), looser="higher", gt=0, le=10**12)
    """Most quote invested in all symbols together."""

    keep_free_quote: Number = setting(Decimal(0), looser="lower", ge=0, le=10**12)
    """Quote that is never spent."""

    fee_reserve_bps: Number = setting(Decimal(20), looser="lower", ge=0, le=1000)
    """Set aside on top of every buy for fees that are charged in quote."""

    refresh_interval_s: Seconds = setting(30.0, ge=0.1, le=86_400)
    """How often the quote balance is asked of the venue."""

    refresh_timeout_s: Seconds = setting(5.0, gt=0, le=600)
    """How long an answer is awaited; a timeout is counted, and the last balance stands."""
