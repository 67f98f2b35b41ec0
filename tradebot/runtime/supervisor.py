"""How does the process supervisor know that the bot lives? By systemd's notify socket, where there is one; asked by the
bot and told by the engine's own loop, so that a loop that stands still is told by silence.

Source: sd_notify(3): datagrams of NAME=value to the unix socket NOTIFY_SOCKET ("@" begins an abstract name);
WATCHDOG_USEC is the time after which a silent process is ended, WATCHDOG_PID whose it is.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final, Protocol

from tradebot.domain.events import Event
from tradebot.ports import Log
from tradebot.runtime.outbox import NEVER_MS

_SHARE: Final = 3  # a sign of life every third of the time that is given


class Supervisor(Protocol):
    """Who started the process and watches it. It is a chore of the loop, too."""

    name: str

    @property
    def next_due_ms(self) -> int:
        """When it wants to hear of life again."""
        ...

    def run(self, now_ms: int) -> Event | None:
        """Tell that the loop lives."""
        ...

    def ready(self) -> None:
        """Tell that the bot trades."""
        ...

    def stopping(self) -> None:
        """Tell that the bot ends by itself."""
        ...

    def close(self) -> None:
        """Tell nothing more."""
        ...


class NoSupervisor:
    """Nobody watches: nothing is told."""

    name = "supervisor"
    next_due_ms = NEVER_MS

    def run(self, now_ms: int) -> Event | None:
        """Tell nothing."""
        return None

    def ready(self) -> None:
        """Tell nothing."""

    def stopping(self) -> None:
        """Tell nothing."""

    def close(self) -> None:
        """Tell nothing."""


class Systemd:
    """Tells systemd over its datagram socket. What cannot be told is logged once and never holds up the bot."""

    name = "supervisor"

    def __init__(self, address: str, watchdog_us: int, log: Log) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_ms = watchdog_us // 1000 // _SHARE
        self._log = log
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._deaf = False
        self.next_due_ms = 0 if watchdog_us else NEVER_MS

    def run(self, now_ms: int) -> Event | None:
        """Tell that the loop lives."""
        self.next_due_ms = now_ms + max(1, self._every_ms)
        self._tell("WATCHDOG=1")
        return None

    def ready(self) -> None:
        """Tell that the bot trades."""
        self._tell("READY=1\nSTATUS=trading")

    def stopping(self) -> None:
        """Tell that the bot ends by itself; it is alive at this moment."""
        self._tell("STOPPING=1\nWATCHDOG=1\nSTATUS=ending")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _tell(self, words: str) -> None:
        try:
            self._socket.sendto(words.encode(), self._address)
        except OSError as error:
            if not self._deaf:
                self._deaf = True
                text = f"the supervisor cannot be told: {error}"
                self._log.emit("system", "WARNING", "SUPERVISOR_DEAF", text)
        else:
            self._deaf = False


def supervisor_of(environ: Mapping[str, str], log: Log) -> Systemd | NoSupervisor:
    """Return who watches this process, by the environment; another process's watchdog is none of ours."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return NoSupervisor()
    watchdog = environ.get("WATCHDOG_USEC", "")
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return Systemd(address, int(watchdog) if watchdog.isdecimal() and ours else 0, log)
