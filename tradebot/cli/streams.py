"""Where do lines go that nobody can read any more? Asked by what prints beside a running bot."""

from __future__ import annotations

import errno
import os
import sys
import termios

from tradebot.config.secrets import mask


def forget_terminal() -> None:
    """Let standard streams that lead to a closed terminal lead nowhere from here on; others stay as they are.

    Whatever is printed later, by us or by Python at its end, then fails no more.
    """
    for number in (0, 1, 2):
        if hung_up(number):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            os.close(nowhere)


def say(line: str) -> None:
    """Print a line to the error stream; where nobody can read it, it is dropped."""
    try:
        print(f"tradebot: {mask(line)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        forget_terminal()


def hung_up(number: int) -> bool:
    """Whether a descriptor leads to a terminal that was closed."""
    try:
        termios.tcgetattr(number)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False
