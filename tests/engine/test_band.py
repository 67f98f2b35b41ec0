"""Does the band skip only what changes nothing? The same facts with it off, over random profiles and markets.

`BAND_RUNS=2000 pytest tests/engine/test_band.py -k random -s` compares more, from a new seed that it prints;
`BAND_SEED` begins at a given one.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.engine.hand import A, Hand, merged
from tests.engine.replays import KINDS, Replayed, recording, replayed, settings
from tradebot.domain import events as e
from tradebot.domain.facts import BuyBlocked, OrderFilled, PositionClosed

RUNS = int(os.environ.get("BAND_RUNS", "0"))
FIRST = int(os.environ.get("BAND_SEED", str(random.randrange(2**31) if RUNS else 1)))


def compare(seed: int, kind: str, decide_on: str) -> Replayed:
    """Replay one random market with the band on and off; fail where anything differs."""
    draw = random.Random(seed)
    recorded = recording(draw, candles=draw.choice([150, 400]), symbols=draw.choice([1, 3, 5]))
    forced = {"drop": {"anchor": {"kind": kind}}, "market": {"decide_on": decide_on}}
    chosen = merged(settings(draw), forced)
    on, off = (replayed(chosen, recorded, band=band) for band in (True, False))
    if on.digest != off.digest:
        pairs = zip(on.facts, off.facts, strict=False)
        at, differs = next(((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1]), (-1, None))
        pytest.fail(f"BAND_SEED={seed} {kind} {decide_on}: fact {at} of {len(on.facts)}/{len(off.facts)}: {differs}")
    assert on.closes == off.closes, f"BAND_SEED={seed} {kind} {decide_on}: other marks"
    assert on.fills_ms == off.fills_ms
    assert on.result.ledger == off.result.ledger
    assert on.result.prices == off.result.prices
    assert off.result.taken == 0
    return on


@pytest.mark.parametrize("decide_on", ["price", "candle_close"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_are_the_same_without_the_band(kind: str, decide_on: str) -> None:
    trades = fills = blocked = taken = 0
    for seed in range(1, 9):
        done = compare(seed * 100 + KINDS.index(kind), kind, decide_on)
        trades += done.count(PositionClosed)
        fills += done.count(OrderFilled)
        blocked += done.count(BuyBlocked)
        taken += done.result.taken
    assert min(trades, fills, blocked) > 10, "too little happened to compare"
    assert taken > 100, "the band was of no use"


@pytest.mark.parametrize("band", [True, False])
def test_a_new_high_inside_the_band_lifts_the_trigger(*, band: bool) -> None:
    hand = Hand({"engine": {"band": band}}).start()
    for bid in (100.0, 99.5, 100.01):
        assert not hand.quote(A, bid)
    assert hand.quote(A, 99.0095), "1 % below 100.01, but not below 100"


@pytest.mark.parametrize("band", [True, False])
def test_a_trade_above_the_band_lifts_an_average(*, band: bool) -> None:
    hand = Hand({"engine": {"band": band}, "drop": {"anchor": {"kind": "vwap"}}}).start()
    hand.feed(e.TradeSeen(A, 100.0, 1.0, True, hand.now))
    hand.wait(10_000)
    assert not hand.quote(A, 99.5)
    hand.feed(e.TradeSeen(A, 110.0, 1_000.0, True, hand.now))
    assert hand.quote(A, 99.5), "a deep drop below the price of nearly everything traded"


@pytest.mark.skipif(not RUNS, reason="BAND_RUNS says how many more to compare")
@pytest.mark.timeout(0)
def test_the_facts_are_the_same_in_many_random_runs() -> None:
    print(f"BAND_SEED={FIRST}")
    for seed in range(FIRST, FIRST + RUNS):
        draw = random.Random(-seed)
        compare(seed, draw.choice(KINDS), draw.choice(["price", "price", "candle_close"]))
