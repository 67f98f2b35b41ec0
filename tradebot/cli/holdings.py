"""What does the bot hold, and what is under way? Asked by `tradebot status`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain

from tradebot.cli.words import many, price, signed
from tradebot.domain.numbers import ZERO, plain
from tradebot.domain.views import OrderView, PositionView, Snapshot

LISTED = 12
"""So many of a kind are listed; more are counted."""


def holding_rows(shown: Snapshot) -> list[tuple[str, str]]:
    """Return (head, text) rows: what is held with each position, the worst first, and the orders under way."""
    status, quote = shown.status, shown.status.quote
    held = f"{status.positions}, worth {status.held:,.2f} {quote}"
    if shown.positions:
        held += f" · unrealised {signed(unrealised(shown.positions))} {quote}"
    orders = many(status.orders, "order")
    if status.unknown_orders:
        orders += f", {status.unknown_orders} of unknown outcome"
    worst = sorted(shown.positions, key=lambda one: one.gain_bps)
    symbols = max((len(one.symbol) for one in worst[:LISTED]), default=0)
    return [
        ("positions", held),
        *_listed([_position(one, symbols) for one in worst]),
        ("under way", f"{many(status.intents, 'intent')} · {orders}"),
        *_listed([_order(one) for one in shown.orders]),
    ]


def unrealised(positions: Sequence[PositionView]) -> Decimal:
    """Return what positions have gained at their bids, in quote; one without a price counts nothing."""
    return sum((one.worth - one.cost for one in positions if one.bid), ZERO)


def _listed(lines: list[str]) -> list[tuple[str, str]]:
    more = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [("", line) for line in chain(lines[:LISTED], more)]


def _position(one: PositionView, width: int) -> str:
    gain = f"{one.gain_bps / 100:+.2f} %" if one.bid else "no price"
    return f"{one.symbol:<{width}}  {gain:>9}  stop {price(one.stop)}  target {price(one.target)}"


def _order(one: OrderView) -> str:
    at = f" at {price(one.price)}" if one.price else ""
    return f"{one.side} {one.symbol} {plain(one.amount)}{at} {one.tif}, {plain(one.filled)} filled, {one.age_s:.1f} s"
