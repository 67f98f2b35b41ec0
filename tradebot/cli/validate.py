"""Are these profiles sound? Asked by `tradebot validate`, by people and in CI."""

from __future__ import annotations

import argparse
import json

from tradebot.config.faults import Fault, ProfileInvalid
from tradebot.config.loader import load_profile

Results = dict[str, tuple[Fault, ...]]
"""The faults of each profile, by the name it was asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the profiles and the format."""
    parser.add_argument("profiles", nargs="+", metavar="PROFILE", help="a path, or a name in profiles/")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text for people, json for machines, github for annotations in its CI (default: text)",
    )


def run(args: argparse.Namespace) -> int:
    """Print every fault of every profile and a count; 0 if there is none, 1 otherwise."""
    results: Results = {name: _faults(name) for name in args.profiles}
    match args.format:
        case "json":
            print(_json(results))
        case "github":
            _print_all([_annotation(fault) for fault in _once(results)])
        case _:
            _print_all([*map(str, _once(results)), _count(results)])
    return 1 if any(results.values()) else 0


def _faults(name: str) -> tuple[Fault, ...]:
    try:
        load_profile(name)
    except ProfileInvalid as invalid:
        return invalid.faults
    return ()


def _once(results: Results) -> list[Fault]:
    """Return the faults in order, one in a file that several profiles extend only once."""
    return list(dict.fromkeys(fault for faults in results.values() for fault in faults))


def _count(results: Results) -> str:
    faults, profiles = len(_once(results)), len(results)
    if not faults:
        return "1 profile is valid" if profiles == 1 else f"{profiles} profiles are valid"
    invalid = sum(map(bool, results.values()))
    return f"{faults} {_plural('fault', faults)} in {invalid} of {profiles} {_plural('profile', profiles)}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _json(results: Results) -> str:
    faults = [
        {
            "profile": profile,
            "file": fault.file,
            "line": fault.line or None,
            "column": fault.column or None,
            "key": fault.key or None,
            "message": fault.message,
        }
        for profile, found in results.items()
        for fault in found
    ]
    document = {"profiles": len(results), "invalid": sum(map(bool, results.values())), "faults": faults}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _annotation(fault: Fault) -> str:
    """Return a workflow command: its values must not end the command or its properties early."""
    place = f"file={_escaped(fault.file, ':,')}"
    if fault.line:
        place += f",line={fault.line},col={fault.column}"
    text = f"{fault.key}: {fault.message}" if fault.key else fault.message
    return f"::error {place},title=profile::{_escaped(text)}"


def _escaped(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _print_all(lines: list[str]) -> None:
    for line in lines:
        print(line)
