"""Why does an exchange say no? Asked by the matching core and the paper venue; codes and texts are Binance's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tradebot.domain.account import AccountOrder
from tradebot.domain.events import CancelRefused, OrderRefused
from tradebot.domain.market import Instrument
from tradebot.domain.orders import OrderType


class Refusal(NamedTuple):
    """A venue's error code and its text."""

    code: str
    message: str

    def of_order(self, client_id: str, at_ms: int) -> OrderRefused:
        """Return the refusal of an order."""
        return OrderRefused(client_id, self.code, self.message, at_ms)

    def of_cancel(self, client_id: str, at_ms: int) -> CancelRefused:
        """Return the refusal of a cancel."""
        return CancelRefused(client_id, self.code, self.message, at_ms)


INVALID_SYMBOL: Final = Refusal("-1121", "Invalid symbol.")
NO_QUANTITY: Final = Refusal("-1102", "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
BAD_COMBINATION: Final = Refusal("-1128", "Combination of optional parameters invalid.")
INSUFFICIENT_BALANCE: Final = Refusal("-2010", "Account has insufficient balance for requested action.")
WOULD_TAKE: Final = Refusal("-2010", "Order would immediately match and take.")
DUPLICATE: Final = Refusal("-2010", "Duplicate order sent.")
UNKNOWN_ORDER: Final = Refusal("-2011", "Unknown order sent.")


def filter_failure(name: str) -> Refusal:
    """Return the refusal of an order that breaks the filter `name`."""
    return Refusal("-1013", f"Filter failure: {name}")


def refusal_on_sight(order: AccountOrder, instruments: Mapping[str, Instrument]) -> Refusal | None:
    """Return why `order` is refused whatever the market and the account are, or None."""
    instrument = instruments.get(order.symbol)
    if instrument is None:
        return INVALID_SYMBOL
    if order.type is OrderType.LIMIT:
        if order.quote_amount:
            return BAD_COMBINATION
        breach = instrument.breach(order.price, order.amount)
        return filter_failure(breach) if breach else None
    if order.amount and order.quote_amount:
        return BAD_COMBINATION
    if order.quote_amount:
        return filter_failure("NOTIONAL") if order.quote_amount < instrument.min_notional else None
    if not order.amount:
        return NO_QUANTITY
    breach = instrument.breach(instrument.tick_size, order.amount)  # the price is not known yet, the lot is
    return filter_failure(breach) if breach == "LOT_SIZE" else None
