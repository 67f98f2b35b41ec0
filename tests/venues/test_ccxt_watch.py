"""Does the venue tell whether its exchange is fit, its clock right and its symbols traded, by what really answers?"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.exchange.binance_answers import exchange_info
from tests.exchange.little_exchange import each, in_loop, says
from tests.venues.ccxt_kit import Bench, bench, order, running
from tests.venues.test_ccxt_sandbox import PAIR, Rehearsal, buy, rehearsing
from tradebot.domain.commands import QueryBalances
from tradebot.domain.events import (
    BalancesReported,
    BalancesUnavailable,
    ClockSeen,
    OrderRefused,
    SymbolStatusSeen,
    VenueStateSeen,
)
from tradebot.domain.orders import HELD_BACK, Side
from tradebot.venues.ccxt_warm import REUSED_S, keep_warm

EAGER: dict[str, Any] = {
    "clock_interval_s": 1,
    "health": {"probe_interval_s": 0.1, "halted_interval_s": 0.1, "degraded_after": 2, "down_after": 4},
}


def states(bench: Bench) -> list[str]:
    return [event.state for event in bench.of(VenueStateSeen)]


@in_loop
async def test_a_start_tells_that_the_exchange_is_up_the_clock_right_and_the_symbols_traded() -> None:
    async with bench() as there, running(there):
        assert states(there) == ["up"]
        (clock,) = there.of(ClockSeen)
        assert clock.state == "right"
        assert {(seen.symbol, seen.tradable) for seen in there.of(SymbolStatusSeen)} == {
            ("BTC/USDT", True),
            ("ETH/USDT", True),
        }


@in_loop
async def test_an_exchange_that_answers_no_more_is_degraded_then_down_and_up_again_by_the_answer_to_a_probe() -> None:
    async with bench() as there, running(there, **EAGER) as venue:
        there.server.on("GET", "/time", says({"code": -1000, "msg": "broken"}, 502))
        there.server.on("GET", "/account", says({"code": -1000, "msg": "broken"}, 502))
        for _ in range(2):
            venue.submit(QueryBalances(), 0)
            count = len(there.of(BalancesUnavailable)) + 1
            await there.heard(BalancesUnavailable, count)
        await there.until(lambda: states(there)[-1] == "down")
        assert states(there) == ["up", "degraded", "down"]
        del there.server.rules[:2]
        await there.until(lambda: states(there)[-1] == "up")


@in_loop
async def test_a_ban_stops_every_request_until_its_end_and_is_told_with_it() -> None:
    async with bench() as there, running(there, **EAGER) as venue:
        there.server.on("GET", "/account", says({"code": -1003, "msg": "banned"}, 418, {"Retry-After": "600"}))
        venue.submit(QueryBalances(), 0)
        await there.heard(BalancesUnavailable)
        await there.until(lambda: states(there)[-1] == "banned")
        assert abs(there.of(VenueStateSeen)[-1].until_ms - there.clock.now_ms() - 600_000) < 5_000
        asked = len(there.server.asked)
        venue.submit(order(), 0)
        (refused,) = await there.heard(OrderRefused)
        assert refused.code == HELD_BACK
        assert "banned by the exchange" in refused.message
        await asyncio.sleep(0.4)
        assert len(there.server.asked) == asked
        there.clock.ahead_ms += 600_001
        await there.until(lambda: states(there)[-1] == "up")


@in_loop
async def test_a_clock_that_goes_wrong_is_told_as_off_then_wrong_then_right() -> None:
    gauges: dict[str, float] = {}
    async with bench() as there:
        venue = there.venue(gauge=gauges.__setitem__, **EAGER)
        await venue.start()
        try:
            there.clock.ahead_ms = 500
            await there.until(lambda: there.of(ClockSeen)[-1].state == "off")
            assert abs(gauges["clock_offset_ms"] - 500) < 200
            there.clock.ahead_ms = 5_000
            await there.until(lambda: there.of(ClockSeen)[-1].state == "wrong")
            assert there.of(ClockSeen)[-1].limit_ms == 1_000
            there.clock.ahead_ms = 0
            await there.until(lambda: there.of(ClockSeen)[-1].state == "right")
        finally:
            await venue.stop()
        assert there.broken == []


@in_loop
async def test_a_timestamp_that_is_refused_tells_of_the_clock_at_once() -> None:
    async with bench() as there:
        venue = there.venue()
        await venue.start()
        try:
            there.clock.ahead_ms = 7_000
            late = {"code": -1021, "msg": "Timestamp for this request was 1000ms ahead of the server's time."}
            there.server.on("POST", "/order", each(says(late, 400), says(late, 400)))
            venue.submit(order(), there.clock.now_ms())
            await there.until(lambda: there.of(ClockSeen)[-1].state == "wrong")
        finally:
            await venue.stop()


@in_loop
async def test_the_questions_that_keep_the_connection_of_orders_open_notice_a_clock_that_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keep_warm, "__defaults__", (0.05,))
    async with bench() as there:
        venue = there.venue(clock_interval_s=86_400)
        await venue.start()
        try:
            there.clock.ahead_ms = 7_000
            await there.until(lambda: there.of(ClockSeen)[-1].state == "wrong")
        finally:
            await venue.stop()
        assert there.broken == []
        assert REUSED_S <= 10, "noticed within so many seconds"


@in_loop
async def test_buys_are_held_back_by_the_count_of_orders_and_sells_are_not() -> None:
    async with bench() as there, running(there) as venue:
        limits = [{"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 10}]
        venue.budget.note_limits(limits)
        venue.budget.note(200, {"X-MBX-ORDER-COUNT-1D": "6"})
        there.server.on("POST", "/order", says({"code": -2010, "msg": "no"}, 400))
        venue.submit(order("a-1-1"), 0)
        (held,) = await there.heard(OrderRefused)
        assert (held.code, held.message) == (HELD_BACK, "6 of 10 orders are used")
        venue.submit(order("a-1-2", side=Side.SELL), 0)
        refused = await there.heard(OrderRefused, 2)
        assert refused[1].code == "-2010"


@in_loop
async def test_a_symbol_that_is_halted_and_resumed_is_told_by_its_status() -> None:
    async with bench() as there, running(there, **EAGER, reconcile_interval_s=60) as venue:
        info = exchange_info("BTC/USDT", "ETH/USDT")
        info["symbols"][1]["status"] = "BREAK"
        there.server.on("GET", "/exchangeInfo", says(info))
        venue.watch.halted("BTC/USDT", "-1013 Market is closed.")
        await there.until(lambda: any(seen.reason == "BREAK" for seen in there.of(SymbolStatusSeen)))
        told = [(seen.symbol, seen.tradable) for seen in there.of(SymbolStatusSeen)[2:]]
        assert sorted(told) == [("BTC/USDT", False), ("BTC/USDT", True), ("ETH/USDT", False)]
        there.server.on("GET", "/exchangeInfo", says(exchange_info("BTC/USDT", "ETH/USDT")))
        await there.until(lambda: there.of(SymbolStatusSeen)[-1].symbol == "ETH/USDT"
                          and there.of(SymbolStatusSeen)[-1].tradable)  # fmt: skip


@in_loop
async def test_a_start_with_a_symbol_that_is_halted_or_not_listed_any_more_tells_so_and_trades_the_others() -> None:
    async with bench() as there:
        info = exchange_info("BTC/USDT", "ETH/USDT")
        info["symbols"][1]["status"] = "BREAK"
        there.server.on("GET", "/exchangeInfo", says(info))
        venue = there.venue(symbols=("BTC/USDT", "ETH/USDT", "OLD/USDT"))
        await venue.start()
        await venue.stop()
        assert [one.symbol for one in venue.instruments()] == ["BTC/USDT", "ETH/USDT"]
        seen = {event.symbol: (event.tradable, event.reason) for event in there.of(SymbolStatusSeen)}
        assert seen == {
            "BTC/USDT": (True, "TRADING"),
            "ETH/USDT": (False, "BREAK"),
            "OLD/USDT": (False, "delisted"),
        }


# -- the whole sandbox exchange ---------------------------------------------------------------------------


async def _steer(there: Rehearsal, how: str) -> None:
    url = f"{there.client.sandbox.url}/sandbox/market/{how}"
    async with aiohttp.ClientSession() as session, session.post(url, json={"symbol": "AAAUSDT"}) as answer:
        assert answer.status == 200, await answer.text()


@in_loop
async def test_an_order_in_a_halted_symbol_tells_of_the_halt_and_its_end_is_found_by_asking() -> None:
    async with rehearsing(**EAGER) as there:
        await _steer(there, "halt")
        there.venue_here.submit(buy(), 0)
        await there.heard(OrderRefused)
        await there.until(lambda: any(not seen.tradable for seen in there.of(SymbolStatusSeen)))
        halt = next(seen for seen in there.of(SymbolStatusSeen) if not seen.tradable)
        assert (halt.symbol, halt.reason) == (PAIR, "-1013 Market is closed.")
        await _steer(there, "resume")
        await there.until(lambda: there.of(SymbolStatusSeen)[-1].tradable)


@in_loop
async def test_a_delisted_symbol_does_not_keep_the_others_from_being_compared() -> None:
    async with rehearsing(**EAGER) as there:
        venue = there.venue_here
        there.venue_here.submit(order("a-1-1", symbol=PAIR, price=1), 0)
        await _steer(there, "delist")
        venue.watch.halted(PAIR, "suspected")
        compared = venue.reconciliations
        await there.until(lambda: venue.reconciliations >= compared + 2)
        assert venue.watch.health.verdict.state == "up"
        venue.submit(QueryBalances(), 0)
        await there.heard(BalancesReported)
        assert all(seen.symbol == PAIR for seen in there.of(SymbolStatusSeen) if not seen.tradable)
