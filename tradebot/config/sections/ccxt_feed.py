"""How are an exchange's live prices listened to?"""

from typing import Literal

from tradebot.config.base import Seconds, Table, setting


class CcxtFeed(Table):
    """Live prices of the exchange in `[exchange]`."""

    trades: bool = setting(True, reload="restart")
    """Listen to public trades, too (volume-weighted anchors and resting paper orders stand on them)."""

    depth_levels: int = setting(0, reload="restart", ge=0, le=1000)
    """Levels of the book that are kept on each side; 0 keeps only the best."""

    decoder: Literal["fast", "general"] = setting("fast", reload="restart")
    """Read Binance's messages by the bot's own decoder, or all by ccxt's; other exchanges always by ccxt's."""

    silence_s: Seconds = setting(20.0, reload="restart", ge=1, le=600)
    """A connection without any message for so long is opened anew."""

    streams_per_socket: int = setting(200, reload="restart", ge=1, le=1024)
    """Most subscriptions on one connection."""
