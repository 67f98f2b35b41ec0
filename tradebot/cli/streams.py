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
            _lead_nowhere(number)


def say(line: str) -> None:
    """Print a line to the error stream; where nobody can read it, it is dropped."""
    try:
        print(f"tradebot: {mask(line)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        forget_terminal()


def show_end(text: str) -> None:
    """Print what is told once a run is over; where nobody can read it, the run has ended as it has all the same."""
    try:
        print(mask(text))
    except (OSError, ValueError):
        _lead_nowhere(1)
    flush_end()


def flush_end() -> None:
    """Let everything printed leave; where nobody can read it, it is dropped."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _lead_nowhere(1)


def hung_up(number: int) -> bool:
    """Whether a descriptor leads to a terminal that was closed."""
    try:
        termios.tcgetattr(number)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)
    os.close(nowhere)
