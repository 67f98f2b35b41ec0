"""What if an edit cannot be built, swapped, written down or taken back? The old generation goes on, or the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.runtime.breakable import Breakable
from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile
from tradebot.domain.commands import Command
from tradebot.domain.errors import ExitCode
from tradebot.domain.events import Event, ProfileApplied
from tradebot.domain.facts import Fact
from tradebot.engine.engine import Engine
from tradebot.ports import NotNow
from tradebot.runtime.reload import MOST_WAITING
from tradebot.runtime.wiring import Makers
from tradebot.storage.history import History

STOPS = "[exits]\nstop_loss_bps = 30\n"
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")


@in_loop
async def test_what_cannot_be_built_is_rejected_and_nothing_of_it_is_in_force(tmp_path: Path) -> None:
    part = Breakable([], breaks=["cannot:stage"])
    async with running(write_profile(tmp_path, STOPS), parts=[part]) as bot:
        outcome = await bot.edit(TIGHTER)
        assert (outcome.outcome, outcome.generation) == ("rejected", 1)
        assert "cannot be built: part cannot stage" in outcome.lines[0]
        bot.one_generation()
        part.breaks.clear()
        assert (await bot.reload()).outcome == "applied", "asked again, it is tried again"
        bot.one_generation()


@in_loop
async def test_a_swap_that_fails_brings_everything_back_and_its_text_waits(tmp_path: Path) -> None:
    part = Breakable([], breaks=["commit"])
    async with running(write_profile(tmp_path, STOPS), parts=[part]) as bot:
        outcome = await bot.edit(TIGHTER)
        assert (outcome.outcome, outcome.generation) == ("rolled_back", 1)
        assert "part breaks in commit" in outcome.lines[0]
        assert "still on generation 1" in outcome.lines[0]
        assert part.held == 0
        assert part.on is not None
        assert part.on.exits.stop_loss_bps == 30
        bot.one_generation()
        assert bot.states() == {1: "good", 2: "failed"}
        part.breaks.clear()
        again = await bot.reload()
        assert again.outcome == "pending"
        assert "it was rolled back before: its swap failed" in again.lines[0]
        confirmed = await bot.reload(confirm=True)
        assert (confirmed.outcome, confirmed.generation) == ("applied", 3)
        bot.one_generation()
        await bot.trades_on()


@in_loop
async def test_what_cannot_be_swapped_back_ends_the_run_cleanly_and_the_next_start_runs_the_old_one(
    tmp_path: Path,
) -> None:
    path = write_profile(tmp_path, STOPS)
    part = Breakable([], breaks=["commit", "revert"])
    async with running(path, parts=[part]) as bot:
        outcome = await bot.edit(TIGHTER)
        assert outcome.outcome == "fatal"
        assert "a start runs generation 1" in outcome.lines[0]
        await bot.record("SHUTDOWN_REQUESTED")
    assert bot.code == ExitCode.FATAL_RELOAD
    async with running(path) as bot:
        assert bot.number == 1
        assert bot.profile.exits.stop_loss_bps == 30
        assert "its swap failed" in bot.view.note
        bot.one_generation()
    assert bot.code == 0


@in_loop
async def test_what_does_not_retire_is_told_and_the_edit_stands(tmp_path: Path) -> None:
    part = Breakable([], breaks=["retire"])
    async with running(write_profile(tmp_path, STOPS), parts=[part]) as bot:
        assert (await bot.edit(TIGHTER)).outcome == "applied"
        assert "part breaks in retire" in (await bot.record("COMPONENT_NOT_RETIRED"))["message"]
        bot.one_generation()
        outcome = await bot.edit((TIGHTER[1], "stop_loss_bps = 24"))
        assert outcome.outcome in {"applied", "unchanged"}, "the watcher may have noticed it a moment before"
        assert bot.number == 3
        assert bot.profile.exits.stop_loss_bps == 24


class Doubtful(Engine):
    """An engine that fails while it takes its second generation."""

    def process(self, event: Event, now_ms: int) -> tuple[list[Fact], list[Command]]:
        if isinstance(event, ProfileApplied) and event.generation == 2:
            raise ArithmeticError("a decision that cannot be made")
        return super().process(event, now_ms)


@in_loop
async def test_an_engine_that_fails_at_the_swap_ends_the_run_and_is_not_given_that_text_again(tmp_path: Path) -> None:
    path = write_profile(tmp_path, STOPS)
    async with running(path, Makers(engine=Doubtful)) as bot:
        outcome = await bot.edit(TIGHTER)
        assert outcome.outcome == "rolled_back"
        await bot.record("CRASHED")
    assert bot.code == ExitCode.CRASHED
    async with running(path, Makers(engine=Doubtful)) as bot:
        assert bot.profile.exits.stop_loss_bps == 30
        assert bot.number == 1
        await bot.trades_on()


# -- a history that cannot be written -----------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "6m") as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Leave not a byte on the disk; return the file that takes them."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 64, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path


def everything(bot: LiveBot) -> tuple[object, ...]:
    engine = bot.run.engine
    return (bot.reloads.force, bot.run.loaded, engine.state.generation, engine.desk.profile, bot.live.features())


@in_loop
async def test_an_edit_that_cannot_be_written_down_is_not_in_force(tmp_path: Path, small_disk: Path) -> None:
    calm = "[features]\nbuying = false\nstate_persistence = false\n[engine]\nmax_consecutive_errors = 1000\n"
    path = write_profile(tmp_path, f'{STOPS}{calm}[bot]\nstate_dir = "{small_disk}"\n')
    part = Breakable([])
    async with running(path, parts=[part]) as bot:
        before = everything(bot)
        filler = fill(small_disk)
        outcome = await bot.edit(TIGHTER, ("buying = false", "buying = false\nmetrics = false"))
        assert (outcome.outcome, outcome.generation) == ("rejected", 1)
        assert "cannot be written" in outcome.lines[0]
        assert everything(bot) == before
        assert part.held == 0
        assert part.diary == ["stage part", "discard part"]
        filler.unlink()
        assert (await bot.reload()).outcome == "applied", "a freed disk, and it goes on"
        bot.one_generation()


@in_loop
async def test_a_disk_that_fills_up_between_the_swap_and_its_record_takes_everything_back(
    tmp_path: Path, small_disk: Path
) -> None:
    calm = "[features]\nbuying = false\nstate_persistence = false\n[engine]\nmax_consecutive_errors = 1000\n"
    path = write_profile(tmp_path, f'{STOPS}{calm}[bot]\nstate_dir = "{small_disk}"\n')
    fillers: list[Path] = []

    class Filling(Breakable):
        """The disk is full by the time that all is swapped."""

        def broken(self, step: str) -> None:
            if step == "commit" and not fillers:
                fillers.append(fill(small_disk))

    part = Filling([])
    async with running(path, parts=[part]) as bot:
        before = everything(bot)
        outcome = await bot.edit(TIGHTER)
        assert (outcome.outcome, outcome.generation) == ("rolled_back", 1)
        assert everything(bot) == before
        assert part.diary == ["stage part", "commit part", "revert part", "discard part"]
        fillers[0].unlink()
        again = await bot.reload()
        assert (again.outcome, again.generation) == ("applied", 3), "the text is not at fault; its number is not reused"
        bot.one_generation()
    assert bot.code == 0


# -- the queue -------------------------------------------------------------------------------------------


@in_loop
async def test_who_comes_after_a_hundred_others_is_told_to_come_back_and_hints_are_never_lost(tmp_path: Path) -> None:
    part = Breakable([], breaks=["hang:stage"])
    path = write_profile(tmp_path, STOPS + "[reload]\nbuild_timeout_s = 0.5\nsettle_ms = 10\n")
    async with running(path, parts=[part]) as bot:
        slow = asyncio.create_task(bot.edit(TIGHTER))
        await part.hanging.wait()
        part.breaks.clear()
        waiting = [asyncio.create_task(bot.switch("nothing", True)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(NotNow, match="100 requests wait already"):
            await bot.reload()
        bot.reloads.hint("SIGHUP")
        assert (await slow).outcome == "rejected"
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, NotNow) for one in found)
        await bot.until(lambda: bot.number == 2)
        assert bot.generation(2).who == "SIGHUP", "who asks is not taken for a late notice"


@in_loop
async def test_a_build_under_way_at_the_end_leaves_nothing_behind_and_the_others_are_refused(tmp_path: Path) -> None:
    part = Breakable([], breaks=["hang:stage"])
    path = write_profile(tmp_path, STOPS + "[shutdown]\ncallback_timeout_s = 0.2\n")
    async with running(path, parts=[part]) as bot:
        slow = asyncio.create_task(bot.edit(TIGHTER))
        await part.hanging.wait()
        behind = asyncio.create_task(bot.reload())
        await asyncio.sleep(0)
        bot.operator.stop(who="ana")
        with pytest.raises(NotNow, match="the run is ending"):
            await behind
        with pytest.raises(NotNow, match="the run is ending"):
            await bot.reload()
        with pytest.raises(NotNow, match="the run ended while this was under way"):
            await slow
    assert bot.code == 0
    assert part.held == 0
    assert bot.number == 1


@in_loop
async def test_a_build_that_ends_after_the_end_was_asked_for_is_not_swapped_in(tmp_path: Path) -> None:
    diary: list[str] = []

    class Stopping(Breakable):
        """The run is asked to end while this is built."""

        def broken(self, step: str) -> None:
            if step == "stage":
                bot.operator.stop(who="ana")

    async with running(write_profile(tmp_path, STOPS), parts=[Stopping(diary)]) as bot:
        outcome = await bot.edit(TIGHTER)
        assert outcome.outcome == "rejected"
        assert "the run is ending" in outcome.lines[0]
        assert diary == ["stage part", "discard part"]
    assert bot.code == 0


@in_loop
async def test_what_fails_unexpectedly_is_told_answered_and_ends_no_other_request(tmp_path: Path) -> None:
    class Odd(Breakable):
        def concerned(self, keys: object) -> bool:
            if "concerned" in self.breaks:
                raise RuntimeError("a part that cannot say")
            return False

    odd = Odd([], breaks=["concerned"])
    async with running(write_profile(tmp_path, STOPS), parts=[odd]) as bot:
        outcome = await bot.edit(TIGHTER)
        assert outcome.outcome == "rejected"
        told = await bot.record("RELOAD_FAILED")
        assert "a part that cannot say" in told["message"]
        bot.one_generation()
        odd.breaks.clear()
        assert (await bot.reload()).outcome == "applied"


@in_loop
async def test_an_asker_that_went_away_ends_nothing(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, STOPS)) as bot:
        task = asyncio.create_task(bot.edit(TIGHTER))
        await asyncio.sleep(0)
        task.cancel()
        await bot.until(lambda: bot.number == 2)
        assert (await bot.reload()).outcome == "unchanged"


@in_loop
async def test_a_generation_that_is_no_valid_profile_any_more_is_rejected_with_its_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(write_profile(tmp_path, STOPS)) as bot:
        await bot.edit(TIGHTER)
        monkeypatch.setenv("TRADEBOT__EXITS__STOP_LOSS_BPS", "nonsense")
        before = bot.text
        outcome = await bot.rollback(1)
        assert outcome.outcome == "rejected"
        assert outcome.faults[0].key == "exits.stop_loss_bps"
        assert bot.text == before
        bot.one_generation()


@in_loop
async def test_a_history_that_is_removed_while_the_bot_trades_is_told_and_written_anew(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, STOPS)) as bot:
        path = bot.run.opened.home.profiles
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        told = await bot.record("PROFILE_HISTORY_LOST")
        assert told["level"] == "ERROR"
        assert "it is written anew, whole" in told["message"]
        assert (await bot.edit(TIGHTER)).outcome == "applied"
        bot.one_generation()
        beside = History.read_only(path)
        assert beside is not None
        assert [one.number for one in beside.generations(9)] == [2, 1]
        beside.close()
