"""What do the fills alone say is owned? A second set of books, kept from facts only; asked by the summary of a run.

The engine's ledger and the venue's account are compared with it to the last unit, so nothing here is rounded:
every sum and product is carried out in a context wide enough for any venue's decimals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact

from msgspec import Struct

from tradebot.domain.facts import DriftAdopted, OrderFilled, PositionClosed
from tradebot.domain.ledger import Ledger
from tradebot.domain.market import split_symbol
from tradebot.domain.numbers import ZERO, exact
from tradebot.domain.orders import Side

EXACT = Context(prec=200, traps=[Inexact])
"""Arithmetic without rounding: a sum or product that would need more than 200 digits raises `decimal.Inexact`."""

_RATIO = Context(prec=28)  # shares and averages, which no decimal can hold exactly


class Holding(Struct):
    """One symbol's book: base held, and the quote flows of the trade under way (fees in quote included)."""

    base: str
    amount: Decimal = ZERO
    bought: Decimal = ZERO  # base of the trade under way, net of base fees
    cost: Decimal = ZERO
    proceeds: Decimal = ZERO
    dust: Decimal = ZERO  # of `amount`, what closed trades left
    last_price: Decimal = ZERO

    def position(self) -> Decimal:
        """Return the base of the trade under way: what is held without the dust of closed ones."""
        return EXACT.subtract(self.amount, self.dust)

    def cost_held(self) -> Decimal:
        """Return the quote paid for what the trade holds now: its cost in proportion to what is left of it."""
        left = self.position()
        if self.bought <= 0 or left <= 0:
            return ZERO
        if left >= self.bought:
            return self.cost
        return _RATIO.divide(_RATIO.multiply(self.cost, left), self.bought)

    def open_gain(self, price: Decimal) -> Decimal:
        """Return what the trade under way has won or lost at `price`, in quote: its PnL were it over."""
        return EXACT.add(EXACT.subtract(self.proceeds, self.cost), EXACT.multiply(self.position(), price))


class Books:
    """Cash and holdings, booked from `OrderFilled`, `DriftAdopted` and `PositionClosed` facts in their order.

    `cash` is in `quote`; `others` holds assets that only paid fees (a venue's own coin), negative where spent.
    `fees_quote` values base fees at their fill's price; fees in other assets stand in `others` alone.
    `dust_adopted_quote` is the worth of the dust among what went without a trade: it is in no trade's PnL.
    """

    def __init__(self) -> None:
        """Begin with nothing; `open` tells the quote asset."""
        self.quote = ""
        self.initial = ZERO
        self.cash = ZERO
        self.holdings: dict[str, Holding] = {}
        self.others: dict[str, Decimal] = {}
        self.fees_quote = ZERO
        self.dust_adopted_quote = ZERO
        self._cash_rough = 0.0
        self._held_rough: dict[str, float] = {}
        self._dust_rough: dict[str, float] = {}  # what closed trades left, valued at their last fill

    def open(self, asset: str, amount: Decimal) -> None:
        """Begin (or begin again) with `amount` of the quote `asset`."""
        self.quote = asset
        self.initial = amount
        self.cash = amount
        self._cash_rough = float(amount)

    def take_over(self, ledger: Ledger) -> None:
        """Begin with what a ledger owns; what it holds is valued at its entry price until the next fill."""
        self.open(ledger.quote, ledger.cash)
        self.initial = ledger.opened
        self.others = {asset: -fee for asset, fee in ledger.other_fees.items()}
        for symbol in sorted(ledger.positions.keys() | ledger.dust.keys()):
            position, dust = ledger.positions.get(symbol), ledger.dust.get(symbol, ZERO)
            held = self.holdings[symbol] = Holding(split_symbol(symbol)[0], amount=dust, dust=dust)
            if position is not None:
                held.amount = EXACT.add(dust, position.amount)
                held.bought, held.cost, held.proceeds = position.bought, position.spent, position.proceeds
                held.last_price = position.entry_price
                self._held_rough[symbol] = float(held.amount)

    def fill(self, fact: OrderFilled) -> Decimal:
        """Book one fill; return its fee in quote (0 where it was charged in a third asset)."""
        held = self.holdings.get(fact.symbol)
        if held is None:
            held = self.holdings[fact.symbol] = Holding(split_symbol(fact.symbol)[0])
        notional = EXACT.multiply(fact.price, fact.amount)
        base_fee, quote_fee, fee = self._fee(fact, held.base)
        if fact.side is Side.BUY:
            paid = EXACT.add(notional, quote_fee)
            got = EXACT.subtract(fact.amount, base_fee)
            self.cash = EXACT.subtract(self.cash, paid)
            held.cost = EXACT.add(held.cost, paid)
            held.bought = EXACT.add(held.bought, got)
            held.amount = EXACT.add(held.amount, got)
        else:
            received = EXACT.subtract(notional, quote_fee)
            gone = EXACT.add(fact.amount, base_fee)
            self.cash = EXACT.add(self.cash, received)
            held.proceeds = EXACT.add(held.proceeds, received)
            held.amount = EXACT.subtract(held.amount, gone)
        held.last_price = fact.price
        self.fees_quote = EXACT.add(self.fees_quote, fee)
        self._cash_rough = float(self.cash)
        self._dust_rough.pop(fact.symbol, None)
        if held.amount:
            self._held_rough[fact.symbol] = float(held.amount)
        else:
            self._held_rough.pop(fact.symbol, None)
        return fee

    def _fee(self, fact: OrderFilled, base: str) -> tuple[Decimal, Decimal, Decimal]:
        """Return the fee as (base, quote, value in quote)."""
        if fact.fee_asset == self.quote:
            return ZERO, fact.fee, fact.fee
        if fact.fee_asset == base:
            return fact.fee, ZERO, EXACT.multiply(fact.fee, fact.price)
        self.others[fact.fee_asset] = EXACT.subtract(self.others.get(fact.fee_asset, ZERO), fact.fee)
        return ZERO, ZERO, ZERO

    def adopt(self, fact: DriftAdopted) -> Decimal:
        """Book what came or went without a trade; return its worth in quote, negative where it went."""
        if not fact.symbol:
            self.cash = EXACT.add(self.cash, fact.change)
            self._cash_rough = float(self.cash)
            return fact.change
        held = self.holdings.get(fact.symbol)
        if held is None:
            held = self.holdings[fact.symbol] = Holding(fact.asset)
        worth = EXACT.multiply(fact.change, fact.price)
        held.amount = EXACT.add(held.amount, fact.change)
        if fact.change > 0:
            held.bought = EXACT.add(held.bought, fact.change)
            held.cost = EXACT.add(held.cost, worth)
        else:
            traded = EXACT.subtract(EXACT.subtract(held.amount, fact.change), held.dust)
            sold = min(-fact.change, traded)
            held.proceeds = EXACT.add(held.proceeds, EXACT.multiply(sold, fact.price))
            dust_gone = EXACT.subtract(-fact.change, sold)
            held.dust = EXACT.subtract(held.dust, dust_gone)
            self.dust_adopted_quote = EXACT.add(self.dust_adopted_quote, EXACT.multiply(dust_gone, fact.price))
        held.last_price = held.last_price or fact.price
        for rough in (self._held_rough, self._dust_rough):
            rough.pop(fact.symbol, None)
        if held.amount:
            self._held_rough[fact.symbol] = float(held.amount)
        return worth

    def close(self, fact: PositionClosed) -> Decimal:
        """End the symbol's trade; return its PnL by these books: proceeds less cost, in quote."""
        held = self.holdings.get(fact.symbol)
        if held is None:
            return ZERO
        pnl = EXACT.subtract(held.proceeds, held.cost)
        held.cost = held.proceeds = held.bought = ZERO
        held.dust = held.amount
        dust = self._held_rough.pop(fact.symbol, None)
        if dust is not None:
            self._dust_rough[fact.symbol] = dust * float(held.last_price)
        return pnl

    def equity(self, prices: Mapping[str, float] | None = None) -> tuple[float, float]:
        """Return (cash and holdings, holdings alone) in quote, as floats.

        A symbol that `prices` does not hold, and dust, are valued at their last fill's price.
        """
        invested = sum(self._dust_rough.values())
        for symbol, amount in self._held_rough.items():
            price = prices.get(symbol) if prices is not None else None
            invested += amount * (float(self.holdings[symbol].last_price) if price is None else price)
        return self._cash_rough + invested, invested

    def value(self, symbol: str, prices: Mapping[str, float] | None = None) -> Decimal:
        """Return what is held of a symbol in quote, at its price in `prices`, else at its last fill's."""
        return EXACT.multiply(self.holdings[symbol].amount, self._price(symbol, prices))

    def open_gain(self, prices: Mapping[str, float] | None = None) -> Decimal:
        """Return what the trades under way have won or lost at these prices, as `value` takes them."""
        return total(held.open_gain(self._price(symbol, prices)) for symbol, held in self.holdings.items())

    def dust_value(self, prices: Mapping[str, float] | None = None) -> Decimal:
        """Return what the dust is worth at these prices, as `value` takes them."""
        dust = [(symbol, held.dust) for symbol, held in self.holdings.items() if held.dust]
        return total(EXACT.multiply(amount, self._price(symbol, prices)) for symbol, amount in dust)

    def _price(self, symbol: str, prices: Mapping[str, float] | None) -> Decimal:
        price = None if prices is None else prices.get(symbol)
        return self.holdings[symbol].last_price if price is None else exact(price)

    def balances(self) -> dict[str, Decimal]:
        """Return what is owned by asset, the quote included; assets that only paid fees count from 0."""
        owned = dict(self.others)
        owned[self.quote] = EXACT.add(owned.get(self.quote, ZERO), self.cash)
        for held in self.holdings.values():
            owned[held.base] = EXACT.add(owned.get(held.base, ZERO), held.amount)
        return owned

    def difference(self, balances: Mapping[str, Decimal]) -> Decimal:
        """Return by how much `balances` (asset to total) differ from these books: the sum over assets, never negative.

        An asset that stands on one side only counts in full. 0 means equal to the last unit.
        """
        own = self.balances()
        assets = own.keys() | balances.keys()
        return total(EXACT.abs(EXACT.subtract(own.get(one, ZERO), balances.get(one, ZERO))) for one in assets)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum, without rounding."""
    found = ZERO
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found
