"""What becomes of each kind of edit of a bot that trades? Every outcome, and what is in force after it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from tests.runtime.live_bot import in_loop, running, write_profile

TWO = """
[exits]
stop_loss_bps = 30
[budget]
max_positions = 2
[feed.synthetic]
updates_per_s = 20
[bot]
instance = "here"
[features]
watcher = false
"""
"""Only what asks for it reads the files: a late notice of one edit may not come upon the next."""

WATCHED = TWO.replace("watcher = false", "watcher = true")

LIVE = ("stop_loss_bps = 30", "stop_loss_bps = 25")
LOOSER = ("max_positions = 2", "max_positions = 3")
REBUILD = ("updates_per_s = 20", "updates_per_s = 30")
RESTART = ('instance = "here"', 'instance = "there"')


@in_loop
async def test_the_same_text_again_is_unchanged(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.reload()
        assert (outcome.outcome, outcome.generation) == ("unchanged", 1)
        assert bot.view.last_reload is None
        assert bot.states() == {1: "good"}


@in_loop
async def test_a_comment_is_a_generation_in_which_nothing_is_decided_otherwise(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.edit(("[exits]", "# a word\n[exits]"))
        assert (outcome.outcome, outcome.generation, outcome.changes) == ("applied", 2, ())
        assert "text only" in outcome.lines[0]
        bot.one_generation()
        assert bot.generation(2).files[-1].source.decode() == bot.text


@in_loop
async def test_a_live_edit_is_in_force_when_it_is_answered(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.edit(LIVE)
        assert (outcome.outcome, outcome.previous, outcome.generation) == ("applied", 1, 2)
        assert outcome.keys == ("exits.stop_loss_bps",)
        assert outcome.changes[0].effect == "from the next decision"
        assert bot.run.engine.desk.profile.exits.stop_loss_bps == 25
        bot.one_generation()
        await bot.trades_on()


@in_loop
async def test_a_rebuild_exchanges_its_part_while_the_rest_trades_on(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.trades_on()
        outcome = await bot.edit(REBUILD, LIVE)
        assert outcome.outcome == "applied"
        assert "1 live, 1 rebuild" in outcome.lines[0]
        bot.one_generation()
        await bot.trades_on()
    assert bot.code == 0


@in_loop
async def test_one_key_that_needs_a_restart_refuses_the_whole_edit(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.edit(LIVE, RESTART)
        assert (outcome.outcome, outcome.generation, outcome.keys) == ("refused", 1, ("bot.instance",))
        assert "needs a restart: bot.instance · still on generation 1" in outcome.lines[0]
        assert bot.profile.exits.stop_loss_bps == 30
        bot.one_generation()
        assert bot.view.pinned, "the files say something else"
        accepted = await bot.reload(confirm=True)
        assert accepted.outcome == "refused"
        assert accepted.lines[-1] == "  accepted: the next start runs it"
        again = await bot.reload()
        assert again.lines[-1] == "  accepted: the next start runs it", "what was accepted stays so"
        assert bot.run.opened.history.verdicts(10) == ()


@in_loop
async def test_a_faulty_text_names_every_fault_and_changes_nothing(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.edit(
            ("stop_loss_bps = 30", "stop_loss_bps = -1"), ("max_positions = 2", 'max_positions = "x"')
        )
        assert (outcome.outcome, outcome.generation) == ("rejected", 1)
        assert [(fault.line, fault.key) for fault in outcome.faults] == [
            (4, "exits.stop_loss_bps"),
            (6, "budget.max_positions"),
        ]
        bot.one_generation()
        assert bot.view.pinned
        back = await bot.edit(
            ("stop_loss_bps = -1", "stop_loss_bps = 30"), ('max_positions = "x"', "max_positions = 2")
        )
        assert back.outcome == "unchanged"
        assert bot.view.last_reload == back, "what was told of the faulty text is over"
        assert not bot.view.pinned


@in_loop
async def test_what_follows_for_symbols_is_said_where_an_edit_is_applied_and_while_it_waits(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        applied = await bot.edit(("updates_per_s = 20", "updates_per_s = 20\nsymbols = 4"))
        assert applied.outcome == "applied", applied.lines
        assert any("watched from here on" in line for line in applied.plan)
        waits = await bot.edit(LOOSER, ("[exits]", "[drop.anchor]\nwindow_s = 3\n[exits]"))
        assert waits.outcome == "pending", waits.lines
        assert any("the anchor forms anew" in line for line in waits.plan)
        assert set(waits.plan) <= {line.strip() for line in waits.lines}


# -- edits that wait ----------------------------------------------------------------------------------


@in_loop
async def test_an_edit_that_loosens_a_limit_waits_whole_until_it_is_confirmed(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        outcome = await bot.edit(LOOSER, LIVE)
        assert (outcome.outcome, outcome.keys) == ("pending", ("budget.max_positions",))
        assert [change.key for change in outcome.changes] == ["budget.max_positions", "exits.stop_loss_bps"]
        assert bot.pending() is not None
        assert bot.profile.exits.stop_loss_bps == 30, "the rest of it waits, too"
        bot.one_generation()
        confirmed = await bot.reload(confirm=True)
        assert (confirmed.outcome, confirmed.generation) == ("applied", 2)
        assert bot.pending() is None
        assert (bot.view.cause, bot.view.who) == ("confirm", "ana")
        assert bot.run.opened.history.verdicts(10) == ()
        bot.one_generation()


@in_loop
async def test_tightening_takes_effect_at_once(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        assert (await bot.edit(("max_positions = 2", "max_positions = 1"))).outcome == "applied"


@in_loop
async def test_a_newer_edit_replaces_the_one_that_waits(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        first = await bot.edit(LOOSER)
        second = await bot.edit(("max_positions = 3", "max_positions = 5"))
        assert (first.outcome, second.outcome) == ("pending", "pending")
        await bot.reload(confirm=True)
        assert bot.profile.budget.max_positions == 5
        third = await bot.edit(("max_positions = 5", "max_positions = 6"))
        tighter = await bot.edit(("max_positions = 6", "max_positions = 1"))
        assert (third.outcome, tighter.outcome) == ("pending", "applied")
        assert bot.pending() is None


@in_loop
async def test_editing_back_withdraws_the_edit_that_waits(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(LOOSER)
        back = await bot.edit((LOOSER[1], LOOSER[0]))
        assert back.outcome == "unchanged"
        assert "the edit that waited was taken back" in back.lines[0]
        assert bot.pending() is None
        assert bot.view.last_reload == back
        nothing = await bot.reload(confirm=True)
        assert nothing.outcome == "unchanged"
        assert "nothing waits for a confirmation" in nothing.lines[0]


@in_loop
async def test_only_the_text_that_was_shown_is_confirmed(tmp_path: Path) -> None:
    path = write_profile(tmp_path, TWO)
    async with running(path) as bot:
        await bot.edit(LOOSER)
        bot.write(bot.text.replace("max_positions = 3", "max_positions = 100"))
        anew = await bot.reload(confirm=True)
        assert (anew.outcome, anew.generation) == ("pending", 1)
        assert "2 → 100" in anew.lines[0]
        assert bot.profile.budget.max_positions == 2
        assert (await bot.reload(confirm=True)).outcome == "applied"
        assert bot.profile.budget.max_positions == 100


@in_loop
async def test_what_waits_is_judged_anew_once_something_else_is_in_force(tmp_path: Path) -> None:
    path = write_profile(tmp_path, TWO)
    async with running(path) as bot:
        await bot.edit(LOOSER)
        await bot.switch("stale_warnings", False)
        await bot.record("PROFILE_PENDING", 2)
        assert bot.reloads.waiting is not None
        assert bot.reloads.waiting.generation == 2
        assert (await bot.reload(confirm=True)).outcome == "applied"
        assert not bot.feature("stale_warnings").on


@in_loop
async def test_in_mode_confirm_every_edit_that_changes_a_setting_waits(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO + '[reload]\nmode = "confirm"\n')) as bot:
        assert (await bot.edit(("[exits]", "# a word\n[exits]"))).outcome == "applied", "a comment changes nothing"
        waits = await bot.edit(LIVE)
        assert (waits.outcome, waits.keys) == ("pending", ("exits.stop_loss_bps",))
        assert (await bot.reload(confirm=True)).outcome == "applied"
        assert bot.profile.exits.stop_loss_bps == 25


# -- texts that are not whole ------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["", "\n", " \n\t\n"])
@in_loop
async def test_an_emptied_file_is_never_in_force(tmp_path: Path, rest: str) -> None:
    async with running(write_profile(tmp_path, "[exits]\nstop_loss_bps = 29\n", "bot.toml")) as bot:
        bot.path.write_text(rest)
        outcome = await bot.reload()
        assert outcome.outcome == "rejected"
        assert "is empty" in outcome.lines[1]
        (tmp_path / "ground.toml").write_text(rest)
        assert (await bot.reload()).outcome == "rejected"
        bot.one_generation()
        assert bot.profile.exits.stop_loss_bps == 29


@in_loop
async def test_a_text_cut_off_is_not_believed_before_it_has_settled(tmp_path: Path) -> None:
    """Written in pieces, each of them a valid profile: only the whole of it comes into force."""
    whole = 'extends = "ground.toml"\n[exits]\nstop_loss_bps = 25\ntake_profit_bps = 120\n[drop]\nthreshold_bps = 7\n'
    path = write_profile(tmp_path, "[exits]\nstop_loss_bps = 30\ntake_profit_bps = 100\n[drop]\nthreshold_bps = 5\n")
    path.write_text(path.read_text() + "[reload]\nsettle_ms = 1000\n")
    whole += "[reload]\nsettle_ms = 1000\n"
    async with running(path) as bot:
        pieces = [whole[:49], whole[:70], whole[: whole.index("[drop]")], whole]
        with path.open("w", buffering=1) as file:
            done = ""
            for piece in pieces:
                file.write(piece[len(done) :])
                file.flush()
                done = piece
                bot.reloads.hint()
        await bot.until(lambda: bot.number > 1)
        assert bot.number == 2
        assert bot.text == whole
        assert bot.profile.exits.stop_loss_bps == 25
        assert not bot.told("PROFILE_REJECTED")
        bot.one_generation()


@in_loop
async def test_a_file_without_a_last_line_end_is_believed_once_it_has_settled(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, "[exits]\nstop_loss_bps = 30")) as bot:
        bot.write(bot.text.replace("30", "25"))
        assert (await bot.reload()).outcome == "applied"
        assert bot.profile.exits.stop_loss_bps == 25
        assert bot.generation(2).files[-1].source == bot.text.encode()


@in_loop
async def test_keys_removed_on_purpose_are_believed_once_the_text_has_settled(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, "[exits]\nstop_loss_bps = 40\ntake_profit_bps = 50\n")) as bot:
        outcome = await bot.edit(("take_profit_bps = 50\n", ""))
        assert outcome.outcome == "applied"
        assert bot.profile.exits.take_profit_bps == 30, "what it extends says so"


@in_loop
async def test_a_text_that_never_comes_to_rest_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradebot.runtime.editing.MOST_READS", 3)
    path = write_profile(tmp_path, "[exits]\nstop_loss_bps = 30\n[features]\nwatcher = false\n")
    async with running(path) as bot:
        over = threading.Event()
        bot.write('extends = "ground.toml"\n# 0')

        def write_on() -> None:
            number = 0
            while not over.is_set():
                number += 1
                bot.write(f'extends = "ground.toml"\n# {number}')

        writer = threading.Thread(target=write_on)
        writer.start()
        told = await bot.reload()
        over.set()
        writer.join()
        assert told.outcome == "rejected"
        assert "does not come to rest" in told.lines[1]
        bot.one_generation()


# -- files that go and come --------------------------------------------------------------------------


@in_loop
async def test_a_profile_that_is_deleted_leaves_everything_as_it_is_until_it_is_back(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, WATCHED)) as bot:
        aside = tmp_path / "aside"
        bot.path.rename(aside)
        rejected = await bot.record("PROFILE_REJECTED")
        assert "there is no" in str(rejected["lines"])
        await bot.trades_on()
        aside.rename(bot.path)
        await bot.until(lambda: not bot.view.pinned)
        bot.one_generation()
        assert bot.number == 1


@in_loop
async def test_another_profile_of_the_same_name_is_not_taken_for_a_deleted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_profile(tmp_path, TWO)
    shutil.copytree(tmp_path, tmp_path / "profiles", ignore=lambda *_: {"profiles"})
    (tmp_path / "profiles" / "bot.toml").write_text('extends = "ground.toml"\n[exits]\nstop_loss_bps = 11\n')
    async with running(Path("bot.toml")) as bot:
        bot.path.unlink()
        assert (await bot.reload()).outcome == "rejected"
        assert bot.profile.exits.stop_loss_bps == 30
        bot.one_generation()


@in_loop
async def test_a_file_that_is_extended_is_followed_also_before_it_is_there(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, WATCHED)) as bot:
        (tmp_path / "ground.toml").rename(tmp_path / "aside")
        await bot.record("PROFILE_REJECTED")
        (tmp_path / "aside").rename(tmp_path / "ground.toml")
        await bot.until(lambda: not bot.view.pinned)
        bot.write(bot.text.replace('"ground.toml"', '["ground.toml", "more.toml"]'))
        await bot.record("PROFILE_REJECTED", 2)
        (tmp_path / "more.toml").write_text("[drop]\ncooldown_s = 1\n")
        await bot.until(lambda: bot.number == 2)
        (tmp_path / "more.toml").write_text("[drop]\ncooldown_s = 2\n")
        await bot.until(lambda: bot.number == 3)
        assert bot.profile.drop.cooldown_s == 2
        bot.one_generation()


@in_loop
async def test_of_a_burst_the_last_text_wins_and_none_is_in_force_by_halves(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, WATCHED)) as bot:
        for number in range(29, 21, -1):
            bot.write(bot.text.replace(f"stop_loss_bps = {number + 1}", f"stop_loss_bps = {number}"))
        await bot.until(lambda: bot.profile.exits.stop_loss_bps == 22)
        await bot.reload()
        bot.one_generation()
        assert bot.number <= 9
        for number in bot.states():
            assert bot.generation(number).files[-1].source.count(b"stop_loss_bps") == 1


@in_loop
async def test_an_edit_that_is_noticed_is_told_once(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, WATCHED)) as bot:
        bot.write(bot.text.replace(*LIVE))
        await bot.record("PROFILE_RELOADED")
        bot.write(bot.text.replace(*RESTART))
        await bot.record("PROFILE_REFUSED")
        bot.write(bot.text.replace(RESTART[1], "broken"))
        await bot.record("PROFILE_REJECTED")
        served = bot.reloads.served
        await bot.trades_on()
        assert bot.reloads.served == served, "nothing is read again that was just read"
        assert [len(bot.told(kind)) for kind in ("PROFILE_RELOADED", "PROFILE_REFUSED", "PROFILE_REJECTED")] == [
            1,
            1,
            1,
        ]


# -- what stands over the files ---------------------------------------------------------------------------


@in_loop
async def test_an_edit_that_a_variable_or_a_toggle_hides_is_told_to_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEBOT__EXITS__STOP_LOSS_BPS", "28")
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.switch("stale_warnings", False)
        hidden = "  exits.stop_loss_bps is set by TRADEBOT__EXITS__STOP_LOSS_BPS, the edit has no effect"
        outcome = await bot.edit(LIVE)
        assert outcome.outcome == "applied"
        assert "text only" in outcome.lines[0]
        assert hidden in outcome.lines
        assert bot.profile.exits.stop_loss_bps == 28
        switched = await bot.edit(("[features]", "[features]\nstale_warnings = true"))
        words = "features.stale_warnings is set over the profile, the edit has no effect"
        assert f"  {words}: `tradebot feature clear stale_warnings`" in switched.lines
        assert hidden not in switched.lines, "told of the edit that it hides, and of no other"
        waits = await bot.edit((LIVE[1], "stop_loss_bps = 24"), ("max_positions = 2", "max_positions = 3"))
        assert (waits.outcome, hidden in waits.lines) == ("pending", True)
        refused = await bot.edit((RESTART[0], RESTART[1]))
        assert (refused.outcome, hidden in refused.lines) == ("refused", True)
