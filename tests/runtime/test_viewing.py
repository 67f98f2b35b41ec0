"""What is shown of a run is what the engine knows, complete, sendable, and nothing is changed by looking."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.processes import write_profile
from tests.runtime.runs import run_and_look
from tradebot.config.profile import Profile
from tradebot.domain.errors import ExitCode
from tradebot.domain.events import FlattenAsked, PauseAsked, QuoteSeen, RunStarted
from tradebot.domain.facts import Fact
from tradebot.domain.market import Instrument
from tradebot.domain.views import ComponentView, Snapshot
from tradebot.engine.engine import Engine
from tradebot.runtime.bot import Bot
from tradebot.runtime.viewing import _drop, snapshot, status
from tradebot.runtime.wiring import Run

NOW_MS = 1_700_000_000_000
COMPONENTS = (ComponentView(name="engine", state="running"),)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_profile(tmp_path)


def taken(run: Run, bot: Bot) -> Snapshot:
    return snapshot(run, bot.live.view(), bot.live.features(), COMPONENTS, run.clock.now_ms())


def numbers(value: object) -> Iterator[float]:
    """Yield every float in a view."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, msgspec.Struct):
        yield from numbers(msgspec.structs.asdict(value))


def test_a_snapshot_is_what_the_engine_knows(quick: Path) -> None:
    async def look(run: Run, bot: Bot) -> None:
        state = run.engine.state
        while not (state.orders and state.ledger.positions):
            await run.shell.until(lambda: bool(state.orders and state.ledger.positions))
        before = run.engine.core_picture()
        seen = taken(run, bot)
        assert run.engine.core_picture() == before

        told = seen.status
        assert (told.run, told.instance, told.profile.generation) == (run.name, "demo", state.generation)
        assert (told.trading, told.buying, told.exits, told.paused, told.stopping) == (True, True, True, "", "")
        assert (told.synthetic, told.venue, told.quote) == (True, "paper", "USDT")
        assert told.symbols == len(seen.drops) == 8
        assert told.positions == len(seen.positions) == len(state.ledger.positions)
        assert told.intents == len(seen.intents) == len(state.intents)
        assert told.orders == len(seen.orders) == len(state.orders)
        assert told.held == sum(one.worth for one in seen.positions)
        assert told.cash == state.ledger.cash
        assert told.seq == run.opened.journal.last_seq
        assert told.age_s is not None
        assert Path(told.session) == run.telling.session.folder
        assert seen.components == COMPONENTS
        assert [one.feature for one in seen.features] == [one.feature for one in bot.live.features()]

        for one in seen.positions:
            entry = float(state.ledger.positions[one.symbol].entry_price)
            assert one.stop == pytest.approx(entry * 0.997)
            assert one.target == pytest.approx(entry * 1.003)
            assert one.worth == one.amount * Decimal(repr(one.bid))
            assert one.gain_bps == pytest.approx((float(one.worth / one.cost) - 1) * 10_000)
            assert one.gain_bps < (one.bid / entry - 1) * 10_000, "the fee of the purchase is in it"
        for intent in seen.intents:
            assert 1 <= intent.step <= intent.steps
        for order in seen.orders:
            assert order.client_id in state.orders
            assert order.generation == state.orders[order.client_id].generation
        for drop in seen.drops:
            assert drop.bid < drop.ask
            assert drop.threshold_bps == 5
            if drop.anchor:
                mid = (drop.bid + drop.ask) / 2
                assert drop.drop_bps == pytest.approx((1 - mid / drop.anchor) * 10_000)

        assert all(map(math.isfinite, numbers(seen)))
        assert msgspec.json.decode(msgspec.json.encode(seen), type=Snapshot) == seen

    assert run_and_look(quick, look).code is ExitCode.CLEAN


def test_before_the_first_price_it_is_shown_as_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def look(run: Run, bot: Bot) -> None:
        seen = taken(run, bot)  # before the first cycle
        assert (seen.status.age_s, seen.status.trading, seen.status.warming) == (None, False, 8)
        assert {one.age_s for one in seen.drops} == {None}
        assert {one.stale for one in seen.drops} == {True}
        assert {one.warm_in_s for one in seen.drops} == {1.0}
        assert {one.drop_bps for one in seen.drops} == {0.0}

    assert run_and_look(write_profile(tmp_path), look).code is ExitCode.CLEAN


def test_who_paused_and_what_is_still_to_be_sold_are_shown(quick: Path) -> None:
    async def look(run: Run, bot: Bot) -> None:
        state = run.engine.state
        while not state.ledger.positions:
            await run.shell.until(lambda: bool(state.ledger.positions))
        run.shell.inject(PauseAsked("cli:ada", run.clock.now_ms()))
        assert taken(run, bot).status.paused == "cli:ada"
        assert taken(run, bot).status.flattening == ()
        run.shell.inject(FlattenAsked("cli:ada", run.clock.now_ms()))
        seen = taken(run, bot)
        assert seen.status.flattening == tuple(sorted({*state.ledger.positions, *state.by_symbol})) != ()
        assert {(one.stop, one.target) for one in seen.positions} == {(0.0, 0.0)}
        await run.shell.until(lambda: not state.flattening)
        assert taken(run, bot).status.flattening == ()
        run.coordinator.request("seen")
        assert status(run, bot.live.view(), run.clock.now_ms()).stopping == "seen"

    assert run_and_look(quick, look).code is ExitCode.CLEAN


@pytest.mark.parametrize("kind", ["rolling_high", "session_high", "vwap", "ema"])
def test_looking_changes_no_decision(kind: str) -> None:
    settings: dict[str, Any] = {"kind": kind, "window_s": 60, "window_buckets": 6, "warmup_s": 10}
    profile = Profile.model_validate({"drop": {"anchor": settings, "threshold_bps": 20}})
    step = Decimal("0.01")

    def facts(*, looked_at: bool) -> list[Fact]:
        engine = Engine(profile, [Instrument("AAA/USDT", "AAA", "USDT", step, step)])
        found = list(engine.process(RunStarted("run", NOW_MS), NOW_MS)[0])
        for number in range(3_000):
            now = NOW_MS + number * 137
            price = 100 + math.sin(number / 40) + math.sin(number / 7) / 3
            event = QuoteSeen("AAA/USDT", price - 0.01, price + 0.01, 1.0, 1.0, now, volume=1.0 + number % 3)
            found += engine.process(event, now)[0]
            if looked_at:
                for later in (now, now + 50, now + 136):
                    _drop(engine.desk, engine.symbols["AAA/USDT"], later, 0, leaving=False)
        return found

    plain = facts(looked_at=False)
    assert facts(looked_at=True) == plain
    assert any(type(fact).__name__ == "BuyBlocked" for fact in plain)
