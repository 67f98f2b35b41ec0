"""How does a request leave without waiting for another turn of the loop? Asked by the sessions to an exchange.

aiohttp writes a request's body in a task of its own, which begins a turn of the loop later where Python has no tasks
that begin at once (before 3.12); the loop gives way to other threads between two turns.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection


class SentAtOnce(aiohttp.ClientRequest):
    """Writes its body when it is sent; what has to wait for the connection goes on in aiohttp's task."""

    def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> Coroutine[Any, Any, None]:
        """Write what can be written now; return the rest of it."""
        return begun(super().write_bytes(writer, conn, content_length))


def begun(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Let `work` run up to its first wait, in the task that asks; return what does the rest. Raises what it raises."""
    try:
        waits = work.send(None)
    except StopIteration:
        return _nothing()
    return _rest(work, waits)


async def _nothing() -> None:
    """Do nothing: all is done."""


async def _rest(work: Coroutine[Any, Any, None], waits: Any) -> None:
    await _resumed(work, waits)


@types.coroutine
def _resumed(work: Coroutine[Any, Any, None], waits: Any) -> Generator[Any, Any, None]:
    """Drive `work` on from the wait it is in, as `yield from` would from the beginning."""
    while True:
        try:
            try:
                told = yield waits
            except BaseException as error:  # noqa: BLE001 - a cancelled wait is the matter of whoever waits, too
                waits = work.throw(error)
            else:
                waits = work.send(told)
        except StopIteration:
            return
