"""Does each command that speaks to a running bot say what it did, and end with a code that scripts can trust?"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.control.serving import ROOT, bot_process
from tradebot.cli.drift import verdict
from tradebot.cli.feature import lines
from tradebot.cli.main import main
from tradebot.cli.status import set_by
from tradebot.domain.views import ComparedView, SwitchView

BOT_COMMANDS = ("status", "events", "reload", "rollback", "pause", "resume", "rearm", "drift", "flatten", "stop")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _bot() -> Iterator[None]:
    with bot_process(Path("state/prod").resolve()):
        yield


@pytest.mark.usefixtures("_bot")
def test_status_says_what_matters_and_what_is_unusual(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feature", "off", "exits"]) == 0
    assert main(["pause"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    told = re.sub(r"cli:\w+", "cli:me", capsys.readouterr().out)
    assert told.splitlines() == [
        "tradebot prod · paper · SYNTHETIC MARKET · gen 2 · probation 8:12 · buying paused · up 2:41:07",
        "market     2 symbols · newest price 0.2 s old · 1 stale",
        "positions  1, worth 100.80 USDT · unrealised +0.80 USDT",
        "           S0/USDT    +0.80 %  stop 137.5  target –",
        "under way  1 intent · 1 order",
        "           buy S1/USDT 100 at 0.0812 IOC, 40 filled, 0.6 s",
        "result     this run +12.40 USDT in 3 trades · 7 fills · cash 900.10 USDT",
        "paused     by cli:me · `tradebot resume` buys again",
        "profile    prod.toml · generation 2 since 2026-09-21 14:13:20 UTC, edit by file",
        "probation  8:12 left, else back to generation 1: errors 0 < 5/min",
        "override   features.exits off · set by cli:me, 2026-09-21 14:13:20 UTC · `tradebot feature clear exits`",
        "log        0 errors, 2 warnings · sessions/x",
    ]
    assert main(["status", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["status"]["pnl"], shown["status"]["profile"]["generation"]) == ("12.40", 2)
    assert shown["positions"][0]["symbol"] == "S0/USDT"


@pytest.mark.parametrize(
    ("draft", "code", "line"),
    [
        ("valid", 0, "generation 1 → 2 · prod.toml · applied in 14 ms"),
        ("same", 0, "unchanged · prod.toml"),
        ("looser", 0, "waiting · prod.toml · loosens: budget.max_positions 10 → 40 · `tradebot reload --confirm`"),
        ("faulty", 1, "prod.toml:9:1: drop.treshold_bps: unknown key"),
    ],
)
def test_reload_prints_the_bot_s_own_lines(
    draft: str, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with bot_process(Path("state/prod").resolve(), draft):
        assert main(["reload"]) == code
        assert line in capsys.readouterr().out.splitlines()


def test_a_toggle_that_a_start_set_has_no_time_of_its_own() -> None:
    switch = SwitchView(feature="buying", on=False, profile=True, override="start", why="the profile is faulty")
    assert set_by(switch) == "set by start: the profile is faulty"
    assert lines((switch,)) == [
        "buying  off  set by start: the profile is faulty · the profile says on · `tradebot feature clear buying`"
    ]


@pytest.mark.usefixtures("_bot")
@pytest.mark.parametrize("words", [["rollback"], ["profile", "rollback"]], ids=" ".join)
def test_rollback_has_two_names(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload"]) == 0
    assert main(words) == 0
    assert "back to generation 1" in capsys.readouterr().out
    assert main([*words, "2"]) == 0
    assert "back to generation 2" in capsys.readouterr().out
    assert main([*words, "77"]) == 1
    assert capsys.readouterr().err == "tradebot: there is no generation 77\n"
    with pytest.raises(SystemExit) as end:
        main([*words, "0"])
    assert end.value.code == 2


@pytest.mark.usefixtures("_bot")
def test_a_feature_is_set_shown_and_cleared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feature", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "buying  on   Whether there is buying.",
        "exits   on   Whether there is exits.",
    ]
    assert main(["feature", "off", "buying"]) == 0
    assert "features.buying is False" in capsys.readouterr().out
    assert main(["feature", "list"]) == 0
    told = re.sub(r"cli:\w+", "cli:me", capsys.readouterr().out)
    since = "set by cli:me, 2026-09-21 14:13:20 UTC"
    assert told.startswith(f"buying  off  {since} · the profile says on · `tradebot feature clear buying`\n")
    assert main(["feature", "clear", "buying"]) == 0
    assert main(["feature", "on", "telepathy"]) == 1
    assert capsys.readouterr().err == "tradebot: there is no feature 'telepathy'; there are buying, exits\n"
    assert main(["feature", "list"]) == 0
    assert "set by" not in capsys.readouterr().out


@pytest.mark.usefixtures("_bot")
def test_buying_is_paused_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pause"]) == 0
    assert main(["pause"]) == 1
    assert main(["resume"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "state/prod: buying is paused until `tradebot resume`",
        "state/prod: buying goes on",
    ]
    assert told.err.startswith("tradebot: buying is paused already, by cli:")


@pytest.mark.parametrize("command", ["flatten", "stop"])
def test_what_is_grave_is_not_done_where_nobody_can_be_asked(command: str, tmp_path: Path) -> None:
    with bot_process(tmp_path / "state/prod") as bot:
        asked = tradebot(tmp_path, command)
        assert (asked.returncode, asked.stdout) == (1, "")
        assert asked.stderr == f"tradebot: nobody can be asked here; `tradebot {command} --yes` does it\n"
        assert "buying on" in tradebot(tmp_path, "status").stdout
        done = tradebot(tmp_path, command, "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        if command == "stop":
            assert done.stdout == "state/prod: the shutdown has begun\n"
            assert bot.wait(20) == 0
            gone = tradebot(tmp_path, "status", "--home", "state/prod")
            assert gone.stderr == (
                "tradebot: state/prod/control.sock: no bot answers there; `tradebot --profile P` starts one\n"
            )
            assert gone.returncode == 1
        else:
            assert done.stdout == "state/prod: paused, 1 position is being sold\n"
            assert "flattening  S0/USDT" in tradebot(tmp_path, "status").stdout


@pytest.mark.parametrize(("reply", "done"), [("yes", True), ("y", False), ("", False), ("\x04", False)])
def test_what_is_grave_is_asked_for_at_a_terminal(reply: str, done: bool, tmp_path: Path) -> None:
    with bot_process(tmp_path / "state/prod"):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "tradebot.cli.main", "flatten"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as asking:
            os.write(ours, reply.encode() if reply == "\x04" else f"{reply}\n".encode())
            out, err = asking.communicate(timeout=30)
        os.close(ours)
        os.close(theirs)
        question = "state/prod: buying is paused, every buy under way ends, every position is sold. Type yes: "
        assert out.startswith(question)
        assert asking.returncode == (0 if done else 1)
        assert out.endswith("state/prod: paused, 1 position is being sold\n") is done
        assert err == ("" if done else "tradebot: not done\n")


def test_events_are_followed_until_the_bot_closes_its_door(tmp_path: Path) -> None:
    with bot_process(tmp_path / "state/prod"):
        for arguments, lines in (
            (
                [],
                [
                    "02:41:07 INFO    BOT_STARTED demo\n",
                    "         WARNING 3 records are missing here: there were too many at once\n",
                ],
            ),
            (
                ["--json"],
                ['{"time":"2026-11-22T02:41:07.123Z","level":"INFO","event_type":"BOT_STARTED"', '{"lost":3}'],
            ),
        ):
            with subprocess.Popen(
                [sys.executable, "-m", "tradebot.cli.main", "events", *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as following:
                assert following.stdout is not None
                for line in lines:
                    assert following.stdout.readline().startswith(line)
                if not arguments:
                    following.kill()
                    continue
                assert tradebot(tmp_path, "stop", "--yes").returncode == 0
                _, err = following.communicate(timeout=30)
                assert (following.returncode, err) == (0, "tradebot: the bot has closed its door\n")


def test_the_bot_is_found_by_home_by_profile_and_by_being_the_only_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.toml").write_text('[bot]\ninstance = "prod"\nstate_dir = "homes"\n[drop]\nbroken = = 1\n')
    assert main(["status"]) == 1
    assert capsys.readouterr().err == (
        "tradebot: no bot runs below state/; name it with --profile P or --home FOLDER\n"
    )
    (tmp_path / "state" / "dead").mkdir(parents=True)
    with bot_process(tmp_path / "homes/prod", path="mine.toml"):
        assert main(["status"]) == 1
        assert main(["status", "--home", "homes/prod"]) == 0
        assert main(["status", "--profile", "mine.toml"]) == 0
        assert main(["status", "--profile", "mine"]) == 0
        monkeypatch.setenv("TRADEBOT__BOT__STATE_DIR", "homes")
        assert main(["status"]) == 0
        capsys.readouterr()
        with bot_process(tmp_path / "homes/test"):
            assert main(["pause"]) == 1
            assert capsys.readouterr().err == (
                "tradebot: 2 bots run below homes/: homes/prod, homes/test; name one with --home or --profile\n"
            )
            assert main(["pause", "--home", "homes/test"]) == 0
    assert main(["status", "--profile", "nowhere.toml"]) == 2
    with pytest.raises(SystemExit):
        main(["status", "--home", "homes/prod", "--profile", "mine"])


@pytest.mark.usefixtures("_bot")
def test_what_differs_is_listed_with_what_settles_it_and_settled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "state/prod: 1 difference · compared just now"
    assert lines[1] == "BTC/USDT: 0.2 of 0.5 BTC are missing from the account"
    assert "`tradebot drift adopt BTC/USDT --price P`" in lines[2]
    assert "`tradebot drift ignore BTC/USDT`" in lines[2]
    assert main(["drift", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["fresh"], told["why"], told["under_way"]) == (True, "", [])
    (row,) = told["found"]
    assert (row["asset"], row["kind"], row["amount"]) == ("BTC", "missing", "0.2")
    assert main(["drift", "adopt", "BTC/USDT", "--price", "50000.5"]) == 0
    assert capsys.readouterr().out == "state/prod: adopt BTC/USDT at 50000.5\n"
    assert main(["drift", "ignore", "XRP"]) == 1
    assert "the account holds what the ledger owns of XRP" in capsys.readouterr().err
    assert main(["drift", "close", "BTC/USDT"]) == 1
    assert "`tradebot drift close --yes` does it" in capsys.readouterr().err
    assert main(["drift", "close", "BTC/USDT", "--yes"]) == 0
    assert main(["drift", "adopt"]) == 2
    with pytest.raises(SystemExit):
        main(["drift", "adopt", "BTC/USDT", "--price", "-1"])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"fresh": True}, "the account holds what the bot owns · compared just now"),
        (
            {"fresh": True, "under_way": ("A/USDT",)},
            "the account holds what the bot owns · compared just now, without A/USDT, the quote: own orders are or "
            "were just under way, ask again",
        ),
        (
            {"fresh": False, "why": "banned", "compared_ms": 60_000},
            "not compared now: banned; the account answered last 0:40 ago",
        ),
        (
            {"fresh": False, "why": "the account is not reconciled yet"},
            "not compared now: the account is not reconciled yet; it never was in this run",
        ),
    ],
)
def test_no_difference_is_said_only_of_an_account_that_was_asked_just_now(told: dict[str, Any], words: str) -> None:
    assert verdict(ComparedView(at_ms=100_000, **{"compared_ms": 0, **told})) == words


@pytest.mark.usefixtures("_bot")
def test_what_is_stopped_is_rearmed_for_one_symbol_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rearm", "BTC/USDT"]) == 0
    assert main(["rearm"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "state/prod: may be tried again: buy BTC/USDT",
        "state/prod: may be tried again: buy S0/USDT",
    ]


@pytest.mark.parametrize("command", BOT_COMMANDS)
def test_without_a_bot_every_command_is_one_line_and_exit_1(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [command, "--home", "state/none", *(["--yes"] if command in {"flatten", "stop"} else [])]
    assert main(words) == 1
    told = capsys.readouterr()
    assert told.out == ""
    nobody = "state/none/control.sock: no bot answers there; `tradebot --profile P` starts one"
    nothing = "state/none/profiles.sqlite: is not there; no bot has run there yet"  # it would be done in the home
    assert told.err == f"tradebot: {nothing if command == 'rollback' else nobody}\n"


@pytest.mark.parametrize(
    "words", [["validate", "profiles/demo.toml"], ["--help"], ["reload", "--help"], ["profile", "keys"]]
)
def test_what_asks_no_bot_loads_no_http(words: list[str]) -> None:
    script = (
        "import sys; from tradebot.cli.main import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "assert code == 0, code\nassert not {'aiohttp', 'asyncio'} & set(sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def tradebot(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with nobody at its terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
