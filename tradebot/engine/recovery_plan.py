"""What will a start do with what was restored? Asked by recovery before it asks anything, and by `tradebot recover`."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tradebot.domain.facts import RecoveryPlanned
from tradebot.domain.numbers import exact
from tradebot.engine.desk import NEVER, OUTSIDE, Desk, SymbolState


class Protected(Struct, frozen=True):
    """A position and the bids (None: no such rule) and the time (ms) at which it is sold."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    cost: Decimal
    stop: Decimal | None
    target: Decimal | None
    trailing_from: Decimal | None
    trailing_high: Decimal | None
    sold_at_ms: int | None

    @property
    def levels(self) -> str:
        """Return its levels in words, "nothing" where no rule protects it."""
        parts = [
            f"{name} {_plain(level)}"
            for name, level in (("stop", self.stop), ("target", self.target), ("trailing from", self.trailing_from))
            if level is not None
        ]
        if self.trailing_high is not None:
            parts.append(f"trailing below {_plain(self.trailing_high)}")
        if self.sold_at_ms is not None:
            parts.append("time stop")
        return ", ".join(parts) or "nothing"


def planned(desk: Desk) -> RecoveryPlanned:
    """Return what this start will do, as the fact that tells it."""
    state = desk.state
    due = tuple(
        order.client_id
        for order in state.orders.values()
        if order.canceling or (order.sent_ms and desk.now >= order.sent_ms + order.wait_ms)
    )
    held = protection(desk)
    return RecoveryPlanned(
        orders=tuple(state.orders),
        positions=tuple(state.ledger.positions),
        intents=len(state.intents),
        cancels=due,
        ends=sum(1 for intent in state.intents.values() if intent.client_id not in state.orders),
        protected=tuple(f"{one.symbol}: {one.levels}" for one in held if one.levels != "nothing"),
        unprotected=tuple(one.symbol for one in held if one.levels == "nothing"),
    )


def protection(desk: Desk) -> list[Protected]:
    """Return every position with the levels that protect it."""
    found = []
    for name, position in desk.state.ledger.positions.items():
        symbol = desk.symbols.get(name)
        found.append(
            Protected(
                symbol=name,
                amount=position.amount,
                entry_price=position.entry_price,
                cost=position.cost,
                stop=_bid(symbol.stop) if symbol else None,
                target=_bid(symbol.target) if symbol else None,
                trailing_from=_bid(symbol.trail_from) if symbol else None,
                trailing_high=_bid(symbol.trail_high) if symbol else None,
                sold_at_ms=_time(symbol),
            )
        )
    return found


def _bid(level: float) -> Decimal | None:
    return exact(level) if 0.0 < level < OUTSIDE else None


def _time(symbol: SymbolState | None) -> int | None:
    return symbol.hold_ms if symbol is not None and symbol.hold_ms < NEVER else None


def _plain(level: Decimal) -> str:
    return f"{level.normalize():f}" if level < 1 else f"{level:.8g}"
