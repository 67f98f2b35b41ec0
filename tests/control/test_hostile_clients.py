"""Can a client hold up the bot, or another client? Slow, silent, greedy and many: each is bounded."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.control.little_bot import LittleBot, served
from tests.control.raw import Raw, http, parsed, told, until
from tradebot.control import connection, requests, stream
from tradebot.control.client import Client, Unanswered
from tradebot.control.messages import HEARTBEAT


def record(number: int, size: int = 0) -> bytes:
    return json.dumps({"event_type": "TEST", "number": number, "pad": "x" * size}).encode()


async def numbers(client: Client, count: int, heard: asyncio.Event | None = None) -> list[Any]:
    """Return the numbers of the next `count` records; a lost one counts by its own."""
    found: list[Any] = []
    async for line in client.events():
        found.append(json.loads(line).get("number", "lost"))
        if heard is not None:
            heard.set()
        if len(found) == count:
            break
    return found


async def listening(bot: LittleBot) -> None:
    """Wait until the log is listened to."""
    await until(lambda: bot.listeners)


async def _exhaust(events: AsyncIterator[bytes]) -> None:
    async for _ in events:
        pass


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)

    async def main() -> None:
        async with served(tmp_path) as (door, _, _log):
            with Raw(tmp_path) as slow:
                ended = asyncio.create_task(slow.ended())
                with suppress(BrokenPipeError):  # cut off between two bytes
                    for byte in b"GET /v1/status HTTP/1.1\r\nX: " + b"x" * 1000:
                        await slow.send(bytes([byte]))
                        if (await asyncio.wait({ended}, timeout=0.02))[0]:
                            break
                    else:
                        raise AssertionError("it was waited for")
                await ended
                assert await slow.rest() == b""
            await until(lambda: not door.clients)

    asyncio.run(main())


def test_a_body_that_never_comes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)

    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log):
            with Raw(tmp_path) as slow:
                await slow.send(b"POST /v1/flatten HTTP/1.1\r\nHost: bot\r\nContent-Length: 20\r\n\r\n{")
                status, answer = parsed(await slow.rest())
                assert (status, answer["error"]) == (408, "the request's body did not come within 0.1 s")
                assert bot.asked == []

    asyncio.run(main())


def test_half_a_request_does_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (door, bot, log):
            with Raw(tmp_path) as cut:
                await cut.send(b"POST /v1/flatten HTTP/1.1\r\nHost: bot\r\nContent-Length: 2\r\n\r\n{")
                await until(lambda: door.clients)
            await until(lambda: not door.clients)
            assert bot.asked == []
            assert log.of("CONTROL_REQUEST_FAILED") == []

    asyncio.run(main())


def test_an_answer_that_nobody_takes_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "TAKE_S", 0.1)

    async def main() -> None:
        async with served(tmp_path, LittleBot(symbols=20_000)) as (door, _, _log):
            with Raw(tmp_path) as silent:
                await silent.send(http("GET", "/v1/snapshot"))
                await silent.ended()
                await until(lambda: not door.clients)
                assert (await told(tmp_path, http("GET", "/v1/status")))[0] == 200

    asyncio.run(main())


def test_of_a_hundred_clients_at_once_those_beyond_the_most_are_told_and_the_others_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, max_clients=32) as (door, bot, _log):
            bot.hold = asyncio.Event()
            asking = [asyncio.create_task(told(tmp_path, http("POST", "/v1/reload"))) for _ in range(100)]
            turned_away = 0
            for done in asyncio.as_completed(asking):
                status, answer = await done
                if status == 503:
                    assert answer["error"] == "32 clients are connected already; come back later"
                    turned_away += 1
                    if turned_away == 68:
                        assert door.clients == 32
                        bot.hold.set()
                else:
                    assert (status, answer["outcome"]) == (200, "applied")
            assert (turned_away, bot.number) == (68, 33)

    asyncio.run(main())


def test_clients_that_are_turned_away_and_say_nothing_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TURNED_AWAY_S", 0.1)

    async def main() -> None:
        async with served(tmp_path, max_clients=1) as (door, _, _log):
            with Raw(tmp_path), Raw(tmp_path) as second:
                assert await second.rest() == b""
                assert door.clients == 1

    asyncio.run(main())


def test_a_listener_that_never_reads_is_let_go_once_and_the_others_hear_everything(tmp_path: Path) -> None:
    count = 3000

    async def main() -> None:
        async with served(tmp_path, stream_queue=500) as (door, bot, log):
            with Raw(tmp_path) as deaf:
                await deaf.send(http("GET", "/v1/events", b"", "X-Tradebot-Who: deaf"))
                await listening(bot)
                async with Client(tmp_path) as client:
                    heard = asyncio.Event()
                    hearing = asyncio.create_task(numbers(client, count, heard))
                    await until(lambda: door.listeners == 2)
                    for begin in range(0, count, 100):
                        heard.clear()
                        for number in range(begin, begin + 100):
                            bot.tell(record(number, 1000))
                        await heard.wait()
                    assert await hearing == list(range(count))
                await deaf.ended()
                assert log.of("CONTROL_LISTENER_TOO_SLOW") == [
                    ("INFO", "a listener that let 500 records wait was disconnected (deaf)")
                ]
            await until(lambda: not bot.listeners)

    asyncio.run(main())


def test_ten_thousand_records_at_once_cross_in_few_hand_overs_in_order(tmp_path: Path) -> None:
    count = 10_000

    async def main() -> None:
        async with served(tmp_path) as (door, bot, log), Client(tmp_path) as client:
            hearing = asyncio.create_task(numbers(client, count))
            await listening(bot)

            def tell() -> None:
                for number in range(count):
                    bot.tell(record(number))

            log_thread = threading.Thread(target=tell)
            log_thread.start()
            assert await hearing == list(range(count))
            log_thread.join()
            assert door.hand_overs < count / 50
            assert log.of("CONTROL_LISTENER_TOO_SLOW") == []

    asyncio.run(main())


def test_what_the_loop_cannot_take_is_counted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_CROSSING", 5)

    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log), Client(tmp_path) as client:
            events = client.events()
            first = asyncio.ensure_future(anext(events))
            await listening(bot)
            for number in range(8):  # without giving the loop a turn
                bot.tell(record(number))
            lines = [await first, *[await anext(events) for _ in range(5)]]
            assert [json.loads(line).get("number") for line in lines[:5]] == [0, 1, 2, 3, 4]
            assert json.loads(lines[5]) == {"lost": 3}
            bot.tell(record(8))
            assert await anext(events) == record(8) + b"\n"
            await events.aclose()

    asyncio.run(main())


def test_a_quiet_stream_says_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)

    async def main() -> None:
        async with served(tmp_path) as (door, bot, _log):
            with Raw(tmp_path) as quiet:
                await quiet.send(http("GET", "/v1/events"))
                data = b""
                while data.count(HEARTBEAT) < 3:
                    data += await asyncio.get_running_loop().sock_recv(quiet.socket, 4096)
                bot.tell(record(1) + b"\n")
                while b'"number": 1' not in data:
                    data += await asyncio.get_running_loop().sock_recv(quiet.socket, 4096)
                assert b'"number": 1, "pad": ""}\n\r\n' in data
                await door.stop()
                assert (data + await quiet.rest()).endswith(b"}\n\r\n0\r\n\r\n")

    asyncio.run(main())


def test_the_log_is_listened_to_only_while_somebody_listens(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log):
            await told(tmp_path, http("GET", "/v1/status"))
            assert bot.joined == 0
            with Raw(tmp_path) as one, Raw(tmp_path) as two:
                await one.send(http("GET", "/v1/events"))
                await two.send(http("GET", "/v1/events"))
                await listening(bot)
            await until(lambda: not bot.listeners)
            with Raw(tmp_path) as three:
                await three.send(http("GET", "/v1/events"))
                await listening(bot)
                assert bot.joined == 2

    asyncio.run(main())


def test_a_listener_is_told_that_it_was_let_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, stream_queue=10) as (_, bot, _log), Client(tmp_path) as client:
            events = client.events()
            hearing = asyncio.ensure_future(anext(events))
            await listening(bot)
            bot.tell(record(0))
            assert await hearing == record(0) + b"\n"
            for number in range(30):
                bot.tell(record(number, 100_000))
            with pytest.raises(Unanswered, match="broke the connection off"):
                await _exhaust(events)

    asyncio.run(main())


SOUND = [
    http("GET", "/v1/status"),
    http("POST", "/v1/reload", b'{"confirm": true}'),
    http("GET", "/v1/history?limit=3"),
]


@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 120), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=4),
)
@settings(max_examples=60)
def test_no_bytes_stop_the_door(sound: bytes, edits: list[tuple[int, bytes, int]]) -> None:
    wild = bytearray(sound)
    for place, new, cut in edits:
        wild[place : place + cut] = new

    async def main(folder: Path) -> None:
        async with served(folder) as (door, _, log):
            with Raw(folder) as client:
                await client.send(bytes(wild))
                client.socket.shutdown(socket.SHUT_WR)
                answer = await client.rest()
                assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
                assert b"Traceback" not in answer
            assert (await told(folder, http("GET", "/v1/status")))[0] == 200
            await until(lambda: not door.clients)
            assert [record for record in log.records if record[0] != "INFO"] == []

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def test_a_flood_of_records_to_many_listeners_leaves_the_loop_free(tmp_path: Path) -> None:
    count, listeners = 5_000, 5

    async def main() -> float:
        async with served(tmp_path, stream_queue=count) as (door, bot, _log), AsyncExitStack() as clients:
            hearing = []
            for _ in range(listeners):
                client = await clients.enter_async_context(Client(tmp_path))
                hearing.append(asyncio.create_task(numbers(client, count)))
            await until(lambda: door.listeners == listeners)

            def tell() -> None:
                for number in range(count):
                    bot.tell(record(number))

            log_thread = threading.Thread(target=tell)
            log_thread.start()
            longest_s, before = 0.0, time.perf_counter()
            while not all(task.done() for task in hearing):
                await asyncio.sleep(0)
                longest_s, before = max(longest_s, time.perf_counter() - before), time.perf_counter()
            log_thread.join()
            assert [await task for task in hearing] == [list(range(count))] * listeners
            return longest_s

    assert asyncio.run(main()) < 0.5  # everything at once would be the sum of all, the listeners' own work included
