"""Does an operator who edits, pauses and sells off at any moment ever get what was not asked for?"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.engine.hand import INSTRUMENTS, A, B, C, make_profile, merged
from tests.engine.test_whole_machine import SETTINGS, WholeMachine
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.orders import Side

EDITS = st.fixed_dictionaries(
    {
        "market": st.fixed_dictionaries({"symbols": st.sampled_from([[], [], [A, B, C], [A, B], [C]])}),
        "drop": st.fixed_dictionaries({"anchor": st.sampled_from([{}, {"window_s": 60}]), "debounce_s": st.just(1)}),
        "execution": st.fixed_dictionaries(
            {"steps": st.sampled_from([[{"tif": "IOC"}], [{"tif": "GTC"}, {"type": "market"}]])}
        ),
        "exits": st.fixed_dictionaries(
            {
                "stop_loss_bps": st.sampled_from(["off", 40, 300]),
                "max_hold_s": st.sampled_from(["off", 3, 90]),
                "check_interval_s": st.sampled_from([1, 20]),
                "steps": st.sampled_from([[{"tif": "IOC"}], [{"tif": "FOK"}, {"type": "market"}]]),
            }
        ),
        "features": st.fixed_dictionaries({"buying": st.sampled_from([True, True, False]), "exits": st.booleans()}),
    }
)


class EditedMachine(WholeMachine):
    """The whole machine, with an operator."""

    @initialize(chosen=SETTINGS)
    def begin(self, chosen: dict[str, Any]) -> None:
        super().begin(chosen)
        self.named: dict[int, tuple[str, ...]] = {1: (A, B, C)}

    @rule(edit=EDITS, told=st.booleans())
    def edit(self, edit: dict[str, Any], told: bool) -> None:
        """A new generation; what was planned of it is what its swap does."""
        bot = self.bot
        bot.profile = make_profile(merged(self.chosen, edit))
        named = self.named[generation := len(self.named) + 1] = bot.profile.market.symbols or (A, B, C)
        instruments = tuple(one for one in INSTRUMENTS if one.symbol in named) if told else None
        orders = msgspec.json.encode(bot.engine.state.orders)
        plan = bot.engine.plan(bot.profile, instruments, bot.now)
        bot.feed(e.ProfileApplied(generation, bot.profile, bot.now, instruments))
        assert msgspec.json.encode(bot.engine.state.orders) == orders
        assert not set(plan.removed) & set(bot.engine.symbols)
        assert set(plan.leaving) <= bot.engine.desk.leaving

    @rule(word=st.sampled_from([e.PauseAsked, e.ResumeAsked, e.ResumeAsked, e.ResumeAsked, e.FlattenAsked]))
    def operator(self, word: type[e.PauseAsked | e.ResumeAsked | e.FlattenAsked]) -> None:
        self.bot.feed(word("ana", self.bot.now))

    @invariant()
    def what_is_held_or_under_way_is_watched(self) -> None:
        state = self.bot.engine.state
        assert {*state.ledger.positions, *state.by_symbol} <= self.bot.engine.symbols.keys()

    def nothing_was_bought_against_the_operator(self) -> None:
        """Every buy was decided by a generation that names its symbol, and none while buying was paused."""
        paused, placed = False, {}
        for _, _, fact in self.bot.journal.read(0):
            if isinstance(fact, f.BuyingPaused | f.BuyingResumed):
                paused = isinstance(fact, f.BuyingPaused)
            elif isinstance(fact, f.IntentOpened) and fact.side is Side.BUY:
                assert not paused
                assert fact.symbol in self.named[fact.generation]
            elif isinstance(fact, f.OrderPlanned):
                placed[fact.client_id] = fact.generation
                assert not paused or fact.side is Side.SELL
            elif isinstance(fact, f.OrderFilled | f.OrderDone):
                assert fact.generation == placed[fact.client_id], "an order keeps the generation that placed it"

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "bot"):
            self.nothing_was_bought_against_the_operator()


TestEditedMachine = EditedMachine.TestCase
TestEditedMachine.settings = settings(max_examples=80, stateful_step_count=50)
