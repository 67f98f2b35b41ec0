"""The bot that kills itself at one step of its history or its files: `dying.py SOCKET`. Run by the tests here.

It is forked for each line that comes through the socket: everything is imported once, and only once.

Each call that a reload, a rollback or a start makes to what survives it is two steps: just before it, just after it.
While the file `steps` stands in the working folder, every step is written there; the one that the file `die_at` names
is the last: `name` and which time it comes, counted since that file is there.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import signal
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradebot.cli import run as command
from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.research import sources, text
from tradebot.runtime import bot as whole_bot
from tradebot.runtime.signals import Signals
from tradebot.runtime.transaction import Transaction
from tradebot.storage import restore
from tradebot.storage.history import History

STEPS = Path("steps")
DIE_AT = Path("die_at")

OF_HISTORY = (
    "next_number", "begin", "commit", "fail", "passed", "condemn", "judge", "accept", "tried", "begin_restore",
    "end_restore", "end_trial", "prune",
)  # fmt: skip
OF_SWAP = ("stage", "swap", "retire")
OF_FILES = ("_write", "_replace", "_remove")

IMPORTED = (sources, text, whole_bot)
"""What a run imports late, imported before the first fork."""

_seen: Counter[str] = Counter()


def reach(step: str) -> None:
    """Note that a step is reached; die where it is the last one."""
    if not STEPS.exists():
        _seen.clear()
        return
    _seen[step] += 1
    with STEPS.open("a") as file:
        file.write(f"{step} {_seen[step]}\n")
    if DIE_AT.exists() and DIE_AT.read_text() == f"{step} {_seen[step]}":
        os.kill(os.getpid(), signal.SIGKILL)


def between(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `call` with a step before and a step after it."""
    if inspect.iscoroutinefunction(call):

        @functools.wraps(call)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            reach(f"before {name}")
            found = await call(*args, **kwargs)
            reach(f"after {name}")
            return found

        return wait

    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        reach(f"before {name}")
        found = call(*args, **kwargs)
        reach(f"after {name}")
        return found

    return run


def bot(words: list[str]) -> int:
    """Run the bot; return its exit code."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with Signals() as signals:
        try:
            return command.run_with(parser.parse_args(words), signals)
        except ProfileInvalid as invalid:
            print(invalid, file=sys.stderr)
            return ExitCode.BAD_PROFILE
        except CannotStart as error:
            print(f"tradebot: {error}", file=sys.stderr)
            return error.exit_code


def serve(asked: socket.socket) -> None:
    """Fork a bot for each request, one at a time: answer with its process, then with the status it ended with."""
    while True:
        data, handles, _, _ = socket.recv_fds(asked, 65536, 1)
        if not data:
            return
        request = json.loads(data)
        pid = os.fork()
        if not pid:
            asked.close()
            for stream in (1, 2):
                os.dup2(handles[0], stream)
            os.close(handles[0])
            os.chdir(request["folder"])
            os.environ.update(request["env"])
            os._exit(_whole(request["words"]))
        os.close(handles[0])
        asked.sendall(f"{pid}\n".encode())
        asked.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())


def _whole(words: list[str]) -> int:
    """Run the bot as a program does: what it raises is printed, what it printed is written."""
    try:
        code = bot(words)
    except BaseException:  # noqa: BLE001 - the end of the process: nobody else would print it
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main() -> None:
    """Put the steps in and serve."""
    for owner, names in ((History, OF_HISTORY), (Transaction, OF_SWAP), (restore, OF_FILES)):
        for name in names:
            setattr(owner, name, between(getattr(owner, name), name.lstrip("_")))
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        serve(asked)


if __name__ == "__main__":
    main()
