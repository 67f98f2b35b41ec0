"""Does the profile history keep every generation, verdict and toggle as it was told, and say what to fall back to?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec import structs

from tests.storage.generations import apply, digest, effective, files, generation, open_history, verdict
from tradebot.domain.errors import StorageFailed
from tradebot.domain.generation import ProfileText, Switch
from tradebot.storage.history import Entry, History, HistoryDamaged, Restoring

HELD = Switch("buying", on=False, who="ada", at_ms=5, why="calm")


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    opened = open_history(tmp_path / "profiles.sqlite")
    yield opened
    opened.close()


# -- generations ------------------------------------------------------------------------------------


def test_a_new_history_is_private_and_knows_nothing(history: History) -> None:
    assert history.path.stat().st_mode & 0o777 == 0o600
    assert history.in_force() is None
    assert history.last_good() is None
    assert history.verdicts(9) == ()
    assert history.restoring() is None
    assert (history.generations(9), history.unfinished(), history.verdicts(9), history.switches()) == ((), (), (), ())


def test_a_generation_comes_back_exactly_also_after_a_reopening(history: History) -> None:
    apply(history, 1, good=True)
    expected = structs.replace(generation(1), state="good", good_ms=3001)
    assert history.in_force() == history.generation(1) == expected
    history.close()
    history.close()
    reopened = open_history(history.path)
    assert reopened.in_force() == expected
    reopened.close()


def test_numbers_only_rise_whoever_asks(history: History) -> None:
    assert [history.next_number() for _ in range(3)] == [1, 2, 3]
    apply(history, 7)
    assert history.next_number() == 8
    assert history.next_number(above=41) == 42
    other = open_history(history.path)
    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(lambda turn: (history, other)[turn % 2].next_number(), range(40)))
    other.close()
    assert sorted(numbers) == list(range(43, 83))


def test_what_is_begun_and_not_committed_leaves_the_old_in_force(history: History) -> None:
    apply(history, 1)
    history.begin(generation(2))
    reopened = open_history(history.path)
    current = reopened.in_force()
    assert current is not None
    assert (current.number, current.state) == (1, "applied")
    assert reopened.unfinished() == (generation(2),)
    reopened.fail(2, 9, "the process was killed")
    assert reopened.unfinished() == ()
    failed = reopened.generation(2)
    reopened.close()
    assert failed == structs.replace(generation(2), state="failed", reason="the process was killed")


def test_a_number_is_used_once(history: History) -> None:
    apply(history, 1)
    with pytest.raises(StorageFailed, match=r"profiles\.sqlite: generation 1 is in the history already"):
        history.begin(generation(1, text=2))
    assert history.in_force() == structs.replace(generation(1), state="applied")


def test_a_generation_is_begun_as_preparing_whatever_it_says(history: History) -> None:
    history.begin(structs.replace(generation(1), state="good"))
    assert history.unfinished() == (generation(1),)


def test_a_commit_sets_the_toggles_and_settles_the_verdict_with_it(history: History) -> None:
    history.judge(verdict(1, "pending"))
    history.begin(generation(1))
    second = Switch("aging", on=True, who="bot", at_ms=6)
    history.commit(1, 9, switches=(second, HELD), settle=digest(1))
    assert history.switches() == (second, HELD)
    assert history.verdicts(9) == ()
    apply(history, 2)
    assert history.switches() == (second, HELD), "a commit that says nothing of toggles leaves them"
    history.begin(generation(3))
    history.commit(3, 9, switches=())
    assert history.switches() == ()


def test_a_commit_that_cannot_be_leaves_everything(history: History) -> None:
    apply(history, 1)
    history.judge(verdict(2, "pending"))
    history.begin(generation(2))
    history.fail(2, 9, "no port")
    for number, state in ((2, "failed"), (1, "applied"), (3, "unknown")):
        with pytest.raises(StorageFailed, match=f"generation {number} is {state}, so it cannot become applied"):
            history.commit(number, 9, switches=(HELD,), settle=digest(2))
    assert history.switches() == ()
    assert history.verdicts(9) == (verdict(2, "pending"),)
    assert [one.number for one in history.generations(9)] == [2, 1]
    with pytest.raises(StorageFailed, match="generation 2 is failed, so it cannot become good"):
        history.passed(2, 9)
    with pytest.raises(StorageFailed, match="generation 1 is applied, so it cannot become failed"):
        history.fail(1, 9, "late")


def test_generations_are_told_newest_first(history: History) -> None:
    for number in (1, 2, 5):
        apply(history, number)
    assert [one.number for one in history.generations(2)] == [5, 2]


# -- what was rolled back, and what to fall back to ---------------------------------------------------------


def test_a_condemned_generation_condemns_its_text(history: History) -> None:
    apply(history, 1, good=True)
    apply(history, 2)
    history.condemn(2, 50, "drawdown 210 bps > 200", "guard")
    condemned = history.generation(2)
    assert condemned is not None
    assert (condemned.state, condemned.reason) == ("condemned", "drawdown 210 bps > 200")
    found = history.verdict(digest(2))
    assert found is not None
    assert (found.kind, found.at_ms, found.who, found.generation) == ("condemned", 50, "guard", 2)
    assert (found.files, found.reason) == (files(2), "drawdown 210 bps > 200")


def test_a_condemned_toggle_leaves_its_text_in_peace(history: History) -> None:
    apply(history, 1, good=True)
    history.begin(generation(2, text=1, cause="feature"))
    history.commit(2, 9, switches=(HELD,))
    history.condemn(2, 50, "errors", "guard")
    assert history.verdicts(9) == ()
    fallback = history.last_good()
    assert fallback is not None
    assert fallback.number == 1


def test_the_first_generation_has_none_before_it_to_share_its_text_with(history: History) -> None:
    apply(history, 1)
    history.condemn(1, 50, "errors", "guard")
    assert history.verdict(digest(1)) is not None
    assert history.last_good() is None


def number_of(found: object) -> int:
    return getattr(found, "number", 0)


def test_the_fallback_is_the_newest_good_one_else_the_newest_applied_one(history: History) -> None:
    apply(history, 1)
    assert number_of(history.last_good()) == 1
    apply(history, 2)
    assert number_of(history.last_good()) == 2
    assert number_of(history.last_good(excluding=digest(2))) == 1
    history.passed(1, 9)
    assert number_of(history.last_good()) == 1
    apply(history, 3, good=True)
    history.begin(generation(4))
    assert number_of(history.last_good()) == 3
    assert number_of(history.last_good(excluding=digest(3))) == 1


def test_a_text_that_was_condemned_is_no_fallback_though_it_once_was_good(history: History) -> None:
    apply(history, 1, good=True)
    apply(history, 2, good=True)
    apply(history, 3, text=1)
    history.condemn(3, 50, "drawdown", "guard")
    assert number_of(history.last_good()) == 2
    assert history.last_good(excluding=digest(2)) is None
    history.accept(digest(1), 60, "ada")
    assert number_of(history.last_good(excluding=digest(2))) == 1


# -- texts that are not in force ----------------------------------------------------------------------------


def test_a_verdict_comes_back_exactly_and_a_newer_one_on_the_same_text_replaces_it(history: History) -> None:
    history.judge(verdict(1, "refused"))
    assert history.verdict(digest(1)) == verdict(1, "refused")
    history.judge(verdict(1, "rejected", at_ms=8))
    assert history.verdicts(9) == (verdict(1, "rejected", at_ms=8),)
    assert history.verdict("unheard of") is None


def test_a_newer_pending_text_is_told_first_and_the_verdict_on_the_older_one_stays(history: History) -> None:
    history.judge(verdict(1, "refused"))
    history.judge(verdict(2, "pending"))
    history.judge(verdict(3, "pending"))
    assert history.verdicts(9) == (verdict(3, "pending"), verdict(2, "pending"), verdict(1, "refused"))
    assert history.verdicts(1) == (verdict(3, "pending"),)
    history.judge(verdict(3, "refused"))
    assert history.verdicts(1) == (verdict(3, "refused"),)


def test_a_text_was_good_once_a_generation_of_it_passed_and_until_it_is_condemned(history: History) -> None:
    apply(history, 1, good=True)
    apply(history, 2)
    assert [history.was_good(digest(number)) for number in (1, 2, 3)] == [True, False, False]
    history.passed(2, 9)
    history.condemn(2, 50, "drawdown 210 bps > 200", "guard")
    assert [history.was_good(digest(number)) for number in (1, 2)] == [True, False]
    history.judge(verdict(1, "condemned"))
    assert not history.was_good(digest(1))
    history.accept(digest(1), 60, "ada")
    assert history.was_good(digest(1)), "what is accepted again counts again"


def test_an_accepted_text_has_no_verdict_and_the_acceptance_stays_to_be_shown(history: History) -> None:
    history.judge(verdict(1, "refused"))
    assert history.accept(digest(1), 90, "ada") == verdict(1, "refused")
    assert history.verdict(digest(1)) is None
    assert history.entries(1) == (Entry(90, "accepted", 0, digest(1), "ada", "refused: refused it is"),)
    assert history.accept(digest(1), 91, "ada") is None
    assert len(history.entries(9)) == 2


def test_every_step_of_a_generation_is_a_line_with_its_time(history: History) -> None:
    apply(history, 1, good=True)
    history.condemn(1, 4001, "crashed", "start")
    history.begin(generation(2))
    history.fail(2, 4002, "no port")
    assert history.entries(9) == (
        Entry(4002, "failed", 2, digest(2), "", "no port"),
        Entry(1002, "begun", 2, digest(2), "ada"),
        Entry(4001, "condemned", 1, digest(1), "start", "crashed"),
        Entry(3001, "good", 1, digest(1)),
        Entry(2001, "applied", 1, digest(1)),
        Entry(1001, "begun", 1, digest(1), "ada"),
    )


# -- the mark of a rollback, upkeep, threads -----------------------------------------------------------------


def test_a_rollback_that_is_cut_off_is_known_at_the_next_opening(history: History) -> None:
    displaced = (ProfileText("bot.toml", b"\xfe what the operator had"),)
    history.begin_restore(3, displaced)
    reopened = open_history(history.path)
    assert reopened.restoring() == Restoring(3, displaced)
    reopened.begin_restore(4, ())
    assert reopened.restoring() == Restoring(4, ())
    reopened.end_restore()
    reopened.end_restore()
    assert reopened.restoring() is None
    reopened.close()


def kept(history: History) -> list[int]:
    return [one.number for one in reversed(history.generations(99)) if one.files]


def test_pruning_keeps_numbers_and_lines_and_the_texts_that_may_be_needed(history: History) -> None:
    for number in (1, 2):
        apply(history, number, good=True)
    history.judge(verdict(90, "pending"))
    for number in (91, 92, 93):
        history.judge(verdict(number, "rejected" if number == 91 else "refused"))
    history.begin(generation(3))
    for number in (4, 5, 6, 7):
        apply(history, number)
    apply(history, 8, text=2)
    history.begin_restore(4, ())
    assert history.prune(1) == 3 + 2
    # 1: the fallback from the text in force; 2: the last good one; 3: being prepared; 4: being restored; 8: in force
    assert kept(history) == [1, 2, 3, 4, 8]
    assert history.in_force() == structs.replace(generation(8, text=2), state="applied")
    assert history.last_good() == structs.replace(generation(2), state="good", good_ms=3002)
    assert verdict(90, "pending") in history.verdicts(100), "what waits keeps its text"
    pruned = structs.replace(generation(5), state="applied", files=(), effective="")
    assert history.generation(5) == pruned
    assert [one.digest for one in history.verdicts(9)] == [digest(93), digest(92), digest(90)]
    assert history.verdict(digest(92)) == structs.replace(verdict(92, "refused"), files=())
    assert history.prune(1) == 0
    assert history.last_good(excluding=digest(2)) == structs.replace(generation(1), state="good", good_ms=3001)


def test_a_text_is_stored_once_and_goes_with_the_last_that_names_it(history: History) -> None:
    def bodies() -> set[bytes]:
        database = sqlite3.connect(history.path)
        found = {body for (body,) in database.execute("SELECT body FROM bodies")}
        database.close()
        return found

    for number in range(1, 6):
        apply(history, number, text=number % 2, good=True)
    texts = {file.source for text in (0, 1) for file in files(text)} | {effective(text).encode() for text in (0, 1)}
    assert bodies() == texts
    apply(history, 6, text=1, good=True)
    apply(history, 7, text=1, good=True)
    history.begin(generation(8, text=3))
    history.fail(8, 9, "no port")
    history.prune(0)
    assert kept(history) == [4, 7], "text 0 is the fallback from text 1, which is in force"
    assert bodies() == texts


def test_a_text_that_was_altered_is_not_taken_for_the_generation(history: History) -> None:
    apply(history, 1)
    database = sqlite3.connect(history.path)
    database.execute("UPDATE bodies SET body = CAST('# nothing' AS BLOB) WHERE body = ?", (files(1)[1].source,))
    database.commit()
    with pytest.raises(HistoryDamaged, match=r"profiles\.sqlite: the profile history is damaged \(text \w+ is altered"):
        history.in_force()
    database.execute("DELETE FROM bodies")
    database.commit()
    database.close()
    with pytest.raises(HistoryDamaged, match="is missing"):
        history.generation(1)


def test_rows_that_no_version_wrote_are_damage(history: History) -> None:
    apply(history, 1)
    history.judge(verdict(1, "refused"))
    database = sqlite3.connect(history.path)
    database.execute("UPDATE generations SET state = 'splendid'")
    database.execute("UPDATE verdicts SET keys = 'nothing of the kind'")
    database.commit()
    database.close()
    with pytest.raises(HistoryDamaged, match="a row cannot be read"):
        history.in_force()
    with pytest.raises(HistoryDamaged, match="a list cannot be read"):
        history.verdict(digest(1))


def test_a_path_that_is_no_text_is_refused_and_leaves_nothing(history: History) -> None:
    odd = structs.replace(generation(1), files=(ProfileText("bot-\udcff.toml", b""),))
    with pytest.raises(StorageFailed, match=r"profiles\.sqlite: the profile history cannot be written"):
        history.begin(odd)
    history.begin(generation(1))


def test_a_closed_history_says_so(history: History) -> None:
    history.close()
    with pytest.raises(StorageFailed, match="closed database"):
        history.in_force()


def test_any_thread_may_call(history: History) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: apply(history, number), range(1, 30)))
        seen = list(threads.map(lambda _: history.in_force(), range(20)))
    assert {one.number for one in history.generations(99)} == set(range(1, 30))
    assert len({number_of(one) for one in seen}) == 1
