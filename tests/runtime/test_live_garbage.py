"""Does the garbage collector look through what was loaded before the loop began? Each full look stops all trading."""

from __future__ import annotations

import gc

import pytest

from tests.runtime.test_live import Machine, Rig, Venue
from tradebot.runtime.dispatch import StateSuspect


def test_what_was_there_before_the_loop_is_not_looked_through_while_it_runs() -> None:
    before: list[list[int]] = [[number] for number in range(1000)]
    known = set(map(id, before))
    rig = Rig(Machine(), Venue())
    looked: list[bool] = []
    assert any(id(each) in known for each in gc.get_objects())

    def look() -> bool:
        looked.append(any(id(each) in known for each in gc.get_objects()))
        return True

    rig.run(until=look)
    assert looked[0] is False
    assert any(id(each) in known for each in gc.get_objects()), "once it is over, everything is looked through again"
    assert gc.get_freeze_count() == 0


def test_a_loop_that_fails_gives_everything_back_to_the_collector() -> None:
    rig = Rig(Machine(), Venue())
    rig.shell.fail(StateSuspect("told before it began"))
    with pytest.raises(StateSuspect):
        rig.run(until=lambda: True)
    assert gc.get_freeze_count() == 0
