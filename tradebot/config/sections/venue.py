"""Where do orders go?"""

from decimal import Decimal
from typing import Literal

from tradebot.config.base import Number, Real, Table, setting


class PaperSymbol(Table):
    """Filters of one symbol on the paper venue; what is not said follows from its prices."""

    tick_size: Number | None = setting(None, reload="restart", unset="derived", gt=0, le=10**12)
    """Smallest price step, in quote."""

    amount_step: Number | None = setting(None, reload="restart", unset="derived", gt=0, le=10**12)
    """Smallest amount step, in base."""

    min_notional: Number | None = setting(None, reload="restart", unset="derived", ge=0, le=10**12)
    """Smallest order value, in quote; "derived" means the venue's own."""


class Paper(Table):
    """The paper venue: simulated fills against the feed's market."""

    initial_quote: Number = setting(Decimal(10_000), reload="restart", gt=0, le=10**12)
    """Quote balance of a new paper account."""

    maker_fee_bps: Number = setting(Decimal(10), reload="restart", ge=0, le=1000)
    """Fee of a resting order's fill."""

    taker_fee_bps: Number = setting(Decimal(10), reload="restart", ge=0, le=1000)
    """Fee of a fill that took what was shown."""

    fee_in: Literal["received", "quote"] = setting("received", reload="restart")
    """Asset the fee is charged in: what the order received (base on buys), or always quote."""

    fee_places: int = setting(8, reload="restart", ge=0, le=18)
    """Decimal places fees are rounded to (half up)."""

    entry_latency_ms: int = setting(40, reload="restart", ge=0, le=60_000)
    """Time from sending a request to its arrival at the venue."""

    response_latency_ms: int = setting(20, reload="restart", ge=0, le=60_000)
    """Time from an order's effect to the answer's arrival."""

    jitter_ms: int = setting(20, reload="restart", ge=0, le=60_000)
    """Largest random addition to either latency, from the seed."""

    participation: Real = setting(0.5, reload="restart", gt=0, le=1)
    """Share of the shown size an order can take."""

    tick_size: Number | None = setting(None, reload="restart", unset="derived", gt=0, le=10**12)
    """Smallest price step, in quote, where a symbol says nothing else; "derived" follows the prices."""

    amount_step: Number | None = setting(None, reload="restart", unset="derived", gt=0, le=10**12)
    """Smallest amount step, in base, where a symbol says nothing else; "derived" follows the prices."""

    min_notional: Number = setting(Decimal(5), reload="restart", ge=0, le=10**12)
    """Smallest order value, in quote, where a symbol says nothing else."""

    keep_orders: int = setting(1_000, reload="restart", ge=1, le=10_000_000)
    """Ended orders kept in memory for queries; the account's store keeps all of them."""

    symbol: dict[str, PaperSymbol] = setting(dict, reload="restart")
    """Filters of single symbols."""


class Venue(Table):
    """Where orders go."""

    kind: Literal["paper", "ccxt"] = setting("paper", reload="restart")
    """Which venue: `paper` simulates fills and sends no real order; `ccxt` trades on the exchange in `[exchange]`."""

    paper: Paper = setting(Paper, reload="restart")
    """The paper venue: simulated fills against the feed's market."""
