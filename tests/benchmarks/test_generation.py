"""What does a new generation cost the cycle that takes it, and what does planning it cost?"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.benchmarks.conftest import Show
from tests.engine.hand import INSTRUMENTS, Hand, make_profile, merged
from tests.engine.test_exits import with_exits
from tradebot.config.profile import Profile
from tradebot.domain.events import ProfileApplied, QuoteSeen
from tradebot.domain.market import Instrument

pytestmark = pytest.mark.benchmark

ROUNDS = 500

BASE = merged(
    with_exits(stop_loss_bps=900, take_profit_bps=500, max_hold_s=86_400),
    {"budget": {"max_positions": 50}, "execution": {"steps": [{"tif": "GTC", "offset_bps": 2}]}},
)

EDITS: dict[str, list[dict[str, Any]]] = {
    "levels": [{"exits": {"stop_loss_bps": 800 + at, "max_hold_s": 80_000 + at}} for at in range(2)],
    "anchor": [{"drop": {"anchor": {"window_s": 600 + 60 * at}}} for at in range(2)],
}


def trading(symbols: int) -> Hand:
    """Return a machine with 10 positions and 10 orders in the market."""
    listed = [
        msgspec.structs.replace(INSTRUMENTS[0], symbol=f"S{at:04}/USDT", base=f"S{at:04}") for at in range(symbols)
    ]
    hand = Hand(BASE, instruments=listed).start(100_000)
    for one in listed:
        hand.quote(one.symbol, 100.0)
    for one in listed[:10]:
        hand.bought(one.symbol)
    for one in listed[10:20]:
        hand.ack(hand.drop(one.symbol))
    assert (len(hand.engine.state.ledger.positions), len(hand.engine.state.orders)) == (10, 10)
    return hand


def cost_ms(work: Callable[[], object]) -> tuple[float, float]:
    """Return what work took by the clock, and by the processor alone."""
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.thread_time() - cpu) * 1e3


def planned(hand: Hand, profile: Profile, listed: tuple[Instrument, ...]) -> list[str]:
    """Plan a generation, and say it."""
    return hand.engine.plan(profile, listed, hand.now).lines()


def shown(hand: Hand, quotes: list[QuoteSeen]) -> None:
    """Show prices."""
    for quote in quotes:
        hand.dispatch.feed(quote, hand.now)


def p99(costs: list[tuple[float, float]], which: int) -> float:
    """Return the 99th percentile of the costs."""
    return sorted(cost[which] for cost in costs)[int(len(costs) * 0.99)]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("symbols", [50, 1_000])
def test_a_new_generation(symbols: int, edit: str, show: Show) -> None:
    hand = trading(symbols)
    profiles = [make_profile(merged(BASE, changes)) for changes in EDITS[edit]]
    listed = tuple(symbol.instrument for symbol in hand.engine.symbols.values())
    plans, swaps, nexts = [], [], []
    for number in range(ROUNDS):
        profile = profiles[number % 2]
        event = ProfileApplied(number + 2, profile, hand.now, listed)
        quotes = [QuoteSeen(one.symbol, 99.5, 99.5, 1.0, 1.0, hand.now) for one in listed]
        plans.append(cost_ms(partial(planned, hand, profile, listed)))
        swaps.append(cost_ms(partial(hand.dispatch.feed, event, hand.now)))
        nexts.append(cost_ms(partial(shown, hand, quotes)))
    show(
        plan_p99_ms=p99(plans, 0),
        plan_cpu_p99_ms=p99(plans, 1),
        swap_p99_ms=p99(swaps, 0),
        swap_cpu_p99_ms=p99(swaps, 1),
        a_price_of_every_symbol_after_it_p99_ms=p99(nexts, 0),
    )
    if symbols == 50:
        assert p99(plans, 1) < 2.0
        assert p99(swaps, 1) < 10.0
