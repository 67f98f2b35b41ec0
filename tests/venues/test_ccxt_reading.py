"""Is an account that is only asked never changed, and is what cannot be proven refused?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.binance_answers import account, queried, traded
from tests.exchange.little_exchange import in_loop, says
from tests.venues.ccxt_kit import KEYS, QUICK, Bench, bench
from tests.venues.test_ccxt_together import BTC, names, number, open_rows, together
from tradebot.domain.commands import QueryBalances
from tradebot.domain.errors import CannotStart, ExchangeAway, ExitCode
from tradebot.domain.events import BalancesReported, OrderReported
from tradebot.exchange.budget import Budget
from tradebot.venues.ccxt_reading import reading


def paid(there: Bench) -> Budget:
    """Return a budget of its own."""
    return Budget(there.clock, there.server.settings(**QUICK).requests)


@in_loop
async def test_every_request_is_a_get() -> None:
    async with bench() as there:
        ids = names(9)
        there.server.on("GET", "/openOrders", says(open_rows(ids[:4], "0.00100000")))
        done = [queried(each, order_id=number(each), status="CANCELED") for each in ids[4:]]
        there.server.on("GET", "/allOrders", says(done))
        there.server.on("GET", "/myTrades", says([traded(number(each), trade_id=number(each)) for each in ids[:4]]))
        settings = there.server.settings(**QUICK)
        async with reading(settings, KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)) as venue:
            told = await venue.answer([together(*ids), QueryBalances()])
            await venue.strangers(set(ids))
            await venue.own_before("USDT")
        assert {each.method for each in there.server.asked} == {"GET"}
        assert sum(isinstance(event, OrderReported) for event in told) == 9
        assert sum(isinstance(event, BalancesReported) for event in told) == 1


@in_loop
async def test_an_open_order_of_its_own_is_found_and_those_of_others_are_not() -> None:
    async with bench() as there:
        settings = there.server.settings(**QUICK)
        there.server.on("GET", "/openOrders", says(open_rows(["b-1-1"])))
        async with reading(settings, KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)) as venue:
            assert await venue.own_before("USDT") == ""
            there.server.on("GET", "/openOrders", says(open_rows(["b-1-1", "a-1-2"])))
            assert await venue.own_before("USDT") == "a-1-2"


@in_loop
async def test_what_an_earlier_run_bought_and_the_account_still_holds_is_found() -> None:
    async with bench() as there:
        settings = there.server.settings(**QUICK)
        there.server.on("GET", "/account", says(account(USDT="900.00000000", BTC="0.00200000")))
        row = queried("a-1-7", order_id=7, status="FILLED", filled="0.00200000")
        there.server.on("GET", "/allOrders", says([row]))
        async with reading(settings, KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)) as venue:
            assert await venue.own_before("USDT") == "a-1-7"


@in_loop
@pytest.mark.parametrize("path", ["/openOrders", "/account"])
@pytest.mark.parametrize("code", [-2015, -1022])
async def test_a_refused_key_is_told_as_that_with_the_exit_code_that_nobody_starts_again(path: str, code: int) -> None:
    async with bench() as there:
        settings = there.server.settings(**QUICK)
        there.server.on("GET", "/openOrders", says([]))
        there.server.on("GET", path, says({"code": code, "msg": f"no {KEYS.api_key}"}, 401))
        async with reading(settings, KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)) as venue:
            with pytest.raises(CannotStart, match=rf"^binance refuses the key: {code} no \*\*\*") as refused:
                await venue.own_before("USDT")
        assert refused.value.exit_code is ExitCode.BAD_PROFILE


@in_loop
async def test_history_holds_every_own_order_and_trade_and_nobody_elses() -> None:
    async with bench() as there:
        mine = queried("a-1-7", order_id=7, status="FILLED", filled="0.00200000")
        theirs = queried("b-1-8", order_id=8, status="FILLED", filled="0.00200000")
        there.server.on("GET", "/allOrders", says([mine, theirs]))
        rows = [traded(7, trade_id=70, amount="0.00200000"), traded(8, trade_id=80, amount="0.00200000")]
        there.server.on("GET", "/myTrades", says(rows))
        there.server.on("GET", "/api/v3/order", says(theirs))
        async with reading(
            there.server.settings(**QUICK), KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)
        ) as venue:
            image = await venue.history({BTC}, 0)
        assert list(image.orders) == ["a-1-7"]
        order = image.orders["a-1-7"]
        assert (order.side, order.filled, order.price) == ("buy", Decimal("0.002"), Decimal(50_000))
        assert [(fill.client_id, fill.trade_id) for fill in image.fills] == [("a-1-7", "70")]


@in_loop
async def test_a_history_that_is_not_answered_is_worth_asking_for_again() -> None:
    async with bench() as there:
        there.server.on("GET", "/allOrders", says({"code": -1000, "msg": "down"}, status=503))
        async with reading(
            there.server.settings(**QUICK), KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)
        ) as venue:
            with pytest.raises(ExchangeAway, match="nothing can be proven now"):
                await venue.history({BTC}, 0)


@in_loop
async def test_what_is_asked_is_paid_from_the_budget_it_is_given() -> None:
    async with bench() as there:
        budget = paid(there)
        settings = there.server.settings(**QUICK)
        there.server.on("GET", "/openOrders", says([]))
        async with reading(settings, KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=budget) as venue:
            before = len(there.server.asked)
            assert before
            budget.note(418, {"Retry-After": "60"})
            with pytest.raises(CannotStart, match="open orders are not told"):
                await venue.strangers(())
        assert len(there.server.asked) == before, "what bans one of the processes is asked by none"


@in_loop
async def test_a_history_that_cannot_be_had_proves_nothing() -> None:
    async with bench() as there:
        there.server.on("GET", "/allOrders", says({"code": -1121, "msg": "no such thing"}, status=400))
        async with reading(
            there.server.settings(**QUICK), KEYS, quote="USDT", prefix="a-", clock=there.clock, budget=paid(there)
        ) as venue:
            with pytest.raises(CannotStart, match="nothing can be proven") as refused:
                await venue.history({BTC}, 0)
        assert refused.value.exit_code is ExitCode.RECOVERY_REFUSED
