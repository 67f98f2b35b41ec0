"""What was forgotten, by the venue's own history? Asked to rebuild a damaged journal: state changes by facts alone.

Own orders that the journal does not know and fills that it has not booked are put back in the order they happened, as
facts like any other. Nothing is guessed: what does not add up raises Unproven, and the files stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, localcontext
from typing import Final, Literal

from tradebot.domain import facts as f
from tradebot.domain.account import AccountImage, AccountOrder
from tradebot.domain.errors import TradebotError
from tradebot.domain.events import FillReported
from tradebot.domain.numbers import EXACT, ZERO, plain
from tradebot.domain.orders import Order, Side
from tradebot.engine.engine import Engine
from tradebot.engine.ladder import Ladder

REASON: Final = "rebuilt"

_ENDS: Final[Mapping[str, Literal["filled", "canceled", "expired"]]] = {
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "canceled",
}

Written = Callable[[list[f.Fact], int], None]
"""Takes the facts of one moment, and its time in ms."""


class Unproven(TradebotError):
    """What the venue tells and what the files tell do not make one story."""


class Rebuilding:
    """Puts back into an engine what its venue knows and it does not.

    `planned` and `booked` are what sound facts tell of, kept by the state or not: that is not put back twice. What
    began before `since_ms` is known, though the state may have let go of it: whoever asks proves the result.
    """

    def __init__(
        self,
        engine: Engine,
        planned: Collection[str],
        booked: Collection[tuple[str, str]],
        write: Written,
        *,
        since_ms: int = 0,
    ) -> None:
        self._engine = engine
        self._desk = engine.desk
        self._planned = set(planned)
        self._booked = set(booked)
        self._write = write
        self._since_ms = since_ms
        self._ladder: Ladder = engine.router.ladder

    def adopt(self, image: AccountImage, now_ms: int) -> None:
        """Put back every own order and fill of `image`, oldest first, and end what has ended. Raises Unproven."""
        self._prove_whole(image)
        fills: dict[str, list[FillReported]] = {}
        for fill in image.fills:
            fills.setdefault(fill.client_id, []).append(fill)
        state = self._desk.state
        known = [order for order in image.orders.values() if state.order(order.client_id) is not None]
        lost = [order for order in image.orders.values() if self._is_lost(order)]
        for order in [*known, *sorted(lost, key=lambda one: (one.arrives_ms, len(one.venue_id), one.venue_id))]:
            self._follow(order, fills.pop(order.client_id, []), now_ms)
        for client_id, left in fills.items():  # of orders that began before what was asked for
            self._book(client_id, [fill for fill in left if fill.at_ms >= self._since_ms], now_ms)

    def open(self, asset: str, amount: Decimal, at_ms: int) -> None:
        """Begin the ledger of an account of which nothing at all is known any more."""
        self._tell(f.AccountOpened(asset=asset, amount=amount), at_ms)

    def _is_lost(self, order: AccountOrder) -> bool:
        if self._desk.state.order(order.client_id) is not None or order.client_id in self._planned:
            return False
        return order.arrives_ms >= self._since_ms

    def _prove_whole(self, image: AccountImage) -> None:
        """Every order's fills must make up what the venue counts for it."""
        told: dict[str, Decimal] = {}
        with localcontext(EXACT):
            for fill in image.fills:
                told[fill.client_id] = told.get(fill.client_id, ZERO) + fill.amount
        for order in image.orders.values():
            if told.get(order.client_id, ZERO) != order.filled:
                here = plain(told.get(order.client_id, ZERO))
                raise Unproven(f"{order.client_id} filled {plain(order.filled)}, its trades make up {here}")

    def _follow(self, order: AccountOrder, fills: list[FillReported], now_ms: int) -> None:
        state = self._desk.state
        if state.order(order.client_id) is None:
            self._plan(order)
        self._book(order.client_id, fills, now_ms)
        mine = state.orders.get(order.client_id)
        outcome = _ENDS.get(order.status)
        if mine is None or outcome is None:
            return
        at_ms = max([order.arrives_ms, *(fill.at_ms for fill in fills)])
        self._tell(
            f.OrderDone(
                generation=mine.generation, client_id=mine.client_id, symbol=mine.symbol, side=mine.side,
                outcome=outcome, filled=mine.filled, reason="found at the venue",
            ),
            at_ms,
        )  # fmt: skip
        self._end_intent(mine, at_ms)

    def _plan(self, order: AccountOrder) -> None:
        """Tell of an order that was planned, sent and taken, and of the wish behind it."""
        state, at_ms = self._desk.state, order.arrives_ms
        if (before := state.intent_of(order.symbol)) is not None:
            if before.client_id in state.orders:
                raise Unproven(f"{order.client_id} began while {before.client_id} was open: one symbol has one order")
            self._desk.now = max(self._desk.now, at_ms)
            self._ladder.end(before, REASON)
            self._settle()
        generation, buys = state.generation, order.side is Side.BUY
        worth = order.quote_amount or EXACT.multiply(order.price, order.amount) or order.cost
        intent = state.next_intent
        wait_ms = self._desk.profile.execution.wait_ms
        self._tell(
            f.IntentOpened(
                intent_id=intent, symbol=order.symbol, side=order.side, reason=REASON, generation=generation,
                quote_amount=worth if buys else ZERO, reserved=worth if buys else ZERO,
                amount=ZERO if buys else order.amount, signal_price=order.price,
            ),
            at_ms,
        )  # fmt: skip
        self._tell(
            f.OrderPlanned(
                client_id=order.client_id, intent_id=intent, symbol=order.symbol, side=order.side, type=order.type,
                tif=order.tif, step=0, generation=generation,
                wait_ms=wait_ms.GTC if order.tif == "GTC" else wait_ms.IOC,
                price=order.price, amount=order.amount, quote_amount=order.quote_amount,
            ),
            at_ms,
        )  # fmt: skip
        self._tell(
            f.OrderAccepted(
                generation=generation, client_id=order.client_id, symbol=order.symbol, venue_id=order.venue_id,
                latency_ms=0,
            ),
            at_ms,
        )  # fmt: skip

    def _book(self, client_id: str, fills: list[FillReported], now_ms: int) -> None:
        state = self._desk.state
        for fill in fills:
            if (client_id, fill.trade_id) in self._booked or fill.trade_id in state.trades.get(client_id, ()):
                continue
            order = state.order(client_id)
            if order is None:
                raise Unproven(f"trade {fill.trade_id} of {client_id} is in no fact, and its order is forgotten")
            position = state.ledger.positions.get(fill.symbol)
            held = position.amount if position is not None else ZERO
            base = fill.symbol.partition("/")[0]
            if order.side is Side.SELL and held < fill.amount + (fill.fee if fill.fee_asset == base else ZERO):
                raise Unproven(f"{client_id} sold {plain(fill.amount)} {base}, and {plain(held)} were held by then")
            opened = order.side is Side.BUY and position is None
            at_ms = min(fill.at_ms, now_ms)
            self._tell(
                f.OrderFilled(
                    generation=order.generation, client_id=client_id, intent_id=order.intent_id, symbol=fill.symbol,
                    side=order.side, trade_id=fill.trade_id, price=fill.price, amount=fill.amount, fee=fill.fee,
                    fee_asset=fill.fee_asset, maker=fill.maker, latency_ms=0,
                ),
                at_ms,
            )  # fmt: skip
            if opened:
                self._tell(
                    f.PositionOpened(
                        generation=order.generation, symbol=fill.symbol, entry_price=fill.price, amount=fill.amount
                    ),
                    at_ms,
                )

    def _end_intent(self, order: Order, at_ms: int) -> None:
        intent = self._desk.state.intents.get(order.intent_id)
        if intent is not None:
            self._ladder.end(intent, intent.ending or REASON)
            self._settle()

    def _tell(self, fact: f.Fact, at_ms: int) -> None:
        self._desk.now = max(self._desk.now, at_ms)
        self._desk.emit(fact)
        self._settle()

    def _settle(self) -> None:
        """Let follow what follows (a position of which nothing is left is closed), and write all of it down."""
        self._engine.follow_up.run()
        facts, self._desk.facts = self._desk.facts, []
        self._desk.commands.clear()
        if facts:
            self._write(facts, self._desk.now)


def opening_cash(image: AccountImage, quote: str, sides: Mapping[str, Side]) -> Decimal:
    """Return the quote an account began with, from what it holds now and every own fill it ever had."""
    with localcontext(EXACT):
        held = image.balances.get(quote)
        cash = held.total if held is not None else ZERO
        for fill in image.fills:
            worth = fill.price * fill.amount
            fee = fill.fee if fill.fee_asset == quote else ZERO
            cash += worth + fee if sides[fill.client_id] is Side.BUY else fee - worth
    return cash
