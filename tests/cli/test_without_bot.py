"""Can a toggle be set and a generation brought back while no bot runs, and does the next start go on with it?"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.integration.processes import Bot, records, write_profile
from tradebot.cli.main import main
from tradebot.domain.generation import Verdict
from tradebot.storage.history import History
from tradebot.storage.home import doing


def run_once(folder: Path, until: str = "BOT_STARTED") -> str:
    """Run the bot of a folder until it tells of an event type, and end it cleanly; return what it told."""
    with Bot(folder) as bot:
        told = bot.wait_for(until)
        bot.send(signal.SIGTERM)
        assert bot.end() == 0
    return told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a bot that ran once and has ended; the folder is the present one."""
    write_profile(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_once(tmp_path)
    (home,) = (tmp_path / "state").iterdir()
    return home


def history_of(home: Path) -> History:
    history = History.read_only(home / "profiles.sqlite")
    assert history is not None
    return history


def test_a_toggle_set_without_a_bot_is_a_generation_that_the_next_start_goes_on_with(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feature", "off", "control_door"]) == 0
    out = capsys.readouterr().out
    assert "generation 1 → 2" in out
    assert "no bot runs: in force from the next start" in out
    assert "to come back: SIGTERM stops it, `tradebot feature clear control_door`" in out
    with Bot(tmp_path) as bot:
        bot.wait_for("BOT_STARTED")
        while doing(home):  # it is starting yet
            time.sleep(0.01)
        assert not (home / "control.sock").exists()
        assert main(["feature", "clear", "control_door"]) == 1
        err = capsys.readouterr().err
        assert f"a bot runs there (process {bot.process.pid}), but its control door answers nobody" in err
        assert f"`kill -TERM {bot.process.pid}` stops it; then `tradebot feature clear control_door`" in err
        bot.send(signal.SIGTERM)
        assert bot.end() == 0
    begun = [one for one in records(tmp_path, "events") if one["event_type"] == "PROFILE_IN_FORCE"]
    assert (begun[-1]["number"], begun[-1]["overrides"][0].partition(" (")[0]) == (2, "control_door off")
    assert main(["feature", "clear", "control_door"]) == 0
    history = history_of(home)
    assert history.switches() == ()
    force = history.in_force()
    assert force is not None
    assert (force.number, force.state, force.cause) == (3, "good", "feature")


def test_the_same_toggle_again_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feature", "off", "buying"]) == 0
    assert main(["feature", "off", "buying"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("unchanged")
    assert [one.number for one in history_of(home).generations(10)] == [2, 1]


def test_a_rollback_without_a_bot_restores_the_files_byte_for_byte(home: Path, tmp_path: Path) -> None:
    profile = next(tmp_path.glob("*.toml"))
    first = profile.read_bytes()
    profile.write_bytes(first + b"# tightened\n[intents]\nmax_age_s = 99\n")
    run_once(tmp_path)
    assert main(["rollback", "1"]) == 0
    assert profile.read_bytes() == first
    force = history_of(home).in_force()
    assert force is not None
    assert (force.number, force.cause, force.state) == (3, "rollback", "good")
    assert history_of(home).restoring() is None
    run_once(tmp_path)
    begun = [one for one in records(tmp_path, "events") if one["event_type"] == "PROFILE_IN_FORCE"]
    assert begun[-1]["number"] == 3


def test_a_rollback_without_a_bot_to_a_text_that_never_passed_is_put_on_probation_by_the_next_start(
    home: Path, tmp_path: Path
) -> None:
    profile = next(tmp_path.glob("*.toml"))
    profile.write_bytes(profile.read_bytes() + b"# tightened\n[intents]\nmax_age_s = 99\n")
    run_once(tmp_path, "PROFILE_PROBATION_STARTED")
    for number, state in ((1, "good"), (2, "applied")):
        assert main(["rollback", str(number)]) == 0
        force = history_of(home).in_force()
        assert force is not None
        assert force.state == state
    assert "falls back to generation 3" in run_once(tmp_path, "PROFILE_PROBATION_STARTED")


def test_a_rollback_without_a_bot_keeps_the_text_it_writes_over(home: Path, tmp_path: Path) -> None:
    profile = next(tmp_path.glob("*.toml"))
    first = profile.read_bytes()
    assert main(["feature", "off", "buying"]) == 0
    profile.write_text("half a night's work, not [valid")
    assert main(["rollback"]) == 0
    assert profile.read_bytes() == first
    (kept,) = history_of(home).verdicts(10)
    assert (kept.kind, kept.files[-1].source) == ("rejected", b"half a night's work, not [valid")
    assert kept.reason == "displaced by the rollback to generation 1"


def test_the_way_back_that_a_start_on_a_faulty_profile_tells_works(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = next(tmp_path.glob("*.toml"))
    first = profile.read_bytes()
    profile.write_bytes(first + b"[intents]\nmax_ages_s = 99\n")
    assert main(["--profile", "quick.toml"]) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith("generation 1 was in force: `tradebot rollback 1 --profile quick.toml` brings its text back")
    assert main(["rollback", "1", "--profile", "quick.toml"]) == 0
    assert "generation 1 goes on" in capsys.readouterr().out
    assert profile.read_bytes() == first
    (kept,) = history_of(home).verdicts(10)
    assert (kept.kind, kept.files[-1].source) == ("rejected", first + b"[intents]\nmax_ages_s = 99\n")
    assert history_of(home).restoring() is None
    run_once(tmp_path)
    begun = [one for one in records(tmp_path, "events") if one["event_type"] == "PROFILE_IN_FORCE"]
    assert begun[-1]["number"] == 1


def test_a_rollback_without_a_bot_passes_over_what_did_harm(home: Path) -> None:
    for typed in (["feature", "off", "buying"], ["feature", "off", "exits"]):
        assert main(typed) == 0
    history = History.open(home / "profiles.sqlite", 1)
    history.condemn(2, 1, "errors", "guard")
    history.close()
    assert main(["rollback"]) == 0
    assert history_of(home).generations(1)[0].reason == "to generation 1"


def test_a_rollback_without_a_bot_writes_no_file_from_another_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feature", "off", "buying"]) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for _ in range(2):
        assert main(["rollback", "1", "--home", str(home)]) == 1
        assert "type it in the folder the bot runs in" in capsys.readouterr().err
        write_profile(elsewhere)  # another bot's profile of the same name
    assert history_of(home).generations(1)[0].number == 2


def test_a_toggle_without_a_bot_forgives_no_text(home: Path) -> None:
    history = History.open(home / "profiles.sqlite", 1)
    force = history.in_force()
    assert force is not None
    history.judge(Verdict(force.digest, "condemned", 1, "guard", force.files, reason="it crashed"))
    assert main(["feature", "off", "buying"]) == 0
    assert history.verdict(force.digest) is not None
    history.close()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["rollback", "99"], "there is no generation 99; `tradebot profile history`"),
        (["rollback", "1"], "generation 1 is in force"),
        (["feature", "off", "byuing"], "there is no toggle 'byuing'; there are buying"),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_cannot_be_done_is_refused_with_its_reason(
    typed: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("typed", [["rollback"], ["feature", "off", "buying"]], ids=" ".join)
def test_nothing_is_done_in_a_home_by_the_name_of_another_profile(
    typed: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_profile(tmp_path, name="two.toml")  # the same instance
    assert main([*typed, "--profile", "two.toml"]) == 1
    place = home.relative_to(tmp_path)
    assert capsys.readouterr().err == (
        f"tradebot: {place} ran quick.toml, not two.toml; `--home {place}` means it all the same\n"
    )
    assert [one.number for one in history_of(home).generations(10)] == [1]


def test_where_nothing_ran_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["feature", "off", "buying", "--home", "state/none"]) == 1
    assert "no bot" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
