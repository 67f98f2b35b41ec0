"""Where do prices come from?"""

from typing import Literal

from tradebot.config.base import Number, Real, Seconds, Table, setting
from tradebot.config.sections.ccxt_feed import CcxtFeed


class SyntheticFeed(Table):
    """The embedded, seeded market: nothing of it is real, and every view says so."""

    symbols: int = setting(12, reload="rebuild", ge=1, le=2000)
    """How many synthetic symbols exist (SYN001/quote …), where `market.symbols` names none."""

    updates_per_s: Real = setting(4.0, reload="rebuild", gt=0, le=1000)
    """Quotes a second and symbol, on average."""

    trades_per_s: Real = setting(1.0, reload="rebuild", ge=0, le=1000)
    """Public trades a second and symbol, on average."""

    volatility_bps: Real = setting(4.0, reload="rebuild", ge=0, le=1000)
    """Standard deviation of the price over one second, in the calm regime."""

    stress_factor: Real = setting(3.0, reload="rebuild", ge=1, le=100)
    """How many times larger the volatility is in the stressed regime."""

    regime_s: Seconds = setting(45.0, reload="rebuild", ge=1, le=86_400)
    """Average length of a regime (calm, trending up, trending down, stressed)."""

    trend_bps_per_s: Real = setting(1.0, reload="rebuild", ge=0, le=1000)
    """Drift of the price in a trending regime."""

    jumps_per_hour: Real = setting(60.0, reload="rebuild", ge=0, le=36_000)
    """Sudden moves an hour and symbol, on average."""

    jump_bps: Real = setting(80.0, reload="rebuild", ge=0, le=5000)
    """Standard deviation of a sudden move; most of them are drops that partly recover."""

    drop_share: Real = setting(0.75, reload="rebuild", ge=0, le=1)
    """Share of the sudden moves that go down."""

    recovery_share: Real = setting(0.6, reload="rebuild", ge=0, le=1)
    """Share of a sudden move that comes back."""

    recovery_s: Seconds = setting(30.0, reload="rebuild", ge=1, le=86_400)
    """Time in which most of that comes back, fast at first."""

    wander_bps: Real = setting(600.0, reload="rebuild", ge=0, le=3000)
    """How far prices wander over hours and days around each symbol's own level."""

    spread_bps: Real = setting(4.0, reload="rebuild", ge=0, le=1000)
    """Typical spread between bid and ask; it widens with volatility."""

    depth_quote: Real = setting(5_000.0, reload="rebuild", gt=0, le=1e12)
    """Typical notional shown at the best bid and ask, in quote."""

    levels: int = setting(5, reload="rebuild", ge=1, le=50)
    """Book levels published on each side; 1 publishes only the best."""

    pace_ms: int = setting(20, reload="rebuild", ge=1, le=1000)
    """Wait between two publications, in real time; what happened meanwhile is published together."""

    catch_up_s: Seconds = setting(1.0, reload="rebuild", ge=0.1, le=60)
    """Most market time that is made up for after a stall; what lies before it is never published."""


class RecordedFeed(Table):
    """Recorded candles, trades and books, replayed as they were, gaps included."""

    spread_bps: Number = setting(2, reload="restart", ge=0, le=1000)
    """Synthetic spread laid around a candle's or trade's price (recorded candles have none)."""

    shown_size: Literal["unlimited", "volume_share"] = setting("volume_share", reload="restart")
    """How much stands at the best price of a candle: without limit, or a share of the candle's volume."""

    volume_share: Real = setting(0.05, reload="restart", gt=0, le=1)
    """Share of a candle's volume that is shown at each price of its path, with `shown_size = "volume_share"`."""

    levels: int = setting(20, reload="restart", ge=1, le=1000)
    """Book levels published on each side, from a recording of depth."""


class Feed(Table):
    """Where prices come from."""

    kind: Literal["synthetic", "ccxt", "recorded"] = setting("synthetic", reload="restart")
    """Which feed: the embedded synthetic market, an exchange's live prices, or recordings (only `tradebot replay`)."""

    synthetic: SyntheticFeed = setting(SyntheticFeed, reload="rebuild")
    """The embedded, seeded market."""

    ccxt: CcxtFeed = setting(CcxtFeed, reload="restart")
    """Live prices of the exchange in `[exchange]`."""

    recorded: RecordedFeed = setting(RecordedFeed, reload="restart")
    """Recorded candles, trades and books."""
