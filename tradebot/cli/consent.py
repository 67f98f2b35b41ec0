"""Does the person at the terminal want it? Asked by the commands before what is grave."""

from __future__ import annotations

import sys


def somebody_there() -> bool:
    """Whether a person at a terminal can be asked."""
    return sys.stdin.isatty()


def yes(question: str) -> bool:
    """Return whether the person at the terminal types yes."""
    try:
        reply = input(f"{question} Type yes: ")
    except EOFError:
        print()
        reply = ""
    if reply.strip() != "yes":
        print("tradebot: not done", file=sys.stderr)
    return reply.strip() == "yes"
