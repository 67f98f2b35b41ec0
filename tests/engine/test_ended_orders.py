"""Which ended orders stay known, so that a fill that comes late or twice is booked once? Facts alone, in order."""

from __future__ import annotations

from tests.engine.hand import A, D
from tradebot.domain import facts as f
from tradebot.domain.ledger import Ledger
from tradebot.domain.orders import OrderState, OrderType, Side, TimeInForce
from tradebot.engine.state import KEPT_ORDERS, KEPT_REFUSED, EngineState


def planned(state: EngineState, number: int) -> str:
    """Plan one more buy; return its client id."""
    client_id = f"t-r1-{number}"
    state.apply(f.IntentOpened(intent_id=number, symbol=A, side=Side.BUY, reason="drop", generation=1), number)
    state.apply(
        f.OrderPlanned(
            client_id=client_id,
            intent_id=number,
            symbol=A,
            side=Side.BUY,
            type=OrderType.LIMIT,
            tif=TimeInForce.IOC,
            step=0,
            generation=1,
            wait_ms=1,
            price=D(1),
            amount=D(1),
        ),
        number,
    )
    return client_id


def expired(state: EngineState, number: int) -> str:
    """Let an order end at the venue; return its client id."""
    client_id = planned(state, number)
    state.apply(
        f.OrderDone(client_id=client_id, symbol=A, side=Side.BUY, outcome="expired", filled=D(0), reason=""), number
    )
    return client_id


def refused(state: EngineState, number: int) -> str:
    """Let an order be refused; return its client id."""
    client_id = planned(state, number)
    state.apply(f.OrderRejected(client_id=client_id, symbol=A, side=Side.BUY, code="-1003", message="banned"), number)
    return client_id


def test_orders_that_were_refused_do_not_push_out_those_that_the_venue_took() -> None:
    state = EngineState(Ledger("USDT"))
    taken = [expired(state, number) for number in range(1, 101)]
    banned = [refused(state, number) for number in range(101, 1_001)]
    assert len(state.ended) == KEPT_ORDERS
    assert all(state.order(client_id) for client_id in taken)
    assert [name for name in banned if state.order(name)] == banned[-(KEPT_ORDERS - len(taken)) :]


def test_the_oldest_goes_where_the_venue_took_them_all() -> None:
    state = EngineState(Ledger("USDT"))
    taken = [expired(state, number) for number in range(1, KEPT_ORDERS + 11)]
    assert [name for name in taken if state.order(name) is None] == taken[:10]


def test_the_latest_refusals_stay_known_among_many_that_the_venue_took() -> None:
    state = EngineState(Ledger("USDT"))
    for number in range(1, KEPT_ORDERS + 1):
        expired(state, number)
    late = [refused(state, number) for number in range(1_001, 1_001 + KEPT_REFUSED)]
    known = [state.order(name) for name in late]
    assert all(order is not None and order.state is OrderState.REJECTED for order in known)
    assert len(state.ended) == KEPT_ORDERS
