"""Which versions of the profile were there? Asked by `tradebot profile history`, `diff` and `show --generation`.

The history's file is read, whether a bot runs or not.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from tradebot.cli.finding import WhichBot, bot_with
from tradebot.cli.words import by, show, utc
from tradebot.config.toml_text import key, literal
from tradebot.domain.errors import TradebotError
from tradebot.domain.generation import Generation
from tradebot.domain.views import GenerationView
from tradebot.storage.history import History
from tradebot.storage.home import PROFILES

T = TypeVar("T")

ABSENT = "–"

BELOW = 7
"""Column of what is said below the number of a generation."""


class NoGeneration(TradebotError):
    """The generation that was asked for is not in the history, or its text is not kept any more."""


def list_generations(args: argparse.Namespace) -> int:
    """Print the latest generations, newest first. Raises WhichBot and StorageFailed."""

    def read(history: History) -> list[GenerationView]:
        current = history.in_force()
        number = 0 if current is None else current.number
        return [GenerationView.of(one, in_force=one.number == number) for one in history.generations(args.limit)]

    found = _read(args, read)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return 0
    for one in found:
        show(_line(one), hang=BELOW)
        show(*(f"{'':{BELOW}}{change}" for change in one.changes))
    return 0


def show_generation(args: argparse.Namespace, number: int) -> int:
    """Print the effective profile of a generation as TOML. Raises NoGeneration too."""
    sys.stdout.write(_kept(_read(args, lambda history: history.generation(number)), number).effective)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Print what differs between two generations, `b` None for the one in force."""
    first, second = args.a, args.b

    def read(history: History) -> tuple[Generation | None, Generation | None]:
        return history.generation(first), history.in_force() if second is None else history.generation(second)

    before, after = _read(args, read)
    old, new = _kept(before, first), _kept(after, second)
    show(f"generation {old.number} → {new.number}")
    changes = list(differences(old.effective, new.effective))
    width = max((len(name) for name, _, _ in changes), default=0)
    for name, was, becomes in changes:
        show(f"  {name:<{width}}  {was} → {becomes}")
    if not changes:
        show("  the same settings")
    return 0


def differences(before: str, after: str) -> Iterator[tuple[str, str, str]]:
    """Yield the dotted key and both values, as TOML, of every setting that differs between two effective profiles."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for name in {**old, **new}:
        was, becomes = old.get(name, ABSENT), new.get(name, ABSENT)
        if was != becomes:
            yield name, was, becomes


def _read(args: argparse.Namespace, question: Callable[[History], T]) -> T:
    path = bot_with(args, PROFILES).home / PROFILES
    history = History.read_only(path)
    if history is None:
        raise WhichBot(f"{path}: is not there any more")
    try:
        return question(history)
    finally:
        history.close()


def _kept(found: Generation | None, number: int | None) -> Generation:
    if found is None:
        what = "no generation is in force" if number is None else f"there is no generation {number}"
        raise NoGeneration(f"{what}; `tradebot profile history` lists them")
    if not found.effective:
        raise NoGeneration(f"generation {found.number}: its text is not kept any more, only what it changed")
    return found


def _line(one: GenerationView) -> str:
    parts = [f"{one.number:>5}  {utc(one.at_ms)}  {by(one.cause, one.who)}"]
    parts.append(f"in force, {one.state}" if one.in_force else one.state)
    parts += [f"set: {', '.join(one.overrides)}"] if one.overrides else []
    parts += [one.reason] if one.reason else []
    return " · ".join(parts)


def _leaves(text: str) -> Iterator[tuple[str, str]]:
    yield from _inside(tomllib.loads(text, parse_float=Decimal), "")


def _inside(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and (value or not name):
        for part, inner in value.items():
            yield from _inside(inner, f"{name}.{key(part)}" if name else key(part))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for index, inner in enumerate(value):
            yield from _inside(inner, f"{name}[{index}]")
    else:
        yield name, literal(value)
