"""Does an earlier generation come back whole: in force, and byte for byte on the disk?"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import tradebot.runtime.displacing
from tests.runtime.breakable import Breakable
from tests.runtime.live_bot import in_loop, running, write_profile
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import ProfileText
from tradebot.ports import NotNow
from tradebot.runtime.offline import rollback
from tradebot.storage.history import History

TWO = '[exits]\nstop_loss_bps = 30\n[bot]\ninstance = "here"\n[features]\nwatcher = false\n'
TIGHTER = ("stop_loss_bps = 30", "stop_loss_bps = 25")
TIGHTEST = ("stop_loss_bps = 25", "stop_loss_bps = 24")


@in_loop
async def test_the_generation_before_comes_back_and_the_next_rollback_undoes_it(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        before = bot.path.read_bytes()
        await bot.edit(TIGHTER)
        after = bot.path.read_bytes()
        outcome = await bot.rollback()
        assert (outcome.outcome, outcome.previous, outcome.generation) == ("applied", 2, 3)
        assert "rollback by ana" in outcome.lines[0]
        assert any("files restored byte for byte" in line for line in outcome.lines)
        assert bot.path.read_bytes() == before
        assert not bot.view.pinned
        bot.one_generation()
        await bot.rollback()
        assert bot.path.read_bytes() == after
        assert bot.profile.exits.stop_loss_bps == 25
        bot.one_generation()
        assert (await bot.reload()).outcome == "unchanged"


@in_loop
async def test_any_generation_comes_back_by_its_number(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.edit(TIGHTEST)
        await bot.rollback(1)
        assert bot.profile.exits.stop_loss_bps == 30
        await bot.rollback(2)
        assert bot.profile.exits.stop_loss_bps == 25
        assert bot.generation(bot.number).reason == "to generation 2"
        bot.one_generation()


@in_loop
async def test_what_cannot_come_back_is_said_and_nothing_is_touched(tmp_path: Path) -> None:
    part = Breakable([], breaks=["commit"])
    async with running(write_profile(tmp_path, TWO), parts=[part]) as bot:
        with pytest.raises(NotNow, match="there is no generation before the one in force"):
            await bot.rollback()
        with pytest.raises(NotNow, match="there is no generation 7"):
            await bot.rollback(7)
        with pytest.raises(NotNow, match="generation 1 is in force"):
            await bot.rollback(1)
        await bot.edit(TIGHTER)
        with pytest.raises(NotNow, match="generation 2 never came into force"):
            await bot.rollback(2)
        assert bot.view.last_reload is not None
        assert bot.view.last_reload.outcome == "rolled_back", "what cannot be done is no reload"
        assert TIGHTER[1] in bot.text
        bot.one_generation()


@in_loop
async def test_a_generation_that_needs_a_restart_is_refused_before_a_file_is_touched(tmp_path: Path) -> None:
    path = write_profile(tmp_path, TWO + "[venue.paper]\nfee_places = 8\n")
    async with running(path):
        pass
    path.write_text(path.read_text().replace("fee_places = 8", "fee_places = 7"))
    async with running(path) as bot:
        assert bot.number == 2
        before = path.stat().st_mtime_ns
        outcome = await bot.rollback(1)
        assert (outcome.outcome, outcome.keys) == ("refused", ("venue.paper.fee_places",))
        assert "no file was touched" in outcome.lines[-1]
        assert path.stat().st_mtime_ns == before
        bot.one_generation()


@pytest.mark.parametrize(
    "text",
    [
        b'# a word of mine, kept\r\nextends = "ground.toml"\r\n[exits]\r\nstop_loss_bps = 30   # why\r\n',
        b'extends = "ground.toml"\n[exits]\nstop_loss_bps = 30',
        b'extends = "ground.toml"\n\n\n[exits]\n\tstop_loss_bps = 30 # \xc3\xa9\xe2\x82\xac\n\n# the end\n\n\n',
    ],
    ids=["crlf", "no-last-line-end", "blanks-and-comments"],
)
def test_files_come_back_byte_for_byte(tmp_path: Path, text: bytes) -> None:
    @in_loop
    async def check() -> None:
        path = write_profile(tmp_path)
        path.write_bytes(text)
        async with running(path) as bot:
            await bot.edit(TIGHTER)
            assert bot.number == 2
            outcome = await bot.rollback(1)
            assert outcome.outcome == "applied", outcome.lines
            assert path.read_bytes() == text
            bot.one_generation()

    check()


@in_loop
async def test_a_link_stays_a_link_and_what_it_extends_comes_back_too(tmp_path: Path) -> None:
    write_profile(tmp_path, TWO, "real.toml")
    path = tmp_path / "bot.toml"
    path.symlink_to("real.toml")
    ground = tmp_path / "ground.toml"
    async with running(path) as bot:
        texts = ((tmp_path / "real.toml").read_bytes(), ground.read_bytes())
        ground.write_text(ground.read_text().replace("max_positions = 3", "max_positions = 2"))
        assert (await bot.reload()).outcome == "applied"
        await bot.rollback()
        assert os.readlink(path) == "real.toml"
        assert ((tmp_path / "real.toml").read_bytes(), ground.read_bytes()) == texts
        assert bot.profile.budget.max_positions == 3
        bot.one_generation()


@in_loop
async def test_a_text_that_a_rollback_displaces_is_kept(tmp_path: Path) -> None:
    """Of a text with faults nothing but the history knows, once the file is written over."""
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        draft = bot.text.replace(TIGHTER[1], "stop_loss_bps = what # half an idea")
        bot.write(draft)
        assert (await bot.reload()).outcome == "rejected"
        await bot.rollback(1)
        assert bot.profile.exits.stop_loss_bps == 30
        kept = bot.run.opened.history.verdicts(10)
        assert [one.kind for one in kept] == ["rejected"]
        assert kept[0].files[-1].source.decode() == draft
        assert "displaced by the rollback" in kept[0].reason


@in_loop
async def test_a_text_that_waited_waits_no_more_once_its_file_is_written_over(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.edit((TIGHTER[1], "stop_loss_bps = 300"))
        assert bot.pending() is not None
        assert (await bot.rollback(1)).outcome == "applied"
        assert bot.pending() is None
        assert (await bot.reload(confirm=True)).outcome == "unchanged"
        bot.one_generation()


@in_loop
async def test_overrides_stay_over_a_rollback_of_the_text(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.switch("stale_warnings", False)
        await bot.rollback(1)
        assert not bot.feature("stale_warnings").on
        assert bot.profile.exits.stop_loss_bps == 30
        assert [one.feature for one in bot.run.opened.history.switches()] == ["stale_warnings"]


@in_loop
async def test_a_rollback_to_a_generation_that_differs_in_its_overrides_alone_undoes_them(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.switch("stale_warnings", False)
        await bot.rollback()
        assert bot.feature("stale_warnings").on
        assert bot.run.opened.history.switches() == ()
        bot.one_generation()


@in_loop
async def test_after_a_guard_the_rollback_passes_over_what_did_harm(tmp_path: Path) -> None:
    async with running(write_profile(tmp_path, TWO)) as bot:
        await bot.edit(TIGHTER)
        await bot.until(lambda: bot.states() == {1: "good", 2: "applied"})
        await bot.edit(TIGHTEST)
        bot.reloads.breach(3, "errors a minute 9 (≤ 5)")
        await bot.record("PROFILE_ROLLED_BACK")
        assert (await bot.rollback()).outcome == "unchanged", "the files go back first"
        assert (await bot.rollback()).outcome == "applied"
        assert bot.profile.exits.stop_loss_bps == 25
        bot.one_generation()


@in_loop
async def test_where_files_cannot_be_written_the_generation_is_in_force_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(files: Sequence[ProfileText]) -> str:
        raise StorageFailed(f"{files[0].path}: {os.strerror(errno.EROFS)}")

    path = write_profile(tmp_path, TWO)
    async with running(path) as bot:
        await bot.edit(TIGHTER)
        after = bot.text
        monkeypatch.setattr(tradebot.runtime.displacing, "restore", read_only)
        outcome = await bot.rollback()
        assert outcome.outcome == "applied"
        assert any("are not restored" in line and "Read-only" in line for line in outcome.lines)
        assert bot.text == after
        assert bot.view.pinned
        assert bot.profile.exits.stop_loss_bps == 30
        assert (await bot.reload()).outcome == "pending", "the text there waits now"
        bot.one_generation()
    async with running(path) as bot:
        assert bot.profile.exits.stop_loss_bps == 30
        assert "the files could not be written" in bot.view.note


# -- files that say something else than what is in force ------------------------------------------------


@pytest.mark.parametrize("number", [None, 2], ids=["no-number", "in-force"])
@pytest.mark.parametrize(
    ("outcome", "edit"),
    [
        ("pending", (TIGHTER[1], "stop_loss_bps = 300")),
        ("refused", ('instance = "here"', 'instance = "there"')),
        ("rejected", (TIGHTER[1], "stop_loss_bps = what # half an idea")),
    ],
)
def test_an_edit_that_is_not_in_force_is_taken_back_by_its_files_alone(
    tmp_path: Path, outcome: str, edit: tuple[str, str], number: int | None
) -> None:
    @in_loop
    async def check() -> None:
        async with running(write_profile(tmp_path, TWO)) as bot:
            await bot.edit(TIGHTER)
            before, force = bot.path.read_bytes(), bot.reloads.force
            assert (await bot.edit(edit)).outcome == outcome
            displaced = bot.path.read_bytes()
            back = await bot.rollback(number)
            assert (back.outcome, back.generation) == ("unchanged", 2)
            assert f"files restored byte for byte: {tmp_path / 'ground.toml'}, {bot.path}" in back.lines[0]
            assert bot.path.read_bytes() == before
            assert bot.reloads.force == force
            assert (bot.pending(), bot.view.pinned) == (None, False)
            history = bot.run.opened.history
            assert history.restoring() is None
            assert displaced in {one.files[-1].source for one in history.verdicts(10)}
            assert (await bot.reload()).outcome == "unchanged"
            bot.one_generation()
            assert (await bot.rollback()).outcome == "applied", "the next one is the generation before"
            assert bot.profile.exits.stop_loss_bps == 30

    check()


# -- texts that are saved while a rollback writes --------------------------------------------------------

NEWER = ("stop_loss_bps = 25", "stop_loss_bps = 23")


class Saving(Breakable):
    """Somebody saves a newer text once the rollback has read what is on the disk."""

    def __init__(self, save: Callable[[], None]) -> None:
        super().__init__([])
        self._save = save

    def broken(self, step: str) -> None:
        if step == "commit" and step in self.breaks:
            self._save()


@in_loop
async def test_a_text_saved_during_a_rollback_stays_and_is_judged_as_an_edit(tmp_path: Path) -> None:
    part = Saving(lambda: bot.write(bot.text.replace(*NEWER)))
    async with running(write_profile(tmp_path, TWO), parts=[part]) as bot:
        await bot.edit(TIGHTER)
        part.breaks.add("commit")
        outcome = await bot.rollback()
        part.breaks.clear()
        assert outcome.outcome == "applied"
        assert any("not restored (they were saved again meanwhile)" in line for line in outcome.lines)
        assert NEWER[1] in bot.text
        assert bot.profile.exits.stop_loss_bps == 30
        assert bot.run.opened.history.restoring() is None
        assert bot.run.opened.history.verdicts(10) == (), "nothing is held against the newer text"
        assert (await bot.reload()).outcome == "applied"
        assert bot.profile.exits.stop_loss_bps == 23
        bot.one_generation()


@pytest.fixture
def saved_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a newer text be saved just after a rollback has noted what its files displace; return its path."""
    path, begin_restore = write_profile(tmp_path, TWO), History.begin_restore

    def noted(history: History, number: int, displaced: Sequence[ProfileText]) -> None:
        begin_restore(history, number, displaced)
        path.write_text(write_profile(tmp_path, TWO).read_text().replace("stop_loss_bps = 30", NEWER[1]))

    monkeypatch.setattr(History, "begin_restore", noted)
    return path


@in_loop
async def test_a_text_saved_while_an_edit_is_taken_back_stays(saved_meanwhile: Path) -> None:
    async with running(saved_meanwhile) as bot:
        await bot.edit((TIGHTER[0], "stop_loss_bps = 300"))
        with pytest.raises(NotNow, match="cannot be written: they were saved again meanwhile"):
            await bot.rollback()
        assert NEWER[1] in bot.text
        assert bot.run.opened.history.restoring() is None
        assert (await bot.reload()).outcome == "applied"
        assert bot.profile.exits.stop_loss_bps == 23


@in_loop
async def test_a_text_saved_during_a_rollback_without_a_bot_stays_and_the_next_start_runs_it(
    saved_meanwhile: Path,
) -> None:
    async with running(saved_meanwhile) as bot:
        await bot.edit(TIGHTER)
        home = bot.run.opened.home.folder
    lines = rollback(home, 1, "ana", 1)
    assert "they were saved again meanwhile" in lines[-1]
    async with running(saved_meanwhile) as bot:
        assert NEWER[1] in bot.text
        assert bot.profile.exits.stop_loss_bps == 23
        assert bot.view.note == ""
        bot.one_generation()
