"""Does each toggle stop and start its part alone, by file and by hand, while the bot trades on?"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import tradebot.runtime.watcher
from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile
from tradebot.config.sections.features import Features
from tradebot.control.client import NoBot
from tradebot.domain.views import OutcomeView
from tradebot.ports import NotNow
from tradebot.runtime.checkpoints import NoCheckpoints
from tradebot.telemetry.log_files import OneFile

QUICK = """
[engine]
max_component_failures = 2
[state]
persist_interval_s = 0.1
[reload]
sweep_s = 0.1
settle_ms = 10
[metrics]
export_interval_s = 0.1
"""


def lives(name: str) -> bool:
    """Whether one of the bot's lasting threads lives."""
    return any(thread.name == name for thread in threading.enumerate())


def socket(bot: LiveBot) -> Path:
    return bot.run.opened.home.folder / "control.sock"


SIGNS: dict[str, Callable[[LiveBot], bool]] = {
    "buying": lambda bot: bot.run.engine.desk.profile.features.buying,
    "exits": lambda bot: bot.run.engine.desk.profile.features.exits,
    "metrics": lambda _: lives("tradebot-metrics"),
    "state_persistence": lambda bot: not isinstance(bot.run.checkpoints.chore, NoCheckpoints),
    "split_logging": lambda bot: not isinstance(bot.run.telling.pipeline.files, OneFile),
    "stale_warnings": lambda bot: bot.run.engine.desk.profile.features.stale_warnings,
    "watcher": lambda _: lives("tradebot-watcher"),
    "control_door": lambda bot: socket(bot).exists(),
}
"""Whether a part is there, by its toggle: what of it can be seen from outside."""


def others(bot: LiveBot, feature: str) -> dict[str, bool]:
    return {name: sign(bot) for name, sign in SIGNS.items() if name != feature}


async def flipped(bot: LiveBot, feature: str, on: bool, by: str) -> OutcomeView:
    """Flip a toggle; an edit that loosens (`exits` off) is confirmed."""
    if by == "hand":
        return await bot.switch(feature, on)
    old, new = (str(one).lower() for one in (not on, on))
    outcome = await bot.edit((f"{feature} = {old}", f"{feature} = {new}"))
    return await bot.reload(confirm=True) if outcome.outcome == "pending" else outcome


def test_every_toggle_is_flipped_by_a_test() -> None:
    assert {*SIGNS, "cycle_time_logging", "probation"} == set(Features.model_fields)


@pytest.mark.parametrize("by", ["hand", "file"])
@pytest.mark.parametrize("feature", SIGNS)
def test_a_toggle_stops_and_starts_its_part_alone(tmp_path: Path, feature: str, by: str) -> None:
    @in_loop
    async def check() -> None:
        async with running(write_profile(tmp_path, f"{QUICK}[features]\n{feature} = true\n")) as bot:
            sign = SIGNS[feature]
            assert sign(bot)
            rest = others(bot, feature)
            off = await flipped(bot, feature, False, by)
            assert off.outcome == "applied", off.lines
            await bot.until(lambda: not sign(bot))
            assert others(bot, feature) == rest, "the others are undisturbed"
            assert not bot.feature(feature).on
            assert bot.feature(feature).override == ("ana" if by == "hand" else "")
            bot.one_generation()
            cycles = bot.run.shell.cycles
            await bot.until(lambda: bot.run.shell.cycles > cycles + 5)
            on = await flipped(bot, feature, True, by)
            assert on.outcome == "applied", on.lines
            await bot.until(lambda: sign(bot))
            assert others(bot, feature) == rest
            assert bot.feature(feature).override == ("ana" if by == "hand" else "")
            await bot.trades_on()
        assert bot.code == 0

    check()


@in_loop
async def test_every_cycle_is_told_while_that_is_on(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, QUICK)) as bot:
        assert not bot.told("ENGINE_CYCLE")
        await bot.switch("cycle_time_logging", True)
        await bot.record("ENGINE_CYCLE", 5)
        await bot.switch("cycle_time_logging", None)
        bot.run.telling.log.emit("events", "INFO", "A_MARK", "from here on")
        await bot.record("A_MARK")
        told = len(bot.told("ENGINE_CYCLE"))
        await bot.trades_on()
        assert len(bot.told("ENGINE_CYCLE")) == told


@in_loop
async def test_the_door_answers_that_it_is_switched_off_before_it_closes(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, QUICK)) as bot:
        async with bot.client() as client:
            outcome = await client.switch("control_door", False)
        assert outcome.outcome == "applied"
        assert [change.key for change in outcome.changes] == ["features.control_door"]
        await bot.until(lambda: not socket(bot).exists())
        with pytest.raises(NoBot):
            async with bot.client() as client:
                await client.status()
        await bot.trades_on()
        await bot.switch("control_door", None)
        async with bot.client() as client:
            assert (await client.status()).profile.generation == bot.number


@in_loop
async def test_an_edit_made_while_the_watcher_is_off_is_noticed_when_it_is_on_again(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, f"{QUICK}[exits]\nstop_loss_bps = 30\n")) as bot:
        await bot.switch("watcher", False)
        bot.write(bot.text.replace("stop_loss_bps = 30", "stop_loss_bps = 25"))
        await bot.trades_on()
        assert bot.profile.exits.stop_loss_bps == 30
        await bot.switch("watcher", True)
        await bot.until(lambda: bot.profile.exits.stop_loss_bps == 25)
        bot.one_generation()


@in_loop
async def test_the_same_toggle_again_changes_nothing_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, QUICK)) as bot:
        assert (await bot.switch("metrics", None)).outcome == "unchanged", "there is nothing to clear"
        assert bot.states() == {1: "good"}
        off = await bot.switch("metrics", False)
        again = await bot.switch("metrics", False)
        assert (off.outcome, again.outcome) == ("applied", "unchanged")
        assert again.lines[0].endswith("metrics is off, set by hand")
        assert bot.number == 2
        with pytest.raises(NotNow, match="there is no toggle 'metric'; there are buying, exits, metrics"):
            await bot.switch("metric", True)


@in_loop
async def test_an_override_outlives_restarts_and_edits_until_it_is_cleared(tmp_path: Path) -> None:
    path = write_profile(tmp_path, f"{QUICK}[features]\nmetrics = true\n")
    before = path.read_bytes()
    async with running(path) as bot:
        await bot.switch("metrics", False)
    assert path.read_bytes() == before, "no file is written"
    async with running(path) as bot:
        assert not lives("tradebot-metrics")
        assert [one.feature for one in bot.view.overrides] == ["metrics"]
        await bot.edit(("metrics = true", "metrics = false"))
        shown = bot.feature("metrics")
        assert (shown.on, shown.profile, shown.override) == (False, False, "ana")
        await bot.edit(("metrics = false", "metrics = true"))
        assert bot.feature("metrics").profile
        cleared = await bot.switch("metrics", None)
        assert cleared.outcome == "applied"
        assert lives("tradebot-metrics")
        assert bot.view.overrides == ()
        bot.one_generation()


@in_loop
async def test_an_override_that_changes_nothing_stands_over_every_later_edit_until_it_is_cleared(
    tmp_path: Path,
) -> None:
    text = f"{QUICK}[features]\nmetrics = true\nwatcher = false\n"
    async with running(write_profile(tmp_path, text)) as bot:
        set_ = await bot.switch("metrics", True)
        assert (set_.outcome, set_.changes) == ("applied", ())
        assert "override only" in set_.lines[0]
        await bot.edit(("metrics = true", "metrics = false"))
        shown = bot.feature("metrics")
        assert (shown.on, shown.profile, shown.override) == (True, False, "ana")
        assert lives("tradebot-metrics")
        cleared = await bot.switch("metrics", None)
        assert [change.key for change in cleared.changes] == ["features.metrics"]
        assert not bot.feature("metrics").on
        assert bot.view.overrides == ()
        bot.one_generation()


# -- parts that fail ----------------------------------------------------------------------------------


def break_metrics(bot: LiveBot) -> Path:
    summary = bot.run.telling.session.metrics / "summary.json"
    summary.unlink(missing_ok=True)
    summary.mkdir()
    return summary


def break_checkpoints(bot: LiveBot) -> Path:
    path = bot.run.opened.home.checkpoint
    path.unlink(missing_ok=True)
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("feature", "broken"),
    [("metrics", break_metrics), ("state_persistence", break_checkpoints)],
    ids=["metrics", "checkpoints"],
)
def test_a_part_that_fails_again_and_again_is_switched_off_visibly_and_on_again_by_hand(
    tmp_path: Path, feature: str, broken: Callable[[LiveBot], Path]
) -> None:
    @in_loop
    async def check() -> None:
        async with running(write_profile(tmp_path, QUICK)) as bot:
            sign = SIGNS[feature]
            for turn in (1, 2):
                rest = others(bot, feature)
                path = broken(bot)
                told = await bot.record("COMPONENT_SWITCHED_OFF", turn)
                assert f"`tradebot feature on {feature}`" in told["message"]
                await bot.until(lambda: not sign(bot) and not bot.feature(feature).on)
                shown = bot.feature(feature)
                assert shown.override == "tradebot"
                assert "failed 2 times in a row" in shown.why
                assert [one.feature for one in bot.view.overrides] == [feature]
                in_force = bot.generation(bot.number)
                assert (in_force.cause, in_force.who) == ("feature", "tradebot")
                assert "failed 2 times in a row" in in_force.reason
                assert others(bot, feature) == rest
                bot.one_generation()
                await bot.trades_on()
                shutil.rmtree(path)
                assert (await bot.switch(feature, True)).outcome == "applied"
                await bot.until(lambda: sign(bot))
                assert [(one.on, one.override) for one in bot.view.overrides] == [(True, "ana")]

    check()


@in_loop
async def test_a_watcher_that_cannot_read_any_more_is_switched_off_and_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> str:
        raise OSError("the file system is gone")

    async with running(write_profile(tmp_path, f"{QUICK}[exits]\nstop_loss_bps = 30\n")) as bot:
        with monkeypatch.context() as broken:
            broken.setattr(tradebot.runtime.watcher, "fingerprint", gone)
            await bot.record("COMPONENT_SWITCHED_OFF")
            await bot.until(lambda: not lives("tradebot-watcher"))
            assert "the file system is gone" in bot.feature("watcher").why
        await bot.trades_on()
        await bot.switch("watcher", True)
        bot.write(bot.text.replace("stop_loss_bps = 30", "stop_loss_bps = 25"))
        await bot.until(lambda: bot.profile.exits.stop_loss_bps == 25)
