"""The bot, killed after one step of a rebuild: `dying_rebuild.py STEP --profile …`. Run by the tests of this folder."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tradebot.cli.main import main

STEPS = {
    "begun": ("open", "journal.sqlite.new"),
    "written": ("open", ".rebuild.json"),
    "decided": ("os.rename", "journal.sqlite"),
    "set aside": ("os.rename", "journal.sqlite.new"),
    "in its place": ("os.remove", "rebuild.json"),
}
"""After what it is killed: before the operation of this audit event on a file whose name begins so."""


def die_after(step: str) -> None:
    """Kill this process, as `kill -9` does, before what follows `step`."""
    event, name = STEPS[step]
    whole = event != "open"

    def look(seen: str, arguments: tuple[Any, ...]) -> None:
        if seen != event or not isinstance(arguments[0], str | os.PathLike):
            return
        found = os.path.basename(os.fspath(arguments[0]))
        if (found == name) if whole else found.startswith(name):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if __name__ == "__main__":
    die_after(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
