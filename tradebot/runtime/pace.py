"""How long does a thread wait between two turns, and how is the wait changed? Asked by parts with threads."""

from __future__ import annotations

import time
from threading import Condition


class Pace:
    """The waits of one thread: `interval_s` from the end of a turn to the next, changed or ended at any time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._changed = Condition()
        self._ended = False

    def wait(self) -> bool:
        """Wait for one interval; return True when it is over, False at once when the end was asked for."""
        begun = time.monotonic()
        with self._changed:
            while not self._ended:
                left_s = begun + self._interval_s - time.monotonic()
                if left_s <= 0:
                    return True
                self._changed.wait(left_s)
        return False

    def retune(self, interval_s: float) -> None:
        """Wait `interval_s` from here on; the wait under way is measured anew, from its own beginning."""
        with self._changed:
            self._interval_s = interval_s
            self._changed.notify_all()

    def end(self) -> None:
        """End the wait under way, and every later one."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
