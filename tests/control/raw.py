"""How does a client speak that keeps to no client library? Bytes over the socket, in the door's tests."""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 20.0


class Raw:
    """One connection, byte by byte."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(folder / "control.sock"))
        self.socket.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), PATIENCE_S)

    async def rest(self) -> bytes:
        """Return everything until the other side ends the connection."""
        data = bytearray()
        while True:
            try:
                part = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 65_536), PATIENCE_S)
            except ConnectionResetError:
                part = b""
            if not part:
                return bytes(data)
            data += part

    async def ended(self) -> None:
        """Wait, without reading anything, until the other side has ended the connection."""
        poll = select.poll()
        poll.register(self.socket, 0)  # POLLHUP and POLLERR are always told
        assert await asyncio.to_thread(poll.poll, PATIENCE_S * 1000)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def until(true: Callable[[], object]) -> None:
    """Give the loop turns until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        for _ in count():
            if true():
                return
            await asyncio.sleep(0.001)


def parsed(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of an answer that came whole."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def told(folder: Path, data: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes and return what is answered."""
    with Raw(folder) as raw:
        await raw.send(data)
        return parsed(await raw.rest())


def http(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bot", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
