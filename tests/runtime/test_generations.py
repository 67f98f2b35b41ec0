"""Which generation does a start choose, and under which does it begin? Real files and a real history, no bot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.runtime.telling import Told
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import load_profile
from tradebot.config.show import effective
from tradebot.domain.errors import CannotStart
from tradebot.domain.facts import Level, Stream
from tradebot.domain.generation import Generation, ProfileText, Switch, Verdict, VerdictKind
from tradebot.runtime.beginning import begin, open_history
from tradebot.runtime.displacing import texts
from tradebot.runtime.generations import EXITS_ONLY, Choice, choose
from tradebot.storage.history import History
from tradebot.storage.history_rows import Restoring

BUYING_OFF = Switch("buying", False, "someone", 5)


class Heard(Told):
    """Keeps the level and the fields of records, too."""

    def __init__(self) -> None:
        super().__init__()
        self.whole: list[tuple[str, Level, str, dict[str, Any]]] = []

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        super().emit(stream, level, event_type, message, **fields)
        self.whole.append((event_type, level, message, fields))

    def last(self, event_type: str) -> tuple[Level, str, dict[str, Any]]:
        """Return the level, the message and the fields of the last record of its type."""
        _, level, message, fields = next(one for one in reversed(self.whole) if one[0] == event_type)
        return level, message, fields


class Desk:
    """A profile and its history in a folder; `start` does what a start does with them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "one.toml"
        self.store = folder / "state" / "tradebot" / "profiles.sqlite"
        self.store.parent.mkdir(parents=True)
        self.head = f'[bot]\nstate_dir = "{folder}/state"\n[start]\non_faulty = "exits_only"\n'
        self.told = Heard()
        self.write("# first\n")

    def write(self, text: str) -> None:
        self.path.write_text(self.head + text)

    def choose(self, *, accept: bool = False, env: dict[str, str] | None = None) -> Choice:
        return choose(str(self.path), env or {}, accept=accept)

    def start(self, choice: Choice | None = None, above: int = 0) -> Generation:
        """Begin as chosen; the generation passes its probation."""
        history = self.open()
        found = begin(choice or self.choose(), history, above, 10, self.told)
        if found.state != "good":
            history.passed(found.number, 11)
        history.close()
        return found

    def killed(self, choice: Choice | None = None) -> Generation:
        """Begin as chosen; the run is killed on its probation."""
        history = self.open()
        found = begin(choice or self.choose(), history, 0, 10, self.told)
        history.close()
        return found

    def ended(self) -> None:
        """Let the run that began last end by itself."""
        history = self.open()
        history.end_trial()
        history.close()

    def open(self) -> History:
        return open_history(self.store, 1.0, 1_000, self.told)

    def judge(self, kind: VerdictKind) -> None:
        """Judge the text on the disk."""
        history, loaded = self.open(), load_profile(str(self.path), {})
        history.judge(Verdict(loaded.digest, kind, 20, "test", texts(loaded), reason="so it is"))
        history.close()

    def mark(self, number: int) -> None:
        """Leave a rollback to generation `number` behind, cut off before it wrote over what is on the disk."""
        history = self.open()
        history.begin_restore(number, (ProfileText(str(self.path), self.path.read_bytes()),))
        history.close()

    def restoring(self) -> Restoring | None:
        """Return the rollback that was cut off."""
        history = self.open()
        found = history.restoring()
        history.close()
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_same_profile_goes_on_as_the_same_generation(desk: Desk) -> None:
    first = desk.start()
    assert (first.number, first.cause) == (1, "start")
    assert desk.choose().continues == structs.replace(first, state="good", good_ms=11)
    assert desk.start().number == 1


def test_a_number_the_engine_has_heard_of_is_not_gone_below(desk: Desk) -> None:
    first = desk.start()
    again = desk.start(above=4)
    assert (again.number, again.digest, again.previous) == (5, first.digest, 1)
    assert desk.start(above=5).number == 5


def test_an_edit_made_while_no_bot_ran_is_run(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    second = desk.start()
    assert (second.number, second.previous, second.files[-1].source) == (2, 1, desk.path.read_bytes())


@pytest.mark.parametrize("kind", ["pending", "refused", "condemned"])
def test_a_judged_text_is_passed_over_and_accept_overrules_it(desk: Desk, kind: VerdictKind) -> None:
    first = desk.start()
    desk.write("# second\n")
    desk.judge(kind)
    choice = desk.choose()
    assert choice.loaded.digest == first.digest
    assert "(so it is): running generation 1 instead" in choice.note
    assert desk.choose(accept=True).loaded.files[-1].source == desk.path.read_bytes()
    assert desk.start(desk.choose(accept=True)).number == 2
    assert desk.choose().note == ""


def test_a_judged_text_without_any_other_ends_the_start_and_says_how_to_run_it(desk: Desk) -> None:
    desk.start()
    desk.judge("condemned")
    with pytest.raises(ProfileInvalid, match="`--accept` runs it all the same"):
        desk.choose()
    assert desk.choose(accept=True).accepted


def test_a_text_that_was_rejected_and_is_sound_now_is_run(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    desk.judge("rejected")
    assert desk.start().number == 2


def test_a_faulty_text_runs_the_last_good_one_without_entries_if_that_says_so(desk: Desk) -> None:
    first = desk.start()
    desk.write("[exits]\nnothing_like_it = 1\n")
    choice = desk.choose()
    assert (choice.loaded.digest, choice.loaded.profile.features.buying) == (first.digest, False)
    assert [fault.key for fault in choice.faults] == ["exits.nothing_like_it"]
    assert choice.switches[-1].who == EXITS_ONLY
    desk.start(choice)
    desk.write("# first\n")
    assert desk.choose().switches == ()
    assert desk.choose().loaded.profile.features.buying


def test_a_faulty_text_ends_the_start_where_no_good_one_says_otherwise(desk: Desk) -> None:
    desk.head = desk.head.replace("exits_only", "exit")
    desk.write("")
    desk.start()
    desk.write("[exits]\nnothing_like_it = 1\n")
    with pytest.raises(ProfileInvalid, match="nothing_like_it"):
        desk.choose()


def test_a_toggle_set_by_hand_outlives_a_start_without_entries(desk: Desk) -> None:
    desk.start(structs.replace(desk.choose(), switches=(BUYING_OFF,)))
    desk.write("broken [")
    desk.start(desk.choose())
    desk.write("# first\n")
    assert desk.choose().switches == (BUYING_OFF,)


def test_a_profile_elsewhere_is_another_one(desk: Desk, tmp_path: Path) -> None:
    desk.start()
    desk.path = desk.path.rename(tmp_path / "two.toml")
    assert desk.choose().continues is None
    desk.path.write_text("broken [")
    with pytest.raises(ProfileInvalid, match="not TOML"):
        desk.choose()


def test_an_interrupted_rollback_is_carried_through_over_what_it_displaces(desk: Desk) -> None:
    first = desk.start()
    desk.write("# second\n")
    desk.start()
    desk.write("broken [")
    desk.mark(1)
    choice = desk.choose()
    assert choice.restoring == 1
    third = desk.start(choice)
    assert (third.number, third.cause, third.digest) == (3, "rollback", first.digest)
    assert desk.path.read_bytes() == first.files[-1].source
    assert desk.choose().restoring == 0


def test_an_interrupted_rollback_whose_file_was_saved_since_is_given_up_and_the_newer_text_is_run(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    desk.start()
    desk.mark(1)
    desk.write("# third\n")
    newer = desk.path.read_bytes()
    third = desk.start()
    assert (third.cause, third.files[-1].source) == ("start", newer)
    assert desk.path.read_bytes() == newer
    assert "its files were saved again since" in desk.told.texts("PROFILE_ROLLBACK_GIVEN_UP")[0]
    assert desk.restoring() is None


def test_a_newer_text_saved_while_an_interrupted_rollback_is_carried_through_stays(desk: Desk) -> None:
    first = desk.start()
    desk.write("# second\n")
    desk.start()
    desk.mark(1)
    choice = desk.choose()
    desk.write("# third\n")
    newer = desk.path.read_bytes()
    third = desk.start(choice)
    assert third.digest == first.digest
    assert desk.path.read_bytes() == newer
    assert desk.told.texts("PROFILE_FILES_RESTORED") == ["the files are not restored: they were saved again meanwhile"]
    assert desk.choose().loaded.files[-1].source == newer, "it is an edit as any other: the next start runs it"
    assert desk.restoring() is None


def test_a_rollback_to_a_text_that_was_condemned_and_was_interrupted_is_not_passed_over(desk: Desk) -> None:
    desk.start()
    desk.judge("condemned")
    desk.write("# second\n")
    desk.start()
    desk.mark(1)
    third = desk.start()
    assert third.digest == desk.choose().loaded.digest
    assert desk.choose().note == ""


def test_an_interrupted_rollback_of_another_profile_is_left_to_that_one(desk: Desk, tmp_path: Path) -> None:
    desk.start()
    desk.mark(1)
    own, desk.path = desk.path, tmp_path / "two.toml"
    desk.write("# another\n")
    assert desk.start().path == str(desk.path)
    desk.path = own
    assert desk.choose().restoring == 1


def test_an_interrupted_rollback_to_a_text_that_is_refused_by_now_ends_and_the_disk_decides(desk: Desk) -> None:
    first = desk.start()
    history = desk.open()
    old = structs.replace(first, number=history.next_number(), files=(
        structs.replace(first.files[-1], source=b"[exits]\nof_an_older_version = 1\n"),
    ))  # fmt: skip
    history.begin(old)
    history.close()
    desk.mark(old.number)
    assert desk.start().digest == first.digest
    assert desk.path.read_bytes() == first.files[-1].source
    assert "PROFILE_ROLLBACK_GIVEN_UP" in desk.told.kinds()
    history = desk.open()
    assert history.restoring() is None
    history.close()


def test_variables_begin_a_new_generation_of_the_same_text(desk: Desk) -> None:
    first = desk.start()
    second = desk.start(desk.choose(env={"TRADEBOT__EXITS__TAKE_PROFIT_BPS": "77"}))
    assert (second.number, second.digest) == (2, first.digest)
    assert second.effective != first.effective
    assert second.effective == effective(load_profile(str(desk.path), {"TRADEBOT__EXITS__TAKE_PROFIT_BPS": "77"}))


def test_what_was_being_applied_when_the_process_ended_is_told_and_never_came_into_force(desk: Desk) -> None:
    first = desk.start()
    history = desk.open()
    history.begin(structs.replace(first, number=history.next_number()))
    history.close()
    assert desk.start().number == 1
    assert desk.told.kinds().count("PROFILE_UNFINISHED") == 1
    history = desk.open()
    found = history.generation(2)
    history.close()
    assert found is not None
    assert found.state == "failed"
    assert desk.start(above=2).number == 3


def test_a_start_on_another_text_tells_what_it_changes_and_what_of_it_loosens(desk: Desk) -> None:
    desk.write("[exits]\nstop_loss_bps = 300\n[budget]\nmax_positions = 2\n")
    assert desk.start().changes == ()
    desk.write("[exits]\nstop_loss_bps = 200\n[budget]\nmax_positions = 2\n")
    tighter = desk.start()
    level, message, fields = desk.told.last("PROFILE_IN_FORCE")
    assert (level, fields["changes"]) == ("INFO", ["exits.stop_loss_bps 300 → 200"])
    assert message.endswith(" · exits.stop_loss_bps 300 → 200")
    assert [" ".join(line.split()) for line in tighter.changes] == fields["changes"]
    desk.write("[exits]\nstop_loss_bps = 200\n[budget]\nmax_positions = 9\n")
    desk.start()
    level, message, fields = desk.told.last("PROFILE_IN_FORCE")
    assert level == "WARNING"
    assert "loosens budget.max_positions · budget.max_positions 2 → 9" in message
    desk.start()
    level, message, fields = desk.told.last("PROFILE_IN_FORCE")
    assert (level, fields["changes"]) == ("INFO", []), "what goes on changes nothing"


def test_a_history_that_is_gone_is_told_where_generations_were_known(desk: Desk) -> None:
    desk.start()
    assert "PROFILE_HISTORY_LOST" not in desk.told.kinds()
    for path in desk.store.parent.glob(f"{desk.store.name}*"):
        path.unlink()
    assert desk.start(above=1).number == 2
    level, message, fields = desk.told.last("PROFILE_HISTORY_LOST")
    assert (level, fields["known"]) == ("ERROR", 1)
    assert "the text on the disk is run" in message


def test_a_history_that_changes_between_choosing_and_beginning_ends_the_start(desk: Desk) -> None:
    desk.start()
    desk.write("# second\n")
    choice = desk.choose()
    desk.start(structs.replace(desk.choose(), switches=(BUYING_OFF,)))
    with pytest.raises(CannotStart, match="history changed while the bot was starting"):
        desk.start(choice)
    assert desk.start().switches == (BUYING_OFF,)
