"""Is the difference to the exchange's clock known, exact as the shortest way, and anew when a clock was set?"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from tests.exchange.little_exchange import in_loop
from tests.exchange.walls import Wall
from tradebot.exchange.clock_offset import ClockOffset
from tradebot.exchange.evidence import TRAIL


class Peer:
    """An exchange whose clock is `behind_ms` behind ours, with ways of chosen lengths: (there, back) in ms."""

    def __init__(self, wall: Wall, behind_ms: int, *ways: tuple[int, int]) -> None:
        self.wall = wall
        self.behind_ms = behind_ms
        self.ways = list(ways)

    async def time(self) -> int:
        there, back = self.ways.pop(0)
        trail = TRAIL.get()
        assert trail is not None
        trail.left_s = time.monotonic() - (there + back) / 1000
        theirs = self.wall.now_ms() + there - self.behind_ms
        self.wall.time_ms += there + back
        return theirs


@in_loop
async def test_the_sample_with_the_shortest_way_decides() -> None:
    wall = Wall()
    offset = ClockOffset(Peer(wall, 700, (300, 0), (5, 5), (0, 400)).time, wall)
    await offset.measure(3)
    assert abs(offset.offset_ms - 700) <= 1
    assert 4 <= offset.error_ms <= 7


@in_loop
async def test_every_instance_signs_with_the_exchange_s_time() -> None:
    wall = Wall()
    offset = ClockOffset(Peer(wall, -2_000, (1, 1)).time, wall)
    exchange = SimpleNamespace(options={})
    offset.apply_to(exchange)
    assert exchange.options == {"timeDifference": 0}
    await offset.measure()
    assert abs(exchange.options["timeDifference"] + 2_000) <= 1


@in_loop
async def test_a_clock_that_was_set_makes_older_samples_void() -> None:
    wall = Wall()
    peer = Peer(wall, 0, (2, 2), (20, 20), (30, 30))
    offset = ClockOffset(peer.time, wall)
    await offset.measure(2)
    assert abs(offset.offset_ms) <= 1
    peer.behind_ms = 7_000
    await offset.measure()
    assert abs(offset.offset_ms - 7_000) <= 1


@in_loop
async def test_a_refused_timestamp_has_it_measured_anew_and_a_failure_keeps_what_is_known() -> None:
    wall = Wall()
    peer = Peer(wall, 10, (1, 1), (40, 0), (40, 0), (40, 0))
    offset = ClockOffset(peer.time, wall)
    await offset.measure()
    await offset.measure_anew()
    assert abs(offset.offset_ms + 10) <= 1, "the old sample would have said 10"
    with pytest.raises(IndexError):
        await offset.measure_anew()
    assert abs(offset.offset_ms + 10) <= 1


@in_loop
async def test_a_time_of_the_exchange_is_never_later_than_now() -> None:
    wall = Wall()
    offset = ClockOffset(Peer(wall, 100, (0, 0)).time, wall)
    await offset.measure()
    now = wall.now_ms()
    assert abs(offset.local_ms(now - 600, now) - (now - 500)) <= 1
    assert offset.local_ms(now + 5_000, now) == now
    assert offset.local_ms(0, now) == now
