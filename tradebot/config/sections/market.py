"""What is watched? Symbols, and when their data is too old."""

from typing import Annotated, Literal

from tradebot.config.base import AsTuple, Seconds, Table, setting


class Market(Table):
    """The symbols that are watched, and when their data is too old to buy on."""

    quote: str = setting(
        "USDT", reload="restart", pattern=r"^[A-Z0-9]{2,12}$", form="2 to 12 capital letters and digits, like USDT"
    )
    """Currency that every symbol is quoted in; budget and PnL are in it."""

    symbols: Annotated[tuple[str, ...], AsTuple] = setting((), reload="rebuild")
    """Symbols to watch, as BASE/QUOTE; empty means every symbol the feed has in the quote currency."""

    decide_on: Literal["price", "candle_close"] = setting("price", reload="restart")
    """Which prices are decided on: every price on arrival, or only the last price of a candle (candle feeds)."""

    stale_after_s: Seconds = setting(3.0, looser="higher", gt=0, le=3600)
    """Age of a symbol's last price from which it is not bought."""

    health_check_interval_s: Seconds = setting(60.0, ge=0.1, le=3600)
    """How often the ages of all symbols are checked and stale ones reported."""
