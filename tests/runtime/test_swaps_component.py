"""Is one component exchanged for another without a moment without either, and is nothing left of what failed?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.runtime.profiles import applied, profile
from tradebot.config.profile import Profile
from tradebot.ports import Component
from tradebot.runtime.component import NullPart
from tradebot.runtime.swapping import CannotBuild
from tradebot.runtime.swaps_component import ComponentSwap

OLD, NEW = profile(control__max_clients=1), profile(control__max_clients=2)
OFF = profile(features__control_door=False)
KEYS = ("control.max_clients", "features.control_door")


class Door:
    """A real listening socket on a port of its own; as a second door it cannot have the same one."""

    name = "control"

    def __init__(self, port: int, clients: int, *, faulty: bool = False) -> None:
        self.port = port
        self.clients = clients
        self.faulty = faulty
        self.stubborn = False
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(str(self.clients).encode())
            writer.close()
            await writer.wait_closed()

        if self.faulty:
            raise OSError("it does not open")
        self._server = await asyncio.start_server(answer, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self.stubborn:
            await asyncio.Event().wait()
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()


async def asked(port: int) -> str:
    """Return what the door at `port` answers, "" where nobody does."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return ""
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


def maker(port: int, made: list[Door], *, faulty: bool = False) -> Callable[[Profile], Component]:
    def make(settings: Profile) -> Component:
        if not settings.features.control_door:
            return NullPart("control")
        made.append(Door(port, settings.control.max_clients, faulty=faulty))
        return made[-1]

    return make


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_only_an_edit_of_its_keys_concerns_it() -> None:
    swap = ComponentSwap("control", KEYS, lambda _: NullPart("control"), NullPart("control"))
    assert swap.concerned(["engine.band", "control.max_clients"])
    assert not swap.concerned(["engine.band", "features.watcher"])


def test_one_is_started_beside_the_old_one_and_stopped_if_it_cannot_be(port: int) -> None:
    async def main() -> None:
        made: list[Door] = []
        swap = ComponentSwap("control", KEYS, maker(port, made), Door(port, 1))
        await swap.start()
        with pytest.raises(CannotBuild, match="address already in use"):
            await swap.stage(OLD, NEW)
        assert await asked(port) == "1", "the one in force never stopped"
        await swap.stop()

    run(main)


def test_off_and_on_again_leaves_a_null_part_in_between(port: int) -> None:
    async def main() -> None:
        made: list[Door] = []
        swap = ComponentSwap("control", KEYS, maker(port, made), Door(port, 1))
        await swap.start()
        staged = await applied(swap, OLD, OFF)
        assert staged.effect == "switched off"
        assert isinstance(swap.current, NullPart)
        assert await asked(port) == ""
        await applied(swap, OFF, NEW)
        assert await asked(port) == "2"
        await swap.stop()

    run(main)


def test_an_old_one_that_does_not_end_is_named_within_its_deadline(port: int) -> None:
    async def main() -> None:
        old = Door(port, 1)
        swap = ComponentSwap("control", KEYS, maker(port, []), old)
        await swap.start()
        hasty = profile(features__control_door=False, reload__drain_timeout_s=0.05)
        staged = await swap.stage(OLD, hasty)
        staged.commit()
        old.stubborn = True
        with pytest.raises(TimeoutError, match=r"control did not stop within 0\.05 s"):
            await staged.retire()
        old.stubborn = False
        await old.stop()

    run(main)
