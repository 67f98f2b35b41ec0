"""Which process works on a profile history until it is killed? Started by the tests of kills; it kills itself.

Each line on stdin is one life: "<file> <step>". A fork of this process then works through every method again and again,
until it kills itself before its SQL statement number <step>, or is killed, where that is 0. Its number in the system
and what it reported done go to stdout, then the line "dead".
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.storage.generations import digest, files, generation, verdict
from tradebot.domain.generation import Switch
from tradebot.storage.history import History


def work(path: Path) -> None:
    """Work through every method, each generation with the toggles and the pending text of its number."""
    history = History.open(path, 1.0)
    while True:
        number = history.next_number()
        report("number", number)
        history.judge(verdict(number, "pending"))
        history.begin(generation(number))
        report("begun", number)
        if number % 5 == 4:
            history.fail(number, number, "no port")
        else:
            history.commit(
                number, number, switches=[Switch("buying", False, str(number), number)], settle=digest(number)
            )
            report("applied", number)
            if number % 3 == 0:
                history.condemn(number, number, "errors", "guard")
            else:
                history.passed(number, number)
        history.judge(verdict(-number, "refused"))
        history.accept(digest(-number), number, "ada")
        history.judge(verdict(-number, "rejected"))
        history.begin_restore(number, files(-number))
        report("restoring", number)
        history.end_restore()
        report("restored", number)
        history.prune(2)


def report(what: str, number: int) -> None:
    os.write(1, f"{what} {number}\n".encode())


def die_before(step: int) -> None:
    """Make every connection from here on kill this process before its statement number `step` (from 1)."""
    left = [step]

    def count(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    class Watched(sqlite3.Connection):
        """A connection that counts its statements."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self.set_trace_callback(count)

    setattr(sqlite3, "connect", Watched)  # noqa: B010  a function gives way to a class, which types do not allow


def main() -> None:
    """Live one life a line."""
    for line in sys.stdin:
        path, step = line.split()
        child = os.fork()
        if not child:
            report("pid", os.getpid())
            if int(step):
                die_before(int(step))
            work(Path(path))
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
