"""What do the exchange, the bot and the one who runs them tell each other in a case? Numbers in shared memory, asked by
all three: made before anything is forked, and still there when the bot is killed.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from typing import Final

_BYTES: Final = 4096


class Slot(IntEnum):
    """One number on the stage."""

    RUN = 0
    """Which run of the bot is under way, from 1 on; 0 while none is."""
    READY = 1
    """The run that trades and has seen every price."""
    AWAY = 2
    """The last run whose end the market has heard of."""
    OVER = 3
    """1 once the script has nothing more to show."""
    LEAVE = 4
    """The run that is to end as it stands, orders open or not."""
    KILLED = 5
    """The last run that was killed at its point."""
    REFUSED = 6
    """The last run that could not start, and said so."""


class Stage:
    """The numbers by slot."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)
        self._numbers = memoryview(self._memory).cast("q")

    def __getitem__(self, slot: Slot) -> int:
        return int(self._numbers[slot])

    def __setitem__(self, slot: Slot, number: int) -> None:
        self._numbers[slot] = number

    def close(self) -> None:
        """Give the memory back."""
        self._numbers.release()
        self._memory.close()
