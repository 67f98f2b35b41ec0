"""Is a bot that trades but answers nobody, or another than the one that was named, told from one that is not there?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.serving import bot_process
from tradebot.cli.main import main
from tradebot.control import client as client_module
from tradebot.storage.home import Home

COMMANDS = (
    ["status"],
    ["events"],
    ["reload"],
    ["reload", "--confirm"],
    ["rollback"],
    ["feature", "list"],
    ["feature", "clear", "control_door"],
    ["pause"],
    ["resume"],
    ["rearm", "BTC/USDT"],
    ["drift"],
    ["drift", "adopt", "BTC/USDT"],
    ["flatten", "--yes"],
    ["stop", "--yes"],
)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Yield the home of a bot that runs in this process, without a control door."""
    monkeypatch.chdir(tmp_path)
    held = Home.open(Path("state"), "prod")
    yield held
    held.close()


@pytest.fixture
def home(held: Home) -> Path:
    """Return where that home is."""
    return held.folder


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command that fails says, on one line."""
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return " ".join(err.split())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_bot_whose_door_is_off_is_there_and_how_it_is_reached_is_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pid = os.getpid()
    expected = (
        f"tradebot: state/prod: a bot runs there (process {pid}), but its control door answers nobody (off by "
        f"`tradebot feature off control_door` or its profile, or the bot hangs) `kill -HUP {pid}` lets it read its "
        f"profile, `kill -TERM {pid}` stops it; then `tradebot feature clear control_door`, and start it again"
    )
    assert told(words, capsys) == expected
    assert told([*words, "--home", "state/prod"], capsys) == expected


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_bot_that_hangs_is_told_as_one_that_is_there(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ASK_S", 0.1)
    monkeypatch.setattr(client_module, "SILENCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as door:  # the kernel lets callers in, and nobody hears them
        door.bind(str(home / "control.sock"))
        door.listen()
        said = told(words, capsys)
    assert said.startswith("tradebot: state/prod/control.sock: the bot did not answer within 0.1 s; ")
    assert f"`kill -TERM {os.getpid()}` stops it" in said


def test_one_that_is_just_starting_is_told_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lock").write_bytes(b"")
    assert told(["status"], capsys) == "tradebot: state/prod: a bot is just starting there; ask again in a moment"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_one_whose_start_waits_says_for_what_and_until_when(
    words: list[str], held: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    held.tell("starting: binance bans this address until 2026-11-23 02:40:00 UTC; it waits since then")
    said = told(words, capsys)
    assert said == (
        f"tradebot: state/prod: the bot there (process {os.getpid()}) is starting: binance bans this address until "
        f"2026-11-23 02:40:00 UTC; it waits since then ask again later; `kill -TERM {os.getpid()}` stops it"
    )


def test_one_that_ends_is_told_so_and_no_second_signal_is_advised(
    held: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    held.tell("ending")
    assert told(["stop", "--yes"], capsys) == (
        f"tradebot: state/prod: the bot there (process {os.getpid()}) is ending ask again later"
    )


def test_a_silent_bot_counts_where_one_of_several_must_be_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with bot_process(tmp_path / "state/test"):
        assert told(["stop", "--yes"], capsys) == (
            f"tradebot: 2 bots run below state/: {home}, state/test; name one with --home or --profile"
        )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_for_one_profile_does_nothing_to_a_bot_that_runs_another(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my", "two"):
        write(f"profiles/{name}.toml")
    with bot_process(tmp_path / "state/prod", path="profiles/my.toml"):
        assert told([*words, "--profile", "two"], capsys) == (
            "tradebot: state/prod runs profiles/my.toml, not profiles/two.toml; "
            "`--home state/prod` means it all the same"
        )
        assert main(["status", "--profile", "my"]) == 0
        assert "buying on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("runs", "named", "same"),
    [
        ("/srv/bot/profiles/my.toml", "profiles/my.toml", False),  # a whole path means one file
        ("{here}/profiles/my.toml", "profiles/my.toml", True),
        ("{here}/profiles/my.toml", "profiles/link.toml", True),
        ("my.toml", "profiles/my.toml", True),  # it was started in another folder
        ("my.toml", "profiles/link.toml", False),
    ],
)
def test_the_profile_that_was_named_is_recognised(
    runs: str, named: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("profiles/my.toml")
    Path("profiles/link.toml").symlink_to("my.toml")
    with bot_process(tmp_path / "state/prod", path=runs.format(here=tmp_path)):
        assert (main(["pause", "--profile", named]) == 0) is same


def write(path: str) -> None:
    """Write a profile of the bot `prod`."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text('[bot]\ninstance = "prod"\n')
