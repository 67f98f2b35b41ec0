"""What does `tradebot validate` print, how does it end, and how quickly? Asked of real processes where that matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradebot.cli.main import main

LIMIT_S = 0.5
HEAVY = ("ccxt", "textual", "rich", "asyncio", "ssl", "pyarrow", "numpy", "aiohttp", "pydantic_settings")


@pytest.fixture(autouse=True)
def _profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text("[bot]\nseed = 1\n")
    Path("base.toml").write_text("[drop]\ntreshold_bps = 250\n")
    for name in ("one", "two"):
        Path(f"{name}.toml").write_text('extends = "base.toml"\n')
    Path("three.toml").write_text('[exits]\ntake_profit_bps = 15\n[bot]\ninstance = "A,b:c%"\n')


def test_sound_profiles_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "good.toml"]) == 0
    assert capsys.readouterr().out == "1 profile is valid\n"
    assert main(["validate", "good", "./good.toml"]) == 0
    assert capsys.readouterr().out == "2 profiles are valid\n"


def test_every_fault_has_a_line_and_the_last_line_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "good.toml", "three.toml", "one.toml", "two.toml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "three.toml:2:1: exits.take_profit_bps: 15 is below two taker fees (20 bps): every win would lose",
        'three.toml:4:1: bot.instance: "A,b:c%" is not a text of 1 to 8 characters of a-z, 0-9 and -, '
        "not beginning with -",
        "base.toml:2:1: drop.treshold_bps: unknown key; did you mean `threshold_bps`?",
        "3 faults in 3 of 4 profiles",
    ]


def test_one_fault_is_counted_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "base.toml"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 fault in 1 of 1 profile"


def test_machines_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--format", "json", "good.toml", "one.toml", "missing.toml"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["profiles"], said["invalid"]) == (3, 2)
    assert said["faults"][0] == {
        "profile": "one.toml",
        "file": "base.toml",
        "line": 2,
        "column": 1,
        "key": "drop.treshold_bps",
        "message": "unknown key; did you mean `threshold_bps`?",
    }
    assert (said["faults"][1]["line"], said["faults"][1]["key"]) == (None, None)


def test_annotations_escape_what_would_end_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a,b.toml").write_text('[bot]\ninstance = "50%"\n')
    assert main(["validate", "--format", "github", "a,b.toml"]) == 1
    assert capsys.readouterr().out == (
        "::error file=a%2Cb.toml,line=2,col=1,title=profile::"
        'bot.instance: "50%25" is not a text of 1 to 8 characters of a-z, 0-9 and -, not beginning with -\n'
    )
    assert main(["validate", "--format", "github", "good.toml"]) == 0
    assert capsys.readouterr().out == ""


def test_validating_nothing_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["validate"])
    assert end.value.code == 2
    assert "PROFILE" in capsys.readouterr().err


def child(root: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tradebot.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(root), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_it_imports_nothing_heavy(root: Path) -> None:
    code = (
        "import sys; from tradebot.cli.main import main; status = main(['validate', 'three.toml']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root), "TRADEBOT__BOT__SEED": "2"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ended.stdout.splitlines()[-1] == "[] 1"


def test_it_answers_within_half_a_second(root: Path) -> None:
    def cpu_s() -> float:
        before = os.times()
        assert child(root, "validate", *(f"{root}/profiles/{name}.toml" for name in ("demo", "replay"))).returncode == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    # Processor time, the best of a few runs: what else the machine does meanwhile is not validate's doing.
    assert min(cpu_s() for _ in range(3)) < LIMIT_S


def test_the_environment_is_part_of_what_is_validated(root: Path) -> None:
    ended = child(root, "validate", "good.toml", environ={"TRADEBOT__DROP__TRESHOLD_BPS": "1"})
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        "$TRADEBOT__DROP__TRESHOLD_BPS: names no setting; did you mean TRADEBOT__DROP__THRESHOLD_BPS?",
        "1 fault in 1 of 1 profile",
    ]
