"""Does a start ask again until the exchange answers, for as long as is said, and stop asking when it is to end?"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.feeds.loopback import Heard
from tradebot.domain.errors import CannotStart, ExchangeAway, ExitCode
from tradebot.runtime import patience as waiting
from tradebot.runtime.clock import WallClock
from tradebot.runtime.patience import NO_PATIENCE, StartPatience
from tradebot.runtime.signals import Signals, StopAsked


@pytest.fixture
def signals() -> Iterator[Signals]:
    with Signals() as signals:
        yield signals


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_PAUSE_S", 0.01)


class Away:
    """An exchange that answers at the n-th question."""

    def __init__(self, answers_at: int, *errors: CannotStart) -> None:
        self.asked = 0
        self._answers_at = answers_at
        self._errors = errors or (ExchangeAway("it is down"),)

    async def ask(self) -> int:
        self.asked += 1
        if self.asked >= self._answers_at:
            return self.asked
        raise self._errors[min(self.asked, len(self._errors)) - 1]


def patient(limit_s: float, signals: Signals, log: Heard, said: list[str] | None = None) -> StartPatience:
    return StartPatience(limit_s, signals, WallClock(), log, (said if said is not None else []).append)


def test_it_asks_again_and_tells_each_cause_once(signals: Signals, quick: None) -> None:
    async def main() -> None:
        log, said = Heard(), list[str]()
        away = Away(5, ExchangeAway("one"), ExchangeAway("one"), ExchangeAway("another"))
        assert await patient(60, signals, log, said).hold(away.ask) == 5
        assert log.kinds() == ["START_WAITS", "START_WAITS", "START_GOES_ON"]
        assert [line.partition(";")[0] for line in said] == ["one", "another"]

    asyncio.run(main())


def test_what_the_start_waits_for_and_until_when_is_shown_for_as_long_as_it_waits(
    signals: Signals, quick: None
) -> None:
    async def main() -> None:
        shown: list[str] = []
        away = Away(4, ExchangeAway("one"), ExchangeAway("another"), ExchangeAway("one"))
        one = patient(60, signals, Heard())
        one.show(shown.append)
        assert await one.hold(away.ask) == 4
        first, *waits, last = shown
        assert (first, last) == ("starting", "starting")
        assert [line.partition(";")[0] for line in waits] == ["starting: one", "starting: another", "starting: one"]
        since, until = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", waits[0])
        assert 59 <= (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() <= 61

    asyncio.run(main())


def test_an_exchange_that_answers_is_told_of_by_nothing(signals: Signals) -> None:
    async def main() -> None:
        log = Heard()
        assert await patient(60, signals, log).hold(Away(1).ask) == 1
        assert log.kinds() == []

    asyncio.run(main())


def test_what_is_to_be_mended_is_not_waited_for(signals: Signals) -> None:
    async def main() -> None:
        away = Away(2, CannotStart("the key is wrong"))
        with pytest.raises(CannotStart, match="the key is wrong"):
            await patient(60, signals, Heard()).hold(away.ask)
        assert away.asked == 1

    asyncio.run(main())


def test_the_time_is_one_for_the_feed_and_the_venue(signals: Signals, quick: None) -> None:
    async def main() -> None:
        one = patient(0.2, signals, Heard())
        await one.hold(Away(3).ask)
        begun_s = time.monotonic()
        with pytest.raises(ExchangeAway, match=r"waited 0\.2 s") as caught:
            await one.hold(Away(10**6).ask)
        assert caught.value.exit_code is ExitCode.EXCHANGE_AWAY
        assert time.monotonic() - begun_s < 5

    asyncio.run(main())


def test_nothing_is_asked_before_the_time_that_was_named(signals: Signals, quick: None) -> None:
    async def main() -> None:
        clock, until_ms = WallClock(), WallClock().now_ms() + 300
        at_ms: list[int] = []
        away = Away(2, ExchangeAway("banned", until_ms))

        async def ask() -> int:
            at_ms.append(clock.now_ms())
            return await away.ask()

        await patient(60, signals, Heard()).hold(ask)
        assert at_ms[1] >= until_ms

    asyncio.run(main())


def test_no_waiting_at_all_asks_once(signals: Signals) -> None:
    away = Away(9)
    with pytest.raises(ExchangeAway, match="it is down"):
        NO_PATIENCE.make(away.ask)
    with pytest.raises(ExchangeAway, match="waited 0 s"):
        patient(0, signals, Heard()).make(away.ask)
    assert away.asked == 2


def test_a_signal_ends_the_wait_and_a_question_under_way(signals: Signals) -> None:
    ended = []

    async def hang() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def banned() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ExchangeAway("banned", WallClock().now_ms() + 60_000)

    for attempt in (hang, banned):
        with pytest.raises(StopAsked, match="SIGTERM during start"):
            patient(60, signals, Heard()).make(attempt)
        signals.received.clear()
    assert ended == [True]
