"""Is every request answered as declared, and is every other one told why it is not?"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.control.little_bot import DIGEST, OTHER_DIGEST, LittleBot, served
from tests.control.raw import Raw, http, told, until
from tradebot.control.client import Client, Refused
from tradebot.control.messages import BY_NAME, HEARTBEAT, ROUTES, Problem
from tradebot.control.openapi import document_text
from tradebot.domain.errors import StorageFailed

BODIES = {
    "settle_drift": b'{"what": "BTC/USDT", "action": "adopt", "price": "1.5"}',
    "rollback": b'{"generation": 1}',
    "switch": b'{"on": false}',
    "reload": b'{"confirm": true}',
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_answers_what_it_says(route: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log):
            bot.paused = "somebody" if route.name == "resume" else ""
            path = route.path.replace("{name}", "buying")
            if route.name == "events":
                with Raw(tmp_path) as raw:
                    await raw.send(http("GET", path))
                    head = b""
                    while HEARTBEAT not in head:
                        head += await asyncio.get_running_loop().sock_recv(raw.socket, 4096)
                assert head.startswith(b"HTTP/1.1 200 ")
                assert b"application/x-ndjson" in head
                return
            status, answer = await told(tmp_path, http(route.method, path, BODIES.get(route.name, b"")))
            assert status == 200, answer
            msgspec.convert(answer, route.answer)
            if route.name == "openapi":
                assert answer == json.loads(document_text())

    asyncio.run(main())


def test_the_typed_answers_are_the_bot_s_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log), Client(tmp_path, "tests") as client:
            assert await client.status() == bot.status()
            assert await client.snapshot() == bot.snapshot()
            assert await client.features() == tuple(bot.features())
            outcome = await client.switch("buying", False)
            assert (outcome.outcome, outcome.generation) == ("applied", 2)
            assert (await client.features())[0].override == "tests"
            assert [one.number for one in await client.history(1)] == [2]
            assert await client.history() == tuple(bot.generations)
            bot.draft = "looser"
            assert (await client.reload()).changes == (await client.reload()).changes != ()
            assert (await client.reload(confirm=True)).outcome == "applied"
            assert (await client.rollback(1)).lines[-1] == "back to generation 1"
            assert (await client.rollback()).previous == 4
            assert "paused" in (await client.pause()).text
            assert "goes on" in (await client.resume()).text
            assert "buy A/USDT" in (await client.rearm("A/USDT")).text
            assert "buy S0/USDT" in (await client.rearm()).text
            assert [one.asset for one in await client.drift()] == ["BTC"]
            compared = await client.compare_drift()
            assert (compared.fresh, [one.asset for one in compared.found]) == (True, ["BTC"])
            assert (await client.settle_drift("BTC/USDT", "adopt", Decimal("1.50"))).text == "adopt BTC/USDT at 1.50"
            assert "sold" in (await client.flatten()).text
            assert (await client.openapi())["openapi"] == "3.1.0"
            await client.stop()
            assert bot.stopped.is_set()
            assert {who for what, who in bot.asked if what != "history"} == {"tests"}

    asyncio.run(main())


def test_only_the_text_that_was_shown_is_confirmed(tmp_path: Path) -> None:
    async def main() -> None:
        bot = LittleBot(draft="waiting")
        async with served(tmp_path, bot), Client(tmp_path) as client:
            bot.draft = "looser"
            assert (await client.reload(confirm=True, shown=OTHER_DIGEST)).outcome == "pending"
            assert (await client.reload(confirm=True, shown=OTHER_DIGEST[:8])).outcome == "pending"
            assert (await client.reload(confirm=True, shown=DIGEST[:8])).outcome == "applied"

    asyncio.run(main())


WRONG: dict[str, tuple[bytes, int, str, str]] = {
    "no JSON": (http("POST", "/v1/reload", b"{confirm}"), 400, "malformed", "/v1/reload"),
    "no object": (http("POST", "/v1/reload", b"[1]"), 400, "Expected `object`, got `array`", "/v1/reload"),
    "an unknown key": (http("POST", "/v1/reload", b'{"confrm": true}'), 400, "unknown field `confrm`", "/v1/reload"),
    "a wrong type": (
        http("POST", "/v1/reload", b'{"confirm": 1}'), 400, "Expected `bool`, got `int`", "/v1/reload: confirm",
    ),
    "no digest": (http("POST", "/v1/reload", b'{"shown": "what?"}'), 400, "matching regex", "/v1/reload: shown"),
    "a missing key": (http("POST", "/v1/features/buying", b"{}"), 400, "missing required field `on`", "/v1/features/"),
    "a number out of bounds": (http("POST", "/v1/rollback", b'{"generation": 0}'), 400, "`int` >= 1", ": generation"),
    "text that is no UTF-8": (http("POST", "/v1/reload", b'{"\xff": 1}'), 400, "", "/v1/reload"),
    "a tower of brackets": (http("POST", "/v1/reload", b'{"confirm":' + b"[" * 60_000), 400, "", "/v1/reload"),
    "a body where none belongs": (http("GET", "/v1/status", b"{}"), 400, "takes no body", "/v1/status"),
    "a key in a plain request": (http("POST", "/v1/flatten", b'{"only": 1}'), 400, "unknown field", "/v1/flatten"),
    "an unknown query": (http("GET", "/v1/status?deep=1"), 400, "takes no 'deep'", "/v1/status"),
    "a query of the wrong type": (http("GET", "/v1/history?limit=x"), 400, "Expected `int`", "/v1/history: limit"),
    "a query out of bounds": (http("GET", "/v1/history?limit=0"), 400, "`int` >= 1", "/v1/history: limit"),
    "a query said twice": (http("GET", "/v1/history?limit=1&limit=2"), 400, "the same key twice", "/v1/history"),
    "an unknown path": (http("GET", "/v1/stat"), 404, "/v1/openapi.json", "/v1/stat"),
    "no feature's name": (http("POST", "/v1/features/", b'{"on":true}'), 404, "no such request", "/v1/features/"),
    "a wrong method": (http("DELETE", "/v1/status"), 405, "DELETE is not understood here, but GET", "/v1/status"),
    "reading what must be sent": (http("GET", "/v1/stop"), 405, "POST", "/v1/stop"),
    "too large": (http("POST", "/v1/reload", b" " * 65_537), 413, "at most 65536 bytes", "/v1/reload"),
    "a cut chunk": (
        http("POST", "/v1/reload", b"", "Transfer-Encoding: chunked") + b"zz\r\n", 400, "", "re",
    ),
    "no HTTP": (b"hello, is anybody there?\r\n\r\n", 400, "not understood as HTTP", "request"),
    "an endless head": (b"GET /v1/status HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 400, "not understood", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_is_told_what_is_wrong_and_where(what: str, tmp_path: Path) -> None:
    data, status, error, where = WRONG[what]

    async def main() -> None:
        async with served(tmp_path) as (_, bot, log):
            code, answer = await told(tmp_path, data)
            problem = msgspec.convert(answer, Problem)
            assert code == status
            assert error in problem.error
            assert where in problem.where
            assert bot.asked == []
            assert [record for record in log.records if record[0] != "INFO"] == []
            assert (await told(tmp_path, http("GET", "/v1/status")))[0] == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (None, "door"),
        ("cli:ann", "cli:ann"),
        ("  cli:ann  ", "cli:ann"),
        ("x" * 500, "x" * 64),
        ("bell\x07\x1b[31m", "bell"),
        ("Zoë", "Zoë"),
        ("left\u202eright", "left?right"),
        ("", "door"),
    ],
)
def test_who_asks_is_named_cleanly(sent: str | None, heard: str, tmp_path: Path) -> None:
    headers = [] if sent is None else [f"X-Tradebot-Who: {sent}"]

    async def main() -> list[tuple[str, str]]:
        async with served(tmp_path) as (_, bot, _log):
            await told(tmp_path, http("POST", "/v1/pause", b"{}", *headers))
            return bot.asked

    asked = asyncio.run(main())
    if "\x07" in (sent or ""):
        assert asked == []  # a control letter is no HTTP
    else:
        assert asked == [("pause", heard)]


def test_what_cannot_be_done_now_is_refused_with_its_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path), Client(tmp_path) as client:
            for asking, text in (
                (client.rollback(99), "there is no generation 99"),
                (client.switch("telepathy", True), "there is no feature 'telepathy'; there are buying, exits"),
                (client.switch("../stop", True), "there is no such request"),
                (client.resume(), "buying is not paused"),
            ):
                with pytest.raises(Refused, match=text) as refused:
                    await asking
                assert refused.value.status == (404 if "request" in text else 409)

    asyncio.run(main())


@pytest.mark.parametrize("route", ["status", "reload"])
def test_a_failure_inside_is_told_to_the_log_and_to_the_client_by_its_kind_only(route: str, tmp_path: Path) -> None:
    async def main() -> None:
        bot = LittleBot()
        async with served(tmp_path, bot) as (_, _bot, log):
            bot.error = ValueError("apiKey=s3cret")
            status, answer = await told(tmp_path, http(BY_NAME[route].method, BY_NAME[route].path))
            assert (status, answer) == (500, {"error": "failed with ValueError; see the log", "where": f"/v1/{route}"})
            assert log.of("CONTROL_REQUEST_FAILED") == [("ERROR", f"/v1/{route}: ValueError: apiKey=s3cret")]
            bot.error = StorageFailed("profiles.sqlite: cannot be read (disk)")
            status, answer = await told(tmp_path, http(BY_NAME[route].method, BY_NAME[route].path))
            assert (status, answer["error"]) == (500, "profiles.sqlite: cannot be read (disk)")

    asyncio.run(main())


def test_an_answer_that_cannot_be_said_is_a_failure(tmp_path: Path) -> None:
    class Odd(LittleBot):
        def features(self) -> Any:
            return [object()]

    async def main() -> None:
        async with served(tmp_path, Odd()) as (_, _bot, log):
            status, answer = await told(tmp_path, http("GET", "/v1/features"))
            assert (status, answer["error"]) == (500, "failed with TypeError; see the log")
            assert log.of("CONTROL_REQUEST_FAILED")[0][0] == "ERROR"

    asyncio.run(main())


def test_work_that_takes_too_long_goes_on_and_its_end_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, request_timeout_s=0.05) as (_, bot, log), Client(tmp_path) as client:
            bot.hold = asyncio.Event()
            with pytest.raises(Refused, match=r"not done within 0\.05 s; what was asked goes on") as refused:
                await client.reload()
            assert refused.value.status == 504
            with pytest.raises(Refused):
                await client.rollback(99)
            assert bot.number == 1
            bot.hold.set()
            bot.hold = None
            await client.switch("buying", False)  # waits its turn behind what was let go
            assert bot.number == 3
            assert log.of("CONTROL_REQUEST_LATE") == [
                ("INFO", "/v1/reload: done, after its asker had gone"),
                ("INFO", "/v1/rollback: there is no generation 99, after its asker had gone"),
            ]

    asyncio.run(main())


def test_work_that_fails_late_is_told_as_a_failure(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, request_timeout_s=0.05) as (_, bot, log), Client(tmp_path) as client:
            bot.hold, bot.error = asyncio.Event(), OSError("no space left")
            with pytest.raises(Refused):
                await client.reload()
            assert log.of("CONTROL_REQUEST_FAILED") == []
            bot.hold.set()
            await client.features()
            assert log.of("CONTROL_REQUEST_FAILED") == [("ERROR", "/v1/reload: OSError: no space left")]

    asyncio.run(main())


def test_a_client_that_goes_away_ends_no_work_and_frees_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, max_clients=1) as (door, bot, log):
            bot.hold = asyncio.Event()
            with Raw(tmp_path) as raw:
                await raw.send(http("POST", "/v1/reload"))
                await asyncio.wait_for(bot.working.wait(), 20)
            await until(lambda: not door.clients)
            assert (await told(tmp_path, http("GET", "/v1/status")))[0] == 200
            bot.hold.set()
            await until(lambda: bot.number == 2)
            await told(tmp_path, http("GET", "/v1/status"))
            assert log.of("CONTROL_REQUEST_LATE") == [("INFO", "/v1/reload: done, after its asker had gone")]
            assert log.of("CONTROL_REQUEST_FAILED") == []

    asyncio.run(main())
