"""Does a start that rebuilds say at once what it waits for, and how long?"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.feeds.loopback import Heard
from tests.runtime.profiles import profile
from tradebot.domain.facts import AccountOpened
from tradebot.runtime.clock import WallClock
from tradebot.runtime.mending import Mending
from tradebot.runtime.opening import Mendable
from tradebot.runtime.signals import StopAsked
from tradebot.storage.home import Home
from tradebot.storage.journal import SqliteJournal

T = TypeVar("T")


class Stopped:
    """A start that a signal ends as soon as it would wait; what it was doing then is kept."""

    def __init__(self) -> None:
        self.doing: Callable[[str], None] = print

    def make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """End."""
        del attempt
        raise StopAsked("SIGTERM")

    async def hold(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """End."""
        del attempt
        raise StopAsked("SIGTERM")

    def show(self, doing: Callable[[str], None]) -> None:
        """Keep who hears it."""
        self.doing = doing


def left(folder: Path) -> None:
    """Leave a home that knows of its account."""
    home = Home.open(folder, "a")
    journal = SqliteJournal.open(home.journal, batch_ms=1, wal_mb=1, retry_s=1)
    journal.append([AccountOpened(asset="USDT", amount=Decimal(1000))], 1)
    assert journal.close(5)
    home.close()


def test_what_a_rebuild_at_an_exchange_waits_for_is_told_before_it_waits(tmp_path: Path) -> None:
    left(tmp_path)
    settings = profile(
        bot__state_dir=str(tmp_path), bot__instance="a", venue__kind="ccxt", feed__kind="ccxt",
        exchange__recv_window_ms=4000, exchange__not_found_after_s=30,
    )  # fmt: skip
    log, said = Heard(), list[str]()
    mending = Mending(settings, log, WallClock(), Stopped(), said.append)

    def damaged(_stack: ExitStack) -> None:
        raise Mendable("journal.sqlite: fact 7 cannot be read")

    with ExitStack() as stack, pytest.raises(StopAsked):
        mending.taken(damaged, stack)
    assert log.kinds() == ["STATE_DAMAGED"]
    (line,) = said
    assert "fact 7 cannot be read. It is rebuilt by this start where binance proves what was lost" in line
    assert "it is asked in 34 s, when nothing that was under way can become an order any more" in line
