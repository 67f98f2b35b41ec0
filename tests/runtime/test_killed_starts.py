"""Is a text left whose starts are killed on its probation again and again, and no other? Real files and history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.test_generations import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_text_whose_starts_are_killed_on_its_probation_is_left_for_the_last_good_one(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    assert [desk.killed().number for _ in range(3)] == [2, 2, 2]
    choice = desk.choose()
    assert "was rolled back (3 starts in a row were killed on its probation)" in choice.note
    assert choice.loaded.files[-1].source.endswith(b"# first\n")
    assert desk.killed(choice).number == 3
    level, message, _ = desk.told.last("PROFILE_IN_FORCE")
    assert (level, choice.note in message) == ("WARNING", True)
    history = desk.open()
    left = history.generation(2)
    assert left is not None
    assert (left.state, left.reason) == ("condemned", "3 starts in a row were killed on its probation")
    assert history.trial() == {}, "what has passed before is not on trial"
    history.close()
    assert [desk.killed().number for _ in range(4)] == [3, 3, 3, 3], "what it fell back to is not left in its turn"
    assert "3 starts in a row were killed" in desk.choose().note, "it is told as long as the text stands there"


def test_a_start_in_the_place_of_a_text_names_what_it_loosens_until_the_machine_has_heard_of_it(desk: Desk) -> None:
    desk.write("[budget]\nmax_positions = 9\n")
    desk.start()
    desk.write("[budget]\nmax_positions = 3\n")
    assert desk.choose().unconfirmed(known=1, begun=2) == []
    for _ in range(3):
        desk.killed()
    choice = desk.choose()
    assert choice.unconfirmed(known=2, begun=3) == ["budget.max_positions"]
    assert desk.killed(choice).number == 3
    again = desk.choose()
    assert again.continues is not None
    assert again.unconfirmed(known=2, begun=3) == [""], "killed before it was told to the machine"
    assert again.unconfirmed(known=3, begun=3) == []


@pytest.mark.parametrize("what", ["ends", "passes", "edit"])
def test_only_kills_in_a_row_of_one_text_on_probation_count(desk: Desk, what: str) -> None:
    desk.start()
    desk.write("# second\n")
    desk.killed()
    desk.killed()
    if what == "ends":
        desk.killed()
        desk.ended()
    elif what == "passes":
        desk.start()
    else:
        desk.write("# third\n")
    for _ in range(3):
        assert desk.choose().note == ""
        desk.killed()
    assert ("3 starts in a row" in desk.choose().note) == (what != "passes")


def test_a_text_that_is_accepted_after_its_starts_were_killed_is_tried_anew(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    for _ in range(3):
        desk.killed()
    assert desk.choose(accept=True).note == ""
    desk.killed(desk.choose(accept=True))
    for _ in range(2):
        assert desk.choose().note == ""
        desk.killed()
    assert "3 starts in a row" in desk.choose().note


@pytest.mark.parametrize("text", ["[reload]\nprobation_starts = 'off'\n", "[reload]\nprobation_s = 0\n"])
def test_kills_are_not_counted_where_that_is_off(desk: Desk, text: str) -> None:
    desk.start()
    desk.write(text)
    for _ in range(5):
        assert desk.choose().note == ""
        desk.killed()


def test_a_first_text_has_nothing_to_fall_back_to_however_often_it_is_killed(desk: Desk) -> None:
    for _ in range(5):
        assert desk.choose().note == ""
        assert desk.killed().number == 1
