"""How is the running bot spoken to? The control door: a local API on a unix socket, for the bot's owner only."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

from tradebot.config.sections.control import Control
from tradebot.control.connection import Connections, TurnedAway, settings_of_http
from tradebot.control.place import SOCKET, address, standing
from tradebot.control.requests import Desk
from tradebot.domain.errors import CannotStart
from tradebot.ports import Log, Operator

FINISH_S = 1.0
"""How long a closing door waits for answers under way before it tells their askers that it closes."""

LEAVE_S = 1.0
"""How long a closing door waits for its clients to take what it said."""

MOST_TURNED_AWAY = 256
"""Most clients beyond `max_clients` that are told so at a time; further ones are cut off."""

T = TypeVar("T")


class Door:
    """The control door in `folder`: answers for `operator` until it is stopped, inside the bot's loop.

    Nothing a client does or leaves undone keeps the loop waiting: each step of a request is bounded.
    """

    name = "control_door"

    def __init__(self, folder: Path, operator: Operator, settings: Control, log: Log) -> None:
        self.path = folder / SOCKET
        self._folder = folder
        self._operator = operator
        self._settings = settings
        self._log = log
        self._held = ExitStack()
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._desk: Desk
        self._connections: Connections
        self._turned_away: set[TurnedAway] = set()

    @property
    def clients(self) -> int:
        """How many connections there are."""
        return len(self._connections.present) if self._server is not None else 0

    @property
    def listeners(self) -> int:
        """How many clients follow the event stream."""
        return len(self._desk.audience) if self._server is not None else 0

    @property
    def hand_overs(self) -> int:
        """How often log records have crossed into the loop since the door was opened."""
        return self._desk.audience.hand_overs

    async def start(self) -> None:
        """Open the door.

        A socket that a dead bot left is removed. Raises CannotStart where somebody answers there, where the folder
        belongs to another user, or where the socket cannot be made.
        """
        opened = await _away(self._open)
        self._desk = Desk(self._operator, self._settings, self._log)
        self._connections = Connections(self._desk.handle, **settings_of_http())
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(self._admit, sock=opened)
        except OSError as error:
            opened.close()
            await _away(self._remove)
            self._held.close()
            raise self._cannot(error) from error
        self._log.emit("system", "INFO", "CONTROL_DOOR_OPEN", str(self.path))

    async def stop(self) -> None:
        """Close the door; harmless when called twice.

        Requests under way may finish for a moment; who waits longer is told that the door closes, and what was asked
        goes on. Streams end with what they have.
        """
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        await _away(self._remove)
        self._desk.audience.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self._desk.idle.wait()
        self._desk.close()
        self._connections.pre_shutdown()
        await self._connections.shutdown(LEAVE_S)
        for client in list(self._turned_away):
            client.abort()
        self._held.close()
        self._log.emit("system", "INFO", "CONTROL_DOOR_CLOSED", str(self.path))

    def tune(self, settings: Control) -> None:
        """Take new settings: all of them hold from the next connection, request or record on."""
        self._settings = settings
        if self._server is not None:
            self._desk.tune(settings)

    def _admit(self) -> asyncio.Protocol:
        """Return who speaks with the next client."""
        most = self._settings.max_clients
        if len(self._connections.present) < most:
            return self._connections()
        turned_away = TurnedAway(self._turned_away, most)
        if len(self._turned_away) >= MOST_TURNED_AWAY:
            asyncio.get_running_loop().call_soon(turned_away.abort)
        return turned_away

    def _open(self) -> socket.socket:
        """Return the bound socket."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._prepare()
            place = self._held.enter_context(address(self._folder))
            opened.setblocking(False)
            opened.bind(place)
            self.path.chmod(0o600)
            self._inode = self.path.stat().st_ino
        except OSError as error:
            opened.close()
            self._held.close()
            raise self._cannot(error) from error
        except CannotStart:
            opened.close()
            raise
        return opened

    def _prepare(self) -> None:
        """Make folder and place ready. Raises CannotStart and OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = self._folder.stat()
        if about.st_uid != os.geteuid():
            raise CannotStart(f"{self._folder}: belongs to another user (uid {about.st_uid}); no control door there")
        if stat.S_IMODE(about.st_mode) & 0o077:
            self._folder.chmod(0o700)
        match standing(self._folder):
            case "answers":
                raise CannotStart(
                    f"{self.path}: another tradebot answers there; stop it, or give this bot its own `bot.instance`"
                )
            case "foreign":
                raise CannotStart(f"{self.path}: is there and is no socket; move it away")
            case "stale":
                self.path.unlink(missing_ok=True)

    def _remove(self) -> None:
        """Remove our socket, and nobody else's."""
        with suppress(OSError):  # it has gone already, or its folder: nothing is left that could be removed
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    def _cannot(self, error: OSError) -> CannotStart:
        return CannotStart(f"{self.path}: the control door cannot be opened ({error.strerror or error})")


async def _away(work: Callable[[], T]) -> T:
    """Return what `work` does in a thread that ends with it: a disk may be slow, the loop may not."""
    pool = ThreadPoolExecutor(1, "tradebot-control_door")
    working = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        return await working
    finally:
        pool.shutdown(wait=working.done() and not working.cancelled())
