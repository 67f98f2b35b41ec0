"""What of the process does the loop set while it runs, and give back? The collector's looks and the threads' turns."""

from __future__ import annotations

import gc
import sys

import pytest

from tests.runtime.test_live import Machine, Rig, Venue
from tradebot.runtime.dispatch import StateSuspect
from tradebot.runtime.live import SWITCH_S


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


def test_a_loop_that_fails_gives_everything_back() -> None:
    before = sys.getswitchinterval()
    rig = Rig(Machine(), Venue())
    rig.shell.fail(StateSuspect("told before it began"))
    with pytest.raises(StateSuspect):
        rig.run(until=lambda: True)
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == before


def test_no_other_thread_keeps_the_loop_waiting_for_as_long_as_python_lets_it() -> None:
    before = sys.getswitchinterval()
    seen: list[float] = []
    rig = Rig(Machine(), Venue())
    rig.run(until=lambda: not seen.append(sys.getswitchinterval()))  # type: ignore[func-returns-value]
    assert seen[0] == pytest.approx(SWITCH_S)
    assert SWITCH_S < before == sys.getswitchinterval()
