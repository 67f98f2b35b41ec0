"""How does an order get filled?"""

from decimal import Decimal
from typing import Annotated, Literal

from tradebot.config.base import AsTuple, Number, Table, setting


class Step(Table):
    """One rung of the ladder: an order is tried so before the next rung."""

    type: Literal["limit", "market"] = setting("limit")
    """A limit order, or a market order."""

    tif: Literal["IOC", "FOK", "GTC", "PO"] = setting("IOC")
    """Time in force of a limit order (PO is post-only); a market order needs none."""

    offset_bps: Number = setting(Decimal(0), ge=-1000, le=1000)
    """Limit price this far beyond the touch, towards a fill (above the ask on buys, below the bid on sells)."""


Steps = Annotated[tuple[Step, ...], AsTuple]


class WaitMs(Table):
    """How long a fill is awaited from the moment of sending, by time in force."""

    IOC: int = setting(2_000, ge=1, le=3_600_000)
    """Wait of an immediate-or-cancel order."""

    GTC: int = setting(30_000, ge=1, le=86_400_000)
    """Wait of a resting order."""

    other: int = setting(5_000, ge=1, le=86_400_000)
    """Wait of every other order (FOK, post-only, market)."""

    def of(self, step: Step) -> int:
        """Return the wait in ms of an order of `step`."""
        if step.type == "market":
            return self.other
        return {"IOC": self.IOC, "GTC": self.GTC}.get(step.tif, self.other)


class Execution(Table):
    """How a buy is routed: escalating steps, each with its guard and its wait."""

    max_slippage_bps: Number = setting(Decimal(30), looser="higher", ge=0, le=1000)
    """Highest price paid, above the ask at the decision; a step beyond it is skipped."""

    max_spread_bps: Number = setting(Decimal(20), looser="higher", gt=0, le=1000)
    """Widest spread in which a buy is tried."""

    steps: Steps = setting(
        (Step(), Step(offset_bps=Decimal(8)), Step(tif="GTC", offset_bps=Decimal(2))), min_length=1, max_length=20
    )
    """The ladder of a buy, tried in order; what a step leaves unfilled goes on to the next."""

    wait_ms: WaitMs = setting(WaitMs)
    """How long a fill is awaited from the moment of sending, by time in force."""

    send_deadline_ms: int = setting(2_000, ge=1, le=60_000)
    """Age from which a decided order that has not left yet is not sent any more."""

    cancel_wait_ms: int = setting(5_000, ge=1, le=600_000)
    """How long the end of a cancelled order is awaited before the order is queried."""

    query_interval_ms: int = setting(2_000, ge=1, le=600_000)
    """Wait between two queries of an order whose state is not known; it doubles up to `query_max_interval_ms`."""

    query_max_interval_ms: int = setting(60_000, ge=1, le=3_600_000)
    """Longest wait between two such queries."""
