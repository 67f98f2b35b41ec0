"""Which price is a drop measured from? The kinds of anchor, by the profile's names; asked when a symbol is set up."""

from __future__ import annotations

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.engine.averages import Ema, Vwap
from tradebot.engine.highs import RollingHigh, SessionHigh
from tradebot.engine.window import Anchor, Candle, CandleShape

__all__ = ["KINDS", "Anchor", "Candle", "CandleShape", "Ema", "RollingHigh", "SessionHigh", "Vwap", "make_anchor"]

KINDS: dict[str, type[Anchor]] = {
    "rolling_high": RollingHigh,
    "session_high": SessionHigh,
    "vwap": Vwap,
    "ema": Ema,
}


def make_anchor(settings: AnchorSettings) -> Anchor:
    """Return a new, cold anchor of the declared kind."""
    return KINDS[settings.kind](settings)
