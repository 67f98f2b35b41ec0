"""Is a text that was judged judged again when the same write is noticed late? Only where someone asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile
from tradebot.runtime.request import START

TEXT = '[features]\nwatcher = false\n[bot]\ninstance = "here"\n[budget]\nmax_positions = 2\n'
FAULTY = ("max_positions = 2", 'max_positions = "many"')
REFUSED = ('instance = "here"', 'instance = "there"')
LOOSER = ("max_positions = 2", "max_positions = 3")


async def noticed(bot: LiveBot, who: str = "edit") -> None:
    """Let the files be read as after a notice, and wait until that is done."""
    served = bot.reloads.served
    bot.reloads.hint(who)
    await bot.until(lambda: bot.reloads.served > served)


@pytest.mark.parametrize(
    ("change", "event_type"),
    [(FAULTY, "PROFILE_REJECTED"), (REFUSED, "PROFILE_REFUSED"), (LOOSER, "PROFILE_PENDING")],
)
def test_one_edit_has_one_outcome_however_often_it_is_noticed(
    tmp_path: Path, change: tuple[str, str], event_type: str
) -> None:
    @in_loop
    async def check() -> None:
        async with running(write_profile(tmp_path, TEXT)) as bot:
            bot.write(bot.text.replace(*change))
            await noticed(bot)
            await bot.record(event_type)
            await noticed(bot)
            await noticed(bot)
            await noticed(bot, START)
            await noticed(bot, "SIGHUP")
            await bot.record(event_type, times=2)
            assert [one["who"] for one in bot.told(event_type)] == ["edit", "SIGHUP"]
            assert (await bot.reload()).outcome == event_type.removeprefix("PROFILE_").lower()
            bot.write(bot.text + "# another edit\n")
            await noticed(bot)
            await bot.record(event_type, times=4)

    check()
