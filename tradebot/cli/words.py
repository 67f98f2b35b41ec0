"""How is it said to a person at a terminal? Numbers, times, long lines; asked by the commands."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TextIO

from tradebot.config.secrets import mask

NARROWEST = 40
"""Columns below which nothing is wrapped: it would be one word a line."""

_CODE = re.compile(r"`[^`]*`")


def span(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: 2:41:07, or 8:12 below one hour."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def utc(at_ms: int) -> str:
    """Return a time as people read it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def by(cause: str, who: str) -> str:
    """Return why and by whom, in one word where both are the same."""
    return cause if cause == who else f"{cause} by {who}"


def many(count: int, word: str) -> str:
    """Return a count with its word in the right number."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def on_off(on: bool) -> str:
    """Return how a toggle stands."""
    return "on" if on else "off"


def signed(amount: Decimal) -> str:
    """Return an amount of quote with its sign, to the cent."""
    return f"{'+' if amount > 0 else ''}{amount:,.2f}"


def price(value: float | Decimal) -> str:
    """Return a price with as many places as it has, eight digits at most; a dash where there is none."""
    return f"{Decimal(f'{value:.8g}'):,f}" if value else "–"


def show(*lines: str, file: TextIO | None = None, hang: int = 2) -> None:
    """Print each line without keys; on a narrow terminal in several, indented `hang` further than it begins."""
    stream = sys.stdout if file is None else file
    width = _columns(stream)
    for line in lines:
        for part in fitted(mask(line), width, hang):
            print(part, file=stream)


def fitted(line: str, width: int, hang: int) -> list[str]:
    """Return a line in parts of at most `width` columns, cut between words, and never within `a command`."""
    if width < NARROWEST or len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + hang)
    whole = _CODE.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), line)
    parts = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts]


def table(rows: Sequence[tuple[str, str]]) -> tuple[list[str], int]:
    """Return (head, text) rows as lines, their texts below each other, and the column where the texts begin."""
    width = max((len(head) for head, _ in rows), default=0)
    return [f"{head:<{width}}  {text}" for head, text in rows], width + 2


def _columns(stream: TextIO) -> int:
    """Return the width of the terminal behind a stream, 0 where there is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0
