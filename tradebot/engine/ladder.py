"""Which order does an intent try next? The escalation steps, their guards, prices and amounts; asked by the router."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from tradebot.config.sections.execution import Step
from tradebot.domain import facts as f
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO, bps_down, bps_up, exact
from tradebot.domain.orders import Intent, OrderType, Side, TimeInForce
from tradebot.engine.decision import spread_bps
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.parts import Parts


class Ladder:
    """Plans one step after the other, and ends the intent where nothing is left to try."""

    def __init__(self, desk: Desk, parts: Parts) -> None:
        self.desk = desk
        self.parts = parts

    def advance(self, intent: Intent) -> None:
        """Plan the intent's next order, or end it where nothing is left to try."""
        steps = self.steps(intent)
        symbol = self.desk.symbols[intent.symbol]
        reason = intent.ending or self._forbidden(intent, symbol)
        number = intent.step + 1
        while not reason and number < len(steps):
            guard = self._guard(intent, steps[number], symbol)
            if guard is None:
                reason = self._plan(intent, number, steps[number], symbol)
                if not reason:
                    return
                break
            self.desk.emit(
                f.StepSkipped(
                    generation=self.desk.state.generation,
                    intent_id=intent.intent_id,
                    symbol=intent.symbol,
                    step=number,
                    guard=guard[0],
                    value=guard[1],
                    limit=guard[2],
                )
            )
            number += 1
        self.end(intent, reason or "steps exhausted")

    def end(self, intent: Intent, reason: str) -> None:
        """End an intent that has no order working: what it reserved and did not spend is free."""
        outcome: Literal["filled", "partial", "unfilled", "never_sent"]
        if intent.filled:
            outcome = "filled" if self.complete(intent) else "partial"
        else:
            outcome = "unfilled" if intent.sent else "never_sent"
        self.desk.emit(
            f.IntentEnded(
                generation=intent.generation,
                intent_id=intent.intent_id,
                symbol=intent.symbol,
                side=intent.side,
                purpose=intent.reason,
                outcome=outcome,
                reason="filled" if outcome == "filled" else reason,
                filled=intent.filled,
                spent=intent.spent,
                age_ms=self.desk.now - intent.opened_ms,
            )
        )

    def steps(self, intent: Intent) -> tuple[Step, ...]:
        """Return the steps in force for an intent of this side."""
        profile = self.desk.profile
        return profile.execution.steps if intent.side is Side.BUY else profile.exits.steps

    def _forbidden(self, intent: Intent, symbol: SymbolState) -> str:
        """Return why no further order of a buy may be sent; an exit is never stopped here."""
        if intent.side is Side.SELL:
            return "" if symbol.seen_ms >= 0 else "no price seen"
        return self.parts.gates.further(symbol)

    def _guard(self, intent: Intent, step: Step, symbol: SymbolState) -> tuple[str, str, str] | None:
        """Return (guard, value, limit) where the market forbids this step of a buy."""
        if intent.side is Side.SELL:
            return None
        spread = spread_bps(symbol)
        if spread > float(intent.max_spread_bps):
            return "execution.max_spread_bps", f"{spread:.2f}", f"<= {intent.max_spread_bps:f}"
        highest = intent.signal_price * bps_up(intent.max_slippage_bps)
        price = _limit_price(Side.BUY, step, symbol) or exact(symbol.ask)
        if price > highest:
            return "execution.max_slippage_bps", f"{price:f}", f"<= {highest:f}"
        return None

    def _plan(self, intent: Intent, number: int, step: Step, symbol: SymbolState) -> str:
        """Plan the order of one step; return why it cannot be placed, "" where it was."""
        instrument = symbol.instrument
        price = _limit_price(intent.side, step, symbol)
        reference = price or exact(symbol.ask if intent.side is Side.BUY else symbol.bid)
        amount = quote_amount = ZERO
        if intent.side is Side.SELL:
            amount = instrument.amount_down(intent.amount - intent.filled)
        else:
            left = intent.quote_amount - intent.paid
            if step.type == "market":
                quote_amount = left
            amount = instrument.amount_down(left / reference)
        if breach := _breach(instrument, reference, amount):
            return f"remainder below {breach}" if intent.filled else f"filter {breach}"
        if instrument.max_amount and amount > instrument.max_amount:
            amount = instrument.amount_down(instrument.max_amount)
            quote_amount = min(quote_amount, amount * reference)
        self._place(intent, number, step, price, ZERO if quote_amount else amount, quote_amount)
        return ""

    def _place(
        self, intent: Intent, number: int, step: Step, price: Decimal, amount: Decimal, quote_amount: Decimal
    ) -> None:
        desk = self.desk
        kind = OrderType(step.type)
        tif = TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce(step.tif)
        client_id = f"{desk.profile.bot.instance}-{desk.state.run}-{desk.state.next_order}"
        desk.emit(
            f.OrderPlanned(
                client_id=client_id,
                intent_id=intent.intent_id,
                symbol=intent.symbol,
                side=intent.side,
                type=kind,
                tif=tif,
                step=number,
                generation=desk.state.generation,
                wait_ms=desk.profile.execution.wait_ms.of(step),
                price=price,
                amount=amount,
                quote_amount=quote_amount,
            )
        )
        desk.send(
            PlaceOrder(
                client_id=client_id,
                symbol=intent.symbol,
                side=intent.side,
                type=kind,
                tif=tif,
                send_by_ms=desk.now + desk.profile.execution.send_deadline_ms,
                price=price,
                amount=amount,
                quote_amount=quote_amount,
            )
        )

    def complete(self, intent: Intent) -> bool:
        """Whether what is left of the intent is too small for another order."""
        symbol = self.desk.symbols[intent.symbol]
        if intent.side is Side.SELL:
            left, price = intent.amount - intent.filled, exact(symbol.bid)
        else:
            price = exact(symbol.ask)
            left = (intent.quote_amount - intent.paid) / price if price else ZERO
        return not price or _breach(symbol.instrument, price, symbol.instrument.amount_down(left)) is not None


def _limit_price(side: Side, step: Step, symbol: SymbolState) -> Decimal:
    """Return the step's limit price on the tick grid, never past the limit; 0 for a market order.

    A step that offers the touch or more reaches it: where the touch itself is off the grid (a recorded price with
    a synthetic spread), that is the next tick.
    """
    if step.type == "market":
        return ZERO
    instrument = symbol.instrument
    if side is Side.BUY:
        ask = exact(symbol.ask)
        price = instrument.price_down(ask * bps_up(step.offset_bps))
        return max(price, instrument.price_up(ask)) if step.offset_bps >= 0 else price
    bid = exact(symbol.bid)
    price = instrument.price_up(bid * bps_down(step.offset_bps))
    return min(price, instrument.price_down(bid)) if step.offset_bps >= 0 else price


def _breach(instrument: Instrument, price: Decimal, amount: Decimal) -> str | None:
    """Return the filter an amount is too small for, or None."""
    if amount <= 0 or amount < instrument.min_amount:
        return "LOT_SIZE"
    return "NOTIONAL" if price * amount < instrument.min_notional else None
