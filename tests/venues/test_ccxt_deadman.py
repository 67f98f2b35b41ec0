"""The exchange's dead man's switch stands as long as the engine lives, and nothing is bought once it may have fallen.

The classes are ccxt's own, of the exchanges that have one; the exchange is a little one on loopback.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.exchange.little_exchange import Asked, LittleExchange, each, hanging, in_loop, little_exchange, raw, says
from tests.runtime.telling import Told
from tests.venues.ccxt_kit import KEYS, WallClock
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.budget import Budget
from tradebot.exchange.capabilities import capabilities_of
from tradebot.exchange.construction import connect, disconnect, exchange_class
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dead_man import DeadMan, dead_man_of, required
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps
from tradebot.exchange.outcomes import Failure, Refused, Unknown
from tradebot.exchange.requests import Requests
from tradebot.venues.ccxt_deadman import DeadMansSwitch, switch_of
from tradebot.venues.ccxt_lookups import cause_of

PATHS = {
    "kraken": "/0/private/CancelAllOrdersAfter",
    "okx": "/api/v5/trade/cancel-all-after",
    "bybit": "/v5/order/disconnected-cancel-all",
}
ARMED: dict[str, Any] = {
    "kraken": {
        "error": [],
        "result": {"currentTime": "2023-03-24T17:41:56Z", "triggerTime": "2023-03-24T17:42:56Z"},
    },
    "okx": {"code": "0", "msg": "", "data": [{"triggerTime": "1587971460000", "tag": "", "ts": "1587971400000"}]},
}
ENDED: dict[str, Any] = {
    "kraken": {"error": [], "result": {"currentTime": "2023-03-24T17:41:56Z", "triggerTime": "0"}},
    "okx": {"code": "0", "msg": "", "data": [{"triggerTime": "0", "tag": "", "ts": "1587971400000"}]},
}
WINDOW = {"kraken": "timeout", "okx": "timeOut"}


@asynccontextmanager
async def speaking(name: str, **settings: Any) -> AsyncIterator[tuple[LittleExchange, Requests, DeadMan]]:
    """Speak to a little exchange of that name by ccxt's class of it."""
    async with little_exchange() as server:
        chosen = server.settings(name, **settings)
        keys = Credentials(KEYS.api_key, "c2VjcmV0LW9mLXRoaXMtdGVzdA==", "password-of-this-test")
        taps = Taps(Budget(WallClock()), dialect_of(name), urgent=True)
        exchange = connect(chosen, taps, credentials=keys, throttled=False)
        exchange.set_markets([])
        try:
            found = dead_man_of(exchange)
            assert found is not None
            yield server, Requests(exchange, keys, capabilities_of(exchange)), found
        finally:
            await disconnect(exchange)


@pytest.mark.parametrize("name", ARMED)
def test_it_is_set_and_ended_in_each_exchange_s_own_words(name: str) -> None:
    @in_loop
    async def go() -> None:
        async with speaking(name) as (server, requests, guard):
            server.on("POST", PATHS[name], says(ARMED[name]))
            assert await requests.cancel_all_after(60_000, guard.armed) is None
            server.on("POST", PATHS[name], says(ENDED[name]))
            assert await requests.cancel_all_after(0, guard.armed) is None
            asked = [one.fields for one in server.calls("POST", PATHS[name])]
            assert [int(one[WINDOW[name]]) for one in asked] == [60, 0]

    go()


@pytest.mark.parametrize("name", ARMED)
def test_an_answer_that_does_not_name_the_time_is_not_believed(name: str) -> None:
    @in_loop
    async def go() -> None:
        async with speaking(name) as (server, requests, guard):
            for answer in (says(ENDED[name]), says({"error": [], "result": {}, "code": "0", "data": []}), raw("{}")):
                server.on("POST", PATHS[name], answer)
                assert isinstance(await requests.cancel_all_after(60_000, guard.armed), Unknown)
            server.on("POST", PATHS[name], raw("", 200))
            assert isinstance(await requests.cancel_all_after(60_000, guard.armed), Unknown)

    go()


@pytest.mark.parametrize(
    ("name", "code", "answer"),
    [
        ("kraken", "EGeneral:Permission denied", {"error": ["EGeneral:Permission denied"]}),
        (
            "okx",
            "50120",
            {"code": "50120", "msg": "This API key doesn't have permission to use this function", "data": []},
        ),
    ],
)
def test_a_refusal_is_told_with_its_words(name: str, code: str, answer: Any) -> None:
    @in_loop
    async def go() -> None:
        async with speaking(name) as (server, requests, guard):
            server.on("POST", PATHS[name], says(answer))
            failure = await requests.cancel_all_after(60_000, guard.armed)
            assert failure is not None
            assert code in cause_of(failure)

    go()


@in_loop
async def test_bybit_s_own_waits_for_a_lost_socket_and_is_refused() -> None:
    async with speaking("bybit") as (server, requests, guard):
        server.on("POST", PATHS["bybit"], says({"retCode": 0, "retMsg": "success"}))
        assert await requests.cancel_all_after(60_000, DeadMan().armed) is None
        (asked,) = server.calls("POST", PATHS["bybit"])
        assert json.loads(asked.body) == {"timeWindow": 60, "product": "DERIVATIVES"}, "ccxt does not even guard spot"
        assert guard.flaw
        with pytest.raises(CannotStart, match="loss of a socket, and tells nothing of a bot that hangs"):
            required(exchange_class("bybit")(), Exchange(name="bybit", dead_man_s=60))


@pytest.mark.parametrize("name", ["binance", "kucoin", "gate", "bitget", "coinbase"])
def test_an_exchange_without_one_is_refused_with_what_to_do_instead(name: str) -> None:
    with pytest.raises(CannotStart, match=f"{name} has no dead man's switch.*WatchdogSec") as refused:
        required(exchange_class(name)(), Exchange(name=name, dead_man_s=60))
    assert refused.value.exit_code is ExitCode.BAD_PROFILE
    assert required(exchange_class(name)(), Exchange(name=name)) is None


@pytest.mark.parametrize(("name", "seconds"), [("okx", 9), ("okx", 121), ("kraken", 14)])
def test_a_time_that_the_exchange_does_not_take_is_refused_at_the_start(name: str, seconds: int) -> None:
    with pytest.raises(CannotStart, match=f"{name} takes .* s, not {seconds}"):
        required(exchange_class(name)(), Exchange(name=name, dead_man_s=seconds))


class Guarded:
    """A switch of a few tenths of a second, an exchange that answers as told, and an engine that lives as told."""

    def __init__(self, seconds: int = 1) -> None:
        self.log = Told()
        self.asked: list[tuple[float, int]] = []
        self.answers: Callable[[], Awaitable[Failure | None]] = self.takes
        self.verdicts: list[str] = []
        self.alive = True
        self.news = asyncio.Event()
        self.switch = DeadMansSwitch(seconds, self._send, self._told, self.log, "it cancels all orders")

    async def takes(self) -> Failure | None:
        return None

    async def fails(self) -> Failure | None:
        return Unknown("HTTP 502")

    async def hangs(self) -> Failure | None:
        await asyncio.Event().wait()
        return None

    async def lives(self) -> bool:
        if not self.alive:
            await asyncio.Event().wait()
        return True

    async def _send(self, milliseconds: int) -> Failure | None:
        self.asked.append((asyncio.get_running_loop().time(), milliseconds))
        self.news.set()
        return await self.answers()

    def _told(self, why: str) -> None:
        self.verdicts.append(why)
        self.news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self.news.clear()
            await self.news.wait()

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.switch.keep(self.lives))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@in_loop
async def test_it_is_renewed_every_third_of_its_time_while_the_engine_lives() -> None:
    here = Guarded()
    async with here.keeping():
        await here.until(lambda: len(here.asked) == 5)
    times = [at for at, _ in here.asked]
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(times))
    assert {milliseconds for _, milliseconds in here.asked} == {1_000}
    assert not any(here.verdicts)
    assert [kind for kind, _ in here.log.records] == ["DEAD_MAN_ARMED"], "told once"


@in_loop
async def test_an_engine_that_hangs_lets_it_fall_and_nothing_is_bought_from_then_on() -> None:
    here = Guarded()
    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
        here.alive = False
        armed_at = here.asked[0][0]
        await here.until(lambda: any(here.verdicts))
        fallen_at = asyncio.get_running_loop().time()
        assert len(here.asked) == 1, "it was not renewed"
        assert fallen_at - armed_at >= 0.99, "not before it may have fallen"
        assert "the engine shows no life" in here.verdicts[-1]
        here.alive = True
        await here.until(lambda: here.verdicts[-1] == "")
    kinds = [kind for kind, _ in here.log.records]
    assert kinds.count("DEAD_MAN_FALLEN") == 1
    assert kinds[-1] == "DEAD_MAN_RENEWED"


@in_loop
async def test_a_renewal_that_fails_is_tried_again_with_growing_pauses_and_warned_of() -> None:
    here = Guarded(seconds=6)
    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
        here.answers = here.fails
        await here.until(lambda: len(here.asked) == 4)
        here.answers = here.takes
        await here.until(lambda: here.switch.renewals == 2)
    times = [at for at, _ in here.asked]
    pauses = [later - earlier for earlier, later in pairwise(times[1:])]
    assert pauses == sorted(pauses), "the pauses grow"
    assert pauses[0] >= 0.5
    assert not any(here.verdicts), "it stood all the time: nothing was shut"
    warned = here.log.texts("DEAD_MAN_NOT_RENEWED")
    assert "HTTP 502" in warned[0]
    assert "it falls in" in warned[0]


@in_loop
async def test_one_that_was_never_armed_shuts_the_entries_at_once() -> None:
    here = Guarded()
    here.answers = here.fails
    async with here.keeping():
        await here.until(lambda: any(here.verdicts))
        assert here.verdicts == ["the dead man's switch is not armed: HTTP 502"]
        here.answers = here.takes
        await here.until(lambda: here.verdicts[-1] == "")


@in_loop
async def test_an_exchange_that_does_not_answer_shuts_them_when_it_may_have_fallen() -> None:
    here = Guarded()
    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
        here.answers = here.hangs
        await here.until(lambda: any(here.verdicts))
        assert asyncio.get_running_loop().time() - here.asked[0][0] >= 0.99
        assert "may have fallen" in here.verdicts[-1]


@in_loop
async def test_an_engine_that_has_ended_renews_nothing_and_says_nothing() -> None:
    here = Guarded()

    async def over() -> bool:
        return False

    task = asyncio.create_task(here.switch.keep(over))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done(), "its part does not end by itself"
    assert here.asked == []
    assert here.log.records == []
    task.cancel()
    await asyncio.wait({task})


@in_loop
async def test_it_is_ended_on_purpose_only_and_told_where_that_fails() -> None:
    never = Guarded()
    await never.switch.disarm(1.0)
    assert never.asked == [], "one that never stood needs no end"
    here = Guarded()
    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
    here.answers = here.fails
    await here.switch.disarm(1.0)
    assert here.log.texts("DEAD_MAN_NOT_DISARMED") == [
        "the dead man's switch could not be ended, it cancels all orders within 1 s: HTTP 502"
    ]
    here.answers = here.hangs
    await here.switch.disarm(0.05)
    assert here.log.texts("DEAD_MAN_NOT_DISARMED")[-1].endswith("no answer within 0.1 s"), "an end waits for nobody"
    here.answers = here.takes
    await here.switch.disarm(1.0)
    assert here.asked[-1][1] == 0
    assert here.switch.armed is False


@in_loop
async def test_one_that_was_ended_is_not_set_again_by_an_engine_that_still_lives() -> None:
    here = Guarded()
    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
        await here.switch.disarm(1.0)
        await asyncio.sleep(0.5)  # a third of its time and more: the renewal would have been due
    assert [milliseconds for _, milliseconds in here.asked] == [1_000, 0]


@in_loop
async def test_a_renewal_under_way_is_heard_before_it_is_ended() -> None:
    here, answered = Guarded(), asyncio.Event()

    async def late() -> Failure | None:
        await answered.wait()
        return None

    async with here.keeping():
        await here.until(lambda: here.switch.renewals == 1)
        here.answers = late
        await here.until(lambda: len(here.asked) == 2)
        ending = asyncio.create_task(here.switch.disarm(5.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(here.asked) == 2, "the end may not arrive before the renewal"
        answered.set()
        await ending
    assert [milliseconds for _, milliseconds in here.asked] == [1_000, 1_000, 0]
    assert here.switch.armed is False


@in_loop
async def test_one_whose_answer_was_lost_may_stand_and_is_ended_too() -> None:
    here = Guarded()
    here.answers = here.fails
    async with here.keeping():
        await here.until(lambda: len(here.asked) == 1 and bool(here.verdicts))
        here.answers = here.takes
        await here.switch.disarm(1.0)
    assert here.asked[-1][1] == 0
    assert [kind for kind, _ in here.log.records][-1] == "DEAD_MAN_DISARMED"


@in_loop
async def test_one_that_the_exchange_refused_to_set_needs_no_end() -> None:
    here = Guarded()

    async def refuses() -> Failure | None:
        return Refused("EGeneral:Permission denied", "no")

    here.answers = refuses
    async with here.keeping():
        await here.until(lambda: bool(here.verdicts))
        await here.switch.disarm(1.0)
    assert {milliseconds for _, milliseconds in here.asked} == {1_000}


@in_loop
async def test_by_a_real_class_it_stands_through_a_hanging_answer_and_a_refusal() -> None:
    async with speaking("kraken", dead_man_s=5) as (server, requests, guard):
        log, verdicts = Told(), list[str]()
        settings = Exchange(name="kraken", dead_man_s=5)
        switch = switch_of(guard, settings, requests, verdicts.append, log)
        assert switch is not None
        refused = says({"error": ["EService:Unavailable"]})
        server.on("POST", PATHS["kraken"], each(says(ARMED["kraken"]), refused, hanging(server)))

        async def lives() -> bool:
            return True

        task = asyncio.create_task(switch.keep(lives))
        while not verdicts or not verdicts[-1]:  # noqa: ASYNC110 - a list tells nobody that it grows
            await asyncio.sleep(0.02)
        assert "may have fallen" in verdicts[-1]
        asked: list[Asked] = server.calls("POST", PATHS["kraken"])
        assert [one.fields["timeout"] for one in asked[:2]] == ["5", "5"]
        nonces = [int(one.fields["nonce"]) for one in asked]
        assert nonces == sorted(set(nonces))
        task.cancel()
        await asyncio.wait({task})
        assert switch_of(None, settings, requests, verdicts.append, log) is None
