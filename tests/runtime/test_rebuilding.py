"""Is what an account does not hold any more booked by an operator's word alone, and told before it is?"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from tests.runtime.profiles import profile
from tradebot.domain.account import AccountImage, AccountOrder
from tradebot.domain.commands import QueryBalances, ReconcileOrders
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.domain.events import Event, FillReported
from tradebot.domain.facts import DriftAdopted, PositionClosed
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.runtime.foretelling import Found, foretell_at_exchange
from tradebot.runtime.rebuilding import Proof, prove_at_exchange, write
from tradebot.runtime.recovering import Files, look_into, restored
from tradebot.storage.home import Home
from tradebot.storage.sound import Sound

D = Decimal
NOW_MS = 1_800_000_000_000
LOST = Files(Sound(), None)
PROFILE = profile(
    bot__instance="a", venue__kind="ccxt", feed__kind="ccxt", market__symbols=["BTC/USDT"],
    exchange__recv_window_ms=2000, exchange__not_found_after_s=1,
)  # fmt: skip


class Account:
    """An account at an exchange: a buy of two at 100 under the bot's name, of which some is left."""

    def __init__(self, left: str) -> None:
        self.left = left

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What it trades."""
        return [Instrument("BTC/USDT", "BTC", "USDT", tick_size=D("0.01"), amount_step=D("0.001"))]

    async def history(self, symbols: Collection[str], since_ms: int) -> AccountImage:
        """Return the buy."""
        assert "BTC/USDT" in symbols
        order = AccountOrder(
            "a-r-1", "7", "BTC/USDT", Side.BUY, OrderType.LIMIT, TimeInForce.IOC, NOW_MS - 5_000, price=D(100),
            amount=D(2), status="filled", filled=D(2), cost=D(200),
        )  # fmt: skip
        fill = FillReported("a-r-1", "BTC/USDT", "1", D(100), D(2), D("0.2"), "USDT", False, NOW_MS - 5_000)
        balances = {"USDT": Balance(D(800), D(0)), "BTC": Balance(D(self.left), D(0))}
        return AccountImage(balances, {order.client_id: order}, [fill])

    async def strangers(self, known: Collection[str]) -> list[str]:
        """Return none."""
        return []

    async def own_before(self, quote: str) -> str:
        """Return the buy."""
        return "a-r-1"

    async def answer(self, questions: Sequence[ReconcileOrders | QueryBalances]) -> list[Event]:
        """Answer nothing: no order is open here."""
        raise AssertionError(questions)


def proven(left: str, adopted_by: str = "") -> Proof:
    """Return what is proven of a home that is lost."""
    return asyncio.run(prove_at_exchange(PROFILE, LOST, Account(left), NOW_MS, adopted_by))


def test_what_is_not_there_any_more_is_refused_with_the_words_that_book_it_and_those_that_begin_anew() -> None:
    with pytest.raises(CannotStart) as refused:
        proven("0.5")
    assert refused.value.exit_code is ExitCode.RECOVERY_REFUSED
    words = str(refused.value)
    assert "the account holds 1.5 BTC less than its own orders make up" in words
    assert "`tradebot recover --rebuild --adopt` books that" in words
    assert "give the bot another `bot.instance`" in words


def test_what_is_all_there_needs_nobodys_word() -> None:
    assert proven("2").gone == ()
    assert proven("3", "cli:me").gone == ()


@pytest.mark.parametrize(("left", "missing"), [("0.5", "1.5"), ("0", "2")])
def test_by_an_operators_word_the_ledger_follows_the_account_at_cost(tmp_path: Path, left: str, missing: str) -> None:
    proof = proven(left, "cli:me")
    (gone,) = proof.gone
    assert (gone.asset, gone.change, gone.price, gone.who, gone.estimate) == (
        "BTC",
        -D(missing),
        D(100),
        "cli:me",
        True,
    )
    assert [fact for fact in proof.facts if isinstance(fact, DriftAdopted)] == [gone]
    assert any(isinstance(fact, PositionClosed) for fact in proof.facts) == (left == "0")
    home = Home.open(tmp_path, "a")
    try:
        write(home, proof, PROFILE, NOW_MS, "binance")
    finally:
        home.close()
    engine, _ = restored(PROFILE, look_into(tmp_path / "a", PROFILE).sound, ())
    assert engine.state.ledger.owned().get("BTC", D(0)) == D(left)
    assert engine.state.ledger.cash == D(800)


def test_a_dry_run_of_a_lost_home_says_what_the_exchange_knows_and_compares_nothing_that_is_not_proven() -> None:
    told = asyncio.run(foretell_at_exchange(PROFILE, Found(LOST), Account("0.5"), NOW_MS))
    assert told.met == "binance knows a-r-1, an order of this bot, and its home holds nothing"
    assert "--adopt" in told.refused
    assert told.rehearsed.compared is None
