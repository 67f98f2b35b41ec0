"""Is a wait between two turns changed and ended while it lasts?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tradebot.runtime.pace import Pace

LONG_S = 3600.0


def waiting(pace: Pace, change: Callable[[], None]) -> bool:
    """Change `pace` once a thread waits by it; return what the wait returned."""
    begun, results = threading.Event(), list[bool]()

    def wait() -> None:
        begun.set()
        results.append(pace.wait())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert begun.wait(20)
    change()
    thread.join(20)
    assert not thread.is_alive()
    return results[0]


def test_a_shorter_interval_ends_the_wait_under_way() -> None:
    pace = Pace(LONG_S)
    assert waiting(pace, lambda: pace.retune(0.001)) is True


def test_the_end_ends_the_wait_under_way_and_every_later_one() -> None:
    pace = Pace(LONG_S)
    assert waiting(pace, pace.end) is False
    assert pace.wait() is False


def test_a_wait_is_measured_from_its_own_beginning_whatever_is_changed_meanwhile() -> None:
    pace = Pace(0.05)
    begun = time.monotonic()
    assert waiting(pace, lambda: pace.retune(0.06)) is True
    assert time.monotonic() - begun >= 0.05
