"""What did a buy add to a position, and what of an adoption was dust? Asked by the recorder, by facts alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Context, Decimal
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain.facts import DriftAdopted, Fact, IntentEnded, OrderFilled, PositionClosed, PositionOpened
from tradebot.domain.numbers import ROUGH, ZERO, plain
from tradebot.domain.orders import Position, Side

_READ = Context(prec=8)


class Increase(Struct, frozen=True):
    """A position has grown by `amount`, bought at `price` on average, since it was last told.

    Prices are averages before fees; `held` is base net of fees, `entry_price` that of all that was bought for it.
    """

    symbol: str
    amount: Decimal
    price: Decimal
    held: Decimal
    entry_price: Decimal
    generation: int


class DustAdopted(Struct, frozen=True):
    """Of what went by hand, `amount` was no position's but dust, worth `worth` quote at the price it was booked at."""

    symbol: str
    amount: Decimal
    worth: Decimal
    generation: int


class _Held(Struct):
    amount: Decimal = ZERO  # net of fees
    bought: Decimal = ZERO  # before fees
    spent: Decimal = ZERO
    told: bool = False  # whether the position was told at all
    new: Decimal = ZERO  # base bought and not told yet
    new_spent: Decimal = ZERO


class PositionsTold:
    """Follows the positions, and says what of them no fact tells.

    The buys of one intent are told together when it ends, one that comes later at once.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held: dict[str, _Held] = {}

    def restore(self, positions: Iterable[Position]) -> None:
        """Begin with these positions, as recovery found them."""
        self._held = {
            one.symbol: _Held(amount=one.amount, bought=one.gross_bought, spent=one.gross_spent, told=True)
            for one in positions
        }

    def take(self, fact: Fact, pending: Collection[int]) -> Increase | DustAdopted | None:
        """Follow one fact; return what is to be told beside it. `pending` are the ids of the buys under way."""
        match fact:
            case OrderFilled(side=Side.BUY):
                return self._bought(fact, pending)
            case OrderFilled():
                self._sold(fact)
            case PositionOpened():
                self._opened(fact)
            case IntentEnded(side=Side.BUY):
                return self._grown(fact.symbol, fact.generation)
            case PositionClosed():
                self._held.pop(fact.symbol, None)
            case DriftAdopted() if fact.symbol:
                return self._came(fact) if fact.change > 0 else self._gone(fact)
            case _:
                pass
        return None

    def _bought(self, fact: OrderFilled, pending: Collection[int]) -> Increase | None:
        net = fact.amount - _fee_in_base(fact)
        held = self._add(fact.symbol, net, fact.amount, fact.price)
        late = held.told and fact.intent_id not in pending
        return self._grown(fact.symbol, fact.generation) if late else None

    def _add(self, symbol: str, net: Decimal, amount: Decimal, price: Decimal) -> _Held:
        held = self._held.get(symbol)
        if held is None:
            held = self._held[symbol] = _Held()
        worth = amount * price
        held.amount += net
        held.bought += amount
        held.spent += worth
        held.new += amount
        held.new_spent += worth
        return held

    def _sold(self, fact: OrderFilled) -> None:
        held = self._held.get(fact.symbol)
        if held is not None:
            held.amount -= fact.amount + _fee_in_base(fact)

    def _opened(self, fact: PositionOpened) -> None:
        held = self._held.get(fact.symbol)
        if held is not None:
            held.told = True
            held.new -= fact.amount
            held.new_spent -= fact.amount * fact.entry_price

    def _came(self, fact: DriftAdopted) -> Increase | None:
        held = self._add(fact.symbol, fact.change, fact.change, fact.price)
        return self._grown(fact.symbol, fact.generation) if held.told else None

    def _gone(self, fact: DriftAdopted) -> DustAdopted | None:
        held, gone = self._held.get(fact.symbol), -fact.change
        of_position = ZERO if held is None else min(gone, held.amount)
        if held is not None:
            held.amount -= of_position
        dust = gone - of_position
        return DustAdopted(fact.symbol, dust, dust * fact.price, fact.generation) if dust else None

    def _grown(self, symbol: str, generation: int) -> Increase | None:
        held = self._held.get(symbol)
        if held is None or held.new <= 0:
            return None
        price = ROUGH.divide(held.new_spent, held.new)
        told = Increase(symbol, held.new, price, held.amount, ROUGH.divide(held.spent, held.bought), generation)
        held.new = held.new_spent = ZERO
        return told


def _fee_in_base(fact: OrderFilled) -> Decimal:
    return fact.fee if fact.fee_asset == fact.symbol.partition("/")[0] else ZERO


def _read(value: Decimal) -> str:
    """Return a number in as many digits as a trader reads; the record's fields hold all of them."""
    return plain(_READ.create_decimal(value))


def increase_words(told: Increase) -> tuple[str, dict[str, Any]]:
    """Return the message and the fields of a position that has grown."""
    text = f"{told.symbol}: {plain(told.amount)} more at {_read(told.price)}, the position is {plain(told.held)}"
    return f"{text} at {_read(told.entry_price)} on average", msgspec.structs.asdict(told)


def dust_words(told: DustAdopted) -> tuple[str, dict[str, Any]]:
    """Return the message and the fields of dust that went by hand."""
    text = (
        f"{told.symbol}: {plain(told.amount)} of what went was dust of closed trades, worth {_read(told.worth)} quote"
    )
    return f"{text}: it is in no trade's PnL", msgspec.structs.asdict(told)
