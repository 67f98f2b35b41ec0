"""The command line, with one thing broken that takes a key along: `breaking.py HOW [words]`. Run by the tests here."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from typing import Any

from tests.secrets.planting import KEY, PASSWORD, SECRET, echo
from tradebot.cli import main as entry
from tradebot.cli import validate


class SignedAway(Exception):
    """A foreign error that tells all it knows."""


def uncaught(_args: Any) -> int:
    """End by an error that nobody expects, with a key in its text, its notes, its cause and its locals."""
    local = {"secret": SECRET}
    error = SignedAway(f"GET https://x/?key={KEY} {echo()}")
    error.add_note(f"signed with {local['secret']}")
    raise error from ValueError(PASSWORD)


def in_thread(_args: Any) -> int:
    """Let a thread end so."""
    thread = threading.Thread(target=uncaught, args=(None,), name=f"signs with {KEY}")
    thread.start()
    thread.join()
    return 0


def unraisable(_args: Any) -> int:
    """Let a finaliser fail so."""

    class Holder:
        def __del__(self) -> None:
            uncaught(None)

        def __repr__(self) -> str:
            return f"Holder of {SECRET}"

    holder: Holder | None = Holder()
    assert holder
    holder = None
    gc.collect()
    return 0


def logged(_args: Any) -> int:
    """Let a library complain where no log listens."""
    try:
        uncaught(None)
    except SignedAway:
        logging.getLogger("some.library").exception("with %s", SECRET)
    return 0


def forgotten(_args: Any) -> int:
    """Let a task fail that nobody waits for."""

    async def run() -> None:
        task = asyncio.get_running_loop().create_task(fails())
        await asyncio.sleep(0.01)
        del task
        gc.collect()

    async def fails() -> None:
        uncaught(None)

    asyncio.run(run())
    return 0


def aborted(_args: Any) -> int:
    """End by a signal that leaves a core file where that is allowed."""
    os.abort()


def limits(_args: Any) -> int:
    """Print how large a core file may be."""
    import resource

    print(f"CORE {resource.getrlimit(resource.RLIMIT_CORE)[0]}")
    return 0


HOW = {each.__name__: each for each in (uncaught, in_thread, unraisable, logged, forgotten, aborted, limits)}

if __name__ == "__main__":
    setattr(validate, "run", HOW[sys.argv.pop(1)])  # noqa: B010 - the command that is broken
    sys.exit(entry.main())
