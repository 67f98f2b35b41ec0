"""systemd hears what it must, over a real datagram socket, and nothing that it says holds up the bot."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.telling import Told
from tests.runtime.test_live import Machine, Rig, Venue
from tradebot.runtime.outbox import NEVER_MS
from tradebot.runtime.supervisor import NoSupervisor, Systemd, supervisor_of


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def told(environ: dict[str, str]) -> tuple[Systemd, Told]:
    log = Told()
    found = supervisor_of(environ, log)
    assert isinstance(found, Systemd)
    return found, log


def test_without_a_socket_nobody_is_told() -> None:
    for environ in ({}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        found = supervisor_of(environ, Told())
        assert isinstance(found, NoSupervisor)
        assert found.next_due_ms == NEVER_MS
        assert found.run(1) is None


def test_ready_life_and_the_end_are_told(manager: socket.socket) -> None:
    here, log = told({"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "3000000"})
    here.ready()
    assert manager.recv(100) == b"READY=1\nSTATUS=trading"
    assert here.next_due_ms == 0
    here.run(10_000)
    assert manager.recv(100) == b"WATCHDOG=1"
    assert here.next_due_ms == 11_000, "every third of the time"
    here.stopping()
    assert manager.recv(100) == b"STOPPING=1\nWATCHDOG=1\nSTATUS=ending"
    here.close()
    assert log.records == []


def test_an_abstract_name_is_spoken_to() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0tradebot-test-{os.getpid()}")
        listening.settimeout(5)
        here, _ = told({"NOTIFY_SOCKET": f"@tradebot-test-{os.getpid()}"})
        here.ready()
        assert listening.recv(100).startswith(b"READY=1")
        assert here.next_due_ms == NEVER_MS, "no watchdog was asked for"
        here.close()


def test_the_watchdog_of_another_process_is_none_of_ours(manager: socket.socket) -> None:
    where = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "3000000"}
    other, _ = told({**where, "WATCHDOG_PID": "1"})
    assert other.next_due_ms == NEVER_MS
    other.close()
    ours, _ = told({**where, "WATCHDOG_PID": str(os.getpid())})
    assert ours.next_due_ms == 0
    ours.close()


def test_a_supervisor_that_does_not_hear_is_told_of_once_and_holds_up_nothing(tmp_path: Path) -> None:
    here, log = told({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "3000000"})
    for now in range(5):
        here.run(now)
    here.stopping()
    assert [kind for kind, _ in log.records] == ["SUPERVISOR_DEAF"]
    here.close()


def test_a_full_socket_is_not_waited_for(manager: socket.socket) -> None:
    here, log = told({"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "3000000"})
    while not log.records:
        here.run(0)
    assert [kind for kind, _ in log.records] == ["SUPERVISOR_DEAF"]
    here.close()


def test_it_is_the_loop_of_the_engine_that_shows_life(manager: socket.socket) -> None:
    here, _ = told({"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "3000"})
    rig = Rig(Machine(), Venue())
    rig.shell.add_chore(here)
    rig.run(until=lambda: rig.shell.cycles >= 3)
    manager.settimeout(0)
    heard = []
    while True:
        try:
            heard.append(manager.recv(100))
        except BlockingIOError:
            break
    assert heard[:2] == [b"WATCHDOG=1"] * 2
    assert len(heard) <= rig.shell.cycles, "once a cycle at the most: a loop that stands still shows none"
    here.close()
