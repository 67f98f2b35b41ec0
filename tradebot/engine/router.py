"""How does an intent become fills? The state machine over the escalation steps; asked by engine and recovery.

One order works at a time. An order ends only on the venue's evidence: a terminal state and every fill it names.
A wait that passes cancels and verifies; an UNKNOWN order is queried, with growing pauses, and never freed by age.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, QueryOrder
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import HELD_BACK, NOT_NOW, Intent, Order, OrderState, Side
from tradebot.engine.breaker import Breaker
from tradebot.engine.desk import Desk
from tradebot.engine.doubts import Doubts
from tradebot.engine.fences import action_of
from tradebot.engine.ladder import Ladder
from tradebot.engine.parts import Parts
from tradebot.engine.transitions import News, moves

WAIT = "wait"


class Router:
    """Turns intents into orders, one step of the ladder after the other."""

    def __init__(self, desk: Desk, parts: Parts, breaker: Breaker) -> None:
        self.desk = desk
        self.breaker = breaker
        self.ladder = Ladder(desk, parts)
        self.doubts = Doubts(desk)

    def stop(self, intent: Intent, reason: str) -> None:
        """End an intent as soon as its order, cancelled and verified, allows it."""
        order = self.desk.state.orders.get(intent.client_id)
        if order is None:
            self.ladder.end(intent, reason)
        else:
            self.cancel(order, reason)

    def cancel(self, order: Order, reason: str) -> None:
        """Ask for a cancel, and have it verified; an UNKNOWN order is queried first."""
        already = order.canceling
        self.desk.emit(
            f.CancelAsked(generation=order.generation, client_id=order.client_id, symbol=order.symbol, reason=reason)
        )
        if order.state is OrderState.UNKNOWN:
            self._query(order)
        elif not already:
            self.desk.send(CancelOrder(client_id=order.client_id, symbol=order.symbol))
            self.doubts.plan(order, "cancelled")

    # -- answers ----------------------------------------------------------------------------------

    def on_sent(self, event: e.RequestSent) -> None:
        """Note that the request left: the wait of its time in force begins."""
        order = self._moved(event.client_id, News.SENT)
        if order is None:
            return
        self.desk.emit(
            f.OrderSent(
                generation=order.generation,
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                tif=order.tif,
                type=order.type,
                wait_ms=order.wait_ms,
            )
        )
        self.desk.remind(order.sent_ms + order.wait_ms, WAIT, order.client_id)

    def on_not_sent(self, event: e.RequestNotSent) -> None:
        """Note that the request never left; its intent ends, since its moment has passed."""
        order = self._moved(event.client_id, News.NOT_SENT)
        if order is None:
            return
        self.desk.emit(
            f.OrderNeverSent(
                generation=order.generation, client_id=order.client_id, symbol=order.symbol, reason=event.reason
            )
        )
        self.doubts.drop(order.client_id)
        if intent := self.desk.state.intents.get(order.intent_id):
            self.ladder.end(intent, intent.ending or event.reason)

    def on_acknowledged(self, event: e.OrderAcknowledged) -> None:
        """Note that the venue has the order."""
        order = self._moved(event.client_id, News.ACKNOWLEDGED)
        if order is None:
            return
        doubted = order.state is OrderState.UNKNOWN
        waited = order.sent_ms
        self.desk.emit(
            f.OrderAccepted(
                generation=order.generation,
                client_id=order.client_id,
                symbol=order.symbol,
                venue_id=event.venue_id,
                latency_ms=max(0, event.at_ms - (order.sent_ms or event.at_ms)),
            )
        )
        if not waited:  # that it left was not written down before a crash
            self.desk.remind(order.sent_ms + order.wait_ms, WAIT, order.client_id)
        if order.canceling and doubted:
            self._cancel_again(order)

    def on_refused(self, event: e.OrderRefused) -> None:
        """Take a conclusive refusal: the next step is tried, unless it would not leave just now either."""
        order = self._moved(event.client_id, News.REFUSED)
        if order is None or order.filled:
            return
        self.desk.emit(
            f.OrderRejected(
                generation=order.generation,
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                code=event.code,
                message=event.message,
            )
        )
        self.breaker.look(action_of(order.side), order.symbol)
        intent = self.desk.state.intents.get(order.intent_id)
        if event.code in NOT_NOW and intent is not None:
            self.doubts.drop(order.client_id)
            self.ladder.end(intent, intent.ending or ("held back" if event.code == HELD_BACK else "no connection"))
        else:
            self._after(order)

    def on_fill(self, event: e.FillReported) -> None:
        """Book a fill once, also of an order that has ended; one of an unknown order is reported, not booked."""
        state = self.desk.state
        order = state.order(event.client_id)
        if order is None:
            self.desk.emit(
                f.StrayFillSeen(
                    generation=state.generation,
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
                generation=order.generation,
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
        self.breaker.went_well(action_of(order.side), order.symbol)
        if opened:
            self.desk.emit(
                f.PositionOpened(
                    generation=order.generation, symbol=order.symbol, entry_price=event.price, amount=event.amount
                )
            )

    def on_closed(self, event: e.OrderClosed) -> None:
        """End an order on a terminal state, once every fill it names is booked."""
        order = self._moved(event.client_id, News.FINISHED)
        if order is not None:
            self._close(order, event.outcome, event.filled, event.reason)

    def on_cancel_refused(self, event: e.CancelRefused) -> None:
        """Ask for the order: a refused cancel often means that it is already over. After a second one, with a pause."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None:
            return
        self.desk.emit(
            f.CancelFailed(
                generation=order.generation,
                client_id=order.client_id,
                symbol=order.symbol,
                code=event.code,
                message=event.message,
            )
        )
        self.breaker.look("cancel", order.symbol)
        self._ask(order, again=order.cancel_tries > 1)

    def on_unknown(self, event: e.OutcomeUnknown) -> None:
        """Keep an order whose request may or may not have arrived, and ask for it."""
        order = self.desk.state.orders.get(event.client_id)
        if order is None:
            return
        if event.request == "place" and moves(order.state, News.DOUBTED):
            self.desk.emit(
                f.OrderBecameUnknown(
                    generation=order.generation,
                    client_id=order.client_id,
                    symbol=order.symbol,
                    request=event.request,
                    cause=event.cause,
                )
            )
        self.doubts.plan(order, "again" if event.request == "query" else "doubted")

    def on_reported(self, event: e.OrderReported) -> None:
        """Take the venue's picture of an order: fills first, then its state."""
        order = self._moved(event.client_id, News.SEEN)
        for fill in event.fills:
            self.on_fill(fill)
        if order is None:
            return
        if event.status in ("open", "pending"):
            if order.state is not OrderState.OPEN or event.filled > order.reported:
                self.desk.emit(
                    f.OrderSeen(
                        generation=order.generation,
                        client_id=order.client_id,
                        symbol=order.symbol,
                        venue_id=event.venue_id,
                        filled=event.filled,
                    )
                )
            if order.canceling and event.status == "pending":
                self.doubts.plan(order, "again")  # the venue has both, the cancel waits behind the order
            elif order.canceling:
                self._cancel_again(order)
            elif self.desk.now >= order.sent_ms + order.wait_ms:
                self.on_wait(order.client_id)
            else:
                self.desk.remind(order.sent_ms + order.wait_ms, WAIT, order.client_id)
        elif event.status == "rejected":
            self._close(order, "rejected", ZERO, "found rejected")
        else:
            self._close(order, event.status, event.filled, "found at the venue", asked=True)

    def on_not_found(self, event: e.OrderNotFound) -> None:
        """Take absence as proof only where it is conclusive; otherwise go on asking."""
        order = self._moved(event.client_id, News.ABSENT)
        if order is None:
            return
        if event.conclusive and not order.filled:
            self._done(order, "absent", "proven absent")
        else:
            self.doubts.plan(order, "again")

    def on_wait(self, client_id: str) -> None:
        """Handle the end of a wait: cancel what is not filled, and verify."""
        order = self.desk.state.orders.get(client_id)
        if order is None or order.canceling or not order.sent_ms:
            return
        if self.desk.now < (due_ms := order.sent_ms + order.wait_ms):
            self.desk.remind(due_ms, WAIT, client_id)
            return
        self.desk.emit(
            f.OrderWaitEnded(
                generation=order.generation,
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
        if self.doubts.take(client_id) and (order := self.desk.state.orders.get(client_id)):
            self._query(order)

    def ask(self, order: Order) -> None:
        """Ask for an order now, whatever is known of it."""
        self._query(order)

    def ask_again(self) -> None:
        """Ask at once for every order whose state or cancel is in doubt: the venue answers again."""
        for order in list(self.desk.state.orders.values()):
            if order.state is OrderState.UNKNOWN or order.canceling:
                self._query(order)

    def _moved(self, client_id: str, news: News) -> Order | None:
        """Return the order that `news` moves; None where it changes nothing."""
        order = self.desk.state.orders.get(client_id)
        return order if order is not None and moves(order.state, news) else None

    # -- ends -------------------------------------------------------------------------------------

    def _close(self, order: Order, outcome: str, filled: Decimal, reason: str, *, asked: bool = False) -> None:
        if filled > order.filled:
            # The venue counts more than we have seen: the missing fills are fetched before the order may end.
            if order.state is not OrderState.OPEN or filled > order.reported:
                self.desk.emit(
                    f.OrderSeen(
                        generation=order.generation,
                        client_id=order.client_id,
                        symbol=order.symbol,
                        venue_id=order.venue_id,
                        filled=filled,
                    )
                )
            self._ask(order, again=asked)
        elif outcome == "rejected" and not order.filled:
            self.desk.emit(
                f.OrderRejected(
                    generation=order.generation,
                    client_id=order.client_id,
                    symbol=order.symbol,
                    side=order.side,
                    code="rejected",
                    message=reason,
                )
            )
            self.breaker.look(action_of(order.side), order.symbol)
            self._after(order)
        else:
            self._done(order, _outcome(outcome), reason)

    def _done(self, order: Order, outcome: Literal["filled", "canceled", "expired", "absent"], reason: str) -> None:
        self.desk.emit(
            f.OrderDone(
                generation=order.generation,
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                outcome=outcome,
                filled=order.filled,
                reason=reason,
            )
        )
        if outcome == "absent":
            self.breaker.look(action_of(order.side), order.symbol)
        else:
            self.breaker.went_well(action_of(order.side), order.symbol)
            self.breaker.went_well("cancel", order.symbol)
        self._after(order)

    def _after(self, order: Order) -> None:
        """Go on with the intent of an order that has ended."""
        self.doubts.drop(order.client_id)
        intent = self.desk.state.intents.get(order.intent_id)
        if intent is None:
            return
        if intent.filled and self.ladder.complete(intent):
            self.ladder.end(intent, "filled")
        elif not self.desk.may_go_on(intent):
            self.ladder.end(intent, intent.ending or "restart")
        else:
            self.ladder.advance(intent)

    def _cancel_again(self, order: Order) -> None:
        self.desk.emit(
            f.CancelAsked(generation=order.generation, client_id=order.client_id, symbol=order.symbol, reason="wait")
        )
        self.desk.send(CancelOrder(client_id=order.client_id, symbol=order.symbol))
        self.doubts.plan(order, "again")

    def _ask(self, order: Order, *, again: bool) -> None:
        """Ask for an order: at once, or `again` after a pause where the last answer did not settle it."""
        if again:
            self.doubts.plan(order, "again")
        else:
            self._query(order)

    def _query(self, order: Order) -> None:
        self.desk.send(QueryOrder(client_id=order.client_id, symbol=order.symbol))
        self.doubts.plan(order, "again")


def _outcome(outcome: str) -> Literal["filled", "canceled", "expired"]:
    if outcome == "filled":
        return "filled"
    return "canceled" if outcome == "canceled" else "expired"
