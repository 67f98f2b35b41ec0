"""Does `tradebot journal` print what stands in a journal, all or what was asked for, whether a bot runs or not?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.storage.journals import WAIT_S, fact, fill, open_journal
from tradebot.cli.main import main
from tradebot.domain.facts import CATALOGUE
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal_archive import files
from tradebot.storage.journal_pruning import DAY_MS, Keeping, prune


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a journal of 2,000 facts: in turn one about the account and a fill."""
    home = tmp_path / "state" / "prod"
    home.mkdir(parents=True)
    journal = open_journal(home / "journal.sqlite")
    for number in range(1, 1001):
        journal.append([fact(number), fill(number)], 1_700_000_000_000 + number)
    assert journal.close(WAIT_S)
    return home


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[dict[str, Any]]:
    """Return the objects that the command prints."""
    capsys.readouterr()
    assert main(["journal", *words]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_fact_is_a_line_with_stable_keys(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "--home", str(home))
    assert [line["seq"] for line in lines] == list(range(1, 2001))
    assert lines[0] == {
        "seq": 1,
        "time": "2023-11-14T22:13:20.001Z",
        "type": "ACCOUNT_OPENED",
        "fields": {"asset": "USDT", "amount": "1"},
    }
    assert list(lines[1]) == ["seq", "time", "type", "fields"]
    assert lines[1]["fields"]["price"] == "64102.10", "money is text, with every digit"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--from", "1999"], [1999, 2000]),
        (["--to", "3"], [1, 2, 3]),
        (["--from", "1_000", "--to", "1_001"], [1000, 1001]),
        (["--to", "4", "--type", "ORDER_FILLED"], [2, 4]),
        (["--to", "4", "--type", "AccountOpened", "ORDER_FILLED"], [1, 2, 3, 4]),
        (["--order", "bot-run-7"], [14]),
        (["--order", "bot-run-7", "--type", "ACCOUNT_OPENED"], []),
        (["--from", "5000"], []),
    ],
)
def test_what_is_asked_for_alone_is_printed(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], wanted: list[int]
) -> None:
    assert [line["seq"] for line in told(capsys, "--home", str(home), *words)] == wanted


def test_every_type_of_the_catalogue_can_be_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in CATALOGUE:
        assert len(told(capsys, "--home", str(home), "--to", "2", "--type", kind.event_type)) <= 1
    assert len({kind.event_type for kind in CATALOGUE}) == len(CATALOGUE), "a type names one kind of fact"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "ORDER_FILED"], "did you mean ORDER_FILLED?"),
        (["--from", "0"], "they count from 1"),
        (["--from", "x"], "they count from 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        main(["journal", "--home", str(home), *words])
    assert said in capsys.readouterr().err


def test_the_only_bot_is_found_and_a_missing_journal_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent.parent)
    assert len(told(capsys, "--to", "2")) == 2
    assert main(["journal", "--home", "state/other"]) == 1
    assert "no bot has run there yet" in capsys.readouterr().err


def pruned(home: Path, *, archive: bool) -> None:
    journal = open_journal(home / "journal.sqlite")
    document = assemble(b'{"seq":1500,"state":{}}', [])
    prune(journal, document, Keeping(2, 10**9, archive=archive), 1_700_000_000_000 + 9 * DAY_MS, lambda: False)
    assert journal.close(WAIT_S)


def test_facts_of_the_archive_are_printed_like_others(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruned(home, archive=True)
    assert [line["seq"] for line in told(capsys, "--home", str(home))] == list(range(1, 2001))
    assert [line["seq"] for line in told(capsys, "--home", str(home), "--order", "bot-run-7")] == [14]


def test_dropped_facts_are_passed_over_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruned(home, archive=False)
    assert main(["journal", "--home", str(home)]) == 0
    said = capsys.readouterr()
    assert [json.loads(line)["seq"] for line in said.out.splitlines()] == list(range(1501, 2001))
    assert "facts 1 to 1,500 have left the journal and are in no archive" in said.err
    assert main(["journal", "--home", str(home), "--from", "3"]) == 1
    assert "facts 3 to 1,500 have left the file" in capsys.readouterr().err


def test_check_tells_that_all_is_sound_or_where_it_is_not(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "journal.sqlite"
    pruned(home, archive=True)
    assert main(["journal", "--home", str(home), "--check"]) == 0
    assert "500 facts, all sound, up to 2,000; 1,500 more in the archive" in capsys.readouterr().out
    ((_, _, archived),) = files(path)
    sound = archived.read_bytes()
    archived.write_bytes(sound[:-100])
    assert main(["journal", "--home", str(home), "--check"]) == 1
    assert f"{archived}: damaged at line" in capsys.readouterr().err
    archived.write_bytes(sound)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"client_id":"bot-run-900"', b'"client_id":"bot-run-901"'))
    assert main(["journal", "--home", str(home), "--check"]) == 1
    said = capsys.readouterr().err
    assert "fact 1800 cannot be read (it is not as it was written" in said
    assert "sound before it: 299 facts; after it: 200; lost between: 1" in said


def test_following_a_bot_prints_what_it_writes_and_a_closed_pipe_ends_it_quietly(home: Path) -> None:
    journal = open_journal(home / "journal.sqlite")
    command = [sys.executable, "-m", "tradebot.cli.main", "journal", "--home", str(home), "--from", "2000", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 2000
        journal.append([fact(1)], 1)
        assert json.loads(process.stdout.readline())["seq"] == 2001
        journal.append([fact(2), fact(3)], 2)
        assert [json.loads(process.stdout.readline())["seq"] for _ in range(2)] == [2002, 2003]
        process.stdout.close()
        journal.append([fact(4)], 3)
        assert process.wait(WAIT_S) == 1
        assert process.stderr.read() == ""
    assert journal.close(WAIT_S)


def test_following_ends_with_the_last_fact_that_was_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "--home", str(home), "--follow", "--from", "1990", "--to", "1991")
    assert [line["seq"] for line in lines] == [1990, 1991]
