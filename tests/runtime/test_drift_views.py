"""Is every difference shown as it stands, and is a person told what settling it does, or why it is refused?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.engine.hand import A, D, Hand
from tests.engine.test_drift import cash, drifted, holding
from tradebot.domain import events as e
from tradebot.domain.views import DriftAction, DriftView
from tradebot.ports import NotNow
from tradebot.runtime.chores import AccountCheck
from tradebot.runtime.drift_views import answer_of, drift_lines, drift_view


def settle(hand: Hand, what: str, action: DriftAction, price: Decimal | None = None) -> str:
    """Settle as the operator's part does; return the words."""
    event, words = answer_of(hand.engine, what, action, price, "ana", hand.now)
    hand.feed(event)
    return words


def test_what_is_missing_stands_first_and_what_is_left_alone_is_shown_too() -> None:
    hand, order = holding()
    assert drift_view(hand.engine) == ()
    assert drift_lines(hand.engine) == ()
    drifted(hand, cash(hand) + 7, AAA="0.4", BBB=2)
    shown = drift_view(hand.engine)
    assert [(one.asset, one.kind, one.amount) for one in shown] == [
        ("AAA", "missing", order.amount - D("0.4")),
        ("BBB", "beside", D(2)),
        ("USDT", "beside", D(7)),
    ]
    (line,) = drift_lines(hand.engine)
    assert line == "drift AAA/USDT: 0.61 of 1.01 AAA are missing from the account · `tradebot drift` settles it"
    hand.feed(e.RivalSeen("t-zzz-1", "zzz", hand.now))
    assert drift_lines(hand.engine)[1].startswith("rival run zzz trades under our name")


def test_settling_says_what_it_did_by_symbol_or_asset_in_any_case() -> None:
    hand, order = holding()
    drifted(hand, cash(hand) + 7, AAA="0.4", BBB=2)
    assert settle(hand, "bbb", "ignore") == "BBB/USDT: 2 BBB may be held beside the bot's, as was said"
    assert settle(hand, "USDT", "adopt") == "the ledger's USDT follows the account: 7"
    assert (
        settle(hand, A, "close")
        == "0.61 AAA are booked as gone at the present bid, an estimate; what is left is being sold"
    )
    assert drift_view(hand.engine) == (DriftView(asset="BBB", symbol="BBB/USDT", kind="ignored", amount=D(-2)),)
    assert hand.held() == order.amount - D("0.61")
    assert settle(hand, "BBB/USDT", "adopt", D("1.5")) == "2 BBB are a position of BBB/USDT that cost 1.5 each"


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "1E+30", "1." + "1" * 30])
def test_what_is_no_price_is_refused(price: str) -> None:
    hand, _ = holding()
    drifted(hand, AAA="0.4")
    with pytest.raises(NotNow, match="is no price of 0 or more"):
        settle(hand, A, "adopt", D(price))


def test_what_cannot_be_settled_is_refused_with_its_reason() -> None:
    hand, _ = holding()
    with pytest.raises(NotNow, match="the account holds what the ledger owns of AAA"):
        settle(hand, A, "adopt")


def test_the_account_is_compared_at_every_interval_and_what_is_to_be_settled_is_counted() -> None:
    hand, _ = holding()
    drifted(hand, AAA="0.4", BBB=2)
    gauges: dict[str, float] = {}
    refreshed: list[int] = []

    class Meter:
        def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
            raise AssertionError(name)

        def observe(self, name: str, value: float, /, **labels: str) -> None:
            raise AssertionError(name)

        def gauge(self, name: str, value: float, /, **labels: str) -> None:
            gauges[name] = value

    class Held:
        def refresh(self) -> None:
            refreshed.append(1)

        def close(self) -> None:
            raise AssertionError("it is the run's to close")

    check = AccountCheck(60, lambda: hand.engine.state.drifts, Held(), Meter(), 1_000)
    assert check.next_due_ms == 61_000
    assert check.run(61_000) == e.BalancesWanted(61_000)
    assert (gauges, refreshed) == ({"drift_items": 1}, [1])
    check.retune(5)
    assert check.next_due_ms == 66_000
