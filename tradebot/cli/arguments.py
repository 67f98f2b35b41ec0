"""What does a word that was typed mean, a time, a span or a list of symbols? Asked by the commands that take them."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from tradebot.domain.market import split_symbol


def moment_ms(word: str) -> int:
    """Return an ISO 8601 date or time as ms UTC; without an offset it is UTC. Raises ArgumentTypeError."""
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no time: write 2021-04-17 or 2021-04-17T03:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def symbols(words: str) -> tuple[str, ...]:
    """Return the symbols of a list like BTC/USDT,ETH/USDT. Raises ArgumentTypeError."""
    named = tuple(word.strip() for word in words.split(",") if word.strip())
    try:
        for symbol in named:
            split_symbol(symbol)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not named:
        raise argparse.ArgumentTypeError("no symbol named: write BTC/USDT,ETH/USDT")
    return named


def seconds(word: str) -> float:
    """Return a number of seconds above 0. Raises ArgumentTypeError."""
    try:
        given = float(word)
    except ValueError:
        given = 0.0
    if not 0 < given < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0")
    return given
