"""What does an account hear of a step? Asked by its desk: the report of an order, and the position after it.

The core books a whole step at once; `Positions` makes the same sums one event at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Final

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import EXACT, ZERO
from tradebot.domain.orders import Balance
from tradebot.sandbox.orders import OPEN, Execution, ExecutionReport, HeldOrder, OwnTrade, PositionChanged

_NOTHING: Final = Balance(ZERO)


class Positions:
    """Balances as the events told so far make them."""

    def __init__(self, balances: Mapping[str, Balance]) -> None:
        self.balances = dict(balances)

    def move(self, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        """Add to what is free and what is locked of an asset."""
        before = self.balances.get(asset, _NOTHING)
        self.balances[asset] = Balance(EXACT.add(before.free, free), EXACT.add(before.locked, locked))

    def lock(self, order: HeldOrder, amount: Decimal, instrument: Instrument) -> None:
        """Hold back what `amount` (base) more of a limit order needs; less than nothing lets go."""
        if order.type == "MARKET":
            return
        with localcontext(EXACT):
            asset, worth = instrument.base, amount
            if order.side == "BUY":
                asset, worth = instrument.quote, order.price * amount
            self.move(asset, free=-worth, locked=worth)

    def position(self, assets: Iterable[str], at_ms: int) -> PositionChanged:
        """Return what is held of `assets`."""
        held = ((asset, self.balances.get(asset, _NOTHING)) for asset in assets)
        return PositionChanged(tuple((asset, each.free, each.locked) for asset, each in held), at_ms)


def execution_report(
    order: HeldOrder, execution: Execution, number: int, now_ms: int, *, trade: OwnTrade | None, cancel_id: str
) -> ExecutionReport:
    """Return what is told of an order as it stands after `execution`; `cancel_id` is a cancel's own, else empty."""
    return ExecutionReport(
        order.symbol,
        cancel_id or order.client_id,
        order.client_id if cancel_id else "",
        order.side,
        order.type,
        order.tif,
        order.amount,
        order.price,
        order.quote_amount,
        execution,
        order.status,
        order.order_id,
        number,
        order.executed,
        order.cost,
        now_ms,
        order.created_ms,
        order.working_ms,
        order.prevention,
        on_book=order.status in OPEN and order.type != "MARKET" and order.tif == "GTC",
        last_amount=trade.amount if trade else ZERO,
        last_price=trade.price if trade else ZERO,
        last_cost=trade.cost if trade else ZERO,
        fee=trade.fee if trade else ZERO,
        fee_asset=trade.fee_asset if trade else None,
        trade_id=trade.trade_id if trade else -1,
        maker=trade.maker if trade else False,
        expiry=order.expiry,
        prevented=order.prevented,
        prevented_match=order.prevented_match,
    )
