"""What does a fill cost? Asked by the matching core for every fill and every sum it holds back."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from msgspec import Struct

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import BPS, ONE, ZERO
from tradebot.domain.orders import Side


class Fees(Struct, frozen=True):
    """The account's fee rates, as shares of a fill's value, and the asset they are charged in.

    A sell always pays in quote, which it receives; a buy pays in base unless `in_quote`. Charges are rounded
    half up to whole multiples of `unit`, a power of ten.
    """

    maker: Decimal
    taker: Decimal
    in_quote: bool
    unit: Decimal

    @classmethod
    def of(cls, maker_bps: Decimal, taker_bps: Decimal, *, in_quote: bool, places: int) -> Fees:
        """Return the fees of rates in basis points, charged to `places` decimal places."""
        return cls(maker_bps / BPS, taker_bps / BPS, in_quote, ONE.scaleb(-places))

    def charge(
        self, instrument: Instrument, side: Side, price: Decimal, amount: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """Return the fee of one fill and its asset."""
        rate = self.maker if maker else self.taker
        if side is Side.BUY and not self.in_quote:
            return (amount * rate).quantize(self.unit, ROUND_HALF_UP), instrument.base
        return (price * amount * rate).quantize(self.unit, ROUND_HALF_UP), instrument.quote

    @property
    def on_top(self) -> Decimal:
        """The largest share of a buy's value that is paid in quote on top of it."""
        return max(self.maker, self.taker) if self.in_quote else ZERO
