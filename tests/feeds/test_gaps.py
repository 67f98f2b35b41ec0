"""Are missing candles told exactly, of one symbol and of all?"""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tradebot.feeds.gaps import Gap, gaps_of, outages_of

MINUTE = 60_000

opens = st.sets(st.integers(0, 60), min_size=1).map(sorted)


def held(minutes: list[int]) -> array[int]:
    return array("q", [minute * MINUTE for minute in minutes])


def minutes_of(gaps: tuple[Gap, ...]) -> list[int]:
    return [at // MINUTE for gap in gaps for at in range(gap.from_ms, gap.to_ms, MINUTE)]


def test_a_gap_begins_with_the_first_missing_candle_and_ends_before_the_next() -> None:
    assert gaps_of(held([0, 1, 5, 6, 8]), MINUTE) == (
        Gap(2 * MINUTE, 5 * MINUTE, 3),
        Gap(7 * MINUTE, 8 * MINUTE, 1),
    )


def test_an_outage_is_what_everybody_misses() -> None:
    symbols = [held([0, 1, 6, 7]), held([0, 2, 7, 9]), held([2, 6])]
    assert outages_of(symbols, MINUTE) == (Gap(3 * MINUTE, 6 * MINUTE, 3), Gap(8 * MINUTE, 9 * MINUTE, 1))


@given(opens)
def test_gaps_are_the_minutes_between_first_and_last_without_a_candle(minutes: list[int]) -> None:
    gaps = gaps_of(held(minutes), MINUTE)
    assert minutes_of(gaps) == [at for at in range(minutes[0], minutes[-1]) if at not in minutes]
    assert all(gap.missing == (gap.to_ms - gap.from_ms) // MINUTE > 0 for gap in gaps)
    assert all(before.to_ms < after.from_ms for before, after in pairwise(gaps))


@given(st.lists(opens, min_size=1, max_size=5))
def test_outages_are_the_minutes_without_any_candle(symbols: list[list[int]]) -> None:
    anyone = {minute for minutes in symbols for minute in minutes}
    outages = outages_of([held(minutes) for minutes in symbols], MINUTE)
    assert minutes_of(outages) == [at for at in range(min(anyone), max(anyone)) if at not in anyone]
