"""Would the machine notice a broken promise? Each of these breaks one on purpose, for a while; asked by its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import OrderState, Side
from tradebot.engine.decision import BuyGates
from tradebot.engine.engine import Engine
from tradebot.engine.router import Router
from tradebot.engine.state import EngineState
from tradebot.exchange.outcomes import Unknown
from tradebot.exchange.requests import Requests
from tradebot.runtime.outbox import NEVER_MS, Outbox
from tradebot.venues.ccxt_lookups import Lookups

Patch = tuple[Any, str, Callable[..., Any]]


class _AllDurable:
    """A journal that says of everything that it is on the disk."""

    durable_seq = NEVER_MS


def send_again() -> list[Patch]:
    """Send an order once more where nothing is known of it."""
    place = Requests.place

    async def twice(requests: Requests, command: Any) -> Any:
        outcome = await place(requests, command)
        return await place(requests, command) if isinstance(outcome, Unknown) else outcome

    return [(Requests, "place", twice)]


def trust_absence() -> list[Patch]:
    """Believe the first answer that there is no such order (-2013)."""

    async def untraced(_lookups: Lookups, *_args: Any) -> None:
        return None

    return [(Lookups, "_due", lambda _lookups, _order: True), (Lookups, "_traced", untraced)]


def count_fills_twice() -> list[Patch]:
    """Book a trade as often as it is told."""
    on_fill = Router.on_fill

    def again(router: Router, event: Any) -> None:
        router.desk.state.trades.pop(event.client_id, None)
        on_fill(router, event)

    return [(Router, "on_fill", again)]


def forget_tail() -> list[Patch]:
    """Begin with the checkpoint alone, whatever the journal says of what came after it."""
    restore = Engine.restore

    def without(engine: Engine, document: Any, tail: Any) -> Any:
        return restore(engine, document, [] if document is not None else tail)

    return [(Engine, "restore", without)]


def forget_reservation() -> list[Patch]:
    """Let go of what a buy has reserved as soon as nothing is known of its order."""

    def less(state: EngineState) -> Decimal:
        total = ZERO
        for intent in state.intents.values():
            order = state.orders.get(intent.client_id)
            if intent.side is Side.BUY and (order is None or order.state is not OrderState.UNKNOWN):
                total += max(ZERO, intent.reserved - intent.spent)
        return total

    return [(EngineState, "outstanding", less)]


def send_before_written() -> list[Patch]:
    """Send what is not written down yet."""
    flush = Outbox.flush

    def at_once(outbox: Any, now_ms: int) -> None:
        journal, outbox._journal = outbox._journal, _AllDurable()
        try:
            flush(outbox, now_ms)
        finally:
            outbox._journal = journal

    return [(Outbox, "flush", at_once)]


def end_on_refused_cancel() -> list[Patch]:
    """Take an order whose cancel was asked for to have ended, whatever became of the cancel."""
    cancel = Router.cancel

    def at_once(router: Router, order: Any, reason: str) -> None:
        cancel(router, order, reason)
        if order.client_id in router.desk.state.orders and order.state is OrderState.OPEN:
            router._done(order, "canceled", "asked for")

    return [(Router, "cancel", at_once)]


def buy_though_paused() -> list[Patch]:
    """Look at every gate but the operator's pause."""
    shut = BuyGates.common

    def but_one(gates: BuyGates, *, held: bool) -> Any:
        state = gates.desk.state
        kept, state.paused = state.paused, ""
        try:
            return shut(gates, held=held)
        finally:
            state.paused = kept

    return [(BuyGates, "common", but_one)]


def end_without_fills() -> list[Patch]:
    """End an order on its final state, whether or not the fills it names are booked."""
    close = Router._close

    def at_once(router: Router, order: Any, outcome: str, _filled: Decimal, reason: str, **more: Any) -> None:
        close(router, order, outcome, order.filled, reason, **more)

    return [(Router, "_close", at_once)]


MUTATIONS: Final[dict[str, Callable[[], list[Patch]]]] = {
    each.__name__.replace("_", " "): each
    for each in (
        send_again,
        trust_absence,
        count_fills_twice,
        forget_tail,
        forget_reservation,
        send_before_written,
        end_on_refused_cancel,
        buy_though_paused,
        end_without_fills,
    )
}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """Let a promise be broken inside."""
    patches = MUTATIONS[name]()
    kept = [(owner, attribute, vars(owner)[attribute]) for owner, attribute, _ in patches]
    for owner, attribute, value in patches:
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in kept:
            setattr(owner, attribute, value)
