"""Whatever a venue that never lies says, in whatever order, late, twice or not at all: is every order settled?"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.engine.hand import A, B
from tests.engine.wild import TrueOrder, Wild
from tradebot.domain.facts import IntentEnded

Move = tuple[str, int, int]

MOVES = (
    "quote", "quote", "quote", "arrive", "arrive", "refuse", "lose", "fill", "fill", "fill all", "end", "answer",
    "answer", "lag", "mute", "deliver", "deliver", "deliver", "repeat", "drop", "doubt", "wait", "wait", "stall",
    "resume",
)  # fmt: skip

SPANS = (0, 1, 500, 1_000, 2_001, 5_000, 30_000, 61_000)
PRICES = (100.0, 99.0, 98.97, 98.0, 97.4, 99.99, 101.0, 103.0, 96.0)
SHARES = tuple(Decimal(share) / 100 for share in (1, 30, 50, 95, 97))


def picked(orders: list[TrueOrder], number: int) -> TrueOrder | None:
    """Return one of the orders, None where there is none."""
    return orders[number % len(orders)] if orders else None


def venue_moves(wild: Wild, move: str, pick: int, value: int) -> bool:
    """Let something happen to the orders at the venue; return whether it was such a move."""
    flying = picked([order for order in wild.orders.values() if order.state == "flying"], pick)
    open_ = picked([order for order in wild.orders.values() if order.state == "open"], pick)
    match move:
        case "arrive" | "refuse":
            if flying:
                wild.arrive(flying, welcome=move == "arrive")
        case "lose":
            if flying:
                wild.lose(flying)
        case "fill" | "fill all":
            if open_:
                share = Decimal(1) if move == "fill all" else SHARES[value % len(SHARES)]
                wild.fill(open_, share, value % 7)
        case "end":
            if open_:
                wild.end(open_, ("expired", "canceled")[value % 2])
        case _:
            return False
    return True


def mail_moves(wild: Wild, move: str, pick: int) -> bool:
    """Let something happen to the messages; return whether it was such a move."""
    if move in ("answer", "lag", "mute"):
        if wild.requests:
            request = wild.requests.pop(pick % len(wild.requests))
            if move != "mute":
                wild.answer(request, lagging=move == "lag")
    elif move in ("deliver", "repeat", "drop"):
        if wild.mail:
            at = pick % len(wild.mail)
            message = wild.mail[at] if move == "repeat" else wild.mail.pop(at)
            if move != "drop":
                wild.deliver(message)
    else:
        return False
    return True


def step(wild: Wild, move: Move) -> None:
    """Let one move happen."""
    name, pick, value = move
    if venue_moves(wild, name, pick, value) or mail_moves(wild, name, pick):
        return
    match name:
        case "quote":
            wild.quote((A, B)[pick % 2], PRICES[value % len(PRICES)], (0, 4, 30)[pick % 3])
        case "wait":
            wild.wait(SPANS[value % len(SPANS)])
        case "stall" | "resume":
            wild.stall(on=name == "stall")
        case "doubt":
            wild.doubt(pick, value)
        case _:
            raise ValueError(name)


scripts = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 11), st.integers(0, 11)), max_size=90)


@settings(max_examples=400)
@given(scripts)
def test_every_order_is_settled_and_every_reservation_returns(script: list[Move]) -> None:
    wild = Wild()
    for move in script:
        step(wild, move)
        wild.check()
    wild.settle()
    note(str(Counter(type(fact).__name__ for _, _, fact in wild.journal.read(0))))


def test_the_scripts_reach_every_kind_of_news_about_orders() -> None:
    """The property above would say little if its scripts never met a partial fill, a doubt or a lost order."""
    draw = random.Random(1)
    seen: Counter[str] = Counter()
    for _ in range(60):
        wild = Wild()
        for _ in range(90):
            step(wild, (draw.choice(MOVES), draw.randrange(12), draw.randrange(12)))
            wild.check()
        wild.settle()
        seen.update(type(fact).__name__ for _, _, fact in wild.journal.read(0))
        seen.update(f"intent {fact.outcome}" for fact in wild.hand.told(IntentEnded))
    wanted = {
        "OrderNeverSent", "OrderAccepted", "OrderRejected", "OrderFilled", "OrderDone", "OrderWaitEnded", "CancelAsked",
        "CancelFailed", "OrderBecameUnknown", "OrderSeen", "PositionClosed", "intent filled", "intent partial",
        "intent unfilled", "intent never_sent",
    }  # fmt: skip
    assert wanted <= seen.keys(), wanted - seen.keys()
