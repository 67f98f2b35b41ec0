"""When is a price low enough to buy?"""

from decimal import Decimal
from typing import Literal

from tradebot.config.base import Number, Seconds, Table, setting


class Anchor(Table):
    """The price that a drop is measured from."""

    kind: Literal["rolling_high", "session_high", "vwap", "ema"] = setting("rolling_high", reload="rebuild")
    """Rolling high, high of the session, volume-weighted average, or exponential average."""

    window_s: Seconds = setting(14_400.0, reload="rebuild", ge=1, le=2_592_000)
    """How far back prices count (rolling high, VWAP), or the span of the average (EMA)."""

    window_buckets: int = setting(240, reload="rebuild", ge=1, le=10_000)
    """Into how many buckets the window is cut: old prices leave it a bucket at a time."""

    warmup_s: Seconds | None = setting(
        None, reload="rebuild", unset="window", looser="lower", means="warm_after_s", ge=0, le=2_592_000
    )
    """How long a symbol is watched before it may be bought; "window" means `window_s` (0 for a session high)."""

    session_start_s: int = setting(0, reload="rebuild", ge=0, lt=86_400)
    """Second of the UTC day at which a session begins (session high)."""

    @property
    def warm_after_s(self) -> float:
        """How long a symbol is really watched before it may be bought."""
        if self.warmup_s is not None:
            return self.warmup_s
        return 0.0 if self.kind == "session_high" else self.window_s


class DropSymbol(Table):
    """What one symbol does differently."""

    threshold_bps: Number = setting(looser="lower", gt=0, lt=10_000)
    """Drop below the anchor at which this symbol is bought."""


class Drop(Table):
    """When a price is low enough to buy."""

    anchor: Anchor = setting(Anchor, reload="rebuild")
    """The price that a drop is measured from."""

    threshold_bps: Number = setting(Decimal(250), looser="lower", gt=0, lt=10_000)
    """Drop below the anchor at which a symbol is bought."""

    confirm_s: Seconds = setting(0.0, looser="lower", ge=0, le=3600)
    """How long the price must stay at or below the trigger before it is bought; 0 buys at once."""

    debounce_s: Seconds = setting(300.0, looser="lower", ge=0, le=86_400)
    """Shortest time between two buy intents of a symbol."""

    cooldown_s: Seconds = setting(900.0, looser="lower", ge=0, le=604_800)
    """Wait after a position is closed before its symbol is bought again."""

    rearm: bool = setting(True, looser="false")
    """After a stop loss, form the anchor anew (from prices after the stop) before the next buy."""

    symbol: dict[str, DropSymbol] = setting(dict)
    """What single symbols do differently."""
