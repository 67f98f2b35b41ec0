"""Is what was found about a text forgotten before that very text is in force? By no edit, no rollback, no restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.runtime.live_bot import LiveBot, in_loop, running, write_profile

TEXT = """
[exits]
stop_loss_bps = 30
[budget]
max_positions = 2
[bot]
seed = 1
[features]
watcher = false
"""
LOOSER = ("max_positions = 2", "max_positions = 3")
RESTART = ("seed = 1", "seed = 2")
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")

EDITS = {"pending": LOOSER, "refused": RESTART, "condemned": TIGHTER}
WORDS = {
    "pending": "waits for a confirmation",
    "refused": "needs a restart that was not accepted",
    "condemned": "was rolled back (errors a minute 9",
}


async def judged(bot: LiveBot, kind: str) -> str:
    """Let a text be judged; return it."""
    outcome = await bot.edit(EDITS[kind])
    if kind == "condemned":
        bot.reloads.breach(bot.number, "errors a minute 9 (≤ 5)")
        await bot.record("PROFILE_ROLLED_BACK")
    else:
        assert outcome.outcome == kind
    return bot.text


async def a_typo(bot: LiveBot, old: str) -> None:
    bot.write(old.replace("stop_loss_bps = 30", "stop_loss_bps = 30 30"))
    assert (await bot.reload()).outcome == "rejected"


async def the_old_text(bot: LiveBot, old: str) -> None:
    bot.write(old)
    assert (await bot.reload()).outcome in {"unchanged", "applied"}


async def a_newer_edit(bot: LiveBot, old: str) -> None:
    bot.write(old.replace("max_positions = 2", "max_positions = 1"))
    assert (await bot.reload()).outcome == "applied"


async def another_that_waits(bot: LiveBot, old: str) -> None:
    bot.write(old.replace("max_positions = 2", "max_positions = 7"))
    assert (await bot.reload()).outcome == "pending"


async def a_rollback(bot: LiveBot, old: str) -> None:
    await bot.rollback()
    assert bot.text == old


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("between", [a_typo, the_old_text, a_newer_edit, another_that_waits, a_rollback])
def test_a_judged_text_that_is_put_back_after_something_else_is_not_run_by_a_start(
    tmp_path: Path, kind: str, between: Callable[[LiveBot, str], Awaitable[None]]
) -> None:
    @in_loop
    async def check() -> None:
        path = write_profile(tmp_path, TEXT)
        async with running(path) as bot:
            old = bot.text
            text = await judged(bot, kind)
            await between(bot, old)
            settings = bot.profile
        path.write_text(text)
        async with running(path) as bot:
            assert bot.profile == settings
            assert WORDS[kind] in bot.view.note
            bot.one_generation()
            told = await bot.record("PROFILE_REFUSED" if kind == "refused" else "PROFILE_PENDING")
            assert told["in_force"] == bot.number

    check()


@in_loop
async def test_a_text_that_waited_earlier_is_judged_by_what_it_loosens_now(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TEXT)) as bot:
        await bot.edit(LOOSER)
        digest = bot.reloads.waiting.digest if bot.reloads.waiting else ""
        assert (await bot.edit((LOOSER[1], "max_positions = 5"))).outcome == "pending"
        assert (await bot.reload(confirm=True)).outcome == "applied"
        verdict = bot.run.opened.history.verdict(digest)
        assert verdict is not None
        assert verdict.kind == "pending"
        assert (await bot.edit(("max_positions = 5", LOOSER[1]))).outcome == "applied", "it tightens by now"
        assert bot.run.opened.history.verdict(digest) is None, "what is in force waits for nothing"
        bot.one_generation()


@in_loop
async def test_a_text_that_waited_before_another_edit_is_shown_again_before_it_is_confirmed(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TEXT)) as bot:
        old = bot.text
        await bot.edit(LOOSER)
        text = bot.text
        await a_typo(bot, old)
        assert bot.pending() is None
        bot.write(text)
        assert (await bot.reload(confirm=True)).outcome == "pending"
        assert bot.profile.budget.max_positions == 2
        assert (await bot.reload(confirm=True)).outcome == "applied"


@in_loop
async def test_a_confirmation_is_for_the_text_that_was_shown(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TEXT)) as bot:
        await bot.edit(LOOSER)
        first = bot.pending()
        await bot.edit((LOOSER[1], "max_positions = 9"))
        second = bot.pending()
        assert first is not None
        assert second is not None
        assert first.digest != second.digest
        other = await bot.operator.reload(confirm=True, who="ana", shown=first.digest[:12])
        assert (other.outcome, bot.number) == ("pending", 1)
        assert bot.profile.budget.max_positions == 2
        confirmed = await bot.operator.reload(confirm=True, who="ana", shown=second.digest[:12])
        assert confirmed.outcome == "applied"
        assert bot.view.digest == second.digest
        bot.one_generation()


@in_loop
async def test_a_text_that_was_confirmed_for_a_restart_is_the_one_that_was_shown(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TEXT)) as bot:
        await bot.edit(RESTART)
        other = await bot.operator.reload(confirm=True, who="ana", shown="x")
        assert "accepted" in other.lines[-1]
        assert other.lines[-1] != "  accepted: the next start runs it"
        assert [one.kind for one in bot.run.opened.history.verdicts(10)] == ["refused"]
