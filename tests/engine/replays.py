"""What does a random profile do over a random small recording? Asked by the tests that compare whole replays."""

from __future__ import annotations

import random
from array import array
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tests.engine.hand import Unheard, make_profile, merged
from tradebot.domain.facts import Fact
from tradebot.feeds.candles import CandleColumns, CandleRecording
from tradebot.runtime.simulated import ReplayResult, run_replay
from tradebot.storage.replay_journal import MemoryJournal

MINUTE_MS = 60_000
T0 = 1_704_067_200_000 + 20 * 3_600_000  # four hours before a UTC day ends
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT", "EEE/USDT")
KINDS = ("rolling_high", "session_high", "vwap", "ema")


class Replayed(Struct):
    """What came of one replay."""

    facts: list[Fact]
    digest: str
    closes: list[tuple[int, dict[str, float]]]  # the bids told at every minute's close with a position
    fills_ms: list[int]
    result: ReplayResult

    def count(self, kind: type[Fact]) -> int:
        """Return how many facts of a kind there are."""
        return sum(type(fact) is kind for fact in self.facts)


def recording(draw: random.Random, candles: int, symbols: int) -> CandleRecording:
    """Return random walks with jumps on a grid; candles are missing singly, in runs, and for all at a time."""
    outages = [(start, start + draw.choice([2, 40, 90])) for start in draw.sample(range(10, candles), 2)]
    columns = []
    for _ in range(symbols):
        ticks = draw.choice([100, 10_000])
        price = draw.uniform(0.5, 300.0)
        restless = draw.choice([0.0005, 0.002, 0.006])
        gaps = [
            (start, start + draw.choice([1, 3, 35])) for start in draw.sample(range(1, candles), draw.choice([0, 4]))
        ]
        one = CandleColumns(array("q"), *(array("d") for _ in range(5)))
        for at in range(draw.choice([0, 0, 17]), candles):
            jump = draw.gauss(0.0, 0.02) if draw.random() < 0.03 else 0.0
            open_ = price * (1 + draw.gauss(0.0, restless / 4))
            price = min(1e5, max(0.05, price * (1 + draw.gauss(0.0, restless) + jump)))
            high = max(open_, price) * (1 + abs(draw.gauss(0.0, restless)) * draw.choice([0, 1]))
            low = min(open_, price) * (1 - abs(draw.gauss(0.0, restless)) * draw.choice([0, 1]))
            if one.ts and any(start <= at < stop for start, stop in (*outages, *gaps)):
                continue
            points = [max(1, round(point * ticks)) / ticks for point in (open_, high, low, price)]
            one.ts.append(T0 + at * MINUTE_MS)
            one.open.append(points[0])
            one.high.append(max(points))
            one.low.append(min(points))
            one.close.append(points[3])
            one.volume.append(draw.choice([0.0, round(draw.lognormvariate(3, 1.5), 3)]))
        columns.append(one)
    return CandleRecording(SYMBOLS[:symbols], tuple(columns), MINUTE_MS)


def settings(draw: random.Random) -> dict[str, Any]:
    """Return random settings of everything that the band knows of."""
    pick = draw.choice
    trailing = pick(["off", {"activate_bps": pick([40, 150]), "distance_bps": pick([25, 60])}])
    return {
        "bot": {"seed": draw.randrange(1000)},
        "market": {"decide_on": pick(["price", "price", "candle_close"]), "stale_after_s": pick([30, 90, 3_600])},
        "feed": {
            "kind": "recorded",
            "recorded": {"spread_bps": pick([0, 4, 13]), "shown_size": pick(["unlimited", "volume_share"])},
        },
        "venue": {
            "paper": {
                "initial_quote": pick([400, 10_000]),
                "fee_in": pick(["received", "quote"]),
                "entry_latency_ms": pick([0, 40, 25_000]),
            }
        },
        "drop": {
            "anchor": {
                "kind": pick(KINDS),
                "window_s": pick([45, 600, 1_800, 7_200]),
                "window_buckets": pick([1, 7, 30, 120]),
                "warmup_s": pick(["window", 60, 0]),
                "session_start_s": pick([0, 13, 7 * 3_600]),
            },
            "threshold_bps": pick([10, 40, 100, 250]),
            "symbol": pick([{}, {"AAA/USDT": {"threshold_bps": 25}}]),
            "confirm_s": pick([0, 0, 30, 90]),
            "cooldown_s": pick([0, 300, 1_800]),
            "debounce_s": pick([0, 600]),
            "rearm": pick([True, False]),
        },
        "budget": {
            "per_trade_quote": pick([50, 250]),
            "max_positions": pick([1, 2, 9]),
            "max_per_symbol_quote": pick([250, 600]),
            "max_exposure_quote": pick([300, 700, 4_500]),
            "keep_free_quote": pick([0, 100]),
        },
        "execution": {
            "max_spread_bps": pick([5, 20]),
            "wait_ms": pick([{}, {"IOC": 90_000, "GTC": 120_000, "other": 90_000}]),
            "steps": pick([[{"tif": "IOC"}, {"tif": "GTC", "offset_bps": 2}], [{"type": "market"}]]),
        },
        "intents": {"max_age_s": pick([60, 600])},
        "exits": {
            "take_profit_bps": pick(["off", 60, 250]),
            "stop_loss_bps": pick(["off", 100, 400]),
            "trailing": trailing,
            "max_hold_s": pick(["off", 1_234.5, 7_200]),
            "check_interval_s": pick([1, 77]),
        },
        "features": {"buying": draw.random() > 0.05, "exits": draw.random() > 0.1},
    }


def replayed(chosen: Mapping[str, Any], recorded: CandleRecording, *, band: bool) -> Replayed:
    """Return what a profile does over a recording, with the band on or off."""
    journal = MemoryJournal()
    closes: list[tuple[int, dict[str, float]]] = []
    fills: list[int] = []

    def mark(at_ms: int, prices: Mapping[str, float]) -> None:
        if (at_ms + 1) % MINUTE_MS:
            fills.append(at_ms)
        else:
            closes.append((at_ms, dict(prices)))

    profile = make_profile(merged(chosen, {"engine": {"band": band}}))
    result = run_replay(
        profile, recorded, journal=journal, recorder=Unheard(), mark=mark, progress=lambda _done, _total: None
    )
    return Replayed([fact for _, _, fact in journal.read(0)], journal.digest(), closes, fills, result)
