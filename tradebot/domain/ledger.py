"""What do we own, and what did it cost? Booked from fills and adoptions alone, exact to the last unit; asked by budget
and exits."""

from __future__ import annotations

from decimal import Decimal, localcontext

from msgspec import Struct, field

from tradebot.domain.errors import TradebotError
from tradebot.domain.facts import OrderFilled
from tradebot.domain.numbers import EXACT, ROUGH, ZERO
from tradebot.domain.orders import Lot, Position, Side

ADOPTED = 0
"""The id of lots that no intent bought: intents count from 1."""


class LedgerBroken(TradebotError):
    """A booking contradicts what is owned; state is suspect and must not trade on."""


class Ledger(Struct):
    """Cash in the quote asset, the positions' lots, and dust: what was left too small to sell.

    Conserved: cash = opened + Σ sells - Σ buys - Σ fees in quote + adopted quote; per base asset
    Σ bought - Σ sold - Σ fees in it + adopted = held in positions + dust; fees in a third asset are kept apart.
    """

    quote: str
    opened: Decimal = ZERO
    cash: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)
    dust: dict[str, Decimal] = field(default_factory=dict)  # base by symbol
    other_fees: dict[str, Decimal] = field(default_factory=dict)  # by asset, paid from outside the ledger
    is_open: bool = False
    adopted: dict[str, Decimal] = field(default_factory=dict)  # by asset, what came (or went, negative) without a trade

    def open(self, amount: Decimal) -> None:
        """Begin with `amount` of the quote asset."""
        self.opened = self.cash = amount
        self.is_open = True

    def book(self, fill: OrderFilled, base: str, at_ms: int) -> None:
        """Book one fill, without rounding. Raises LedgerBroken where more is sold than is held."""
        with localcontext(EXACT):
            self._book(fill, base, at_ms)

    def _book(self, fill: OrderFilled, base: str, at_ms: int) -> None:
        worth = fill.price * fill.amount
        fee_quote = fill.fee if fill.fee_asset == self.quote else ZERO
        fee_base = fill.fee if fill.fee_asset == base else ZERO
        if fill.fee and not fee_quote and not fee_base:
            self.other_fees[fill.fee_asset] = self.other_fees.get(fill.fee_asset, ZERO) + fill.fee
        if fill.side is Side.BUY:
            self._bought(fill, worth, fee_quote, fee_base, at_ms)
        else:
            self._sold(fill, worth, fee_quote, fee_base)

    def owned(self) -> dict[str, Decimal]:
        """Return what is owned, by asset; fees in a third asset count as spent."""
        with localcontext(EXACT):
            amounts = {asset: -fee for asset, fee in self.other_fees.items()}
            amounts[self.quote] = amounts.get(self.quote, ZERO) + self.cash
            held = [(symbol, position.amount) for symbol, position in self.positions.items()]
            for symbol, amount in [*held, *self.dust.items()]:
                base = symbol.partition("/")[0]
                amounts[base] = amounts.get(base, ZERO) + amount
        return amounts

    def holding(self, symbol: str) -> Decimal:
        """Return the base owned of a symbol: its position's and its dust."""
        position, dust = self.positions.get(symbol), self.dust.get(symbol, ZERO)
        if position is None:
            return dust
        with localcontext(EXACT):
            return position.amount + dust

    def adopt(self, asset: str, symbol: str, change: Decimal, price: Decimal, at_ms: int) -> None:
        """Let what is owned of an asset follow the account by `change`; the cash only where it is the quote.

        What went leaves the position first, as sold at `price`, then the dust; what came is a lot of its own that cost
        `price` each. Raises LedgerBroken where more would go than is owned.
        """
        with localcontext(EXACT):
            self.adopted[asset] = self.adopted.get(asset, ZERO) + change
            if asset == self.quote:
                self.cash += change
            elif change < 0:
                self._gone(symbol, -change, price)
            else:
                self._came(symbol, change, price, at_ms)

    def _gone(self, symbol: str, amount: Decimal, price: Decimal) -> None:
        position = self.positions.get(symbol)
        sold = min(amount, position.amount) if position else ZERO
        left = self.dust.get(symbol, ZERO) - (amount - sold)
        if left < 0:
            raise LedgerBroken(f"{symbol}: {amount} are gone, but {self.holding(symbol)} are owned")
        if left:
            self.dust[symbol] = left
        else:
            self.dust.pop(symbol, None)
        if position:
            position.sold += sold
            position.proceeds += sold * price
            position.gross_proceeds += sold * price
            _take(position, sold)

    def _came(self, symbol: str, amount: Decimal, price: Decimal, at_ms: int) -> None:
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position(symbol=symbol, opened_ms=at_ms)
        cost = amount * price
        lot = _lot(position, ADOPTED, at_ms)
        lot.amount += amount
        lot.gross_amount += amount
        lot.cost += cost
        lot.gross_cost += cost
        position.bought += amount
        position.gross_bought += amount
        position.spent += cost
        position.gross_spent += cost

    def close(self, symbol: str) -> None:
        """End the symbol's position: what is left of it is dust from here on."""
        position = self.positions.pop(symbol)
        with localcontext(EXACT):
            if left := position.amount:
                self.dust[symbol] = self.dust.get(symbol, ZERO) + left

    def _bought(self, fill: OrderFilled, worth: Decimal, fee_quote: Decimal, fee_base: Decimal, at_ms: int) -> None:
        self.cash -= worth + fee_quote
        position = self.positions.get(fill.symbol)
        if position is None:
            position = self.positions[fill.symbol] = Position(symbol=fill.symbol, opened_ms=at_ms)
        lot = _lot(position, fill.intent_id, at_ms)
        net = fill.amount - fee_base
        lot.amount += net
        lot.cost += worth + fee_quote
        lot.gross_amount += fill.amount
        lot.gross_cost += worth
        position.bought += net
        position.gross_bought += fill.amount
        position.gross_spent += worth
        position.spent += worth + fee_quote
        position.fees += fee_quote + fee_base * fill.price

    def _sold(self, fill: OrderFilled, worth: Decimal, fee_quote: Decimal, fee_base: Decimal) -> None:
        position = self.positions.get(fill.symbol)
        taken = fill.amount + fee_base
        if position is None or position.amount < taken:
            held = position.amount if position else ZERO
            raise LedgerBroken(f"{fill.symbol}: fill {fill.trade_id} sold {taken}, but {held} is held")
        self.cash += worth - fee_quote
        position.sold += fill.amount
        position.proceeds += worth - fee_quote
        position.gross_proceeds += worth
        position.fees += fee_quote + fee_base * fill.price
        _take(position, taken)


def _lot(position: Position, lot_id: int, at_ms: int) -> Lot:
    """Return a position's lot of this id, a new one where it has none."""
    for lot in position.lots:
        if lot.lot_id == lot_id:
            return lot
    lot = Lot(lot_id=lot_id, amount=ZERO, cost=ZERO, gross_amount=ZERO, gross_cost=ZERO, opened_ms=at_ms)
    position.lots.append(lot)
    return lot


def _take(position: Position, taken: Decimal) -> None:
    """Take base out of a position's lots, the oldest first."""
    while taken:
        lot = position.lots[0]
        if lot.amount <= taken:
            taken -= lot.amount
            position.lots.pop(0)
            continue
        share = ROUGH.divide(taken, lot.amount)
        lot.cost = ROUGH.subtract(lot.cost, lot.cost * share)
        lot.gross_cost = ROUGH.subtract(lot.gross_cost, lot.gross_cost * share)
        lot.gross_amount = ROUGH.subtract(lot.gross_amount, lot.gross_amount * share)
        lot.amount -= taken
        taken = ZERO
