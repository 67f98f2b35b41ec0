"""Do the journal and the paper account tell the same story? Asked at start, before anything is sent.

The account is the bot's alone, so both must agree to the last unit: what the ledger owns, and the fills of open
orders that were not booked before a crash, is what the account holds. Where one of them is an older copy, was
cut off or changed, they do not, and trading on either would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from tradebot.domain.account import AccountImage
from tradebot.domain.events import FillReported
from tradebot.domain.numbers import EXACT, ZERO, plain
from tradebot.domain.orders import Side
from tradebot.engine.state import EngineState

_ENDED = ("filled", "canceled", "expired", "rejected")


SHOWN = 5
"""How many differences are named; the others are counted."""


def disagreement(state: EngineState, image: AccountImage, quote: str) -> str:
    """Return in words where the restored `state` and the account's `image` contradict each other, "" where they agree.

    Both must be in `quote`, the profile's currency.
    A state that has never seen its account agrees with an account that nothing has happened to.
    """
    if quote not in image.balances:
        return f"the account has no {quote}, the profile's currency"
    if state.ledger.quote != quote:
        return f"the journal is in {state.ledger.quote}, the profile in {quote}"
    if not state.ledger.is_open:
        orders = image.next_order - 1
        return f"the account has taken {orders} orders, the journal tells of none" if orders else ""
    strangers = [
        order.client_id
        for order in image.orders.values()
        if order.status not in _ENDED and order.client_id not in state.orders
    ]
    if strangers:
        return f"the account has open orders that the journal does not know: {_listed(sorted(strangers))}"
    wanted = _expected(state, image)
    found = {asset: balance.total for asset, balance in image.balances.items()}
    different = [
        f"{plain(found.get(asset, ZERO))} {asset} instead of {plain(wanted.get(asset, ZERO))}"
        for asset in sorted({*wanted, *found})
        if found.get(asset, ZERO) != wanted.get(asset, ZERO)
    ]
    return f"the account holds {_listed(different)}" if different else ""


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def _expected(state: EngineState, image: AccountImage) -> Mapping[str, Decimal]:
    """Return what the account should hold, by asset: what is booked, and what open orders will book when asked."""
    amounts = state.ledger.owned()
    with localcontext(EXACT):
        for fill in image.fills:
            order = state.orders.get(fill.client_id)
            if order is not None and fill.trade_id not in state.trades.get(fill.client_id, ()):
                for asset, change in _changes(fill, order.side, state.ledger.quote):
                    amounts[asset] = amounts.get(asset, ZERO) + change
    return amounts


def _changes(fill: FillReported, side: Side, quote: str) -> list[tuple[str, Decimal]]:
    sign = 1 if side is Side.BUY else -1
    base = fill.symbol.partition("/")[0]
    return [(base, sign * fill.amount), (quote, -sign * fill.price * fill.amount), (fill.fee_asset, -fill.fee)]
