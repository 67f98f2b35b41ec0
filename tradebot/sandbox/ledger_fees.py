"""What does a fill cost an account of the sandbox exchange? Asked by its matching core for every fill."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import BPS, ONE, ZERO
from tradebot.domain.orders import Side
from tradebot.sandbox.orders import FeeRates
from tradebot.venues.fees import Fees

_UNIT: Final = Decimal("0.00000001")


class AccountFees(Fees, frozen=True):
    """Fees in the received asset, or in a third one while the account has enough of it and its price is known."""

    asset: str
    kept: Decimal  # share of the fee that the discount leaves
    free: Callable[[str], Decimal]
    worth: Callable[[str, str], Decimal]  # price of the first asset in the second, 0 where unknown

    @classmethod
    def at(cls, rates: FeeRates, free: Callable[[str], Decimal], worth: Callable[[str, str], Decimal]) -> AccountFees:
        """Return the fees of an account at `rates`, of which `free` tells what it can use of an asset."""
        kept = ONE - rates.discount
        return cls(rates.maker_bps / BPS, rates.taker_bps / BPS, False, _UNIT, rates.asset, kept, free, worth)

    def charge(
        self, instrument: Instrument, side: Side, price: Decimal, amount: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """Return the fee of one fill and its asset."""
        third = self._third(instrument, side, price, amount, maker=maker) if self.asset else None
        return third or super().charge(instrument, side, price, amount, maker=maker)

    def _third(
        self, instrument: Instrument, side: Side, price: Decimal, amount: Decimal, *, maker: bool
    ) -> tuple[Decimal, str] | None:
        rate, each = self.maker if maker else self.taker, self.worth(self.asset, instrument.quote)
        if not each:
            return None
        fee = (price * amount * rate * self.kept / each).quantize(_UNIT, ROUND_HALF_UP)
        free = self.free(self.asset)
        if not maker:  # a taker's side of the trade is still among what is free
            given, worth = (instrument.quote, price * amount) if side is Side.BUY else (instrument.base, amount)
            free -= worth if given == self.asset else ZERO
        return (fee, self.asset) if fee <= free else None
