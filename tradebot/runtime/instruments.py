"""Which filters hold for orders on the paper venue? The profile's over what the feed found; asked by both shells."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tradebot.config.sections.venue import Paper, PaperSymbol
from tradebot.domain.market import Instrument, split_symbol

_FINEST: Final = Decimal(1).scaleb(-8)


def listed(settings: Paper, found: Sequence[Instrument]) -> tuple[Instrument, ...]:
    """Return the instruments with the profile's filters laid over them: a symbol's own, then those of all."""
    return tuple(_filtered(settings, settings.symbol.get(one.symbol), one) for one in found)


def delisted(symbol: str) -> Instrument:
    """Return an instrument for what is held of a symbol that is traded no more: no order is made by its filters."""
    base, quote = split_symbol(symbol)
    return Instrument(symbol=symbol, base=base, quote=quote, tick_size=_FINEST, amount_step=_FINEST)


def _filtered(settings: Paper, own: PaperSymbol | None, found: Instrument) -> Instrument:
    tick_size = (own and own.tick_size) or settings.tick_size or found.tick_size
    step = (own and own.amount_step) or settings.amount_step
    min_notional = settings.min_notional if own is None or own.min_notional is None else own.min_notional
    return msgspec.structs.replace(
        found,
        tick_size=tick_size,
        amount_step=step or found.amount_step,
        min_amount=step or found.min_amount,
        min_notional=min_notional,
    )
