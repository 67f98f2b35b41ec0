"""Does each command do what its name says, and does a wrong word end in one line that helps?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradebot import __version__
from tradebot.cli.main import COMMANDS, main
from tradebot.cli.schema import generated
from tradebot.config.loader import load_profile
from tradebot.config.template import template


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_unknown_command_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["validat", "x.toml"])
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "tradebot: error: there is no command 'validat'; did you mean `tradebot validate`?"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: tradebot {command}" in capsys.readouterr().out


def test_the_bot_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "--profile" in told
    assert all(f"  {name}" in told and sentence in told for name, (_, sentence) in COMMANDS.items())


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"tradebot {__version__}\n"


def test_init_writes_the_template_and_replaces_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "profiles/new.toml"]) == 0
    path = Path("profiles/new.toml")
    assert path.read_text(encoding="utf-8") == template("new")
    path.write_text("mine")
    assert main(["init", "profiles/new.toml"]) == 1
    assert "tradebot init --force profiles/new.toml" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["init", "--force", "profiles/new.toml"]) == 0
    assert path.read_text(encoding="utf-8") == template("new")
    assert main(["validate", "new"]) == 0


@pytest.mark.parametrize(
    ("file", "instance"),
    [
        ("profiles/my.toml", "my"),
        ("My Bot_v2.toml", "my-bot-v"),
        ("eight-8-cut.toml", "eight-8"),
        ("profiles/-x-.toml", "x"),
        ("ß.toml", "tradebot"),
    ],
)
def test_init_names_the_bot_after_its_file(file: str, instance: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", file]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f" state/{instance}")
    assert load_profile(file, {}).profile.bot.instance == instance


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_init_of_no_file_says_how_one_is_named(force: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("bots").mkdir()
    for file, told in {
        "": "the file's name is empty; `tradebot init my.toml` writes a profile there",
        "bots": "bots is a folder; `tradebot init bots/my.toml` writes a profile there",
    }.items():
        assert main(["init", *force, file]) == 1
        assert capsys.readouterr().err == f"tradebot: {told}\n"


def test_init_where_nothing_can_be_written_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert main(["init", "file/p.toml"]) == 1
    assert capsys.readouterr().err.startswith("tradebot: file/p.toml cannot be written: ")


def test_schema_writes_and_then_finds_nothing_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--check"]) == 1
    assert "schemas/profile.schema.json is missing" in capsys.readouterr().err
    assert main(["schema"]) == 0
    assert main(["schema", "--check"]) == 0


def test_schema_finds_drift_and_names_the_command_that_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema"])
    path = Path("schemas/profile.schema.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"default": 250', '"default": 251', 1), encoding="utf-8")
    capsys.readouterr()
    assert main(["schema", "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        'schemas/profile.schema.json is not what the models say, first at: -          "default": 251,',
        "mend it with: tradebot schema",
    ]


def test_what_is_generated_is_what_is_kept(root: Path) -> None:
    for path, text in generated().items():
        assert (root / path).read_text(encoding="utf-8") == text, f"{path}: mend it with `tradebot schema`"


def test_a_bad_profile_ends_with_its_faults_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.toml").write_text("[drop]\nx = 1\n")
    assert main(["profile", "show", "bad.toml"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("bad.toml:2:1: drop.x: unknown key")


def test_profile_show_prints_what_is_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.toml").write_text("[drop]\nthreshold_bps = 300.5\n")
    assert main(["profile", "show", "p"]) == 0
    assert "\nthreshold_bps = 300.5\n" in capsys.readouterr().out
    assert main(["profile", "show", "--origin", "p"]) == 0
    told = capsys.readouterr().out
    assert "threshold_bps = 300.5  # p.toml:2\n" in told
    assert "confirm_s = 0          # default\n" in told


def test_profile_keys_prints_what_begins_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "keys", "exits.stop"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        'exits.stop_loss_bps = 400  (a number above 0 and below 10_000 (bps), or "off" · live '
        '· looser when higher or "off", which waits for a confirmation)',
        "    Loss below the entry price at which a position is sold.",
    ]
    assert main(["profile", "keys", "nothing"]) == 1


def test_a_reader_that_goes_away_ends_it_quietly(root: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", "profile", "keys"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")
