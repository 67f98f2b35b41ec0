"""Is a start that takes long told, and one that does not left alone?"""

from __future__ import annotations

import threading

from tradebot.cli.slow_start import told_if_slow


def test_what_takes_longer_is_told_while_it_goes_on() -> None:
    told = threading.Event()
    with told_if_slow(told.set, watched=True, after_s=0.0):
        assert told.wait(5.0)


def test_what_is_done_in_time_is_not_told_and_leaves_no_thread() -> None:
    before, told = set(threading.enumerate()), threading.Event()
    with told_if_slow(told.set, watched=True, after_s=60.0):
        pass
    assert set(threading.enumerate()) == before
    assert not told.is_set()


def test_nothing_is_told_where_nobody_watches() -> None:
    told = threading.Event()
    with told_if_slow(told.set, watched=False, after_s=0.0):
        assert not told.wait(0.2)
