"""What does a start run: after an edit that waits, was refused or did harm, on a faulty file, on a damaged history?"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.generations_kit import Nursery, Place
from tests.integration.processes import Bot
from tradebot.control.client import Refused
from tradebot.domain.facts import IntentOpened, PositionClosed
from tradebot.domain.generation import Generation, Switch
from tradebot.domain.orders import Side
from tradebot.storage.history import History
from tradebot.storage.journal_file import read_facts

CALM = """
[reload]
sweep_s = 60
probation_s = 0
"""

GUARDED = """
[reload]
sweep_s = 60
guards.max_slow_cycles_per_min = 1
"""

APPLIED = {"applied", "unchanged"}
"""What a reload says of a sound edit, which the watcher may have noticed before."""

LOOSER = "[exits]\nmax_hold_s = 3\n"
RESTART = "[engine]\nqueue_limit = 50_000\n"
HARMFUL = "[engine]\nslow_cycle_s = 0.0000001\n"
FAULTY = "[exits]\nmax_hold_s = 'long'\nno_such_key = 1\n"
BROKEN = "[exits\nmax_hold_s = "

KEEPS = "[exits]\ntake_profit_bps = 3000\nstop_loss_bps = 3000\nmax_hold_s = 2\n[start]\non_faulty = 'exits_only'\n"
"""What is bought is held for some time, and sold whatever the price; a faulty file does not keep it from being sold."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


def begun_with(bot: Bot) -> str:
    """Return the record that says what a start runs."""
    return next(line for line in bot.lines if "PROFILE_IN_FORCE" in line)


def killed(bot: Bot) -> None:
    bot.send(signal.SIGKILL)
    assert bot.end() == -signal.SIGKILL


def judged(place: Place, kind: str) -> None:
    """Let a running bot judge a text: pending, refused or condemned; it stays on the disk when the bot ends."""
    text = {"pending": LOOSER, "refused": RESTART, "condemned": HARMFUL}[kind]
    with place.trading() as bot:
        place.settled()
        place.save(text)
        if kind == "condemned":
            bot.wait_for("PROFILE_ROLLED_BACK")
        else:
            assert place.reload() == kind


def common_of(kind: str) -> str:
    return GUARDED if kind == "condemned" else CALM


@pytest.mark.parametrize("kind", ["pending", "refused", "condemned"])
def test_a_text_that_is_not_to_be_run_is_passed_over_until_it_is_accepted(
    nursery: Nursery, tmp_path: Path, kind: str
) -> None:
    place = Place(nursery, tmp_path, common_of(kind))
    judged(place, kind)
    before = place.in_force()
    for _ in range(2):
        with place.trading() as bot:
            line = begun_with(bot)
            assert f"WARNING PROFILE_IN_FORCE generation {before.number} goes on" in line
            assert f"running generation {before.number} instead" in line
            assert "`--accept` at a start, or `tradebot reload --confirm`, runs it" in line
            assert place.status().profile.note
    with place.start("--accept") as bot:
        assert f"generation {before.number + 1} begins" in bot.wait_for("PROFILE_IN_FORCE")
        bot.wait_for("trading is allowed")
        killed(bot)
    found = place.in_force()
    assert found.files[-1].source == place.texts()[1]
    with place.history() as history:
        assert history.verdict(found.digest) is None
        assert "accepted" in {entry.what for entry in history.entries(100)}


@pytest.mark.parametrize(
    ("kind", "outcome"), [("pending", "applied"), ("refused", "refused"), ("condemned", "applied")]
)
def test_a_text_that_was_passed_over_is_confirmed_while_the_bot_runs(
    nursery: Nursery, tmp_path: Path, kind: str, outcome: str
) -> None:
    place = Place(nursery, tmp_path, common_of(kind))
    judged(place, kind)
    with place.start() as bot:
        place.up(bot)
        assert place.reload(confirm=True) == outcome, bot.text
        killed(bot)
    with place.start() as bot:
        bot.wait_for("trading is allowed")
        killed(bot)
    assert place.in_force().files[-1].source == place.texts()[1]


@pytest.mark.parametrize("text", [FAULTY, BROKEN], ids=["faulty", "no-toml"])
@pytest.mark.parametrize("policy", ["exit", "exits_only"])
def test_a_faulty_file_ends_the_start_where_nothing_is_held(
    nursery: Nursery, tmp_path: Path, text: str, policy: str
) -> None:
    place = Place(nursery, tmp_path, f"{CALM}[start]\non_faulty = '{policy}'\n", "[features]\nbuying = false\n")
    with place.trading():
        place.settled()
    before = place.in_force()
    place.save(text)
    code, said = place.refused()
    assert code == 2, said
    assert "quick.toml:" in said
    assert place.in_force() == before


@pytest.mark.parametrize("text", [FAULTY, BROKEN], ids=["faulty", "no-toml"])
def test_with_a_faulty_file_positions_are_sold_and_nothing_is_bought_until_it_is_mended(
    nursery: Nursery, tmp_path: Path, text: str
) -> None:
    place = Place(nursery, tmp_path, CALM, KEEPS)
    with place.start() as bot:
        place.up(bot)
        bot.wait_for("POSITION_OPENED")
        killed(bot)
    good = place.in_force()
    place.save(text)
    with place.start() as bot:
        line = bot.wait_for("PROFILE_IN_FORCE")
        assert f"running generation {good.number} without entries, as start.on_faulty says" in line
        bot.wait_for("trading is allowed")
        bot.wait_for("POSITION_CLOSED")
        status = place.status()
        assert status.profile.generation == good.number + 1
        assert [(one.feature, one.on, one.override) for one in status.profile.overrides] == [("buying", False, "start")]
        assert not status.buying
        assert place.ask(lambda asked: asked.switch("stale_warnings", False)).outcome == "applied"
        place.save(KEEPS)
        bot.wait_for("PROFILE_RELOADED")
        bot.wait_for("POSITION_OPENED")
        assert [one.feature for one in place.status().profile.overrides] == ["stale_warnings"]
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    bought = {
        fact.generation
        for _, _, fact in read_facts(place.home / "journal.sqlite")
        if isinstance(fact, IntentOpened) and fact.side is Side.BUY
    }
    assert bought == {good.number, good.number + 3}
    with place.trading():
        assert [one.feature for one in place.status().profile.overrides] == ["stale_warnings"]


def test_what_was_switched_off_by_hand_stays_off_when_a_faulty_file_is_mended(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM, KEEPS)
    with place.start() as bot:
        place.up(bot)
        bot.wait_for("POSITION_OPENED")
        place.ask(lambda asked: asked.switch("buying", False))
        killed(bot)
    place.save(FAULTY)
    with place.start() as bot:
        bot.wait_for("trading is allowed")
        place.until((place.home / "control.sock").exists)
        place.save(KEEPS)
        bot.wait_for("PROFILE_RELOADED")
        overrides = place.status().profile.overrides
        assert [(one.feature, one.on, one.override) for one in overrides] == [("buying", False, "test")]
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    with place.trading():
        assert [one.override for one in place.status().profile.overrides] == ["test"]


def test_a_profile_that_moved_goes_on_under_its_new_path(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        first = place.in_force()
    place.profile = place.profile.rename(tmp_path / "moved.toml")
    with place.trading():
        second = place.in_force()
        assert (second.number, second.path) == (first.number + 1, "moved.toml")
        assert place.ask(lambda bot: bot.switch("stale_warnings", False)).outcome == "applied"
        assert place.status().profile.path == "moved.toml"
        with pytest.raises(Refused, match="of another profile"):
            place.ask(lambda bot: bot.rollback(first.number))
    assert not (tmp_path / "quick.toml").exists()


def test_two_profiles_of_one_instance_never_fall_back_to_each_other(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, GUARDED)
    with place.trading():
        first = place.in_force()
    place.profile = tmp_path / "other.toml"
    place.profile.write_text(f'extends = "common.toml"\n{HARMFUL}')
    with place.trading():
        place.settled()
        assert place.in_force().path == "other.toml"
        assert place.status().profile.probation is None, "there is nothing of its own to fall back to"
    place.profile.write_text(f'extends = "common.toml"\n{FAULTY}')
    code, said = place.refused()
    assert code == 2, said
    place.profile = tmp_path / "quick.toml"
    with place.trading():
        assert place.in_force().digest == first.digest


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    path.write_bytes(b"no database at all, though it once was one\n" * 200)


def foreign(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE something (else_ TEXT)")
    database.close()


def altered(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE bodies SET body = X'00'")
    database.close()


@pytest.mark.parametrize("damage", [truncated, overwritten, foreign, altered])
def test_a_damaged_history_is_set_aside_and_the_numbers_go_on(
    nursery: Nursery, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        place.settled()
        for turn in range(3):
            place.save(f"# {turn}\n")
            assert place.reload() in APPLIED
        last = place.in_force().number
    damage(place.home / "profiles.sqlite")
    place.numbers.clear()
    with place.trading() as bot:
        assert "the profile's history is set aside as profiles.sqlite.2" in bot.text
        assert place.in_force().number == last + 1
    assert len(list(place.home.glob("profiles.sqlite.20*Z"))) == 1
    with place.trading() as bot:
        assert "set aside" not in bot.text
        assert place.in_force().number == last + 1


def test_an_older_history_put_back_gives_no_number_twice(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        place.settled()
    backup = (place.home / "profiles.sqlite").read_bytes()
    with place.trading():
        place.save("# 1\n")
        assert place.reload() in APPLIED
        last = place.in_force().number
    (place.home / "profiles.sqlite").write_bytes(backup)
    place.save("")
    place.numbers.clear()
    with place.trading():
        assert place.in_force().number == last + 1


def test_variables_that_changed_begin_a_new_generation(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        number = place.in_force().number
    place.env = {"TRADEBOT__EXITS__TAKE_PROFIT_BPS": "44"}
    for _ in range(2):
        with place.trading():
            assert place.in_force().number == number + 1
            assert "take_profit_bps = 44" in place.in_force().effective


def test_a_toggle_survives_a_restart_until_it_is_cleared(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        assert place.ask(lambda bot: bot.switch("buying", False)).outcome == "applied"
    with place.trading() as bot:
        assert not place.status().buying
        shown = {one.feature: one for one in place.ask(lambda asked: asked.features())}["buying"]
        assert (shown.on, shown.profile, shown.override) == (False, True, "test")
        assert place.ask(lambda asked: asked.switch("buying", None)).outcome == "applied"
        bot.wait_for("POSITION_OPENED")
    with place.trading():
        assert place.status().profile.overrides == ()


def test_a_toggle_that_does_not_exist_any_more_is_forgotten(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading():
        before = place.in_force()
    history = History.open(place.home / "profiles.sqlite", 1)
    switches = (Switch("telepathy", True, "test", 1), Switch("stale_warnings", False, "test", 1))
    number = history.next_number()
    history.begin(Generation(
        number, 1, "feature", "test", before.path, before.digest, before.files, before.effective, switches=switches
    ))  # fmt: skip
    history.commit(number, 1, switches=switches)
    history.close()
    with place.trading():
        assert [one.feature for one in place.status().profile.overrides] == ["stale_warnings"]
        assert place.in_force().number == number + 1


def test_a_crash_on_probation_is_not_run_into_again(nursery: Nursery, tmp_path: Path) -> None:
    place = Place(nursery, tmp_path, "[reload]\nsweep_s = 60\n")
    with place.trading():
        place.settled()
        good = place.in_force()
    place.save("# another\n")
    with Bot(tmp_path, fault="broken-engine") as bot:
        bot.wait_for("PROFILE_PROBATION_STARTED")
        assert bot.process.wait() == 1
    with place.trading() as bot:
        assert "was rolled back (crashed on probation: " in begun_with(bot)
        assert place.in_force().digest == good.digest
        bot.wait_for("POSITION_OPENED", "POSITION_CLOSED")
    with Bot(tmp_path, fault="broken-engine") as bot:
        bot.wait_for("PROFILE_IN_FORCE")
        assert bot.process.wait() == 1
    with place.trading():
        assert place.in_force().digest == good.digest, "what was good before is not blamed"


def test_a_held_symbol_that_is_not_watched_any_more_is_sold_over_restarts_and_not_bought(
    nursery: Nursery, tmp_path: Path
) -> None:
    place = Place(nursery, tmp_path, CALM, KEEPS)
    with place.start() as bot:
        place.up(bot)
        held = bot.wait_for("POSITION_OPENED").split()[3].strip(":")
        killed(bot)
    place.save(f"{KEEPS}[market]\nsymbols = ['SYN900/USDT', 'SYN901/USDT']\n")
    for _ in range(2):
        with place.start() as bot:
            place.up(bot)
            killed(bot)
    with place.start() as bot:
        place.up(bot)
        while held in {one.symbol for one in place.ask(lambda asked: asked.snapshot()).positions}:
            time.sleep(0.05)
        bot.wait_for("POSITION_OPENED SYN90")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    last = place.in_force().number
    facts = [fact for _, _, fact in read_facts(place.home / "journal.sqlite")]
    assert held in {fact.symbol for fact in facts if isinstance(fact, PositionClosed)}
    bought = {
        fact.symbol
        for fact in facts
        if isinstance(fact, IntentOpened) and fact.side is Side.BUY and fact.generation == last
    }
    assert bought <= {"SYN900/USDT", "SYN901/USDT"}


def test_a_second_bot_is_refused_and_leaves_the_first_its_socket_and_its_history(
    nursery: Nursery, tmp_path: Path
) -> None:
    place = Place(nursery, tmp_path, CALM)
    with place.trading() as first:
        place.settled()
        before = place.in_force()
        inode = os.stat(place.home / "control.sock").st_ino
        for words in ((), ("--accept",), ("--fresh",)):
            with Bot(tmp_path, *words) as second:
                assert second.end() == 1
            assert f"in use by another tradebot (process {first.process.pid})" in second.text
        assert os.stat(place.home / "control.sock").st_ino == inode
        assert place.in_force() == before
        place.save("# another\n")
        assert place.reload() in APPLIED
        assert place.in_force().number == before.number + 1
        first.wait_for("POSITION_OPENED")
