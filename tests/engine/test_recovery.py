"""Does a restart protect what is held before anything else, and buy nothing before all of it is known?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.hand import A, B, C, D, Hand, merged, names
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryBalances, QueryOrder, ReconcileOrders
from tradebot.domain.orders import OrderState, Side

STOPS: dict[str, Any] = {
    "execution": {"steps": [{"tif": "GTC"}], "wait_ms": {"GTC": 3_600_000}},
    "exits": {"stop_loss_bps": 500, "take_profit_bps": "off"},
}
ALL = (A, B, C)


def held_and_open(*, held: Sequence[str] = ALL, resting: Sequence[str] = (), settings: Mapping[str, Any] = {}) -> Hand:
    """Return a bot that holds some symbols at 99 and has a buy resting in others."""
    hand = Hand(merged(STOPS, settings)).start()
    for symbol in held:
        hand.bought(symbol)
        hand.wait(1)
    for symbol in resting:
        hand.quote(symbol, 99.0)
        hand.wait(700_000)
        hand.quote(symbol, 99.0)
        place = hand.drop(symbol, 97.0, 99.0)
        hand.ack(place)
    return hand


def again(before: Hand, *, run: str = "r2", settings: Mapping[str, Any] = {}) -> Hand:
    """Return the bot after a crash: restored from the journal alone, its run begun, nothing answered yet."""
    hand = Hand(merged(STOPS, settings), journal=before.journal, now_ms=before.now + 60_000)
    hand.engine.restore(None, before.journal.read(0))
    hand.feed(e.ProfileApplied(1, hand.profile, hand.now))
    hand.feed(e.RunStarted(run, hand.now))
    return hand


def sold(hand: Hand) -> list[str]:
    """Return the symbols of which this run has sent a sale."""
    return [place.symbol for place in hand.asked(PlaceOrder) if place.side is Side.SELL]


def test_all_open_orders_are_asked_for_by_one_command_with_the_time_of_the_oldest() -> None:
    before = held_and_open(held=(), resting=ALL)
    planned = sorted(order.planned_ms for order in before.engine.state.orders.values())
    hand = again(before)
    (asked,) = hand.asked(ReconcileOrders)
    assert not hand.asked(QueryOrder)
    assert {query.client_id for query in asked.orders} == set(hand.engine.state.orders)
    assert {query.symbol for query in asked.orders} == set(ALL)
    assert asked.since_ms == planned[0] < planned[-1]


def test_an_order_in_a_delisted_symbol_holds_up_its_own_symbol_alone() -> None:
    hand = again(held_and_open(held=(A,), resting=(A,)))
    (order,) = hand.engine.state.orders.values()

    def trades() -> bool:
        return hand.engine.state.trading

    hand.feed(e.OutcomeUnknown(order.client_id, "query", "refused: -1121 Invalid symbol.", hand.now))
    hand.balance(9_900)
    assert not trades()
    hand.feed(e.SymbolStatusSeen(A, tradable=False, reason="BREAK", at_ms=hand.now))
    hand.balance(9_900)
    assert not trades(), "a symbol that is halted is traded again one day"
    hand.feed(e.SymbolStatusSeen(A, tradable=False, reason="delisted", at_ms=hand.now))
    assert trades()
    assert hand.engine.state.fences.quarantine[A].reason == "delisted"
    hand.feed(e.SymbolStatusSeen(A, tradable=True, reason="TRADING", at_ms=hand.now))
    hand.quote(A, 90.0)
    assert sold(hand) == [], "its order is still in doubt"
    hand.feed(e.OrderReported(order.client_id, "v-1", "canceled", D(0), (), hand.now))
    hand.quote(A, 90.0)
    assert sold(hand) == [A]


def test_one_open_order_is_asked_for_alone_and_none_not_at_all() -> None:
    assert [one.symbol for one in again(held_and_open(held=(), resting=(B,))).asked(QueryOrder)] == [B]
    clean = again(held_and_open(held=(A,)))
    assert not clean.asked(ReconcileOrders)
    assert not clean.asked(QueryOrder)
    assert len(clean.asked(QueryBalances)) == 1


def test_a_position_is_protected_though_no_answer_has_come_for_anything_else() -> None:
    """A is held and nothing of it is under way; B is held with a buy resting; not even the balances are told."""
    before = held_and_open(held=(A, B), resting=(B,))
    hand = again(before)
    hand.quote(A, 90.0)
    assert sold(hand) == [A]
    hand.quote(B, 90.0)
    assert sold(hand) == [A], "the venue has not said what became of B's own order"
    sale = next(order for order in hand.engine.state.orders.values() if order.side is Side.SELL)
    hand.ack(sale)
    hand.fill(sale)
    hand.closed(sale, "filled")
    assert hand.held(A) == 0
    assert not hand.told(f.RecoveryCompleted)[1:]


def test_an_exit_that_waits_for_its_symbol_begins_with_the_last_answer_and_not_with_the_next_price() -> None:
    before = held_and_open(held=(A, B), resting=(B,))
    hand = again(before)
    hand.quote(B, 90.0)
    resting = next(iter(hand.engine.state.orders.values()))
    hand.reported(resting, "canceled")
    hand.wait(0)
    assert sold(hand) == [B]


def test_an_open_buy_of_a_symbol_that_has_to_be_sold_is_cancelled_first() -> None:
    before = held_and_open(held=(A, B), resting=(B,))
    hand = again(before)
    hand.quote(B, 90.0)
    resting = next(iter(hand.engine.state.orders.values()))
    hand.reported(resting, "open")
    hand.wait(0)
    assert [cancel.client_id for cancel in hand.asked(CancelOrder)] == [resting.client_id]
    assert sold(hand) == []
    hand.closed(resting, "canceled")
    hand.wait(0)
    assert sold(hand) == [B]


def test_an_exit_of_a_recovery_goes_on_down_its_ladder() -> None:
    steps = {"exits": {"steps": [{"tif": "IOC"}, {"tif": "IOC", "offset_bps": 50}]}}
    hand = again(held_and_open(held=(A, B), resting=(B,), settings=steps), settings=steps)
    hand.quote(A, 90.0)
    first = next(order for order in hand.engine.state.orders.values() if order.side is Side.SELL)
    hand.closed(first, "expired")
    second = next(order for order in hand.engine.state.orders.values() if order.side is Side.SELL)
    assert (second.step, second.intent_id) == (1, first.intent_id)


def test_one_order_that_stays_unknown_blocks_its_own_symbols_exit_and_every_buy_and_nothing_else() -> None:
    before = held_and_open(held=(A, B), resting=(B,))
    hand = again(before)
    hand.balance(hand.engine.state.ledger.cash)
    lost = next(iter(hand.engine.state.orders.values()))
    for _ in range(20):
        hand.unknown(lost, "query")
        hand.not_found(lost, conclusive=False)
        hand.wait(15_000)
        hand.quote(C, 100.0)
        hand.quote(C, 90.0)
        hand.quote(B, 90.0)
    assert sold(hand) == []
    assert not [place for place in hand.asked(PlaceOrder) if place.side is Side.BUY]
    hand.quote(A, 90.0)
    assert sold(hand) == [A]
    assert "RecoveryCompleted" in names(hand.not_found(lost, conclusive=True))
    hand.wait(0)
    hand.quote(B, 90.0)
    assert sold(hand) == [A, B]


def test_trading_waits_for_fills_that_the_venue_counts_and_has_not_told_yet() -> None:
    hand = again(held_and_open(held=(), resting=(A,)))
    hand.balance(hand.engine.state.ledger.cash)
    order = next(iter(hand.engine.state.orders.values()))
    assert "RecoveryCompleted" not in names(hand.reported(order, "open", filled=D("0.5")))
    fill = hand.a_fill(order, "0.5")
    assert "RecoveryCompleted" in names(hand.fill(order, fill.amount))


def test_a_start_says_first_what_it_will_do() -> None:
    trailing = {"exits": {"trailing": {"activate_bps": 100, "distance_bps": 50}}}
    before = held_and_open(held=(A,), resting=(B,), settings=trailing)
    hand = again(before, settings=trailing)
    plan = hand.told(f.RecoveryPlanned)[-1]
    assert plan.orders == tuple(hand.engine.state.orders)
    assert plan.cancels == ()
    assert plan.positions == (A,)
    assert plan.protected == (f"{A}: stop 94.05, trailing from 99.99",)
    assert plan.unprotected == ()
    facts = [fact for _, _, fact in hand.journal.read(0)]
    began = max(at for at, fact in enumerate(facts) if isinstance(fact, f.RunOpened))
    assert isinstance(facts[began + 1], f.RecoveryPlanned), "it is told before anything is done"


def test_the_plan_names_what_no_rule_protects_and_what_has_waited_long_enough() -> None:
    none = {"exits": {"stop_loss_bps": "off", "take_profit_bps": "off"}}
    before = held_and_open(held=(A,), resting=(B,))
    before.wait(3_600_000 - 60_000)
    hand = again(before, settings=none)
    plan = hand.told(f.RecoveryPlanned)[-1]
    assert plan.unprotected == (A,)
    assert plan.cancels == plan.orders
    hand.reported(next(iter(hand.engine.state.orders.values())), "open")
    assert [cancel.client_id for cancel in hand.asked(CancelOrder)] == list(plan.cancels)


def test_an_intent_without_an_order_ends_before_anything_is_asked() -> None:
    before = Hand().start()
    place = before.drop()
    before.refused(place)
    rows = list(before.journal.read(0))
    cut = next(seq for seq, _, fact in rows if isinstance(fact, f.OrderRejected))
    kept = Hand(now_ms=before.now + 60_000)
    for _, at_ms, fact in rows[:cut]:
        kept.journal.append([fact], at_ms)
    kept.engine.restore(None, kept.journal.read(0))
    assert len(kept.engine.state.intents) == 1
    facts = kept.feed(e.RunStarted("r2", kept.now))
    (ended,) = [fact for fact in facts if isinstance(fact, f.IntentEnded)]
    assert ended.reason == "restart"
    assert kept.told(f.RecoveryPlanned)[-1].ends == 1


def test_what_happened_while_away_is_told_in_one_fact_with_its_worth_and_what_it_won() -> None:
    before = held_and_open(held=(A,), resting=(B,))
    before.quote(A, 90.0)
    sale = next(order for order in before.engine.state.orders.values() if order.side is Side.SELL)
    buy = next(order for order in before.engine.state.orders.values() if order.side is Side.BUY)
    hand = again(before)
    hand.balance(hand.engine.state.ledger.cash)
    amount = sale.amount
    hand.reported(sale, "filled", [hand.a_fill(sale, price=D(95))])
    facts = hand.reported(buy, "open", [hand.a_fill(buy, "0.5", price=D(96)), hand.a_fill(buy, "0.25", price=D(95))])
    (done,) = [fact for fact in facts if isinstance(fact, f.RecoveryCompleted)]
    assert done.fills_adopted == 3
    assert (done.bought, done.sold) == (D("71.75"), amount * 95)
    assert done.pnl == amount * (95 - 99)
    assert done.quote == "USDT"


def test_fills_of_this_runs_own_exits_are_not_told_as_missed() -> None:
    hand = again(held_and_open(held=(A, B), resting=(B,)))
    hand.quote(A, 90.0)
    sale = next(order for order in hand.engine.state.orders.values() if order.side is Side.SELL)
    hand.fill(sale)
    hand.closed(sale, "filled")
    hand.balance(hand.engine.state.ledger.cash)
    lost = next(iter(hand.engine.state.orders.values()))
    (done,) = [fact for fact in hand.reported(lost, "open") if isinstance(fact, f.RecoveryCompleted)]
    assert done.fills_adopted == done.sold == done.pnl == 0
    assert done.quote == ""


@pytest.mark.parametrize("open_orders", ["cancel", "leave"])
def test_a_shutdown_in_the_middle_of_a_recovery_ends_its_exits_as_any_other(open_orders: Any) -> None:
    hand = again(held_and_open(held=(A, B), resting=(B,)))
    hand.quote(A, 90.0)
    hand.feed(e.ShutdownRequested(open_orders, "SIGTERM", hand.now))
    hand.quote(B, 80.0)
    assert sold(hand) == [A]


ANSWERS = st.sampled_from(["open", "canceled", "filled", "partly", "lagging", "absent", "misses", "unknown"])


class Answering:
    """What a venue says of the open orders, in any order, while prices move."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.of_before = dict(hand.engine.state.orders)
        self.settled: set[str] = set()

    def answer(self, client_id: str, how: str) -> None:
        """Answer for one order; a "partly" filled one goes on, a "lagging" one names fills that are told later."""
        hand, order = self.hand, self.hand.engine.state.orders.get(client_id)
        if order is None:
            self.settled.add(client_id)
            return
        known = order.filled
        if how in ("open", "canceled"):
            hand.reported(order, how, filled=known)
        elif how == "filled":
            hand.reported(order, "filled", [hand.a_fill(order, order.amount - known)], filled=order.amount)
        elif how == "partly" and order.amount - known > D("0.01"):
            hand.reported(order, "open", [hand.a_fill(order, "0.01")], filled=known + D("0.01"))
        elif how == "lagging":
            hand.reported(order, "open", filled=known + D("0.001"))
            how = "unknown"
        elif how in ("absent", "misses"):
            hand.not_found(order, conclusive=how == "absent" and not known)
            how = "absent" if how == "absent" and not known else "unknown"
        else:
            hand.unknown(order, "query")
            how = "unknown"
        after = hand.engine.state.orders.get(client_id)
        if how != "unknown" and (after is None or after.filled >= after.reported):
            self.settled.add(client_id)

    def unsettled(self) -> set[str]:
        """Return the symbols for which an answer is due; what was settled once stays so, whatever is told later."""
        due = self.of_before.keys() & self.hand.engine.state.orders.keys() - self.settled
        return {self.of_before[client_id].symbol for client_id in due}


@example({A}, {A}, [("answer", 0, "open"), ("balance", 0, 0), ("answer", 0, "lagging")])
@given(
    st.sets(st.sampled_from(ALL), min_size=1),
    st.sets(st.sampled_from(ALL)),
    st.lists(
        st.one_of(
            st.tuples(st.just("answer"), st.integers(0, 2), ANSWERS),
            st.tuples(st.just("price"), st.integers(0, 2), st.sampled_from([80.0, 94.0, 96.9, 99.0, 105.0])),
            st.tuples(st.just("balance"), st.just(0), st.just(0)),
            st.tuples(st.just("wait"), st.integers(0, 5_000), st.just(0)),
        ),
        max_size=40,
    ),
)
def test_whatever_order_answers_come_in_a_settled_symbol_is_protected_and_nothing_is_bought_before_the_end(
    held: set[str], resting: set[str], script: list[tuple[str, int, Any]]
) -> None:
    hand = again(held_and_open(held=sorted(held), resting=sorted(resting)))
    venue = Answering(hand)
    told = False
    for what, number, how in script:
        seq = hand.journal.last_seq
        told = happens(venue, what, number, how) or told
        unsettled = venue.unsettled()
        done = len(hand.told(f.RecoveryCompleted)) > 1
        assert done == (told and not unsettled)
        opened = [fact for _, _, fact in hand.journal.read(seq) if isinstance(fact, f.IntentOpened)]
        assert done or all(fact.side is Side.SELL for fact in opened), "nothing is bought before all of it is known"
        assert_protected(hand, unsettled)
    for sale in hand.asked(PlaceOrder):
        assert sale.side is Side.BUY or sale.amount <= _most(hand, sale.symbol)
    for intent in hand.engine.state.intents.values():
        assert intent.client_id in hand.engine.state.orders, "no intent is left without an order"


def happens(venue: Answering, what: str, number: int, how: Any) -> bool:
    """Let one line of the script happen; return whether the balances were told by it."""
    hand, ids = venue.hand, list(venue.of_before)
    if what == "answer" and ids:
        venue.answer(ids[number % len(ids)], how)
    elif what == "price":
        hand.quote(ALL[number], how)
    elif what == "balance":
        hand.balance(hand.engine.state.ledger.cash)
    elif what == "wait":
        hand.wait(number)
    return what == "balance"


def assert_protected(hand: Hand, unsettled: set[str]) -> None:
    """Every settled symbol below its stop is being sold, unless an exit has just failed."""
    for name, position in hand.engine.state.ledger.positions.items():
        symbol = hand.engine.symbols[name]
        low = symbol.seen_ms >= 0 and symbol.bid <= symbol.stop and position.amount > D("0.1")
        if low and name not in unsettled and hand.now >= symbol.exit_wait_ms:
            hand.wait(0)
            assert name in hand.engine.state.by_symbol, f"{name} is settled and below its stop"


def _most(hand: Hand, symbol: str) -> Decimal:
    """Return all that was ever bought of a symbol."""
    return sum(
        (fact.amount for fact in hand.told(f.OrderFilled) if fact.symbol == symbol and fact.side is Side.BUY), D(0)
    )


def test_after_a_restart_a_query_that_fails_is_repeated_soon_however_old_its_order_is() -> None:
    before = held_and_open(held=(), resting=(A,))
    before.wait(1_800_000)
    hand = again(before)
    order = next(iter(hand.engine.state.orders.values()))
    assert order.state is OrderState.OPEN
    gaps = []
    for _ in range(5):
        asked, began = len(hand.asked(QueryOrder)), hand.now
        hand.unknown(order, "query")
        while len(hand.asked(QueryOrder)) == asked:
            hand.wait(100)
        gaps.append(hand.now - began)
    assert gaps[0] == 2_000
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 60_000
