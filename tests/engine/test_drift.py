"""Is it noticed what others did to the account, are exits and buys held to it, and does an operator settle it?"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import pytest

from tests.engine.hand import INSTRUMENTS, A, B, D, Hand, names
from tests.engine.paper import PaperBot
from tests.engine.test_exits import with_exits
from tests.engine.test_halt import restarted
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import CancelOrder, PlaceOrder, QueryBalances
from tradebot.domain.orders import Balance, Order
from tradebot.storage.checkpoint import assemble

STOP = with_exits(stop_loss_bps=200)
FEW: dict[str, Any] = {"fences": {"exit_pause_max_s": 1}}
LOOK_MS = 2_000


def holding(settings: dict[str, Any] | None = None) -> tuple[Hand, Order]:
    """Return a bot that holds a position in A, and the order that bought it; the cash is what the account has."""
    hand = Hand(settings).start()
    order = hand.bought(A)
    hand.wait(60_000)
    hand.balance(cash(hand))
    hand.wait(60_000)
    assert not hand.told(f.DriftSeen)
    return hand, order


def cash(hand: Hand) -> Decimal:
    return hand.engine.state.ledger.cash


def look(hand: Hand, quote: Decimal | None = None, **bases: Any) -> list[f.Fact]:
    """Ask for the balances and tell these; return what came of it."""
    hand.feed(e.BalancesWanted(hand.now))
    return hand.balance(cash(hand) if quote is None else quote, **bases)


def drifted(hand: Hand, quote: Decimal | None = None, **bases: Any) -> list[f.Fact]:
    """Show a difference twice, as it takes to be one."""
    first = look(hand, quote, **bases)
    asked = len(hand.asked(QueryBalances))
    hand.wait(LOOK_MS)
    assert len(hand.asked(QueryBalances)) == asked + 1, "another answer is wanted soon"
    return [*first, *hand.balance(cash(hand) if quote is None else quote, **bases)]


def answer(
    hand: Hand, action: Literal["adopt", "ignore", "close"], asset: str = "AAA", price: str | None = None
) -> list[f.Fact]:
    """Say what becomes of a difference."""
    return hand.feed(e.DriftAnswered(asset, action, None if price is None else D(price), "ana", hand.now))


def seen(hand: Hand) -> list[f.DriftSeen]:
    return hand.told(f.DriftSeen)


# -- noticing -----------------------------------------------------------------------------------------


def test_a_manual_sale_is_noticed_by_the_second_answer_told_once_and_gone_when_it_is_back() -> None:
    hand, order = holding()
    assert "DriftSeen" not in names(look(hand, AAA="0.3"))
    hand.wait(LOOK_MS)
    (fact,) = (one for one in hand.balance(cash(hand), AAA="0.3") if isinstance(one, f.DriftSeen))
    assert fact == f.DriftSeen("AAA", A, order.amount, D("0.3"), generation=1)
    assert f.level_of(fact) == "WARNING"
    drifted_again = look(hand, AAA="0.3")
    assert "DriftSeen" not in names(drifted_again)
    assert "DriftSeen" in names(drifted(hand, AAA="0.2")), "a change is told anew"
    assert f.DriftEnded("AAA", A, "gone", generation=1) in look(hand)
    assert hand.engine.state.drifts.items == {}


def test_one_answer_that_lags_behind_is_no_drift() -> None:
    hand, _ = holding()
    look(hand, AAA=0)
    hand.wait(LOOK_MS)
    hand.balance(cash(hand))
    assert not seen(hand)


def test_two_answers_that_were_asked_for_at_once_lag_behind_together_and_are_no_drift() -> None:
    hand, _ = holding()
    look(hand, AAA=0)
    look(hand, AAA=0)
    assert not seen(hand)
    hand.wait(LOOK_MS)
    hand.balance(cash(hand), AAA=0)
    assert [fact.asset for fact in seen(hand)] == ["AAA"]


def test_nothing_is_compared_while_an_own_order_of_the_asset_could_explain_it() -> None:
    hand, _ = holding(STOP)
    hand.quote(A, 90.0)
    order = hand.order()
    for _ in range(3):
        look(hand, D(1), AAA=0)
    hand.unknown(order)
    for _ in range(3):
        look(hand, D(1), AAA=0)
    assert not seen(hand)


def test_an_order_between_question_and_answer_makes_the_answer_worth_nothing() -> None:
    hand, _ = holding(STOP)
    for _ in range(2):
        hand.feed(e.BalancesWanted(hand.now))
        hand.quote(A, 90.0)
        hand.fill(hand.order(), "0.1", price=D(90))
        hand.closed(hand.order(), "expired")
        for _ in range(5):
            if hand.engine.state.orders:
                hand.closed(hand.order(), "expired")
        assert A not in hand.engine.state.by_symbol
        hand.balance(D(1), AAA=0)
        hand.wait(60_000)
    assert not seen(hand)


def test_balances_that_were_not_asked_for_are_not_compared() -> None:
    hand, _ = holding()
    for _ in range(3):
        hand.balance(cash(hand), AAA=0)
    assert not seen(hand)


def test_what_the_account_holds_beside_is_noted_once_and_left_alone() -> None:
    hand, order = holding(STOP)
    told = [one for one in drifted(hand, AAA="7", BBB="3", DOGE="5") if isinstance(one, f.DriftSeen)]
    assert [(one.asset, f.level_of(one)) for one in told] == [("AAA", "INFO"), ("BBB", "INFO")]
    assert not [one for one in drifted_quietly(hand, AAA="9", BBB="2") if isinstance(one, f.DriftSeen)]
    hand.quote(A, 90.0)
    assert hand.last(PlaceOrder).amount == order.amount, "what the ledger owns and no more is sold"
    hand.drop(B)
    assert hand.last(PlaceOrder).symbol == B, "what others hold stops no buy"


def drifted_quietly(hand: Hand, **bases: Any) -> list[f.Fact]:
    told = look(hand, **bases)
    hand.wait(LOOK_MS)
    return [*told, *look(hand, **bases)]


def test_quote_that_is_missing_is_an_item_and_quote_beside_is_noted() -> None:
    hand, _ = holding()
    owned = cash(hand)
    told = [one for one in drifted(hand, owned - 50) if isinstance(one, f.DriftSeen)]
    assert told == [f.DriftSeen("USDT", "", owned, owned - 50, generation=1)]
    hand.drop(B)
    assert hand.last(PlaceOrder).symbol == B, "the budget holds buys to what is there"
    off = Hand({"fences": {"compare_quote": False}}).start()
    look(off, D(1))
    off.wait(LOOK_MS)
    look(off, D(1))
    assert not seen(off)


# -- what follows -------------------------------------------------------------------------------------


def test_a_symbol_of_which_something_is_missing_is_not_bought_and_others_are() -> None:
    hand = Hand({"budget": {"max_per_symbol_quote": 1_000}}).start()
    hand.bought(A)
    drifted(hand, AAA="0.3")
    blocked = [one for one in hand.quote(A, 98.0) if isinstance(one, f.BuyBlocked)]
    assert [(one.gate, one.value) for one in blocked] == [("drift", "0.710 AAA missing")]
    hand.drop(B)
    assert hand.last(PlaceOrder).symbol == B
    look(hand)
    assert "IntentOpened" in names(hand.quote(A, 97.9))


def test_an_exit_sells_what_is_there_and_leaves_the_rest_to_the_operator() -> None:
    hand, order = holding({**STOP, **FEW})
    drifted(hand, AAA="0.3")
    hand.quote(A, 90.0)
    sale = hand.last(PlaceOrder)
    assert sale.amount == D("0.3")
    hand.fill(sale)
    hand.closed(sale, "filled")
    asked = len(hand.wire.asked)
    hand.quote(A, 89.0)
    hand.wait(120_000)
    hand.quote(A, 88.0)
    assert not [one for one in hand.wire.asked[asked:] if isinstance(one, PlaceOrder)]
    assert hand.held() == order.amount - D("0.3")


def test_a_failed_sale_asks_at_once_and_the_next_one_sells_what_is_free() -> None:
    hand, _ = holding({**STOP, **FEW})
    hand.quote(A, 90.0)
    asked = len(hand.asked(QueryBalances))
    while hand.engine.state.orders:
        hand.refused(hand.order())
    assert len(hand.asked(QueryBalances)) == asked + 1
    hand.balance(cash(hand), AAA=Balance(D("0.4"), D("0.61")))
    hand.wait(hand.engine.next_due_ms - hand.now)
    hand.quote(A, 90.0)
    assert hand.last(PlaceOrder).amount == D("0.4"), "what another order holds back cannot be sold"
    assert not seen(hand)


def test_flattening_waits_for_the_operator_where_something_is_missing() -> None:
    hand, _ = holding()
    drifted(hand, AAA=0)
    hand.feed(e.FlattenAsked("ana", hand.now))
    hand.wait(10_000)
    hand.quote(A, 99.0)
    assert not hand.told(f.PositionClosed)
    answer(hand, "adopt", price="99.5")
    assert hand.told(f.FlattenDone)


# -- settling -----------------------------------------------------------------------------------------


def test_a_sale_by_hand_is_adopted_at_its_price_and_closes_the_position() -> None:
    hand, order = holding()
    before = cash(hand)
    drifted(hand, AAA=0)
    adopted, closed = (one for one in answer(hand, "adopt", price="100") if not isinstance(one, f.BalanceRefreshed))
    assert adopted == f.DriftAdopted("AAA", A, -order.amount, D(100), estimate=False, who="ana", generation=1)
    assert isinstance(closed, f.PositionClosed)
    assert (closed.reason, closed.amount, closed.dust) == ("adopted", order.amount, D(0))
    assert closed.pnl == order.amount * (100 - order.price)
    assert cash(hand) == before, "what came for it is the quote's own difference"
    assert "DriftSeen" in names(drifted(hand, before + 100))
    answer(hand, "adopt", "USDT")
    assert cash(hand) == before + 100
    assert hand.engine.state.ledger.adopted == {"AAA": -order.amount, "USDT": 100}
    assert not [one for one in look(hand) if isinstance(one, f.DriftSeen | f.DriftEnded)]


def test_without_a_price_a_part_is_adopted_at_the_bid_as_an_estimate() -> None:
    hand, order = holding()
    drifted(hand, AAA="0.5")
    (adopted,) = (one for one in answer(hand, "adopt") if isinstance(one, f.DriftAdopted))
    assert (adopted.price, adopted.estimate, adopted.change) == (D(99), True, D("0.5") - order.amount)
    position = hand.engine.state.ledger.positions[A]
    assert position.amount == D("0.5")
    assert position.entry_price == order.price
    assert hand.engine.state.drifts.item_of(A) is None


def test_a_deposit_is_adopted_as_a_position_that_exits_watch() -> None:
    hand = Hand(STOP).start()
    hand.quote(B, 100.0)
    drifted(hand, BBB=2)
    assert answer(hand, "adopt", "BBB") == [], "its cost has to be told"
    adopted, opened = answer(hand, "adopt", "BBB", "110")
    assert isinstance(adopted, f.DriftAdopted)
    assert opened == f.PositionOpened(B, D(110), D(2), generation=1)
    assert hand.engine.state.ledger.positions[B].cost == 220
    hand.quote(B, 100.0)
    sale = hand.last(PlaceOrder)
    assert (sale.symbol, sale.amount) == (B, D(2))
    hand.fill(sale)
    hand.closed(sale, "filled")
    assert hand.told(f.PositionClosed)[-1].pnl == -20


def test_what_is_ignored_is_expected_from_here_on_but_no_more_than_that() -> None:
    hand, order = holding(STOP)
    drifted(hand, AAA="0.5")
    (ended,) = answer(hand, "ignore")
    assert ended == f.DriftEnded("AAA", A, "ignored", order.amount - D("0.5"), "ana", generation=1)
    assert hand.engine.state.drifts.items == {}
    look(hand, AAA="0.5")
    hand.wait(LOOK_MS)
    look(hand, AAA="0.5")
    assert len(seen(hand)) == 1
    hand.quote(A, 90.0)
    assert hand.last(PlaceOrder).amount == D("0.5"), "what is ignored is not there all the same"
    while hand.engine.state.orders:
        hand.closed(hand.order(), "expired")
    hand.quote(A, 99.0)
    drifted(hand, AAA="0.4")
    assert len(seen(hand)) == 2


def test_close_sells_what_is_left_until_it_is_sold_even_after_a_restart() -> None:
    hand, _ = holding(FEW)
    drifted(hand, AAA="0.5")
    hand.quote(A, 99.0)
    assert [type(one) for one in answer(hand, "close", price="98")] == [f.DriftAdopted]
    hand.wait(1)
    assert hand.last(PlaceOrder).amount == D("0.5")
    while hand.engine.state.orders:
        hand.closed(hand.order(), "expired")
    again = restarted(hand, FEW, checkpoint=True)
    again.quote(A, 99.0)
    again.wait(1_000)
    sale = again.last(PlaceOrder)
    assert (sale.side, sale.amount) == ("sell", D("0.5"))
    again.fill(sale)
    again.closed(sale, "filled")
    assert again.told(f.PositionClosed)[-1].reason == "closed by hand"
    assert again.engine.state.drifts.selling == {}


@pytest.mark.parametrize(
    ("asset", "action", "price", "says"),
    [
        ("BBB", "adopt", None, "the account holds what the ledger owns of BBB"),
        ("BBB", "ignore", None, "the account holds"),
        ("CCC", "close", None, "there is no position of CCC/USDT"),
        ("CCC", "adopt", None, "say what each cost"),
        ("USDT", "close", None, "only a position can be closed"),
        ("USDT", "adopt", "1", "the quote has no price"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason_and_changes_nothing(
    asset: str, action: Literal["adopt", "ignore", "close"], price: str | None, says: str
) -> None:
    hand, _ = holding()
    drifted(hand, cash(hand) - 5, AAA="0.3", CCC=1)
    assert says in hand.engine.drift.refusal(asset, action, None if price is None else D(price))
    assert answer(hand, action, asset, price) == []


def test_nothing_is_adopted_while_an_order_of_it_is_under_way() -> None:
    hand, _ = holding(STOP)
    drifted(hand, AAA="0.3")
    hand.quote(A, 90.0)
    assert "is under way" in hand.engine.drift.refusal("AAA", "adopt", D(1))
    assert answer(hand, "adopt", price="1") == []


# -- a rival ------------------------------------------------------------------------------------------


def test_an_order_of_a_run_that_is_not_ours_closes_the_entries_once_and_exits_go_on() -> None:
    hand, _ = holding(STOP)
    (fact,) = hand.feed(e.RivalSeen("t-zzz-1", "zzz", hand.now))
    assert fact == f.RivalNoticed("t-zzz-1", "zzz", generation=1)
    assert f.level_of(fact) == "ERROR"
    assert hand.feed(e.RivalSeen("t-zzz-2", "zzz", hand.now)) == []
    asked = len(hand.asked(PlaceOrder))
    hand.quote(B, 100.0)
    assert [one.gate for one in hand.quote(B, 98.0) if isinstance(one, f.BuyBlocked)] == ["rival"]
    assert len(hand.asked(PlaceOrder)) == asked
    hand.quote(A, 90.0)
    assert hand.last(PlaceOrder).side == "sell"
    again = restarted(hand, STOP, checkpoint=True)
    assert again.engine.state.drifts.rival == ""


def test_an_own_run_is_no_rival() -> None:
    hand = Hand().start()
    assert hand.feed(e.RivalSeen("t-r1-9", "r1", hand.now)) == []


# -- nothing is lost ----------------------------------------------------------------------------------


def test_checkpoint_and_journal_give_the_same_state_at_every_step() -> None:
    hand, _ = holding(STOP)
    before = hand.engine.core_picture()
    steps: tuple[Callable[[], object], ...] = (
        lambda: drifted(hand, AAA="0.5", BBB=2),
        lambda: answer(hand, "close", price="98"),
        lambda: answer(hand, "ignore", "BBB"),
        lambda: hand.feed(e.RivalSeen("t-zzz-1", "zzz", hand.now)),
    )
    for step in steps:
        step()
        core = hand.engine.core_picture()
        for checkpoint in (json.loads(assemble(before, [])), json.loads(assemble(core, [])), None):
            again = Hand(STOP, now_ms=hand.now)
            seq = checkpoint["seq"] if checkpoint else 0
            again.engine.restore(checkpoint, hand.journal.read(seq))
            again.engine.state.trading = hand.engine.state.trading
            assert again.engine.state == hand.engine.state
        before = core


def test_a_paper_account_that_was_changed_by_hand_drifts_and_is_adopted_to_the_last_unit() -> None:
    bot = PaperBot()
    bot.wait(1_000)
    bot.quote(A, 100.0)
    bot.quote(A, 99.0)
    bot.wait(1_000)
    bot.quote(A, 99.0)
    bot.wait(120_000)
    assert bot.told(f.PositionOpened)
    assert not bot.told(f.DriftSeen), "paper never drifts by itself"
    account = bot.venue._account.balances
    account["AAA"] = Balance(account["AAA"].free - D("0.25"))
    account["USDT"] = Balance(account["USDT"].free + D(25))
    bot.keep()
    bot.crash()
    bot.wait(10_000)
    assert {one.asset for one in bot.told(f.DriftSeen)} == {"AAA", "USDT"}
    assert bot.owned() != bot.account()
    bot.quote(A, 99.0)
    bot.feed(e.DriftAnswered("AAA", "adopt", D(100), "ana", bot.now))
    bot.feed(e.DriftAnswered("USDT", "adopt", None, "ana", bot.now))
    assert bot.owned() == bot.account()
    bot.keep()
    bot.crash()
    bot.wait(10_000)
    assert bot.owned() == bot.account()
    assert bot.engine.state.drifts.items == {}


def test_shutdown_cancels_nothing_but_own_orders() -> None:
    hand, _ = holding(STOP)
    drifted(hand, AAA="7")
    hand.feed(e.FillReported("somebody-else-1", A, "x1", D(1), D(1), D(0), "USDT", maker=False, at_ms=hand.now))
    hand.feed(e.ShutdownRequested("cancel", "the end", hand.now))
    assert not hand.asked(CancelOrder)
    assert hand.held() == hand.told(f.PositionOpened)[0].amount
    assert {one.symbol for one in INSTRUMENTS} >= {A, B}
