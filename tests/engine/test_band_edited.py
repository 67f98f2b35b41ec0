"""Does the band skip only what changes nothing, whatever an operator edits, pauses or sells off on the way?"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.hand import INSTRUMENTS, A, B, C, make_profile, merged
from tests.engine.paper import PaperBot
from tests.engine.test_plan import edited
from tests.engine.test_whole_machine import BASE
from tradebot.domain import events as e
from tradebot.domain.facts import Fact


def meddled(seed: int, *, band: bool) -> list[tuple[int, Fact]]:
    """Return every fact of a random run with a random operator, with the band on or off."""
    draw = random.Random(seed)
    base = merged(BASE, {"engine": {"band": band}, "drop": {"anchor": {"warmup_s": 0}}})
    bot = PaperBot(base)
    prices = {A: 100.0, B: 20.0, C: 3.0}
    generation = 1
    for _ in range(300):
        symbol = draw.choice([A, B, C])
        prices[symbol] = max(1.0, round(prices[symbol] * draw.choice([0.98, 0.99, 0.997, 1.0, 1.003, 1.02]), 2))
        bot.wait(draw.choice([0, 30, 1_000, 5_000]))
        bot.quote(symbol, prices[symbol], size=draw.choice([0.5, 3.0, 1e6]))
        what = draw.random()
        if what < 0.05:
            generation += 1
            bot.profile = make_profile(merged(base, without_others(edited(draw))))
            named = bot.profile.market.symbols or (A, B, C)
            told = tuple(one for one in INSTRUMENTS if one.symbol in named)
            bot.feed(e.ProfileApplied(generation, bot.profile, bot.now, draw.choice([None, told])))
        elif what < 0.08:
            word = draw.choice([e.PauseAsked, e.ResumeAsked, e.ResumeAsked, e.FlattenAsked])
            bot.feed(word("ana", bot.now))
    return [(at_ms, fact) for _, at_ms, fact in bot.journal.read(0)]


def without_others(changes: dict[str, Any]) -> dict[str, Any]:
    """Return an edit without the symbol that this market does not have."""
    named = [symbol for symbol in changes["market"]["symbols"] if symbol in (A, B, C)]
    return merged(changes, {"market": {"symbols": named}})


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_the_facts_are_the_same_without_the_band(seed: int) -> None:
    on, off = (meddled(seed, band=band) for band in (True, False))
    assert on == off


def test_the_runs_of_this_test_trade_and_are_meddled_with() -> None:
    kinds = Counter(type(fact).__name__ for seed in range(10) for _, fact in meddled(seed, band=True))
    for kind in ("OrderFilled", "PositionClosed", "SymbolsChanged", "FlattenDone", "BuyingResumed", "BuyBlocked"):
        assert kinds[kind] > 5, kinds
