"""Who says that a start is under way while nothing else is said yet? Asked by `tradebot --profile P`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Final

PATIENCE_S: Final = 1.0
"""So long nobody wonders whether anything happens."""


@contextmanager
def told_if_slow(tell: Callable[[], None], *, watched: bool, after_s: float = PATIENCE_S) -> Iterator[None]:
    """Call `tell`, from another thread, once what is done within takes longer than `after_s`; leave no thread.

    Where nobody watches nothing is told: a terminal wants it, a service's log does not.
    """
    if not watched:
        yield
        return
    timer = Timer(after_s, tell)
    timer.name, timer.daemon = "slow-start", True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
