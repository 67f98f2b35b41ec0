"""Is the account compared when somebody asks, until what differs is sure, and is it said where it could not be?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine.hand import Hand
from tests.engine.test_drift import cash, holding
from tests.runtime.live_bot import in_loop, running, write_profile
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import QueryBalances
from tradebot.domain.views import ComparedView
from tradebot.runtime import comparing
from tradebot.runtime.comparing import Comparing


class Account:
    """The account that is asked, the loop around the engine, and its clock: it answers what `held` says."""

    def __init__(self, hand: Hand, *, answers: bool = True, **held: str) -> None:
        self.hand = hand
        self.answers = answers
        self.held = held
        self.quote: Decimal | None = None
        self.balances_failed = ""
        self.before = len(hand.told(f.BalanceRefreshed))
        self.asked_before = len(hand.asked(QueryBalances))

    @property
    def balances_told(self) -> int:
        return len(self.hand.told(f.BalanceRefreshed)) - self.before

    @property
    def balances_ms(self) -> int:
        return self.hand.now if self.balances_told else 0

    @property
    def questions(self) -> int:
        return len(self.hand.asked(QueryBalances)) - self.asked_before

    def now_ms(self) -> int:
        return self.hand.now

    def inject(self, event: e.Event) -> None:
        self.hand.feed(event)

    async def until(self, true: Callable[[], bool]) -> None:
        if not true():
            if not self.answers:
                await asyncio.Event().wait()
            self._answer()
        assert true()

    def _answer(self) -> None:
        if self.balances_failed:
            self.hand.feed(e.BalancesUnavailable(self.balances_failed, self.hand.now))
        else:
            self.hand.balance(cash(self.hand) if self.quote is None else self.quote, **self.held)

    async def pause(self, seconds: float) -> None:
        self.hand.wait(round(seconds * 1000))
        if self.hand.engine.budget.asked:
            self._answer()

    def compared(self) -> ComparedView:
        return asyncio.run(Comparing(self.hand.engine, self, self, self, self.pause).compared())


def test_an_account_that_agrees_is_asked_once() -> None:
    hand, _ = holding()
    account = Account(hand)
    found = account.compared()
    assert (found.fresh, found.why, found.found, found.under_way) == (True, "", (), ())
    assert account.questions == 1


def test_a_sale_by_hand_is_told_by_the_comparison_that_is_asked_for_next() -> None:
    hand, order = holding()
    account = Account(hand, AAA="0.4")
    found = account.compared()
    assert found.fresh
    assert [(one.kind, one.asset, one.amount) for one in found.found] == [
        ("missing", "AAA", order.amount - Decimal("0.4"))
    ]
    assert account.questions == 2, "a second answer has to show it, too"


def test_what_is_missing_of_the_quote_is_told_as_well_and_what_is_known_is_not_asked_for_twice() -> None:
    hand, _ = holding()
    account = Account(hand)
    account.quote = cash(hand) - 3
    assert [(one.asset, one.amount) for one in account.compared().found] == [("USDT", Decimal(3))]
    asked = account.questions
    assert [one.asset for one in account.compared().found] == ["USDT"]
    assert account.questions == asked + 1


def test_an_answer_to_an_older_question_is_no_comparison() -> None:
    hand, order = holding()
    hand.feed(e.BalancesWanted(hand.now))
    hand.wait(500)
    account = Account(hand, AAA="0.4")
    assert [one.amount for one in account.compared().found] == [order.amount - Decimal("0.4")]
    assert account.questions >= 2


def test_an_account_that_cannot_be_asked_is_told_with_the_cause() -> None:
    hand, _ = holding()
    account = Account(hand)
    account.balances_failed = "banned until noon"
    found = account.compared()
    assert (found.fresh, found.why) == (False, "banned until noon")


def test_an_account_that_does_not_answer_is_not_waited_for_longer_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "LONGEST_S", 0.01)
    hand, _ = holding()
    found = Account(hand, answers=False).compared()
    assert (found.fresh, found.why) == (False, "the account did not answer within 0.01 s")


def test_before_the_orders_are_reconciled_nothing_is_compared() -> None:
    found = Account(Hand()).compared()
    assert (found.fresh, found.compared_ms, found.why) == (False, 0, "the account is not reconciled yet")


def test_symbols_with_orders_under_way_are_named() -> None:
    hand, _ = holding()
    account = Account(hand)
    hand.drop("BBB/USDT")
    assert account.compared().under_way == ("BBB/USDT",)


@in_loop
async def test_a_running_bot_compares_at_its_door(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path)) as live:
        await live.run.shell.until(lambda: live.run.engine.state.trading)
        told = live.run.book.balances_told
        async with live.client() as client:
            found = await client.compare_drift()
        assert (found.fresh, found.why, found.found) == (True, "", ())
        assert live.run.book.balances_told > told
        assert 0 <= found.at_ms - found.compared_ms < 8_000
