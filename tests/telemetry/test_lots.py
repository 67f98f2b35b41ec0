"""Is everything that makes a position grow told once, with the average that its close will tell?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.research.facts import Story
from tradebot.domain import facts as f
from tradebot.domain.ledger import Ledger
from tradebot.domain.orders import Side
from tradebot.telemetry.lots import DustAdopted, Increase, PositionsTold, dust_words, increase_words

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SYMBOL = "AAA/USDT"


class Teller:
    """Tells facts as the recorder does, with the buys that are under way at each."""

    def __init__(self, positions: PositionsTold | None = None) -> None:
        self.positions = positions or PositionsTold()
        self.pending: set[int] = set()

    def __call__(self, facts: Sequence[tuple[int, f.Fact]]) -> list[Increase | DustAdopted]:
        found = []
        for _, fact in facts:
            if isinstance(fact, f.IntentOpened):
                self.pending.add(fact.intent_id)
            elif isinstance(fact, f.IntentEnded):
                self.pending.discard(fact.intent_id)
            beside = self.positions.take(fact, self.pending)
            if beside is not None:
                found.append(beside)
        return found


def bought(story: Story, *fills: tuple[str, str], opens: bool = False, fee: str = "0", fee_asset: str = "USDT") -> int:
    """One buy with these fills (price, amount); return its intent."""
    number = story.intent(SYMBOL, BUY)
    story.order(number, SYMBOL, BUY)
    for index, (price, amount) in enumerate(fills):
        story.fill(number, SYMBOL, BUY, price, amount, fee, fee_asset)
        if opens and not index:
            story.tell(f.PositionOpened(SYMBOL, D(price), D(amount), 1))
    story.ended(number, SYMBOL, BUY, "1")
    return number


def test_a_lot_that_is_added_is_told_once_with_the_new_average() -> None:
    story = Story()
    bought(story, ("100", "1"), opens=True)
    bought(story, ("90", "1"), ("93", "2"), fee="0.001", fee_asset="AAA")
    (told,) = Teller()(story.facts)
    assert told == Increase(SYMBOL, D(3), D(92), D("3.998"), D(94), 0)
    assert isinstance(told, Increase)
    text, fields = increase_words(told)
    assert text == "AAA/USDT: 3 more at 92, the position is 3.998 at 94 on average"
    assert fields["entry_price"] == D(94)


def test_a_position_opened_by_one_fill_is_told_by_its_fact_alone() -> None:
    story = Story()
    bought(story, ("100", "1"), opens=True)
    number = story.intent(SYMBOL, SELL)
    story.fill(number, SYMBOL, SELL, "110", "1")
    story.closed(SYMBOL, cost="100", proceeds="110")
    bought(story, ("90", "1"), opens=True)
    assert Teller()(story.facts) == []


def test_what_the_first_order_bought_beyond_its_first_fill_is_told_when_it_is_over() -> None:
    story = Story()
    bought(story, ("100", "1"), ("101", "1"), opens=True)
    assert Teller()(story.facts) == [Increase(SYMBOL, D(1), D(101), D(2), D("100.5"), 0)]


def test_a_fill_that_comes_after_its_buy_is_over_is_told_at_once() -> None:
    story = Story()
    number = bought(story, ("100", "1"), opens=True)
    story.fill(number, SYMBOL, BUY, "98", "1")
    assert Teller()(story.facts) == [Increase(SYMBOL, D(1), D(98), D(2), D(99), 0)]


def test_the_average_goes_on_from_what_a_start_found() -> None:
    ledger, story, teller = Ledger(quote="USDT"), Story(), Teller()
    story.filled_intent(SYMBOL, BUY, "100", "1")
    story.filled_intent(SYMBOL, SELL, "100", "0.5")
    for _, fact in story.facts:
        if isinstance(fact, f.OrderFilled):
            ledger.book(fact, "AAA", 0)
    teller.positions.restore(ledger.positions.values())
    later = Story()
    bought(later, ("80", "1"))
    assert teller(later.facts) == [Increase(SYMBOL, D(1), D(80), D("1.5"), D(90), 0)]


@pytest.mark.parametrize("held", [True, False])
def test_dust_among_what_went_by_hand_is_told_with_its_worth(held: bool) -> None:
    story = Story()
    if held:
        bought(story, ("100", "2"), opens=True)
    story.tell(f.DriftAdopted("AAA", SYMBOL, D("-2.05") if held else D("-0.05"), D(110), estimate=False, who="ana"))
    (told,) = Teller()(story.facts)
    assert told == DustAdopted(SYMBOL, D("0.05"), D("5.5"), 0)
    assert isinstance(told, DustAdopted)
    assert dust_words(told)[0] == (
        "AAA/USDT: 0.05 of what went was dust of closed trades, worth 5.5 quote: it is in no trade's PnL"
    )


def test_what_came_by_hand_to_a_position_is_told_as_its_growth() -> None:
    story = Story()
    bought(story, ("100", "1"), opens=True)
    story.tell(f.DriftAdopted("AAA", SYMBOL, D(1), D(50), estimate=False, who="ana"))
    story.tell(f.DriftAdopted("AAA", SYMBOL, D("-0.5"), D(50), estimate=False, who="ana"))
    story.tell(f.DriftAdopted("USDT", "", D(-5), D(0), estimate=False, who="ana"))
    assert Teller()(story.facts) == [Increase(SYMBOL, D(1), D(50), D(2), D(75), 0)]
    opened = Story()
    opened.tell(f.DriftAdopted("AAA", SYMBOL, D(1), D(50), estimate=False, who="ana"))
    opened.tell(f.PositionOpened(SYMBOL, D(50), D(1), 1))
    bought(opened, ("60", "1"))
    assert Teller()(opened.facts) == [Increase(SYMBOL, D(1), D(60), D(2), D(55), 0)]
