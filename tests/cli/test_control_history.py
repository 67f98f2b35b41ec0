"""Are the generations of a profile told from the history, whether a bot runs or not?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from tradebot.cli.history import differences
from tradebot.cli.main import main
from tradebot.domain.generation import Generation, ProfileText, Switch
from tradebot.storage.history import History
from tradebot.storage.home import Home

AT_MS = 1_790_000_000_000

FIRST = """\
[drop]
threshold_bps = 250
[drop.symbol."BTC/USDT"]
threshold_bps = 120
[execution]
steps = [{ tif = "IOC", offset_bps = 0 }, { tif = "GTC", offset_bps = 2 }]
[market]
symbols = ["BTC/USDT"]
"""
SECOND = (
    FIRST.replace("= 250", "= 300.50")
    .replace('["BTC/USDT"]\n', '["BTC/USDT", "ETH/USDT"]\n')
    .replace(', { tif = "GTC", offset_bps = 2 }', "")
)


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a bot that has ended after three generations, the second of them rolled back."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "state" / "prod"
    home.mkdir(parents=True)
    past = History.open(home / "profiles.sqlite", 1.0)
    for effective, cause, who, changes in (
        (FIRST, "start", "start", ()),
        (SECOND, "edit", "file", ("drop.threshold_bps 250 → 300.50",)),
        (FIRST, "automatic", "guard", ()),
    ):
        number = past.next_number()
        past.begin(
            Generation(
                number=number,
                at_ms=AT_MS + number * 1000,
                cause=cause,  # type: ignore[arg-type]
                who=who,
                path="prod.toml",
                digest=f"{number:064x}",
                files=(ProfileText("prod.toml", effective.encode()),),
                effective=effective,
                changes=changes,
                switches=(Switch("buying", on=False, who="cli:ann", at_ms=AT_MS),) if number == 3 else (),
                previous=number - 1,
            )
        )
        past.commit(number, AT_MS + number * 1000)
    past.condemn(2, AT_MS + 3000, "7 errors in a minute, limit 5", "guard")
    past.close()
    return home


def test_the_history_is_told_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "history"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "    3  2026-09-21 14:13:23 UTC  automatic by guard · in force, applied · set: buying off",
        "    2  2026-09-21 14:13:22 UTC  edit by file · condemned · 7 errors in a minute, limit 5",
        "       drop.threshold_bps 250 → 300.50",
        "    1  2026-09-21 14:13:21 UTC  start · applied",
    ]
    assert main(["profile", "history", "--limit", "1", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["number"], one["in_force"], one["overrides"]) == (3, True, ["buying off"])


def test_two_generations_are_compared_setting_by_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "diff", "1", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "generation 1 → 2",
        "  drop.threshold_bps             250 → 300.50",
        '  execution.steps[1].tif         "GTC" → –',
        "  execution.steps[1].offset_bps  2 → –",
        '  market.symbols                 ["BTC/USDT"] → ["BTC/USDT", "ETH/USDT"]',
    ]
    assert main(["profile", "diff", "2", "--home", "state/prod"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("generation 2 → 3\n")
    assert "300.50 → 250" in told
    assert main(["profile", "diff", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == ["generation 1 → 3", "  the same settings"]


def test_a_table_by_name_is_entered_and_an_empty_one_shows() -> None:
    assert list(differences('[drop.symbol."BTC/USDT"]\nx = 1\n', '[drop.symbol."BTC/USDT"]\nx = 2\n')) == [
        ('drop.symbol."BTC/USDT".x', "1", "2")
    ]
    assert list(differences("[drop]\nsymbol = {}\n", "")) == [("drop.symbol", "{}", "–")]
    assert list(differences("", "")) == []


def test_a_generation_is_shown_as_it_was_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "--generation", "2"]) == 0
    assert capsys.readouterr().out == SECOND
    Path("prod.toml").write_text('[bot]\ninstance = "prod"\n')
    assert main(["profile", "show", "prod.toml", "--generation", "1"]) == 0
    assert capsys.readouterr().out == FIRST


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["profile", "show"], "name a profile, or a generation with --generation N"),
        (["profile", "show", "--generation", "9"], "there is no generation 9; `tradebot profile history` lists them"),
        (["profile", "diff", "1", "9"], "there is no generation 9; `tradebot profile history` lists them"),
        (
            ["profile", "history", "--home", "state/none"],
            "state/none/profiles.sqlite: is not there; no bot has run there yet",
        ),
    ],
)
def test_what_is_not_there_is_one_line(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err == f"tradebot: {error}\n"


def test_a_text_that_is_not_kept_any_more_is_told(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past = History.open(history / "profiles.sqlite", 1.0)
    past.prune(1)
    past.close()
    assert main(["profile", "show", "--generation", "2"]) == 1
    assert capsys.readouterr().err == ("tradebot: generation 2: its text is not kept any more, only what it changed\n")


def test_of_several_homes_one_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state/test").mkdir()
    (tmp_path / "state/test/profiles.sqlite").write_bytes(b"")
    assert main(["profile", "history"]) == 1
    assert capsys.readouterr().err == (
        "tradebot: 2 bots were there below state/: state/prod, state/test; name one with --home or --profile\n"
    )
    assert main(["profile", "history", "--home", "state/prod"]) == 0


def test_of_several_homes_the_one_that_runs_is_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Home.open(tmp_path / "state", "test").close()
    (tmp_path / "state/test/profiles.sqlite").write_bytes(b"")
    running = Home.open(tmp_path / "state", "prod")
    assert main(["profile", "history", "--limit", "1"]) == 0
    assert "in force" in capsys.readouterr().out
    other = Home.open(tmp_path / "state", "test")
    assert main(["profile", "history"]) == 1
    assert "2 bots were there below state/" in capsys.readouterr().err
    other.close()
    running.close()


def test_a_start_tells_what_it_changed(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past = History.open(history / "profiles.sqlite", 1.0)
    force = past.in_force()
    assert force is not None
    changes = ("drop.threshold_bps 250 → 200",)
    started = structs.replace(force, number=past.next_number(), cause="start", who="start", changes=changes)
    past.begin(started)
    past.commit(started.number, AT_MS)
    past.close()
    assert main(["profile", "history", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["       drop.threshold_bps 250 → 200"]


def test_a_damaged_history_is_told_with_its_place(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (history / "profiles.sqlite").write_bytes(b"no database at all" * 100)
    assert main(["profile", "history"]) == 1
    assert capsys.readouterr().err.startswith("tradebot: state/prod/profiles.sqlite: ")
