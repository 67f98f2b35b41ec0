"""Whatever the world does to requests, answers, events, clocks and processes: do bot and exchange agree in the end?"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.machine.driving import EPISODE_STEPS, episode
from tests.machine.mutations import MUTATIONS, broken
from tests.machine.steps import MOST, STEPS, take
from tests.machine.world import World

EPISODES = 60
"""What CI runs of the driver; every mutation is found within."""

_NAMES = [name for name, (weight, _) in STEPS.items() for _ in range(weight)]
_numbers = st.integers(0, MOST)


class BotAndExchange(RuleBasedStateMachine):
    """One world; every step is checked, and at the end it heals, grows quiet and is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.whole = True

    @initialize(fee_asset=st.sampled_from(["", "BNB"]))
    def begin(self, fee_asset: str) -> None:
        self.world = World(fee_asset)

    @rule(name=st.sampled_from(_NAMES), which=_numbers, how=_numbers)
    def happens(self, name: str, which: int, how: int) -> None:
        assert self.world is not None
        self.whole = False
        take(self.world, (name, which, how))
        self.whole = True

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            if self.whole:
                self.world.settle()
        finally:
            self.world.close()


def test_no_order_is_lost_doubled_or_different_whatever_happens_in_whatever_order() -> None:
    run_state_machine_as_test(BotAndExchange, settings=settings(max_examples=40, stateful_step_count=80, deadline=None))


def test_seeded_episodes_keep_every_promise_and_reach_every_kind_of_news() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(EPISODES):
        found = episode(seed)
        assert not found.fault, f"seed {seed}: {found.fault}"
        assert found.steps == EPISODE_STEPS
        kinds.update(found.kinds)
    wanted = {
        "OrderNeverSent", "OrderAccepted", "OrderRejected", "OrderFilled", "OrderDone", "OrderWaitEnded", "CancelAsked",
        "OrderBecameUnknown", "OrderSeen", "PositionClosed", "RecoveryCompleted", "FlattenDone", "BuyingResumed",
        "VenueStateChanged", "ClockJudged", "SymbolQuarantined", "EntriesClosed", "BalanceRefreshFailed",
    }  # fmt: skip
    assert wanted <= kinds.keys(), wanted - kinds.keys()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_promise_broken_on_purpose_is_found(mutation: str) -> None:
    with broken(mutation):
        faults = (episode(seed).fault for seed in range(EPISODES))
        assert any(faults), f"{mutation}: not found in {EPISODES} episodes"
