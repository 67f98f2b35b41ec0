"""Which symbols does an exchange trade, and by which filters? Asked by the venue and by the live feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO


def instruments_of(markets: Mapping[str, Any], quote: str, named: Collection[str] = ()) -> list[Instrument]:
    """Return every active spot market against `quote`, by symbol; `markets` are ccxt's, in TICK_SIZE mode.

    Those that are `named` need not be active: a halted symbol stays known, so that a bot starts that holds some of it.
    A market without a price step or an amount step cannot be quantised and is left out.
    """
    found = []
    for symbol in sorted(markets):
        market = markets[symbol]
        known = market.get("active") is not False or symbol in named
        if known and market.get("spot") and market.get("quote") == quote:
            instrument = instrument_of(market)
            if instrument is not None:
                found.append(instrument)
    return found


def instrument_of(market: Mapping[str, Any]) -> Instrument | None:
    """Return a market's filters, None where it names no price or amount step."""
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    tick, step = _number(precision.get("price")), _number(precision.get("amount"))
    if not tick or not step:
        return None
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    return Instrument(
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        tick_size=tick,
        amount_step=step,
        min_amount=_number(amount.get("min")),
        max_amount=_number(amount.get("max")),
        min_notional=_number(cost.get("min")),
    )


def _number(value: Any) -> Decimal:
    """Return a limit of ccxt as a Decimal; 0 where there is none."""
    if value is None:
        return ZERO
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return ZERO
    return number if number.is_finite() and number > 0 else ZERO
