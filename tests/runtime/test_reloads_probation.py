"""Does an edit that does harm go back by itself, and does one that does none stay? In a bot that trades."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.runtime.breakable import Breakable
from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile
from tradebot.config.profile import Profile
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import Command, PlaceOrder
from tradebot.domain.errors import ExitCode
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.ports import Due
from tradebot.runtime.account import Account
from tradebot.runtime.wiring import Makers
from tradebot.venues.paper import PaperVenue
from tradebot.venues.refusals import WOULD_TAKE

GUARDED = """
[exits]
stop_loss_bps = 30
[features]
watcher = false
[engine]
slow_cycle_s = 1.0
error_backoff_s = 0.01
max_consecutive_errors = 1000
[reload.guards]
max_errors_per_min = "off"
max_reject_pct = "off"
min_orders = 1
max_slow_cycles_per_min = "off"
max_drawdown_bps = "off"
max_component_failures = "off"
"""
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")
ONE_ERROR = ('max_errors_per_min = "off"', "max_errors_per_min = 1")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradebot.runtime.probation.LOOK_MS", 20)


def fail(bot: LiveBot, times: int = 3) -> None:
    """Let something go wrong as a part does: told as an ERROR."""
    for _ in range(times):
        bot.run.telling.log.emit("system", "ERROR", "ENGINE_LOOP_ERROR", "a part that goes wrong")


class Shaky(PaperVenue):
    """A paper venue that goes wrong at the market, or refuses every order, while a test wants it to."""

    shaky = False
    refusing = False

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        if Shaky.refusing and isinstance(command, PlaceOrder):
            return [(now_ms + 1, WOULD_TAKE.of_order(command.client_id, now_ms + 1))]
        return super().submit(command, now_ms)

    def on_market(self, event: Event, now_ms: int) -> list[Due]:
        if Shaky.shaky:
            raise OSError("the venue hangs up")
        return super().on_market(event, now_ms)


def shaky(profile: Profile, instruments: Mapping[str, Instrument], image: AccountImage | None) -> Account:
    return Shaky(profile.venue.paper, instruments, profile.market.quote, profile.bot.seed, image)


@pytest.mark.parametrize(
    ("guard", "edit", "reason"),
    [
        ("max_errors_per_min = 1", TIGHTER, "errors a minute"),
        ("max_reject_pct = 20", TIGHTER, "rejected orders in %"),
        ("max_slow_cycles_per_min = 3", ("slow_cycle_s = 1.0", "slow_cycle_s = 0.000001"), "slow cycles a minute"),
        ("max_drawdown_bps = 0.01", TIGHTER, "drawdown in bps"),
        ("max_component_failures = 1", TIGHTER, "component failures"),
    ],
    ids=["errors", "rejects", "slow-cycles", "drawdown", "component-failures"],
)
def test_each_guard_that_is_breached_restores_the_last_good_generation(
    tmp_path: Path, guard: str, edit: tuple[str, str], reason: str
) -> None:
    @in_loop
    async def check() -> None:
        name = guard.partition(" ")[0]
        path = write_profile(tmp_path, GUARDED.replace(f'{name} = "off"', guard))
        Shaky.shaky = Shaky.refusing = False
        async with running(path, Makers(venue=shaky)) as bot:
            outcome = await bot.edit(edit)
            assert outcome.outcome == "applied", outcome.lines
            text = bot.text
            Shaky.shaky = reason == "errors a minute"
            Shaky.refusing = reason == "rejected orders in %"
            if reason == "component failures":
                summary = bot.run.telling.session.metrics / "summary.json"
                summary.unlink(missing_ok=True)
                summary.mkdir()
            told = await bot.record("PROFILE_ROLLED_BACK")
            Shaky.shaky = Shaky.refusing = False
            assert reason in told["message"]
            assert bot.number == 3
            assert (bot.view.cause, bot.view.who, bot.view.pinned) == ("automatic", "guard", True)
            assert bot.profile == bot.run.engine.desk.profile
            assert bot.profile.exits.stop_loss_bps == 30
            assert bot.profile.engine.slow_cycle_s == 1.0
            assert bot.text == text, "no file is written"
            await bot.until(lambda: bot.states() == {1: "good", 2: "condemned", 3: "good"})
            verdict = bot.run.opened.history.verdict(bot.generation(2).digest)
            assert verdict is not None
            assert (verdict.kind, verdict.generation) == ("condemned", 2)
            assert reason in verdict.reason
            assert bot.view.probation is None
            bot.one_generation()

    check()


@in_loop
async def test_a_condemned_text_waits_with_its_reason_and_a_new_one_is_judged_anew(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        fail(bot)
        await bot.record("PROFILE_ROLLED_BACK")
        again = await bot.reload()
        assert again.outcome == "pending"
        assert "it was rolled back before: errors a minute 3 (≤ 1)" in again.lines[0]
        other = await bot.edit((TIGHTER[1], "stop_loss_bps = 24"))
        assert other.outcome == "applied"
        back = await bot.edit(("stop_loss_bps = 24", TIGHTER[1]))
        assert back.outcome == "pending", "it is remembered by its text"
        confirmed = await bot.reload(confirm=True)
        assert confirmed.outcome == "applied"
        assert bot.run.opened.history.verdicts(10) == ()
        bot.one_generation()


@in_loop
async def test_a_restart_on_a_condemned_text_runs_the_last_good_generation(tmp_path: Path) -> None:
    path = write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))
    async with running(path) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("stale_warnings", False)
        fail(bot)
        await bot.record("PROFILE_ROLLED_BACK")
        await bot.until(lambda: bot.states() == {1: "good", 2: "condemned", 3: "condemned", 4: "good"})
        assert not bot.feature("stale_warnings").on, "the toggle stays as it was set"
    async with running(path) as bot:
        assert bot.profile.exits.stop_loss_bps == 30
        assert "was rolled back (errors a minute" in bot.view.note
        await bot.record("PROFILE_PENDING")
        bot.one_generation()


@in_loop
async def test_a_probation_that_passes_makes_its_generation_good(tmp_path: Path) -> None:
    text = GUARDED.replace(*ONE_ERROR).replace("[reload.guards]", "[reload]\nprobation_s = 0.2\n[reload.guards]")
    async with running(write_profile(tmp_path, text)) as bot:
        outcome = await bot.edit(TIGHTER)
        assert "on probation for 200 ms" in outcome.lines[-1]
        assert bot.view.probation is not None
        assert bot.view.probation.falls_back_to == 1
        await bot.record("PROFILE_PROBATION_PASSED")
        await bot.until(lambda: bot.states() == {1: "good", 2: "good"})
        assert bot.generation(2).good_ms
        fail(bot)
        await bot.trades_on()
        assert bot.number == 2, "what happens later is no fault of it"


@in_loop
async def test_an_edit_during_a_probation_falls_back_past_both(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        await bot.edit((TIGHTER[1], "stop_loss_bps = 24"))
        assert bot.view.probation is not None
        assert bot.view.probation.falls_back_to == 1
        fail(bot)
        told = await bot.record("PROFILE_ROLLED_BACK")
        assert "as in generation 1" in told["message"]
        assert bot.profile.exits.stop_loss_bps == 30
        await bot.until(lambda: bot.states()[4] == "good")
        bot.one_generation()


@in_loop
async def test_a_toggle_during_a_probation_does_not_end_it_and_its_text_is_condemned_all_the_same(
    tmp_path: Path,
) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("metrics", False)
        assert bot.view.probation is not None
        assert bot.states()[3] == "applied"
        fail(bot)
        await bot.record("PROFILE_ROLLED_BACK")
        assert bot.run.opened.history.verdict(bot.generation(2).digest) is not None
        assert not bot.feature("metrics").on
        assert (await bot.reload()).outcome == "pending", "the text is not applied again"


@in_loop
async def test_a_probation_that_passes_with_a_toggle_over_it_makes_both_good(tmp_path: Path) -> None:
    text = GUARDED.replace(*ONE_ERROR).replace("[reload.guards]", "[reload]\nprobation_s = 0.3\n[reload.guards]")
    async with running(write_profile(tmp_path, text)) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("stale_warnings", False)
        await bot.until(lambda: bot.states() == {1: "good", 2: "good", 3: "good"})


@in_loop
async def test_a_rollback_ends_the_probation(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        await bot.rollback()
        assert bot.view.probation is None
        fail(bot)
        await bot.until(lambda: bot.states()[3] == "good")
        assert bot.number == 3


@pytest.mark.parametrize("extra", ["[reload]\nprobation_s = 0\n", ""], ids=["no-time", "switched-off"])
def test_without_a_probation_an_edit_is_good_at_once_and_never_taken_back(tmp_path: Path, extra: str) -> None:
    @in_loop
    async def check() -> None:
        text = GUARDED.replace(*ONE_ERROR)
        if extra:
            text = text.replace("[reload.guards]", f"{extra}[reload.guards]")
        else:
            text = text.replace("watcher = false", "watcher = false\nprobation = false")
        async with running(write_profile(tmp_path, text)) as bot:
            outcome = await bot.edit(TIGHTER)
            assert not any("on probation" in line for line in outcome.lines)
            assert bot.view.probation is None
            fail(bot)
            await bot.until(lambda: bot.states() == {1: "good", 2: "good"})
            await bot.trades_on()
            assert bot.number == 2

    check()


@in_loop
async def test_switching_probation_off_ends_the_one_under_way(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("probation", False)
        assert bot.view.probation is None
        fail(bot)
        await bot.trades_on()
        assert bot.number == 3


@in_loop
async def test_an_edit_whose_swap_fails_leaves_the_probation_of_the_one_before(tmp_path: Path) -> None:
    part = Breakable([])
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR)), parts=[part]) as bot:
        await bot.edit(TIGHTER)
        part.breaks.add("commit")
        assert (await bot.edit((TIGHTER[1], "stop_loss_bps = 24"))).outcome == "rolled_back"
        part.breaks.clear()
        assert bot.view.probation is not None
        fail(bot)
        await bot.record("PROFILE_ROLLED_BACK", 2)
        assert bot.profile.exits.stop_loss_bps == 30


@in_loop
async def test_a_breach_that_comes_while_a_newer_text_is_applied_condemns_the_older_one_alone(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, GUARDED.replace(*ONE_ERROR))) as bot:
        await bot.edit(TIGHTER)
        bot.write(bot.text.replace(TIGHTER[1], "stop_loss_bps = 24"))
        newer = asyncio.create_task(bot.reload())
        await asyncio.sleep(0)
        bot.reloads.breach(2, "errors a minute 3 (≤ 1)")
        assert (await newer).outcome == "applied"
        await bot.until(lambda: bot.states()[2] == "condemned")
        assert bot.number == 3
        assert bot.profile.exits.stop_loss_bps == 24
        assert bot.view.probation is not None


@in_loop
async def test_a_good_generation_that_needs_a_restart_ends_the_run_and_the_next_start_runs_it(tmp_path: Path) -> None:
    path = write_profile(tmp_path, GUARDED.replace(*ONE_ERROR) + "[bot]\nseed = 1\n")
    async with running(path) as bot:
        assert bot.number == 1
        bot.write(bot.text.replace("seed = 1", "seed = 2"))
        await bot.reload()
        assert (await bot.reload(confirm=True)).outcome == "refused"
    async with running(path) as bot:
        assert bot.profile.bot.seed == 2
        assert bot.view.probation is not None
        fail(bot)
        told = await bot.record("PROFILE_FATAL")
        assert "generation 1 needs a restart: bot.seed · the run ends; a start runs generation 1" in told["message"]
    assert bot.code == ExitCode.FATAL_RELOAD
    async with running(path) as bot:
        assert bot.profile.bot.seed == 1
