"""Is a live book right, and is it shown only while it is?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.loopback import MarketServer, TestClock, feeding
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.events import BookSeen
from tradebot.feeds.decode_binance import DepthDiff
from tradebot.feeds.decode_book import KEPT_DIFFS, LiveBook

NOW = 1_700_000_000_000


def diff(first: int, final: int, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> DepthDiff:
    return DepthDiff("BTC/USDT", first, final, bids, asks, NOW)


def test_nothing_is_shown_until_snapshot_and_diffs_meet() -> None:
    book = LiveBook(2)
    assert book.take(diff(5, 6, [(10.0, 1.0)], [])) == "waiting"
    assert book.top() is None
    assert book.begin([(9.0, 1.0)], [(11.0, 1.0)], 5, 100)
    assert book.top() == (((10.0, 1.0), (9.0, 1.0)), ((11.0, 1.0),))
    assert book.take(diff(7, 7, [(10.0, 0.0)], [(10.5, 2.0)])) == "shown"
    assert book.top() == (((9.0, 1.0),), ((10.5, 2.0), (11.0, 1.0)))


def test_a_snapshot_older_than_the_first_diff_is_not_taken() -> None:
    book = LiveBook(2)
    book.take(diff(9, 9, [(10.0, 1.0)], []))
    assert not book.begin([(9.0, 1.0)], [(11.0, 1.0)], 5, 100)
    assert book.top() is None
    assert book.begin([(9.0, 1.0)], [(11.0, 1.0)], 8, 100)
    assert book.top() == (((10.0, 1.0), (9.0, 1.0)), ((11.0, 1.0),))


def test_a_hole_loses_the_book_and_the_diff_behind_it_waits_for_the_next_snapshot() -> None:
    book = LiveBook(2)
    book.begin([(9.0, 1.0)], [(11.0, 1.0)], 5, 100)
    assert book.take(diff(8, 8, [(10.0, 1.0)], [])) == "gap"
    assert book.top() is None
    assert book.take(diff(9, 9, [], [(11.0, 0.0), (12.0, 3.0)])) == "waiting"
    assert book.begin([(9.5, 1.0)], [(11.0, 1.0)], 7, 100)
    assert book.top() == (((10.0, 1.0), (9.5, 1.0)), ((12.0, 3.0),))


def test_a_diff_that_was_told_before_changes_nothing() -> None:
    book = LiveBook(2)
    book.begin([(9.0, 1.0)], [(11.0, 1.0)], 5, 100)
    assert book.take(diff(3, 5, [(10.0, 1.0)], [])) == "old"
    assert book.top() == (((9.0, 1.0),), ((11.0, 1.0),))


def test_levels_that_no_snapshot_reached_are_not_shown() -> None:
    book = LiveBook(2)
    assert book.begin([(9.0, 1.0), (8.0, 1.0)], [(11.0, 1.0)], 5, 2)
    book.take(diff(6, 6, [(9.0, 0.0), (5.0, 9.0)], []))
    assert book.top() == (((8.0, 1.0),), ((11.0, 1.0),))  # between 8 and 5 there may be levels nobody told
    assert book.shallow


def test_only_so_many_diffs_wait() -> None:
    book = LiveBook(2)
    for number in range(2, KEPT_DIFFS + 3):
        assert book.take(diff(number, number, [(float(number), 1.0)], [])) == "waiting"
    assert not book.begin([(1.0, 1.0)], [(1e9, 1.0)], 1, 100)  # diff 2 has gone
    assert book.begin([(1.0, 1.0)], [(1e9, 1.0)], 2, 100)


sides = st.dictionaries(st.integers(1, 40), st.integers(0, 3), max_size=6)


@given(
    start=st.tuples(sides, sides),
    changes=st.lists(st.tuples(sides, sides, st.integers(1, 3)), max_size=20),
    early=st.integers(0, 20),
    behind=st.integers(0, 20),
)
def test_the_book_is_the_snapshot_and_every_change_after_it(
    start: tuple[dict[int, int], dict[int, int]],
    changes: list[tuple[dict[int, int], dict[int, int], int]],
    early: int,
    behind: int,
) -> None:
    early, behind = min(early, len(changes)), min(behind, len(changes))
    known = [dict(start[0]), dict(start[1])]  # bids stand at 1..40, asks at 101..140
    states, diffs, last = [[dict(side) for side in known]], [], 100
    for bids, asks, ids in changes:
        for side, changed in zip(known, (bids, asks), strict=True):
            side.update(changed)
        levels = [
            [(float(price + shift), float(size)) for price, size in one.items()]
            for one, shift in ((bids, 0), (asks, 100))
        ]
        diffs.append(diff(last + 1, last + ids, levels[0], levels[1]))
        last += ids
        states.append([dict(side) for side in known])
    book = LiveBook(50)
    for one in diffs[:early]:
        book.take(one)
    at = min(early, behind)
    bids, asks = states[at]
    last_id = diffs[at - 1].final_id if at else 100
    whole = [
        [(float(price + shift), float(size)) for price, size in side.items() if size]
        for side, shift in ((bids, 0), (asks, 100))
    ]
    assert book.begin(whole[0], whole[1], last_id, 1000)
    for one in diffs[early:]:
        assert book.take(one) == "shown"
    bids, asks = ({price: size for price, size in side.items() if size} for side in states[-1])
    expected = (
        tuple((float(price), float(bids[price])) for price in sorted(bids, reverse=True)),
        tuple((float(price + 100), float(asks[price])) for price in sorted(asks)),
    )
    assert book.top() == (expected if bids and asks else None)


SNAPSHOT: Mapping[str, Any] = {"lastUpdateId": 10, "bids": [["99", "1"], ["98", "1"]], "asks": [["101", "1"]]}
STREAM = "btcusdt@depth@100ms"


def update(first: int, final: int, bids: list[list[str]]) -> dict[str, Any]:
    return {"e": "depthUpdate", "E": NOW - 5, "s": "BTCUSDT", "U": first, "u": final, "b": bids, "a": []}


def test_a_gap_in_the_stream_ends_in_a_fresh_book_of_that_symbol_alone() -> None:
    async def run() -> None:
        settings = CcxtFeed(trades=False, depth_levels=2)
        async with MarketServer() as server:
            await server.offer("BTCUSDT", SNAPSHOT)
            await server.offer("ETHUSDT", SNAPSHOT)
            symbols = ["BTC/USDT", "ETH/USDT"]
            async with feeding(server, symbols, settings, clock=TestClock(NOW)) as (feed, heard):
                await heard.until(lambda: len(heard.events) == 2)
                await server.tell(STREAM, update(11, 11, [["99.5", "2"]]))
                await heard.until(lambda: len(heard.events) == 3)
                assert heard.events[-1] == BookSeen("BTC/USDT", ((99.5, 2.0), (99.0, 1.0)), ((101.0, 1.0),), NOW - 5)
                await server.offer("BTCUSDT", {**SNAPSHOT, "lastUpdateId": 20})
                await server.tell(STREAM, update(15, 15, [["50", "2"]]))
                await heard.until(lambda: heard.told("FEED_GAP") == 1)
                await heard.until(lambda: len(heard.events) == 4)
                assert heard.events[-1] == BookSeen("BTC/USDT", ((99.0, 1.0), (98.0, 1.0)), ((101.0, 1.0),), NOW)
                depths = [one for one in server.requests if one.startswith("depth")]
                assert sorted(depths) == ["depth BTCUSDT 100", "depth BTCUSDT 100", "depth ETHUSDT 100"]
                assert feed.counts.gaps == 1

    asyncio.run(run())


def test_a_snapshot_that_is_refused_holds_up_no_other_symbol() -> None:
    async def run() -> None:
        settings = CcxtFeed(trades=False, depth_levels=2)
        async with MarketServer() as server:
            await server.offer("BTCUSDT", {"code": -1121, "msg": "Invalid symbol."})
            await server.offer("ETHUSDT", SNAPSHOT)
            async with feeding(server, ["BTC/USDT", "ETH/USDT"], settings, clock=TestClock(NOW)) as (_, heard):
                await heard.until(lambda: len(heard.events) == 1)
                assert heard.events == [BookSeen("ETH/USDT", ((99.0, 1.0), (98.0, 1.0)), ((101.0, 1.0),), NOW)]
                await server.offer("BTCUSDT", SNAPSHOT)
                await heard.until(lambda: len(heard.events) == 2)
                assert heard.told("FEED_SUBSCRIPTION_FAILED") >= 1

    asyncio.run(run())


def test_the_books_begin_anew_with_a_new_connection() -> None:
    async def run() -> None:
        settings = CcxtFeed(trades=False, depth_levels=2)
        async with MarketServer() as server:
            await server.offer("BTCUSDT", SNAPSHOT)
            async with feeding(server, ["BTC/USDT"], settings, clock=TestClock(NOW)) as (_, heard):
                await heard.until(lambda: len(heard.events) == 1)
                await server.offer("BTCUSDT", {**SNAPSHOT, "lastUpdateId": 500, "bids": [["97", "4"]]})
                server.cut(next(one for one in server.open() if STREAM in one.streams))
                await heard.until(lambda: len(heard.events) == 2)
                assert heard.events[-1] == BookSeen("BTC/USDT", ((97.0, 4.0),), ((101.0, 1.0),), NOW)

    asyncio.run(run())
