"""Where is a bot's control door, and does anybody stand behind it? Asked by the server, its client and the commands."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

SOCKET = "control.sock"
"""The socket's name in the bot's durable home."""

MOST_PATH_BYTES = 107
"""What a unix socket's address holds (unix(7): 108 bytes with the zero at its end)."""

Standing = Literal["nothing", "stale", "answers", "foreign"]
"""What is at the place: nothing, a socket that nobody listens on, a live one, or something that is no socket."""


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """Yield a path of the socket in `folder` that fits into an address; it is good inside the context only.

    Raises OSError where the folder cannot be opened.
    """
    path = folder / SOCKET
    if len(os.fsencode(path)) <= MOST_PATH_BYTES:
        yield str(path)
        return
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def standing(folder: Path) -> Standing:
    """Return what stands at the door of `folder`. Never waits. Raises OSError where it cannot be asked."""
    path = folder / SOCKET
    if not os.path.lexists(path):
        return "nothing"
    if not path.is_socket():
        return "foreign"
    with address(folder) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(place)
        except ConnectionRefusedError:
            return "stale"
        except FileNotFoundError:
            return "nothing"
        except BlockingIOError:
            return "answers"  # so many wait at the door that the kernel queues no more
    return "answers"
