"""Does a rebuilt journal take the damaged one's place whole or not at all, and is nothing ever lost by it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.storage.journals import WAIT_S, open_journal
from tradebot.domain.errors import StorageFailed
from tradebot.domain.facts import RunOpened
from tradebot.storage.journal_file import read_facts
from tradebot.storage.journal_replacing import (
    NEW,
    PLAN,
    carry_out,
    decide,
    finished,
    note_runs,
    pending,
    room_for_new,
    runs_of,
)

NOW_MS = 1_800_000_000_000
TOLD = {"restored": "from 2 facts", "sound_facts": 2, "facts": 1, "orders": 1, "fills": 0, "source": "binance"}


def write_new(folder: Path, *runs: str) -> None:
    """Write a journal of so many runs where a new one belongs."""
    journal = open_journal(room_for_new(folder))
    for run in runs:
        journal.append([RunOpened(run=run, generation=1)], NOW_MS)
    assert journal.close(WAIT_S)


def leave_damaged(folder: Path) -> None:
    (folder / "journal.sqlite").write_bytes(b"damaged")
    (folder / "journal.sqlite-wal").write_bytes(b"its log")
    (folder / "checkpoint.json").write_bytes(b"cut off")


def runs(folder: Path) -> list[str]:
    facts = [fact for _, _, fact in read_facts(folder / "journal.sqlite")]
    return [fact.run for fact in facts if isinstance(fact, RunOpened)]


def test_the_damaged_files_are_kept_and_the_new_journal_is_in_their_place(tmp_path: Path) -> None:
    leave_damaged(tmp_path)
    write_new(tmp_path, "a", "b")
    decide(tmp_path, ["checkpoint.json"], NOW_MS, TOLD)
    heard: list[tuple[str, dict[str, Any]]] = []
    said = finished(tmp_path, lambda text, told: heard.append((text, told)))
    assert runs(tmp_path) == ["a", "b"]
    aside = {path.read_bytes() for path in tmp_path.glob("*.20*")}
    assert aside == {b"damaged", b"its log", b"cut off"}
    assert said[-1] == "journal.sqlite is written anew: 2 sound facts, 1 put back"
    ((text, told),) = heard
    assert "1 orders and 0 fills put back from binance" in text
    assert {(tmp_path / name).exists() for name in told["aside"]} == {True}
    assert not (tmp_path / NEW).exists()
    assert not (tmp_path / PLAN).exists()
    assert finished(tmp_path) == []


def test_before_it_is_decided_nothing_has_changed_and_the_next_attempt_begins_anew(tmp_path: Path) -> None:
    leave_damaged(tmp_path)
    write_new(tmp_path, "a")
    assert finished(tmp_path) == []
    assert (tmp_path / "journal.sqlite").read_bytes() == b"damaged"
    write_new(tmp_path, "b")
    decide(tmp_path, [], NOW_MS, TOLD)
    finished(tmp_path)
    assert runs(tmp_path) == ["b"]


@pytest.mark.parametrize("done", range(4))
def test_once_it_is_decided_whoever_comes_ends_it_however_far_it_got(tmp_path: Path, done: int) -> None:
    leave_damaged(tmp_path)
    write_new(tmp_path, "a")
    decided = decide(tmp_path, ["checkpoint.json"], NOW_MS, TOLD)
    assert len(decided.moves) == 3
    for old, new in decided.moves[:done]:
        (tmp_path / old).rename(tmp_path / new)
    finished(tmp_path)
    assert runs(tmp_path) == ["a"]
    assert {path.read_bytes() for path in tmp_path.glob("*.20*")} == {b"damaged", b"its log", b"cut off"}


def test_a_journal_that_is_in_its_place_is_never_set_aside_by_the_plan_that_put_it_there(tmp_path: Path) -> None:
    leave_damaged(tmp_path)
    write_new(tmp_path, "a")
    decided = decide(tmp_path, [], NOW_MS, TOLD)
    carry_out(tmp_path, decided)
    for _, new in decided.moves:
        (tmp_path / new).unlink()  # by a person who has looked at them
    assert pending(tmp_path) == decided
    finished(tmp_path)
    assert runs(tmp_path) == ["a"]


def test_what_is_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    write_new(tmp_path, "a")
    decide(tmp_path, [], NOW_MS, TOLD)
    (tmp_path / "journal.sqlite").write_bytes(b"put there since")
    with pytest.raises(StorageFailed, match="in the way"):
        finished(tmp_path)
    assert (tmp_path / "journal.sqlite").read_bytes() == b"put there since"
    assert (tmp_path / NEW).exists()


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / PLAN).write_bytes(b"{")
    with pytest.raises(StorageFailed, match="plan of a rebuild"):
        finished(tmp_path)


def test_earlier_runs_are_known_to_the_new_journal(tmp_path: Path) -> None:
    write_new(tmp_path, "a")
    note_runs(tmp_path / NEW, {"a", "b"}, NOW_MS)
    assert runs_of(tmp_path / NEW) == {"a", "b"}
    assert runs_of(tmp_path / "nothing") == frozenset()
    leave_damaged(tmp_path)
    assert runs_of(tmp_path / "journal.sqlite") == frozenset()
