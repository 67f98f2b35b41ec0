"""Are a journal and a paper account that do not belong together told from those that a crash has parted?"""

from __future__ import annotations

from decimal import Decimal

from tradebot.domain import facts as f
from tradebot.domain.account import AccountImage, AccountOrder, AccountOrderStatus
from tradebot.domain.events import FillReported
from tradebot.domain.ledger import Ledger
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.engine.state import EngineState
from tradebot.runtime.agreement import disagreement

D = Decimal
SYMBOL = "BTC/USDT"


def fill(trade: str, amount: str) -> FillReported:
    return FillReported(
        client_id="bot-1-1",
        symbol=SYMBOL,
        trade_id=trade,
        price=D(100),
        amount=D(amount),
        fee=D(amount) / 1000,
        fee_asset="BTC",
        maker=False,
        at_ms=5,
    )


def journalled(*booked: FillReported, ended: bool = False) -> EngineState:
    """Return the state of a journal that tells of one buy and the fills `booked`."""
    state = EngineState(ledger=Ledger(quote="USDT"))
    facts: list[f.Fact] = [
        f.RunOpened(run="1", generation=1),
        f.AccountOpened(asset="USDT", amount=D(1000)),
        f.IntentOpened(intent_id=1, symbol=SYMBOL, side=Side.BUY, reason="drop", generation=1, quote_amount=D(300)),
        f.OrderPlanned(
            client_id="bot-1-1",
            intent_id=1,
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            tif=TimeInForce.GTC,
            step=0,
            generation=1,
            wait_ms=1000,
            price=D(100),
            amount=D(3),
            quote_amount=D(0),
        ),
    ]
    facts += [
        f.OrderFilled(
            client_id=one.client_id,
            intent_id=1,
            symbol=one.symbol,
            side=Side.BUY,
            trade_id=one.trade_id,
            price=one.price,
            amount=one.amount,
            fee=one.fee,
            fee_asset=one.fee_asset,
            maker=one.maker,
            latency_ms=0,
        )
        for one in booked
    ]
    if ended:
        facts.append(
            f.OrderDone(
                client_id="bot-1-1", symbol=SYMBOL, side=Side.BUY, outcome="canceled", filled=D(1), reason="canceled"
            )
        )
    for fact in facts:
        state.apply(fact, 1)
    return state


def account(*fills: FillReported, status: AccountOrderStatus = "open", client_id: str = "bot-1-1") -> AccountImage:
    """Return an account in which one order of 3 BTC at 100 has the `fills`."""
    bought = sum((one.amount for one in fills), D(0))
    fees = sum((one.fee for one in fills), D(0))
    order = AccountOrder(
        client_id=client_id,
        venue_id="1",
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        arrives_ms=1,
        status=status,
        filled=bought,
    )
    locked = D(0) if status == "canceled" else 100 * (3 - bought)
    balances = {"USDT": Balance(1000 - 100 * bought - locked, locked), "BTC": Balance(bought - fees)}
    return AccountImage(balances=balances, orders={client_id: order}, fills=list(fills), next_order=2)


def test_a_crash_between_fill_and_booking_is_no_contradiction() -> None:
    one, two = fill("1", "1"), fill("2", "0.5")
    assert disagreement(journalled(), account(one, two), "USDT") == ""
    assert disagreement(journalled(one), account(one, two), "USDT") == ""
    assert disagreement(journalled(one, two), account(one, two), "USDT") == ""
    assert disagreement(journalled(one, ended=True), account(one, status="canceled"), "USDT") == ""


def test_a_new_account_agrees_with_an_empty_journal_and_a_used_one_does_not() -> None:
    empty = EngineState(ledger=Ledger(quote="USDT"))
    assert disagreement(empty, AccountImage(balances={"USDT": Balance(D(1000))}), "USDT") == ""
    assert disagreement(empty, account(), "USDT") == "the account has taken 1 orders, the journal tells of none"


def test_a_fill_that_only_the_journal_has_is_a_contradiction() -> None:
    one = fill("1", "1")
    assert (
        disagreement(journalled(one), account(), "USDT")
        == "the account holds 0 BTC instead of 0.999, 1000 USDT instead of 900"
    )


def test_a_fill_of_an_order_that_has_ended_for_the_journal_is_a_contradiction() -> None:
    one, two = fill("1", "1"), fill("2", "0.5")
    story = disagreement(journalled(one, ended=True), account(one, two, status="canceled"), "USDT")
    assert story == "the account holds 1.4985 BTC instead of 0.999, 850 USDT instead of 900"


def test_an_open_order_that_the_journal_does_not_know_is_a_contradiction() -> None:
    story = disagreement(journalled(), account(client_id="bot-1-9"), "USDT")
    assert story == "the account has open orders that the journal does not know: bot-1-9"


def test_the_least_digit_counts() -> None:
    image = account(fill("1", "1"))
    image.balances["BTC"] = Balance(D("0.99900001"))
    assert disagreement(journalled(), image, "USDT") == "the account holds 0.99900001 BTC instead of 0.999"


def test_an_account_or_a_journal_in_another_currency_is_a_contradiction() -> None:
    held = AccountImage(balances={"USDT": Balance(D(1000))})
    old = EngineState(ledger=Ledger(quote="USDT", opened=D(1000), cash=D(1000), is_open=True))
    assert disagreement(old, held, "EUR") == "the account has no EUR, the profile's currency"
    bought = AccountImage(balances={"USDT": Balance(D(1000)), "EUR": Balance(D(0))})
    assert disagreement(old, bought, "EUR") == "the journal is in USDT, the profile in EUR"
    assert disagreement(old, held, "USDT") == ""


def test_many_differences_are_counted() -> None:
    image = AccountImage(balances={"USDT": Balance(D(1000))} | {f"A{n}": Balance(D(1)) for n in range(9)})
    story = disagreement(EngineState(Ledger("USDT", D(1000), D(1000), is_open=True)), image, "USDT")
    assert story.endswith("1 A4 instead of 0 and 4 more")
