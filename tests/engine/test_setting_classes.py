"""Does every setting of the engine take effect by the event alone, as if the machine had been built with it?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tradebot.engine
from tests.engine.hand import INSTRUMENTS, Hand, make_profile
from tests.engine.scenarios import CASES, ELSEWHERE, FIXED, OTHER_TABLES, Case, two_drops
from tradebot.config.catalogue import find, walk
from tradebot.domain import events as e
from tradebot.domain.facts import Fact

SOURCES = sorted(Path(str(tradebot.engine.__file__)).parent.glob("*.py"))
LEAVES = {".".join(path): found for path, found in walk() if found.leaf}


def told(hand: Hand, case: Case) -> list[tuple[Any, ...]]:
    """Tell the story; return every fact with its time, and every command, whatever their generation."""
    seq, asked = hand.journal.last_seq, len(hand.wire.asked)
    case.story(hand)
    facts = [(at_ms, plain(fact)) for _, at_ms, fact in hand.journal.read(seq)]
    return [*facts, *((command,) for command in hand.wire.asked[asked:])]


def plain(fact: Fact) -> Fact:
    """Return a fact without its generation."""
    return msgspec.structs.replace(fact, generation=0) if "generation" in fact.__struct_fields__ else fact


@pytest.mark.parametrize("case", CASES, ids=[f"{at}-{case.key}" for at, case in enumerate(CASES)])
def test_a_live_edit_is_as_if_the_machine_had_been_built_with_it(case: Case) -> None:
    for old, new in ((case.old, case.new), (case.new, case.old)):
        before, after = case.settings(old), case.settings(new)
        edited = Hand(before).start()
        edited.feed(e.ProfileApplied(2, make_profile(after), edited.now))
        live, built = told(edited, case), told(Hand(after).start(), case)
        assert live == built
        assert live != told(Hand(before).start(), case), "the story does not depend on the setting"


def test_symbols_that_came_trade_as_if_they_had_always_been_there() -> None:
    """And of those that left nothing is heard any more."""
    case = Case("market.symbols", [], [], two_drops)
    few, many = INSTRUMENTS[:1], INSTRUMENTS
    for old, new in ((few, many), (many, few)):
        edited = Hand(instruments=old).start()
        edited.feed(e.ProfileApplied(2, make_profile(), edited.now, tuple(new)))
        live, built = told(edited, case), told(Hand(instruments=new).start(), case)
        assert live == built
        assert live != told(Hand(instruments=old).start(), case)


def test_every_setting_has_its_place() -> None:
    """A new setting is told a story here, or is named as one that the engine does not read."""
    shown = {case.key for case in CASES}
    unplaced = {key for key in LEAVES if key.split(".")[0] not in OTHER_TABLES} - shown - FIXED - ELSEWHERE
    assert not unplaced
    assert not FIXED & shown
    assert not ELSEWHERE & (shown | FIXED)
    assert LEAVES.keys() >= FIXED | ELSEWHERE, "a setting that is no more"
    assert all(find(_path(key)) for key in shown), "a setting that is no more"


def test_what_the_engine_reads_only_at_a_start_needs_a_restart() -> None:
    assert {LEAVES[key].reload for key in FIXED} == {"restart"}
    assert "restart" not in {LEAVES[case.key].reload for case in CASES if case.key in LEAVES}


def test_the_engine_reads_nothing_of_the_tables_and_toggles_of_others() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert not OTHER_TABLES & set(re.findall(r"profile\.(\w+)", text))
    toggles = {key.removeprefix("features.") for key in ELSEWHERE if key.startswith("features.")}
    assert not toggles & set(re.findall(r"features\.(\w+)", text))
    assert {"drop", "budget", "execution", "exits"} <= set(re.findall(r"profile\.(\w+)", text)), "it is read at all"


def _path(key: str) -> tuple[str | int, ...]:
    """Return a key as the path of one element: `steps[]` is `steps`, 0."""
    path: list[str | int] = []
    for name in key.split("."):
        path.append(name.removesuffix("[]"))
        if name.endswith("[]"):
            path.append(0)
    return tuple(path)
