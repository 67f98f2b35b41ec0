"""What can be traded, and by which filters? Asked by sizing, the router and the venues."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tradebot.domain.numbers import ZERO, ceil_to, exact, floor_to


class Instrument(Struct, frozen=True):
    """One spot symbol and the venue's filters on its orders.

    Prices are quote per base. `min_notional` is in quote, the amounts are in base; 0 means no such limit.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    amount_step: Decimal
    min_amount: Decimal = ZERO
    max_amount: Decimal = ZERO
    min_notional: Decimal = ZERO

    def price_down(self, price: Decimal) -> Decimal:
        """Return `price` on the tick grid, never above it (a buy limit)."""
        return floor_to(price, self.tick_size)

    def price_up(self, price: Decimal) -> Decimal:
        """Return `price` on the tick grid, never below it (a sell limit)."""
        return ceil_to(price, self.tick_size)

    def amount_down(self, amount: Decimal) -> Decimal:
        """Return `amount` on the lot grid, never above it."""
        return floor_to(amount, self.amount_step)

    def breach(self, price: Decimal, amount: Decimal) -> str | None:
        """Return the filter an order of `amount` at `price` would break, or None.

        Names are Binance's filter names: PRICE_FILTER, LOT_SIZE, NOTIONAL.
        """
        if price <= 0 or price % self.tick_size:
            return "PRICE_FILTER"
        if amount <= 0 or amount < self.min_amount or amount % self.amount_step:
            return "LOT_SIZE"
        if self.max_amount and amount > self.max_amount:
            return "LOT_SIZE"
        if price * amount < self.min_notional:
            return "NOTIONAL"
        return None


def split_symbol(symbol: str) -> tuple[str, str]:
    """Return (base, quote) of a unified symbol such as "BTC/USDT".

    Raises ValueError where there is not exactly one slash with text on both sides.
    """
    base, slash, quote = symbol.partition("/")
    if not (base and slash and quote) or "/" in quote:
        raise ValueError(f"{symbol!r} is not a symbol: write it as BASE/QUOTE, e.g. BTC/USDT")
    return base, quote


def instrument_from_price(symbol: str, price: float, *, decimals: int, min_notional: Decimal) -> Instrument:
    """Return plausible filters for a symbol of which only prices are known (recordings, synthetic markets).

    The tick is the last of `decimals` decimal places; the lot step is the largest power of ten worth
    at most a hundredth of `min_notional` (at least 0.01 quote), so that a rounding never costs a per cent.
    """
    base, quote = split_symbol(symbol)
    worth = max(min_notional, Decimal(1)) / 100 / exact(price)
    step = Decimal(1).scaleb(min(0, worth.adjusted()))
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=Decimal(1).scaleb(-decimals),
        amount_step=step,
        min_amount=step,
        min_notional=min_notional,
    )
