"""What do the guards leave alone, what follows when they take a text back, and is a breach ever lost?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.breakable import Breakable
from tests.runtime.live_bot import PATIENCE_S, LiveBot, in_loop, running, write_profile
from tradebot.domain.facts import BuyingPaused, Fact, ProfileTaken
from tradebot.ports import NotNow

GUARDED = """
[exits]
stop_loss_bps = 30
[features]
watcher = false
[reload]
settle_ms = 10
[reload.guards]
max_errors_per_min = "off"
max_slow_cycles_per_min = "off"
max_drawdown_bps = "off"
max_component_failures = 1
"""
QUICK = GUARDED.replace("settle_ms = 10", "settle_ms = 10\nprobation_s = 0.2")
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")
BACK = ("stop_loss_bps = 25", "stop_loss_bps = 30 # as before")
WHY = "errors a minute 9 (≤ 5)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradebot.runtime.probation.LOOK_MS", 20)


async def breached(bot: LiveBot) -> None:
    """Let the guards take the generation in force back."""
    bot.reloads.breach(bot.number, WHY)
    await bot.record("PROFILE_ROLLED_BACK", len(bot.told("PROFILE_ROLLED_BACK")) + 1)


# -- texts that have passed before --------------------------------------------------------------------


@in_loop
async def test_a_text_that_passed_a_probation_needs_no_other(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, QUICK)) as bot:
        first = bot.text
        await bot.edit(TIGHTER)
        await bot.until(lambda: bot.states() == {1: "good", 2: "good"})
        second = bot.text
        bot.write(first)
        await bot.reload()
        assert (await bot.reload(confirm=True)).outcome == "applied", "it loosens, which is confirmed"
        assert bot.view.probation is None
        bot.write(second)
        edited = await bot.reload()
        assert edited.outcome == "applied"
        assert not any("on probation" in line for line in edited.lines)
        assert (await bot.rollback(1)).outcome == "applied"
        assert bot.view.probation is None
        await bot.until(lambda: set(bot.states().values()) == {"good"})
        assert len(bot.told("PROFILE_PROBATION_STARTED")) == 1


@in_loop
async def test_a_rollback_to_a_text_that_never_passed_is_put_on_probation(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        await bot.edit(TIGHTER)
        await bot.rollback()
        assert len(bot.told("PROFILE_PROBATION_STARTED")) == 1, "the first text is good"
        back = await bot.rollback(2)
        assert back.outcome == "applied"
        assert any("on probation" in line for line in back.lines)
        assert bot.view.probation is not None
        assert bot.view.probation.falls_back_to == 3
        await breached(bot)
        assert bot.profile.exits.stop_loss_bps == 30


# -- what follows -----------------------------------------------------------------------------------------


@in_loop
async def test_a_way_back_that_loosens_a_limit_pauses_buying_until_it_is_resumed(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        await bot.edit(TIGHTER)
        await breached(bot)
        assert bot.profile.exits.stop_loss_bps == 30
        told = await bot.record("BUYING_PAUSED_BY_GUARD")
        assert (told["level"], told["keys"]) == ("WARNING", ["exits.stop_loss_bps"])
        await bot.until(lambda: bot.run.engine.state.paused == "guard")
        bot.operator.resume(who="ana")
        await bot.trades_on()


@in_loop
async def test_buying_is_paused_durably_before_a_way_back_that_loosens_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        await bot.edit(TIGHTER)
        opened, durable = bot.run.opened, list[type[Fact]]()
        condemn = opened.history.condemn

        def look(*args: Any) -> None:
            durable.extend(type(fact) for _, _, fact in opened.journal.read(0))
            condemn(*args)

        monkeypatch.setattr(opened.history, "condemn", look)
        await breached(bot)
        assert BuyingPaused in durable, "before anything that a next start would go back by"
        assert opened.journal.flush(PATIENCE_S)
        told = [fact for _, _, fact in opened.journal.read(0) if isinstance(fact, BuyingPaused | ProfileTaken)]
        assert [type(fact) for fact in told[-2:]] == [BuyingPaused, ProfileTaken]
        assert isinstance(told[-1], ProfileTaken)
        assert told[-1].generation == bot.number
        kinds = [one["event_type"] for one in bot.records]
        assert kinds.index("BUYING_PAUSED_BY_GUARD") < kinds.index("PROFILE_ROLLED_BACK")


@in_loop
async def test_a_pause_that_cannot_be_written_down_keeps_the_way_back_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        await bot.edit(TIGHTER)
        with monkeypatch.context() as slow:
            slow.setattr(bot.run.opened.journal, "flush", lambda limit_s: False)
            bot.reloads.breach(bot.number, WHY)
            told = await bot.record("PROFILE_REJECTED")
        assert "that buying is paused before the way back cannot be written down" in told["message"]
        assert bot.run.engine.state.paused == "guard"
        assert bot.profile.exits.stop_loss_bps == 25
        await breached(bot)
        assert bot.profile.exits.stop_loss_bps == 30
        assert len(bot.told("BUYING_PAUSED_BY_GUARD")) == 1


@in_loop
async def test_a_way_back_that_loosens_nothing_pauses_nothing(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        await bot.edit(("[exits]", "# a word\n[exits]"))
        await breached(bot)
        await bot.trades_on()
        assert not bot.told("BUYING_PAUSED_BY_GUARD")


@in_loop
async def test_who_paused_before_a_guard_did_is_still_who_paused(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED)) as bot:
        bot.operator.pause(who="ana")
        await bot.edit(TIGHTER)
        await breached(bot)
        await bot.cycle()
        assert bot.run.engine.state.paused == "ana"
        assert not bot.told("BUYING_PAUSED_BY_GUARD")


@in_loop
async def test_a_reload_that_fails_is_no_failure_of_a_component(tmp_path: Path) -> None:
    class Odd(Breakable):
        def concerned(self, keys: object) -> bool:
            if "concerned" in self.breaks:
                raise RuntimeError("a part that cannot say")
            return False

    odd = Odd([])
    async with running(write_profile(tmp_path, GUARDED), parts=[odd]) as bot:
        await bot.edit(TIGHTER)
        odd.breaks.add("concerned")
        assert (await bot.edit((TIGHTER[1], "stop_loss_bps = 24"))).outcome == "rejected"
        await bot.record("RELOAD_FAILED")
        await bot.trades_on()
        assert bot.view.probation is not None
        assert "component failures 0 (< 1)" in bot.view.probation.guards
        assert bot.number == 2


# -- breaches that have to wait -----------------------------------------------------------------------


@in_loop
async def test_a_breach_that_the_end_of_the_run_came_before_condemns_its_text(tmp_path: Path) -> None:
    path = write_profile(tmp_path, GUARDED + "[shutdown]\ncallback_timeout_s = 0.2\n")
    part = Breakable([])
    async with running(path, parts=[part]) as bot:
        await bot.edit(TIGHTER)
        harmful = bot.text
        part.breaks.add("hang:stage")
        slow = asyncio.create_task(bot.edit((TIGHTER[1], "stop_loss_bps = 24")))
        await part.hanging.wait()
        bot.reloads.breach(2, WHY)
        bot.operator.stop(who="ana")
        with pytest.raises(NotNow):
            await slow
    path.write_text(harmful)
    async with running(path) as bot:
        assert bot.profile.exits.stop_loss_bps == 30
        assert f"was rolled back ({WHY})" in bot.view.note
        bot.one_generation()


@contextmanager
def restless(bot: LiveBot) -> Iterator[None]:
    """Let the profile be rewritten again and again, never whole."""
    over = threading.Event()

    def write_on() -> None:
        number = 0
        while not over.is_set():
            number += 1
            bot.write(f'extends = "ground.toml"\n# {number}')

    bot.write('extends = "ground.toml"\n# 0')
    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("who", ["toggle", "breach", "rollback"])
def test_a_text_that_does_not_come_to_rest_delays_nobody_else_and_is_judged_when_it_does(
    tmp_path: Path, who: str
) -> None:
    @in_loop
    async def check() -> None:
        async with running(write_profile(tmp_path, GUARDED.replace("settle_ms = 10", "settle_ms = 200"))) as bot:
            await bot.edit(TIGHTER)
            whole = bot.text
            with restless(bot):
                bot.reloads.hint()
                await bot.until(lambda: bot.reloads.busy)
                async with asyncio.timeout(5):  # a hundred readings take twenty seconds
                    if who == "toggle":
                        assert (await bot.switch("stale_warnings", False)).outcome == "applied"
                    elif who == "breach":
                        await breached(bot)
                    else:
                        with suppress(NotNow):
                            await bot.rollback(1)
                assert not bot.told("PROFILE_REJECTED")
            bot.write(whole.replace(TIGHTER[1], "stop_loss_bps = 24"))
            await bot.until(lambda: bot.profile.exits.stop_loss_bps == 24)
            bot.one_generation()

    check()
