"""Does the door open only where it may, and close without leaving anybody or anything behind?"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from tests.control.little_bot import Heard, LittleBot, served
from tests.control.raw import Raw, http, until
from tradebot.config.sections.control import Control
from tradebot.control import connection, server
from tradebot.control.client import Client, NoBot, Refused
from tradebot.control.messages import HEARTBEAT
from tradebot.control.place import standing
from tradebot.control.server import Door
from tradebot.domain.errors import CannotStart


def door(folder: Path) -> Door:
    return Door(folder, LittleBot(), Control(), Heard())


def test_the_socket_is_its_owner_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "prod"

    async def main() -> None:
        async with served(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / "control.sock").stat().st_mode) == 0o600
        assert list(folder.iterdir()) == []
        folder.chmod(0o755)
        async with served(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    asyncio.run(main())


@pytest.mark.parametrize("length", [107, 108, 600])
def test_a_folder_of_any_length_has_a_door(length: int, tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder / "control.sock")) < length:
        folder /= "d" * max(1, min(200, length - len(str(folder / "control.sock")) - 1))

    async def main() -> None:
        async with served(folder), Client(folder) as client:
            assert (await client.status()).instance == "prod"
            assert standing(folder) == "answers"
            with pytest.raises(CannotStart, match="another tradebot answers there"):
                await door(folder).start()
        assert standing(folder) == "nothing"
        with pytest.raises(NoBot):
            async with Client(folder) as client:
                await client.status()

    asyncio.run(main())


def test_a_socket_that_a_dead_bot_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "control.sock"))
        dead.listen()
    assert standing(tmp_path) == "stale"

    async def main() -> None:
        async with served(tmp_path), Client(tmp_path) as client:
            assert (await client.status()).instance == "prod"

    asyncio.run(main())


@pytest.mark.parametrize("full", [False, True], ids=["listening", "its queue full"])
def test_a_door_where_somebody_answers_is_left_alone(full: bool, tmp_path: Path) -> None:
    asking = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as living:
        living.bind(str(tmp_path / "control.sock"))
        living.listen(0)
        for _ in range(2 * full):
            asking.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            asking[-1].setblocking(False)
            asking[-1].connect_ex(str(tmp_path / "control.sock"))
        with pytest.raises(CannotStart) as refused:
            asyncio.run(door(tmp_path).start())
        assert standing(tmp_path) == "answers"
    for one in asking:
        one.close()
    assert str(refused.value) == (
        f"{tmp_path}/control.sock: another tradebot answers there; stop it, or give this bot its own `bot.instance`"
    )


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("mine")
    with pytest.raises(CannotStart, match=r"control\.sock: is there and is no socket"):
        asyncio.run(door(tmp_path).start())
    assert (tmp_path / "control.sock").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12_345, -1)
    with pytest.raises(CannotStart, match=r"theirs: belongs to another user \(uid 12345\)"):
        asyncio.run(door(folder).start())
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match=r"file/prod/control\.sock: the control door cannot be opened \(Not a dir"):
        asyncio.run(door(tmp_path / "file" / "prod").start())


def test_it_opens_again_after_it_was_closed_and_closing_twice_is_harmless(tmp_path: Path) -> None:
    async def main() -> None:
        one = door(tmp_path)
        await one.stop()
        for _ in range(3):
            await one.start()
            async with Client(tmp_path) as client:
                assert (await client.status()).instance == "prod"
            await one.stop()
            await one.stop()
            assert one.clients == 0
        assert standing(tmp_path) == "nothing"

    asyncio.run(main())


def test_a_socket_that_is_not_ours_any_more_stays(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = door(tmp_path), door(tmp_path)
        await one.start()
        (tmp_path / "control.sock").unlink()
        await other.start()
        await one.stop()
        assert standing(tmp_path) == "answers"
        await other.stop()

    asyncio.run(main())


def test_nothing_is_left_in_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LEAVE_S", 1000.0)  # nobody is waited for who has nothing to take
    monkeypatch.setattr(connection, "HEAD_S", 1000.0)

    async def main() -> None:
        threads, files = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
        async with served(tmp_path) as (one, _, _log):
            async with Client(tmp_path) as client:
                await client.reload()
            with Raw(tmp_path) as idle, Raw(tmp_path) as listening:
                await listening.send(http("GET", "/v1/events"))
                await asyncio.get_running_loop().sock_recv(listening.socket, 1)
                await one.stop()
                assert (await listening.rest()).endswith(HEARTBEAT + b"\r\n0\r\n\r\n")
                assert await idle.rest() == b""
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert set(threading.enumerate()) == threads
        assert len(os.listdir("/proc/self/fd")) == files

    asyncio.run(main())


def test_a_closing_door_lets_requests_under_way_finish(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (one, bot, _), Client(tmp_path) as client:
            bot.hold = asyncio.Event()
            asking = asyncio.create_task(client.reload())
            await bot.working.wait()
            closing = asyncio.create_task(one.stop())
            await until(lambda: standing(tmp_path) == "nothing")
            async with Client(tmp_path) as late:
                with pytest.raises(NoBot):
                    await late.status()
            bot.hold.set()
            assert (await asking).outcome == "applied"
            await closing

    asyncio.run(main())


def test_a_closing_door_tells_who_waits_too_long_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FINISH_S", 0.05)

    async def main() -> None:
        async with served(tmp_path) as (one, bot, log), Client(tmp_path) as client:
            bot.hold = asyncio.Event()
            asking = asyncio.create_task(client.switch("buying", False))
            await bot.working.wait()
            await one.stop()
            with pytest.raises(Refused, match="the door closes; what was asked goes on"):
                await asking
            bot.hold.set()
            await until(lambda: log.of("CONTROL_REQUEST_LATE"))
            assert bot.number == 2

    asyncio.run(main())


def test_new_settings_hold_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (one, bot, _), Client(tmp_path) as client:
            one.tune(Control(max_clients=1, request_timeout_s=0.05))
            with Raw(tmp_path):
                await until(lambda: one.clients)
                with pytest.raises(Refused, match="1 clients are connected already; come back later") as refused:
                    await client.status()
                assert refused.value.status == 503
            one.tune(Control(max_clients=3, request_timeout_s=0.05))
            bot.hold = asyncio.Event()
            with pytest.raises(Refused, match=r"not done within 0\.05 s"):
                await client.reload()
            bot.hold.set()

    asyncio.run(main())
