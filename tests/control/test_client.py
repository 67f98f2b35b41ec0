"""Does a client know the difference between nobody, a refusal, and an answer that never came?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.control.little_bot import served
from tradebot.control import client as client_module
from tradebot.control.client import Client, NoBot, Refused, Silent, Unanswered, ask


@asynccontextmanager
async def stranger(folder: Path, answer: bytes | None) -> AsyncIterator[None]:
    """Yield while somebody else answers at the door: with `answer` and the end, or, with None, never."""
    ended = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await ended.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(speak, folder / "control.sock"):
        yield
        ended.set()


@pytest.mark.parametrize("there", ["no folder", "no socket", "a dead one's socket"])
def test_where_nobody_answers_it_says_so_and_how_to_start_one(there: str, tmp_path: Path) -> None:
    folder = tmp_path / "prod"
    if there != "no folder":
        folder.mkdir()
    if there == "a dead one's socket":
        (folder / "control.sock").touch()
    with pytest.raises(NoBot) as nobody:
        ask(folder, "tests", lambda client: client.status())
    assert str(nobody.value) == f"{folder}/control.sock: no bot answers there; `tradebot --profile P` starts one"


def test_a_question_from_a_thread_without_a_loop_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (_, bot, _log):
            status = await asyncio.to_thread(ask, tmp_path, "cli:ann", lambda client: client.status())
            assert status == bot.status()
            outcome = await asyncio.to_thread(ask, tmp_path, "cli:ann", lambda client: client.reload())
            assert (outcome.outcome, bot.asked) == ("applied", [("reload", "cli:ann")])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"", Unanswered, "broke the connection off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", Unanswered, "broke the connection off"),
        (b"220 mail.example ESMTP\r\n", Unanswered, "broke the connection off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Unanswered, "is it another version?"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", Refused, "HTTP status 502"),
        (b'HTTP/1.1 409 Conflict\r\nContent-Length: 33\r\n\r\n{"error": "not so", "where": "x"}', Refused, "not so"),
        (None, Unanswered, "did not answer within 0.2 s"),
    ],
)
def test_an_answer_that_is_none_is_no_success(
    answer: bytes | None, kind: type[Exception], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ASK_S", 0.2)

    async def main() -> None:
        async with stranger(tmp_path, answer), Client(tmp_path) as client:
            with pytest.raises(kind, match=text):
                await client.status()

    asyncio.run(main())


def test_a_bot_that_hangs_is_found_out_before_the_long_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ASK_S", 0.2)

    async def main() -> None:
        async with stranger(tmp_path, None), Client(tmp_path) as client:
            for working in (client.reload(), client.rollback(), client.switch("buying", on=False)):
                with pytest.raises(Silent, match=r"did not answer within 0\.2 s"):
                    await working

    asyncio.run(main())


def test_a_newer_bot_may_say_more_than_an_older_client_knows(tmp_path: Path) -> None:
    body = b'{"text": "done", "since": 5}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def main() -> str:
        async with stranger(tmp_path, head + body), Client(tmp_path) as client:
            return (await client.pause()).text

    assert asyncio.run(main()) == "done"


def test_a_stream_that_falls_silent_is_held_to_be_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_S", 0.1)

    async def main() -> None:
        async with stranger(tmp_path, None), Client(tmp_path) as client:
            with pytest.raises(Unanswered, match=r"did not answer within 0\.1 s"):
                await anext(client.events())

    asyncio.run(main())


def test_a_stream_ends_when_the_bot_closes_its_door(tmp_path: Path) -> None:
    async def main() -> list[bytes]:
        async with served(tmp_path) as (door, bot, _), Client(tmp_path) as client:
            events = client.events()
            first = asyncio.ensure_future(anext(events))
            while not bot.listeners:  # noqa: ASYNC110 - the other side of a socket has no event to wait for
                await asyncio.sleep(0.001)
            bot.tell(b'{"n":1}')
            lines = [await first]
            bot.tell(b'{"n":2}')
            closing = asyncio.create_task(door.stop())
            lines += [line async for line in events]
            await closing
            return lines

    assert asyncio.run(main()) == [b'{"n":1}\n', b'{"n":2}\n']
