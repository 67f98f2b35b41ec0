"""Is a synthetic price a function of seed, symbol and time alone, and does it move as declared?"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.sections.feed import SyntheticFeed
from tradebot.feeds.synthetic_path import BLOCK_S, PricePath, arrivals, bell

START = 1_763_830_000_000


def path(symbol: str = "SYN001/USDT", seed: int = 1, **settings: Any) -> PricePath:
    return PricePath(SyntheticFeed(**settings), symbol, seed)


def prices(of: PricePath, seconds: int, step: int = 1) -> list[float]:
    return [of.at(START + second * 1000)[0] for second in range(0, seconds, step)]


@given(st.lists(st.integers(0, 4_000_000_000_000), min_size=1, max_size=6), st.integers(0, 9))
def test_a_price_depends_on_the_time_alone_and_not_on_what_was_asked_before(times: list[int], seed: int) -> None:
    walked = path(seed=seed)
    assert [walked.at(now) for now in times] == [path(seed=seed).at(now) for now in times]
    assert all(price > 0 and width >= 1 for price, width in map(walked.at, times))


def test_blocks_meet_without_a_jump() -> None:
    calm = path(volatility_bps=0.0, jumps_per_hour=0.0, trend_bps_per_s=0.0)
    held = prices(calm, 4 * BLOCK_S)
    assert max(abs(after / before - 1) for before, after in pairwise(held)) < 2e-4
    assert max(held) > min(held)  # the slow level still wanders


def test_without_any_motion_the_price_stands_still() -> None:
    still = path(volatility_bps=0.0, jumps_per_hour=0.0, trend_bps_per_s=0.0, wander_bps=0.0)
    assert prices(still, 2 * BLOCK_S, 7) == pytest.approx([still.scale] * len(range(0, 2 * BLOCK_S, 7)))


def test_the_calm_noise_is_the_declared_volatility() -> None:
    noisy = path(volatility_bps=10.0, stress_factor=1.0, jumps_per_hour=0.0, trend_bps_per_s=0.0)
    held = prices(noisy, 20 * BLOCK_S)
    moves = [(after / before - 1) * 10_000 for before, after in pairwise(held)]
    assert sqrt(sum(move * move for move in moves) / len(moves)) == pytest.approx(10.0, rel=0.05)


def test_most_sudden_moves_are_drops_that_partly_recover() -> None:
    jumpy = path(volatility_bps=0.0, trend_bps_per_s=0.0, wander_bps=0.0, drop_share=1.0, jump_bps=200.0)
    held = prices(jumpy, 20 * BLOCK_S)
    drops = [at for at, (before, after) in enumerate(pairwise(held)) if after / before - 1 < -0.015]
    rises = [at for at, (before, after) in enumerate(pairwise(held)) if after / before - 1 > 0.015]
    assert len(drops) > 20
    assert not rises
    later = [held[min(at + 30, len(held) - 1)] / held[at + 1] - 1 for at in drops]
    assert sum(later) / len(later) > 0.002


def test_a_price_never_leaves_the_neighbourhood_of_its_level() -> None:
    wild = path(volatility_bps=1000.0, stress_factor=100.0, jumps_per_hour=36_000.0, jump_bps=5000.0)
    assert all(wild.scale * 0.01 < price < wild.scale * 50 for price in prices(wild, 4 * BLOCK_S))


@given(st.integers(0, 999), st.integers(0, 99))
def test_every_symbol_has_a_plausible_level_and_tick(number: int, seed: int) -> None:
    own = path(f"SYN{number:03d}/USDT", seed)
    assert 0.01 <= own.scale <= 100_000
    assert 2 <= own.decimals <= 6
    assert 10**-own.decimals / own.scale < 2e-4


@given(st.integers(0, 1000))
def test_the_bell_stays_within_three_deviations(seed: int) -> None:
    rng = Random(seed)
    drawn = [bell(rng) for _ in range(2000)]
    assert max(map(abs, drawn)) <= 3
    assert abs(sum(drawn) / 2000) < 0.15
    assert 0.85 < sum(one * one for one in drawn) / 2000 < 1.15


@given(st.floats(0, 20))
def test_arrivals_are_the_rate_rounded_either_way(rate: float) -> None:
    rng = Random(1)
    drawn = [arrivals(rate, rng) for _ in range(400)]
    assert set(drawn) <= {int(rate), int(rate) + 1}
    assert abs(sum(drawn) / 400 - rate) < 0.15


def test_a_sudden_move_widens_the_spread_for_some_seconds() -> None:
    jumpy = path(volatility_bps=0.0, trend_bps_per_s=0.0, wander_bps=0.0, stress_factor=1.0, jump_bps=200.0)
    told = [jumpy.at(START + second * 1000 + 500) for second in range(4 * BLOCK_S)]
    leaps = [at for at in range(1, len(told) - 2) if abs(told[at + 1][0] / told[at - 1][0] - 1) > 0.015]
    assert leaps
    assert all(told[at][1] > 1.1 or told[at + 1][1] > 1.1 for at in leaps)
    assert sum(width for _, width in told) / len(told) < 1.2
    assert min(width for _, width in told) < 1.001
