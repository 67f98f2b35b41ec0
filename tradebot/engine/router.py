"""How does an intent become fills? The state machine over the escalation steps; asked by engine and recovery.

One order works at a time. An order ends only on the venue's evidence: a terminal state and every fill it names.
A wait that passes cancels and verifies; an UNKNOWN order is queried, with growing pauses, and never freed by age.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from tradebot.config.sections.execution import Step
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryOrder
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO, bps_down, bps_up, exact, ms
from tradebot.domain.orders import Intent, Order, OrderState, OrderType, Side, TimeInForce
from tradebot.engine.decision import spread_bps
from tradebot.engine.desk import Desk, SymbolState

WAIT, VERIFY = "wait", "verify"


class Router:
    """Turns intents into orders, one step of the ladder after the other."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._verify_ms: dict[str, int] = {}  # when an order is next asked for; only the latest plan counts

    # -- the ladder -------------------------------------------------------------------------------

    def advance(self, intent: Intent) -> None:
        """Plan the intent's next order, or end it where nothing is left to try."""
        steps = self._steps(intent)
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
            outcome = "filled" if self._complete(intent) else "partial"
        else:
            outcome = "unfilled" if intent.sent else "never_sent"
        self.desk.emit(
            f.IntentEnded(
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

    def stop(self, intent: Intent, reason: str) -> None:
        """End an intent as soon as its order, cancelled and verified, allows it."""
        order = self.desk.state.orders.get(intent.client_id)
        if order is None:
            self.end(intent, reason)
        else:
            self.cancel(order, reason)

    def cancel(self, order: Order, reason: str) -> None:
        """Ask for a cancel, and have it verified; an UNKNOWN order is queried first."""
        already = order.canceling
        self.desk.emit(f.CancelAsked(client_id=order.client_id, symbol=order.symbol, reason=reason))
        if order.state is OrderState.UNKNOWN:
            self._query(order)
        elif not already:
            self.desk.send(CancelOrder(client_id=order.client_id, symbol=order.symbol))
            self._verify_in(order, self.desk.profile.execution.cancel_wait_ms)

    def _steps(self, intent: Intent) -> tuple[Step, ...]:
        profile = self.desk.profile
        return profile.execution.steps if intent.side is Side.BUY else profile.exits.steps

    def _forbidden(self, intent: Intent, symbol: SymbolState) -> str:
        """Return why no further order of a buy may be sent; an exit is never stopped here."""
        if intent.side is Side.SELL:
            return "" if symbol.seen_ms >= 0 else "no price seen"
        if not self.desk.state.entries_open:
            return "entries closed"
        if not self.desk.profile.features.buying:
            return "buying off"
        if self.desk.now - symbol.seen_ms > ms(self.desk.profile.market.stale_after_s):
            return "stale data"
        return ""

    def _guard(self, intent: Intent, step: Step, symbol: SymbolState) -> tuple[str, str, str] | None:
        """Return (guard, value, limit) where the market forbids this step of a buy."""
        if intent.side is Side.SELL:
            return None
        spread = spread_bps(symbol)
        if spread > float(intent.max_spread_bps):
            return "execution.max_spread_bps", f"{spread:.2f}", f"<= {intent.max_spread_bps:f}"
        highest = intent.signal_price * bps_up(intent.max_slippage_bps)
        price = _limit_price(Side.BUY, step, symbol) or exact(symbol.ask)
        if price > highest and price > symbol.instrument.price_up(highest):
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
            amount, quote_amount = instrument.amount_down(instrument.max_amount), ZERO
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

    def _complete(self, intent: Intent) -> bool:
        """Whether what is left of the intent is too small for another order."""
        symbol = self.desk.symbols[intent.symbol]
        if intent.side is Side.SELL:
            left, price = intent.amount - intent.filled, exact(symbol.bid)
        else:
            price = exact(symbol.ask)
            left = (intent.quote_amount - intent.paid) / price if price else ZERO
        return not price or _breach(symbol.instrument, price, symbol.instrument.amount_down(left)) is not None

    # -- answers ----------------------------------------------------------------------------------

    def on_sent(self, event: e.RequestSent) -> None:
        """Note that the request left: the wait of its time in force begins."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None or order.state is not OrderState.PLANNED:
            return
        self.desk.emit(
            f.OrderSent(
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                tif=order.tif,
                type=order.type,
                wait_ms=order.wait_ms,
            )
        )
        self.desk.remind(event.at_ms + order.wait_ms, WAIT, order.client_id)

    def on_not_sent(self, event: e.RequestNotSent) -> None:
        """Note that the request never left; its intent ends, since its moment has passed."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None or order.state is not OrderState.PLANNED:
            return
        self.desk.emit(f.OrderNeverSent(client_id=order.client_id, symbol=order.symbol, reason=event.reason))
        if intent := self.desk.state.intents.get(order.intent_id):
            self.end(intent, intent.ending or event.reason)

    def on_acknowledged(self, event: e.OrderAcknowledged) -> None:
        """Note that the venue has the order."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None or order.state is OrderState.OPEN:
            return
        doubted = order.state is OrderState.UNKNOWN
        self.desk.emit(
            f.OrderAccepted(
                client_id=order.client_id,
                symbol=order.symbol,
                venue_id=event.venue_id,
                latency_ms=max(0, event.at_ms - (order.sent_ms or event.at_ms)),
            )
        )
        if order.canceling and doubted:
            self._cancel_again(order)

    def on_refused(self, event: e.OrderRefused) -> None:
        """Take a conclusive refusal: the next step is tried."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None or order.state is OrderState.OPEN or order.filled:
            return
        self.desk.emit(
            f.OrderRejected(
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                code=event.code,
                message=event.message,
            )
        )
        self._after(order)

    def on_fill(self, event: e.FillReported) -> None:
        """Book a fill once, also of an order that has ended; one of an unknown order is reported, not booked."""
        state = self.desk.state
        order = state.order(event.client_id)
        if order is None:
            self.desk.emit(
                f.StrayFillSeen(
                    client_id=event.client_id,
                    symbol=event.symbol,
                    trade_id=event.trade_id,
                    price=event.price,
                    amount=event.amount,
                )
            )
            return
        if event.trade_id in state.trades.get(event.client_id, ()):
            return
        opened = order.side is Side.BUY and event.symbol not in state.ledger.positions
        self.desk.emit(
            f.OrderFilled(
                client_id=order.client_id,
                intent_id=order.intent_id,
                symbol=order.symbol,
                side=order.side,
                trade_id=event.trade_id,
                price=event.price,
                amount=event.amount,
                fee=event.fee,
                fee_asset=event.fee_asset,
                maker=event.maker,
                latency_ms=max(0, event.at_ms - (order.sent_ms or event.at_ms)),
            )
        )
        if opened:
            self.desk.emit(f.PositionOpened(symbol=order.symbol, entry_price=event.price, amount=event.amount))

    def on_closed(self, event: e.OrderClosed) -> None:
        """End an order on a terminal state, once every fill it names is booked."""
        order = self.desk.state.orders.get(event.client_id)
        if order is not None:
            self._close(order, event.outcome, event.filled, event.reason)

    def on_cancel_refused(self, event: e.CancelRefused) -> None:
        """Ask for the order: a refused cancel often means that it is already over."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None:
            return
        self.desk.emit(
            f.CancelFailed(client_id=order.client_id, symbol=order.symbol, code=event.code, message=event.message)
        )
        self._query(order)

    def on_unknown(self, event: e.OutcomeUnknown) -> None:
        """Keep an order whose request may or may not have arrived, and ask for it."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None:
            return
        if event.request == "place" and order.state in (OrderState.PLANNED, OrderState.SENT):
            self.desk.emit(
                f.OrderBecameUnknown(
                    client_id=order.client_id, symbol=order.symbol, request=event.request, cause=event.cause
                )
            )
        self._verify_in(order, self.desk.profile.execution.query_interval_ms)

    def on_reported(self, event: e.OrderReported) -> None:
        """Take the venue's picture of an order: fills first, then its state."""
        order = self.desk.state.orders.get(event.client_id)
        for fill in event.fills:
            self.on_fill(fill)
        if order is None:
            return
        if event.status in ("open", "pending"):
            if order.state is not OrderState.OPEN or event.filled > order.reported:
                self.desk.emit(
                    f.OrderSeen(
                        client_id=order.client_id, symbol=order.symbol, venue_id=event.venue_id, filled=event.filled
                    )
                )
            if order.canceling and event.status == "pending":
                self._verify_in(order, self._pause(order))  # the venue has both, the cancel waits behind the order
            elif order.canceling:
                self._cancel_again(order)
            elif self.desk.now >= order.sent_ms + order.wait_ms:
                self.on_wait(order.client_id)
            else:
                self.desk.remind(order.sent_ms + order.wait_ms, WAIT, order.client_id)
        elif event.status == "rejected":
            self._close(order, "rejected", ZERO, "found rejected")
        else:
            self._close(order, event.status, event.filled, "found at the venue")

    def on_not_found(self, event: e.OrderNotFound) -> None:
        """Take absence as proof only where it is conclusive; otherwise go on asking."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None:
            return
        if event.conclusive and not order.filled:
            self._done(order, "absent", "proven absent")
        else:
            self._verify_in(order, self._pause(order))

    def on_wait(self, client_id: str) -> None:
        """Handle the end of a wait: cancel what is not filled, and verify."""
        order = self.desk.state.orders.get(client_id)
        if order is None or order.canceling or not order.sent_ms:
            return
        if self.desk.now < order.sent_ms + order.wait_ms:
            return
        self.desk.emit(
            f.OrderWaitEnded(
                client_id=order.client_id,
                symbol=order.symbol,
                tif=order.tif,
                wait_ms=order.wait_ms,
                filled=order.filled,
            )
        )
        self.cancel(order, "wait")

    def on_verify(self, client_id: str) -> None:
        """Ask for an order whose end is due and has not been told."""
        if self.desk.now < self._verify_ms.get(client_id, 0):
            return
        self._verify_ms.pop(client_id, None)
        if order := self.desk.state.orders.get(client_id):
            self._query(order)

    # -- ends -------------------------------------------------------------------------------------

    def _close(self, order: Order, outcome: str, filled: Decimal, reason: str) -> None:
        if filled > order.filled:
            # The venue counts more than we have seen: the missing fills are fetched before the order may end.
            self.desk.emit(
                f.OrderSeen(client_id=order.client_id, symbol=order.symbol, venue_id=order.venue_id, filled=filled)
            )
            self._query(order)
        elif outcome == "rejected" and not order.filled:
            self.desk.emit(
                f.OrderRejected(
                    client_id=order.client_id, symbol=order.symbol, side=order.side, code="rejected", message=reason
                )
            )
            self._after(order)
        else:
            self._done(order, _outcome(outcome), reason)

    def _done(self, order: Order, outcome: Literal["filled", "canceled", "expired", "absent"], reason: str) -> None:
        self.desk.emit(
            f.OrderDone(
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                outcome=outcome,
                filled=order.filled,
                reason=reason,
            )
        )
        self._after(order)

    def _after(self, order: Order) -> None:
        """Go on with the intent of an order that has ended."""
        self._verify_ms.pop(order.client_id, None)
        intent = self.desk.state.intents.get(order.intent_id)
        if intent is None:
            return
        if intent.filled and self._complete(intent):
            self.end(intent, "filled")
        elif not self.desk.state.trading:
            self.end(intent, intent.ending or "restart")
        else:
            self.advance(intent)

    def _cancel_again(self, order: Order) -> None:
        self.desk.emit(f.CancelAsked(client_id=order.client_id, symbol=order.symbol, reason="wait"))
        self.desk.send(CancelOrder(client_id=order.client_id, symbol=order.symbol))
        self._verify_in(order, self._pause(order))

    def _query(self, order: Order) -> None:
        self.desk.send(QueryOrder(client_id=order.client_id, symbol=order.symbol))
        self._verify_in(order, self._pause(order))

    def _verify_in(self, order: Order, wait_ms: int) -> None:
        """Plan the one verification of an order, `wait_ms` from now; an earlier plan is void."""
        due_ms = self.desk.now + wait_ms
        self._verify_ms[order.client_id] = due_ms
        self.desk.remind(due_ms, VERIFY, order.client_id)

    def _pause(self, order: Order) -> int:
        """Return the pause before the next query: doubled with the age of the doubt, bounded."""
        settings = self.desk.profile.execution
        age = self.desk.now - (order.sent_ms or order.planned_ms)
        return min(max(settings.query_interval_ms, age), settings.query_max_interval_ms)


def _outcome(outcome: str) -> Literal["filled", "canceled", "expired"]:
    if outcome == "filled":
        return "filled"
    return "canceled" if outcome == "canceled" else "expired"


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
