"""Does the synthetic feed keep to the clock, make up for little after a stall, and end when told?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.events import BookSeen, Event, QuoteSeen, TradeSeen
from tradebot.feeds.synthetic_live import SyntheticLive
from tradebot.ports import Feed

START = 1_763_830_000_000


class Hand:
    """A clock moved by hand: each wait moves it on by what was asked for, or by the stall that is due then."""

    def __init__(self, *, waits: int, stalls: dict[int, int] | None = None) -> None:
        self.now = START
        self.asked: list[float] = []
        self._waits = waits
        self._stalls = stalls or {}

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += self._stalls.get(len(self.asked), round(seconds * 1000))
        self.asked.append(seconds)
        if len(self.asked) >= self._waits:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


def feed(clock: Hand, **settings: Any) -> SyntheticLive:
    return SyntheticLive(
        SyntheticFeed(**settings), (), "USDT", 3, min_notional=Decimal(5), clock=clock, sleep=clock.sleep
    )


def run(clock: Hand, **settings: Any) -> list[tuple[int, Event]]:
    """Return (time of publication, event) until the clock has had enough."""
    published: list[tuple[int, Event]] = []
    publish: Callable[[Event], None] = lambda event: published.append((clock.now, event))  # noqa: E731
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(feed(clock, **settings).run(publish))
    return published


def at(event: Event) -> int:
    assert isinstance(event, QuoteSeen | BookSeen | TradeSeen)
    return event.at_ms


def test_it_is_a_feed_that_says_what_it_is() -> None:
    made: Feed = feed(Hand(waits=1), symbols=2)
    assert made.synthetic
    assert [one.symbol for one in made.instruments()] == ["SYN001/USDT", "SYN002/USDT"]
    assert {one.min_notional for one in made.instruments()} == {Decimal(5)}
    assert feed(Hand(waits=1)).label() == "synthetic market (seed 3)"


def test_events_are_published_when_they_have_happened_and_soon() -> None:
    published = run(Hand(waits=200), symbols=4, pace_ms=50)
    assert len(published) > 100
    assert all(at(event) <= now for now, event in published)
    assert max(now - at(event) for now, event in published) <= 50


def test_it_waits_for_the_next_event_where_that_is_far() -> None:
    clock = Hand(waits=20)
    run(clock, symbols=1, updates_per_s=0.5, trades_per_s=0.0, pace_ms=20)
    assert max(clock.asked) > 0.5
    assert min(clock.asked) >= 0.02


def test_a_stall_is_made_up_for_within_its_bound() -> None:
    hour = 3_600_000
    published = run(Hand(waits=20, stalls={10: hour}), symbols=4, updates_per_s=10.0, catch_up_s=2.0)
    after = [at(event) for now, event in published if now >= START + hour]
    before = [at(event) for now, event in published if now < START + hour]
    assert before
    assert after
    first = min(after)
    assert max(before) < START + 10_000
    assert first >= START + hour - 2_000
    assert len([moment for moment in after if moment <= first + 2_000]) < 4 * 2 * (2 * 10 + 1) * 2


def test_others_have_their_turn_while_it_makes_up_for_a_stall() -> None:
    clock = Hand(waits=80, stalls={10: 1_000})
    published = run(clock, symbols=50, updates_per_s=20.0, catch_up_s=1.0, pace_ms=20)
    stalled = [event for now, event in published if now >= START + 1_000]
    turns = clock.asked[11:].count(0)
    assert turns >= 40
    assert len(stalled) > 50 * 20
    assert clock.asked[-1] > 0, "it has caught up"


def test_it_ends_at_once_when_cancelled() -> None:
    async def scene() -> list[Event]:
        published: list[Event] = []
        first = asyncio.Event()

        def publish(event: Event) -> None:
            published.append(event)
            first.set()

        class Wall:
            def now_ms(self) -> int:
                return round(asyncio.get_running_loop().time() * 1000)

        settings = SyntheticFeed(symbols=50, updates_per_s=100.0)
        live = SyntheticLive(settings, (), "USDT", 1, min_notional=Decimal(5), clock=Wall())
        task = asyncio.create_task(live.run(publish))
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        count = len(published)
        await asyncio.sleep(0)
        assert len(published) == count
        return published

    assert asyncio.run(scene())


def test_a_market_that_was_prepared_tells_the_same_as_one_that_was_not() -> None:
    def told(*, prepared: bool) -> list[Event]:
        clock = Hand(waits=50)
        live = feed(clock, symbols=3, updates_per_s=100)
        if prepared:
            assert list(live.prepare()) == ["SYN001/USDT", "SYN002/USDT", "SYN003/USDT"]
        assert START <= live.next_ms < START + 1000
        events: list[Event] = []
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(live.run(events.append))
        return events

    assert told(prepared=True) == told(prepared=False)
    assert len(told(prepared=True)) > 50
