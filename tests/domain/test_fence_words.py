"""Does an operator read what holds trading back, with what is left of it, and nothing where all is well?"""

from __future__ import annotations

from tradebot.domain.fence_words import fence_rows
from tradebot.domain.views import HaltedView, StoppedView, VenueView

NOW = 1_790_000_000_000


def test_nothing_is_said_where_all_is_well() -> None:
    assert fence_rows(VenueView(), (), (), NOW) == []


def test_a_ban_counts_down() -> None:
    banned = VenueView(state="banned", reason="this address is banned", since_ms=NOW - 61_000, until_ms=NOW + 119_500)
    assert fence_rows(banned, (), (), NOW) == [("venue", "banned for 1:01: this address is banned · 1:59 left")]
    assert fence_rows(banned, (), (), NOW + 200_000) == [("venue", "banned for 4:21: this address is banned")]


def test_a_wrong_clock_a_halted_symbol_and_what_is_stopped_are_said() -> None:
    venue = VenueView(clock="wrong", clock_offset_ms=-1_500)
    halted = (HaltedView(symbol="A/USDT", reason="BREAK", since_ms=NOW - 7_200_000),)
    stopped = (
        StoppedView(action="buy", symbol="B/USDT", cause="-2010 no", failures=5, until_ms=NOW + 900_000),
        StoppedView(action="exit", symbol="C/USDT", cause="-1013 no", failures=9, until_ms=NOW + 5_000),
        StoppedView(action="cancel", symbol="D/USDT", cause="-2011 no", failures=6, until_ms=0),
    )
    assert fence_rows(venue, halted, stopped, NOW) == [
        ("clock", "1500 ms behind the venue's, nothing is bought: set it right"),
        ("halted", "A/USDT for 2:00:00: BREAK"),
        ("stopped", "buy B/USDT, 5 times -2010 no · again in 15:00 or by `tradebot rearm B/USDT`"),
        ("slowed", "exit C/USDT, 9 times -1013 no · again in 0:05 or by `tradebot rearm C/USDT`"),
        ("slowed", "cancel D/USDT, 6 times -2011 no · again as soon as it is due or by `tradebot rearm D/USDT`"),
    ]
    off = VenueView(clock="off", clock_offset_ms=300)
    assert fence_rows(off, (), (), NOW) == [("clock", "300 ms ahead of the venue's: set it right")]
