"""Is every anchor what an obviously right reference says, over any times, gaps and days?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebot.config.sections.drop import Anchor as AnchorSettings
from tradebot.engine.anchors import make_anchor
from tradebot.engine.window import Anchor, CandleShape

DAY_MS = 86_400_000

KINDS = ("rolling_high", "session_high", "vwap", "ema")
T0 = 1_704_067_200_000 + DAY_MS // 2


class Seen(NamedTuple):
    """One observation."""

    at_ms: int
    price: float
    volume: float


# -- the reference ----------------------------------------------------------------------------------


def reference(kind: str, chosen: AnchorSettings, seen: Sequence[Seen], now_ms: int) -> float:
    """Return the anchor of everything `seen`, asked at `now_ms`, from the whole history and slowly."""
    width = max(1, round(chosen.window_s * 1000) // chosen.window_buckets)
    bucket = now_ms // width
    if kind == "session_high":
        return session_reference(chosen, seen, now_ms, width)
    formed = forming(seen, width, chosen.window_buckets)
    warmup_s = chosen.window_s if chosen.warmup_s is None else chosen.warmup_s
    warm_buckets = -(-round(warmup_s * 1000) // width)
    if not formed or bucket - formed[-1].at_ms // width > chosen.window_buckets:
        return 0.0
    if bucket - formed[0].at_ms // width < warm_buckets:
        return 0.0
    window = [one for one in seen if one.at_ms // width >= bucket - chosen.window_buckets]
    if kind == "rolling_high":
        return max(one.price for one in window)
    if kind == "vwap":
        volume = sum(one.volume for one in window)
        return sum(one.price * one.volume for one in window) / volume if volume else 0.0
    last_of = {one.at_ms // width: one.price for one in formed if one.at_ms // width < bucket}
    average = 0.0
    for price in last_of.values():
        average = price if not average else average + 2 / (chosen.window_buckets + 1) * (price - average)
    return average


def forming(seen: Sequence[Seen], width: int, buckets: int) -> list[Seen]:
    """Return the observations since the last gap of more than a window."""
    start = 0
    for at in range(1, len(seen)):
        if seen[at].at_ms // width - seen[at - 1].at_ms // width > buckets:
            start = at
    return list(seen[start:])


def session_reference(chosen: AnchorSettings, seen: Sequence[Seen], now_ms: int, width: int) -> float:
    """Return the high of the session that `now_ms` lies in."""
    start_ms = chosen.session_start_s * 1000
    mine = [one for one in seen if (one.at_ms - start_ms) // DAY_MS == (now_ms - start_ms) // DAY_MS]
    warm_buckets = -(-round((chosen.warmup_s or 0) * 1000) // width)
    if not mine or now_ms // width - mine[0].at_ms // width < warm_buckets:
        return 0.0
    return max(one.price for one in mine)


# -- what is drawn ----------------------------------------------------------------------------------

choices = st.builds(
    AnchorSettings,
    kind=st.sampled_from(KINDS),
    window_s=st.sampled_from([1.0, 10.0, 60.0, 600.0, 100_000.0]),
    window_buckets=st.sampled_from([1, 2, 3, 7, 60]),
    warmup_s=st.sampled_from([None, 0.0, 0.5, 30.0, 700.0]),
    session_start_s=st.sampled_from([0, 3_613, 43_200, 86_399]),
)
prices = st.one_of(st.sampled_from([1.0, 99.0, 100.0, 101.0]), st.floats(0.5, 2_000, allow_subnormal=False))
volumes = st.sampled_from([0.0, 0.0, 1e-6, 0.3, 1.0, 7.0, 1e6, 1e12])


@st.composite
def histories(draw: st.DrawFn, chosen: AnchorSettings) -> list[Seen]:
    """Draw observations in order of time, with pauses of the window's own sizes."""
    window_ms = round(chosen.window_s * 1000)
    width = max(1, window_ms // chosen.window_buckets)
    spans = [0, 1, width // 2, width - 1, width, width + 1, 3 * width, window_ms - 1, window_ms, window_ms + width]
    at_ms, seen = T0, []
    for _ in range(draw(st.integers(0, 40))):
        at_ms += draw(st.sampled_from([*spans, *spans, 2 * window_ms, DAY_MS // 3, DAY_MS]))
        seen.append(Seen(at_ms, draw(prices), draw(volumes)))
    return seen


@st.composite
def cases(draw: st.DrawFn) -> tuple[AnchorSettings, list[Seen]]:
    """Draw settings, and a history that suits them."""
    chosen = draw(choices)
    return chosen, draw(histories(chosen))


# -- the promises -----------------------------------------------------------------------------------


@settings(max_examples=500)
@given(cases(), st.integers(0, 3))
def test_an_anchor_is_what_the_reference_says(case: tuple[AnchorSettings, list[Seen]], asked_more: int) -> None:
    """Before each observation, which it excludes; asking more often changes nothing."""
    chosen, seen = case
    anchor = make_anchor(chosen)
    for at, one in enumerate(seen):
        wanted = reference(chosen.kind, chosen, seen[:at], one.at_ms)
        assert anchor.value(one.at_ms) == pytest.approx(wanted, rel=1e-9)
        anchor.record(one.price, one.volume, one.at_ms)
        following = seen[at + 1].at_ms if at + 1 < len(seen) else one.at_ms + 10**9
        for asked in range(asked_more):
            now_ms = one.at_ms + (following - one.at_ms) * asked // 3
            again = reference(chosen.kind, chosen, seen[: at + 1], now_ms)
            assert anchor.value(now_ms) == pytest.approx(again, rel=1e-9)


@settings(max_examples=300)
@given(cases(), st.floats(0, 0.2), st.integers(0, 2**32))
def test_prices_below_a_level_above_the_ceiling_never_lift_the_anchor_over_it(
    case: tuple[AnchorSettings, list[Seen]], slack: float, seed: int
) -> None:
    chosen, seen = case
    middle = len(seen) // 2
    anchor = make_anchor(chosen)
    for one in seen[:middle]:
        anchor.value(one.at_ms)
        anchor.record(one.price, one.volume, one.at_ms)
    level = anchor.ceiling() * (1 + slack)
    exact = chosen.kind.endswith("high")
    for number, one in enumerate(seen[middle:]):
        assert anchor.value(one.at_ms) <= level * (1 if exact else 1 + 1e-9)
        below = level * (0.9999 if (seed >> number % 32) & 1 else 0.97)
        anchor.record(below, one.volume, one.at_ms)


@settings(max_examples=200)
@given(cases(), st.integers(0, 40))
def test_an_anchor_goes_on_from_what_was_kept(case: tuple[AnchorSettings, list[Seen]], kept_after: int) -> None:
    chosen, seen = case
    anchor = make_anchor(chosen)
    for one in seen[:kept_after]:
        anchor.record(one.price, one.volume, one.at_ms)
    again = make_anchor(chosen)
    assert again.load(json.loads(json.dumps(anchor.dump())))
    assert again.dump() == anchor.dump()
    for one in seen[kept_after:]:
        assert again.value(one.at_ms) == pytest.approx(anchor.value(one.at_ms), rel=1e-9)
        for each in (anchor, again):
            each.record(one.price, one.volume, one.at_ms)


@settings(max_examples=100)
@given(cases(), cases())
def test_a_reset_anchor_forms_anew(
    before: tuple[AnchorSettings, list[Seen]], after: tuple[AnchorSettings, list[Seen]]
) -> None:
    chosen, seen = after
    anchor, new = make_anchor(chosen), make_anchor(chosen)
    for one in before[1]:
        anchor.record(one.price, one.volume, one.at_ms)
    anchor.reset()
    shift = before[1][-1].at_ms - T0 if before[1] else 0
    for one in seen:
        now_ms = one.at_ms + shift
        assert anchor.value(now_ms) == new.value(now_ms)
        for each in (anchor, new):
            each.record(one.price, one.volume, now_ms)


@settings(max_examples=200)
@given(
    choices, st.lists(st.tuples(st.integers(0, 5), prices, prices, prices, prices, volumes), max_size=30), st.booleans()
)
def test_a_candle_is_taken_as_its_four_prices_would_be(
    chosen: AnchorSettings, rows: list[tuple[int, float, float, float, float, float]], plain: bool
) -> None:
    shape = CandleShape(times=(20_000, 40_000, 59_999), down=1.0 if plain else 0.9998, up=1.0 if plain else 1.0002)
    whole, single = make_anchor(chosen), make_anchor(chosen)
    open_ms = T0 // 60_000 * 60_000
    for pause, *points, volume in rows:
        open_ms += 60_000 * (1 + pause)
        low, open_, close, high = sorted(points)
        whole.record_candle(shape, (open_ms, 0, open_, high, low, close, volume))
        path = zip((open_, low, high, close), (0, *shape.times), (0.0, 0.0, 0.0, volume), strict=True)
        for price, offset, traded in path:
            single.record(shape.mid(price), traded, open_ms + offset)
        assert whole.dump() == single.dump()
        assert whole.ceiling() == single.ceiling()
        assert whole.value(open_ms + 60_000) == single.value(open_ms + 60_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_holds_no_more_than_its_buckets_and_the_one_under_way(kind: str) -> None:
    anchor = anchor_of(kind, window_s=60.0, window_buckets=6)
    for second in range(5_000):
        anchor.record(1e6 - second, 1.0, T0 + second * 1000)  # falling: every bucket high is a step of the staircase
        parts = [len(part) for part in anchor.dump().values() if isinstance(part, list)]
        assert all(size <= 7 for size in parts)


@pytest.mark.parametrize(("kind", "wanted"), [("rolling_high", 0.0), ("vwap", 0.0), ("ema", 0.0)])
def test_old_prices_expire_across_a_gap_and_the_anchor_warms_again(kind: str, wanted: float) -> None:
    anchor = anchor_of(kind, window_s=60.0, window_buckets=6)
    for second in range(0, 200, 10):
        anchor.record(500.0, 1.0, T0 + second * 1000)
    assert anchor.value(T0 + 200_000) == pytest.approx(500.0)
    later = T0 + 3_600_000
    assert anchor.value(later) == wanted
    for second in range(0, 60, 10):
        assert anchor.value(later + second * 1000) == wanted, "cold until it was watched for a window again"
        anchor.record(100.0, 1.0, later + second * 1000)
    assert anchor.value(later + 60_000) == pytest.approx(100.0)


def test_a_session_begins_at_its_second_of_the_day() -> None:
    anchor = anchor_of("session_high", session_start_s=3_600)
    midnight = T0 // DAY_MS * DAY_MS
    anchor.record(500.0, 1.0, midnight + 3_599_999)
    assert anchor.value(midnight + 3_599_999) == 500.0
    assert anchor.value(midnight + 3_600_000) == 0.0
    anchor.record(100.0, 1.0, midnight + 3_600_000)
    assert anchor.value(midnight + 3_600_001) == 100.0
    assert anchor.value(midnight + DAY_MS + 3_599_999) == 100.0


@pytest.mark.parametrize(
    "other",
    [{"kind": "vwap"}, {"window_s": 61.0}, {"window_buckets": 7}, {"window_s": 120.0, "window_buckets": 12}],
)
def test_a_window_of_other_settings_starts_cold(other: dict[str, object]) -> None:
    kept = anchor_of("ema", window_s=60.0, window_buckets=6)
    for second in range(100):
        kept.record(100.0, 1.0, T0 + second * 1000)
    chosen = AnchorSettings.model_validate({"kind": "ema", "window_s": 60.0, "window_buckets": 6} | other)
    anchor = make_anchor(chosen)
    before = anchor.dump()
    assert not anchor.load(kept.dump())
    assert anchor.dump() == before


def test_a_session_of_another_start_starts_cold() -> None:
    kept = anchor_of("session_high")
    kept.record(100.0, 1.0, T0)
    anchor = anchor_of("session_high", session_start_s=60)
    assert not anchor.load(kept.dump())
    assert anchor.value(T0 + 1) == 0.0


def anchor_of(kind: str, **chosen: object) -> Anchor:
    """Return a cold anchor."""
    return make_anchor(AnchorSettings.model_validate({"kind": kind} | chosen))
