"""What is shown of differences between account and ledger, and how are they settled? Asked by views and operator."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tradebot.domain.drift_rows import drift_rows, drift_text
from tradebot.domain.events import DriftAnswered
from tradebot.domain.numbers import plain
from tradebot.domain.views import DriftAction, DriftView
from tradebot.engine.engine import Engine
from tradebot.ports import NotNow

_MOST_DIGITS: Final = 20  # a price of any market; what is booked stays exact


def drift_view(engine: Engine) -> tuple[DriftView, ...]:
    """Return every difference that is known: those to be settled, those left alone, those that are expected."""
    drifts = engine.state.drifts
    found = [
        DriftView(
            asset=item.asset,
            symbol=item.symbol,
            kind="missing" if item.missing > 0 else "beside",
            amount=abs(engine.drift.difference(item.asset)),
            owned=item.owned,
            since_ms=item.since_ms,
        )
        for item in drifts.items.values()
    ]
    found += [
        DriftView(asset=asset, symbol=engine.drift.symbol_of(asset), kind="ignored", amount=amount)
        for asset, amount in drifts.expected.items()
        if asset not in drifts.items
    ]
    order = ("missing", "beside", "ignored")
    return tuple(sorted(found, key=lambda one: (order.index(one.kind), one.asset)))


def drift_lines(engine: Engine) -> tuple[str, ...]:
    """Return a line each of what an operator has to settle."""
    rows = drift_rows(drift_view(engine), engine.state.drifts.rival)
    return tuple(f"{head} {text}" for head, text in rows)


def answer_of(
    engine: Engine, what: str, action: DriftAction, price: Decimal | None, who: str, now_ms: int
) -> tuple[DriftAnswered, str]:
    """Return the event that settles a difference of a symbol or an asset, and what it does in words.

    Raises NotNow where it cannot be done, with the reason.
    """
    asset = what.partition("/")[0].upper()
    if price is not None and not _is_price(price):
        raise NotNow(f"{price} is no price of 0 or more")
    if why := engine.drift.refusal(asset, action, price):
        raise NotNow(why)
    return DriftAnswered(asset, action, price, who, now_ms), _words(engine, asset, action, price)


def _is_price(price: Decimal) -> bool:
    if not price.is_finite() or price < 0:
        return False
    return len(price.as_tuple().digits) <= _MOST_DIGITS and abs(price.adjusted()) < _MOST_DIGITS


def _words(engine: Engine, asset: str, action: DriftAction, price: Decimal | None) -> str:
    missing, symbol = engine.drift.difference(asset), engine.drift.symbol_of(asset)
    if action == "ignore":
        shown = DriftView(asset=asset, symbol=symbol, kind="ignored", amount=missing)
        return drift_text(shown)
    if not symbol:
        return f"the ledger's {asset} follows the account: {plain(-missing)}"
    how = f"at {plain(price)}" if price is not None else "at the present bid, an estimate"
    if missing < 0:
        return f"{plain(-missing)} {asset} are a position of {symbol} that cost {how.removeprefix('at ')} each"
    rest = "; what is left is being sold" if action == "close" else ""
    return f"{plain(missing)} {asset} are booked as gone {how}{rest}"
