"""Does `tradebot report` print what a person and what a script need, each in its place?"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.research.facts import Story
from tests.research.sessions import journal, session
from tradebot.cli.main import main


def call(*words: str) -> int:
    return main(["report", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    story = Story()
    story.round_trip()
    return session(tmp_path, journal(tmp_path / "journal.sqlite3", story.facts), "r1")


@pytest.fixture
def other(folder: Path, tmp_path: Path) -> Path:
    """Return a second session, of the same journal."""
    return session(tmp_path, tmp_path / "journal.sqlite3", "r1")


def test_one_session_is_told_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(folder)) == 0
    out, err = capsys.readouterr()
    assert "1 won, 0 lost" in out
    assert "total of" not in out
    assert err == ""


def test_latest_is_the_newest_session(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("latest", "--dir", str(folder.parent)) == 0
    assert folder.name in capsys.readouterr().out


def test_several_sessions_are_told_with_their_total(
    folder: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(str(folder), str(other)) == 0
    out = capsys.readouterr().out
    assert out.count("1 won, 0 lost") == 2
    assert "total of 2 sessions in USDT" in out
    assert "2 won, 0 lost" in out


def test_a_session_named_twice_counts_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(folder), "latest", "--dir", str(folder.parent)) == 0
    out = capsys.readouterr().out
    assert out.count("1 won, 0 lost") == 1
    assert "total of" not in out


def test_json_is_one_object_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(folder), "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out, parse_float=Decimal)
    assert told["sessions"][0]["summary"]["pnl_quote"] == Decimal("9.8")
    assert told["totals"][0]["counts"]["trades"] == 1
    assert "1 won, 0 lost" in err


def test_trades_are_written_as_csv(
    folder: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "trades.csv"
    assert call(str(folder), str(other), "--csv", str(target)) == 0
    with target.open(newline="") as file:
        assert [row["pnl"] for row in csv.DictReader(file)] == ["9.8", "9.8"]
    assert f"2 trades written to {target}" in capsys.readouterr().err


def test_what_cannot_be_reported_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(str(tmp_path / "nothing")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tradebot: no session")
    assert err.count("\n") == 1
