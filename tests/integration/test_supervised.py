"""systemd is told by a real bot that it is ready, that it lives, and that it ends; one that hangs tells nothing."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE_S, Bot, write_profile


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_S)
        yield listening


def told(manager: socket.socket, word: str) -> list[str]:
    """Return what is told until `word` is among it, with it."""
    heard = []
    while True:
        heard.append(manager.recv(200).decode())
        if word in heard[-1].splitlines():
            return heard


def test_a_bot_under_systemd_tells_that_it_is_ready_lives_and_ends(tmp_path: Path, manager: socket.socket) -> None:
    write_profile(tmp_path)
    where = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    with Bot(tmp_path, env=where) as bot:
        told(manager, "READY=1")
        for _ in range(3):
            assert told(manager, "WATCHDOG=1") == ["WATCHDOG=1"]
        bot.send(signal.SIGTERM)
        last = told(manager, "STOPPING=1")
        assert set(last[:-1]) <= {"WATCHDOG=1"}
        assert bot.end() == 0, bot.text
    assert "SUPERVISOR_DEAF" not in bot.text


def test_a_bot_whose_process_stands_still_shows_no_life(tmp_path: Path, manager: socket.socket) -> None:
    write_profile(tmp_path)
    where = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000"}
    with Bot(tmp_path, env=where) as bot:
        told(manager, "READY=1")
        bot.send(signal.SIGSTOP)
        manager.settimeout(1.0)
        silent = False
        while not silent:
            try:
                manager.recv(200)  # what was told before it stood still
            except TimeoutError:
                silent = True
        bot.send(signal.SIGCONT)
        manager.settimeout(PATIENCE_S)
        told(manager, "WATCHDOG=1")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
