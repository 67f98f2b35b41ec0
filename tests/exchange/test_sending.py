"""Does a request leave whole in the turn of the loop in which it is sent, and is what has to wait driven to its end?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import pytest

from tradebot.exchange.addresses import LoopbackConnector, session_of
from tradebot.exchange.sending import begun

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BODY = b"symbol=BTCUSDT&newClientOrderId=a-1"


class Peer:
    """The other end of the connections, read only when a test looks."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/order"
        self.connection: socket.socket | None = None

    async def accept(self) -> None:
        """Take the connection that comes."""
        self.connection, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self.connection.setblocking(False)

    def arrived(self) -> bytes:
        """Return what has come so far."""
        assert self.connection is not None
        try:
            return self.connection.recv(1 << 20)
        except BlockingIOError:
            return b""

    def answer(self) -> None:
        """Answer a request."""
        assert self.connection is not None
        self.connection.sendall(ANSWER)

    def close(self) -> None:
        """End everything."""
        self._listening.close()
        if self.connection is not None:
            self.connection.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Peer]]:
    """Give a session whose connection to a peer is open and free."""
    peer = Peer()
    try:
        async with session_of(LoopbackConnector(peer.url)) as session:
            accepting = asyncio.ensure_future(peer.accept())
            first = asyncio.ensure_future(_post(session, peer, b"first"))
            await accepting
            assert peer.connection is not None
            while not (await asyncio.get_running_loop().sock_recv(peer.connection, 1 << 20)).endswith(b"first"):
                pass
            peer.answer()
            assert await first == "ok"
            yield session, peer
    finally:
        peer.close()


async def _post(session: Any, peer: Peer, body: bytes | BytesIO) -> str:
    async with session.post(peer.url, data=body) as response:
        return str(await response.text())


def test_head_and_body_are_on_the_wire_when_the_task_that_sends_first_waits() -> None:
    async def main() -> None:
        async with connected() as (session, peer):
            sending = asyncio.ensure_future(_post(session, peer, BODY))
            await asyncio.sleep(0)
            arrived = peer.arrived()
            assert arrived.startswith(b"POST /order HTTP/1.1\r\n")
            assert arrived.endswith(b"\r\n\r\n" + BODY)
            peer.answer()
            assert await sending == "ok"

    asyncio.run(main())


def test_a_body_that_the_connection_does_not_take_at_once_arrives_whole() -> None:
    async def main() -> None:
        body = b"x" * 20_000_000
        async with connected() as (session, peer):
            sending = asyncio.ensure_future(_post(session, peer, BytesIO(body)))
            assert peer.connection is not None
            loop = asyncio.get_running_loop()
            _, _, arrived = (await loop.sock_recv(peer.connection, 1 << 20)).partition(b"\r\n\r\n")
            parts = [arrived]
            while sum(map(len, parts)) < len(body):
                parts.append(await loop.sock_recv(peer.connection, 1 << 20))
            assert b"".join(parts) == body
            peer.answer()
            assert await sending == "ok"

    asyncio.run(main())


def test_a_request_whose_peer_is_gone_fails() -> None:
    async def main() -> None:
        async with connected() as (session, peer):
            sending = asyncio.ensure_future(_post(session, peer, BODY))
            await asyncio.sleep(0)
            assert peer.connection is not None
            peer.connection.close()
            with pytest.raises(OSError, match=r"disconnected|reset"):
                await sending

    asyncio.run(main())


class Noted:
    """What work did."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def work(self, *waits: asyncio.Future[str]) -> None:
        self.done.append("begun")
        for each in waits:
            try:
                self.done.append(await each)
            except KeyError as error:
                self.done.append(f"failed: {error.args[0]}")
            except asyncio.CancelledError:
                self.done.append("cancelled")
                raise


def test_work_goes_on_from_its_first_wait_to_its_end() -> None:
    async def main() -> None:
        loop, noted = asyncio.get_running_loop(), Noted()
        first, second, third = loop.create_future(), loop.create_future(), loop.create_future()
        rest: Coroutine[Any, Any, None] = begun(noted.work(first, second, third))
        assert noted.done == ["begun"]
        task = asyncio.ensure_future(rest)
        first.set_result("one")
        await asyncio.sleep(0)
        second.set_exception(KeyError("two"))
        third.set_result("three")
        await task
        assert noted.done == ["begun", "one", "failed: two", "three"]

    asyncio.run(main())


def test_work_that_is_cancelled_while_it_waits_is_told_so() -> None:
    async def main() -> None:
        noted = Noted()
        task = asyncio.ensure_future(begun(noted.work(asyncio.get_running_loop().create_future())))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert noted.done == ["begun", "cancelled"]

    asyncio.run(main())


def test_work_without_a_wait_is_done_when_it_was_begun() -> None:
    async def main() -> None:
        noted = Noted()
        rest = begun(noted.work())
        assert noted.done == ["begun"]
        await rest
        assert noted.done == ["begun"]

    asyncio.run(main())


def test_work_that_fails_before_its_first_wait_fails_at_once() -> None:
    async def work() -> None:
        raise KeyError("at once")

    with pytest.raises(KeyError):
        _ = begun(work())
