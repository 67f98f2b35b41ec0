"""What becomes of an edit whose parts trading overtakes while they are built? They are built anew, a few times."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tests.runtime.live_bot import in_loop, running, write_profile
from tradebot.config.profile import Profile
from tradebot.runtime.applying import MOST_BUILDS
from tradebot.runtime.swapping import CannotBuild, Staged

TEXT = "[exits]\nstop_loss_bps = 30\n"
EDIT = ("stop_loss_bps = 30", "stop_loss_bps = 25")


class Overtaken:
    """A part whose first `times` builds do not fit any more when they are swapped in."""

    name = effect = "overtaken"

    def __init__(self, times: int) -> None:
        self.times = times
        self.builds = self.ended = 0

    def concerned(self, keys: Collection[str]) -> bool:
        return True

    async def stage(self, old: Profile, new: Profile) -> Staged:
        self.builds += 1
        return self

    def commit(self) -> None:
        if self.builds <= self.times:
            raise CannotBuild("bought meanwhile")

    def revert(self) -> None:
        pass

    async def retire(self) -> None:
        self.ended += 1

    async def discard(self) -> None:
        self.ended += 1


@in_loop
async def test_a_part_that_was_overtaken_is_built_anew_for_the_same_generation(tmp_path: Path) -> None:
    part = Overtaken(MOST_BUILDS - 1)
    async with running(write_profile(tmp_path, TEXT), parts=[part]) as bot:
        told = await bot.edit(EDIT)
        assert (told.outcome, told.generation) == ("applied", 2)
        assert part.builds == MOST_BUILDS
        await bot.until(lambda: part.ended == MOST_BUILDS)
        bot.one_generation()
        await bot.trades_on()


@in_loop
async def test_a_text_is_not_blamed_for_what_trading_overtook_again_and_again(tmp_path: Path) -> None:
    part = Overtaken(MOST_BUILDS)
    async with running(write_profile(tmp_path, TEXT), parts=[part]) as bot:
        told = await bot.edit(EDIT)
        assert told.outcome == "rolled_back"
        assert "bought meanwhile" in told.lines[0]
        assert (part.builds, part.ended) == (MOST_BUILDS, MOST_BUILDS)
        bot.one_generation()
        assert (await bot.reload()).outcome == "applied"
