"""Is what the docs show true: profiles and what becomes of them, commands, requests, toggles, gauges?

Before a TOML block that is not simply a valid profile stands `<!-- outcome: KIND WHAT -->`: what the running bot makes
of it as an edit of the defaults, and about which key (or, of a rejected one, the fault's text).
"""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tradebot.cli.main import BOT, COMMANDS
from tradebot.config.catalogue import settings_of
from tradebot.config.diff import diff
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import load_profile
from tradebot.config.sections.features import Features
from tradebot.config.sections.reload import Guards
from tradebot.control.messages import ROUTES
from tradebot.runtime import outcomes
from tradebot.runtime.policy import reason_to_wait

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SOURCES = sorted((ROOT / "tradebot").rglob("*.py"))
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

_TOML = re.compile(r"(?:^<!-- outcome: (\w+) ?(.*?) ?-->\n)?^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`(tradebot(?: [^`{}]*)?)`")


def _examples() -> list[Any]:
    """Return (kind, what it is about, text) of every TOML block."""
    return [
        pytest.param(kind, what, text, id=f"{page.name}:{number}")
        for page in PAGES
        for number, (kind, what, text) in enumerate(_TOML.findall(page.read_text(encoding="utf-8")), start=1)
    ]


def _typed() -> list[str]:
    """Return every command line of the shell blocks: comments, prompts and variables off, one for each `&&`."""
    lines = [
        line.removeprefix("$ ").split("  #")[0].strip()
        for page in PAGES
        for block in _SHELL.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    found = {re.sub(r"^(?:\w+=\S+ )+", "", part).removeprefix(".venv/bin/") for part in parts}
    return sorted(part for part in found if re.match(r"tradebot( |$)", part))


def _named() -> list[str]:
    """Return every command that a sentence of the docs, or the bot itself, tells one to type."""
    return sorted({name for path in (*PAGES, *SOURCES) for name in _NAMED.findall(path.read_text(encoding="utf-8"))})


def _parse(words: list[str]) -> bool:
    """Whether these words after `tradebot` are understood."""
    command = words[0] if words and words[0] in COMMANDS else None
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.set_defaults(command=command)
    import_module(COMMANDS[command][0] if command else BOT).add_arguments(parser)
    try:
        parser.parse_args(words[1:] if command else words)
    except SystemExit as end:
        return end.code == 0
    return True


def test_there_are_examples_of_every_kind() -> None:
    kinds = {example.values[0] for example in _examples()}
    assert kinds == {"", "applied", "pending", "refused", "rejected"}
    assert len(_typed()) > 20
    assert len(_named()) > 20


@pytest.mark.parametrize(("kind", "what", "text"), _examples())
def test_a_profile_in_the_docs_becomes_what_the_page_says(kind: str, what: str, text: str, tmp_path: Path) -> None:
    base = tmp_path / "base.toml"
    base.write_bytes((ROOT / "profiles/base.toml").read_bytes())
    shown = tmp_path / "shown.toml"
    shown.write_text(text, encoding="utf-8")
    if kind == "rejected":
        with pytest.raises(ProfileInvalid, match=re.escape(what)):
            load_profile(str(shown), {})
        return
    edited = load_profile(str(shown), {})
    if not kind:
        return
    in_force = load_profile(str(base), {})
    changes = diff(in_force, edited)
    assert changes
    restart = [change.key for change in changes if change.reload == "restart"]
    waits, _ = reason_to_wait(changes, in_force.profile.reload.mode)
    about = restart or list(waits)
    assert (kind, what) == ("refused" if restart else "pending" if waits else "applied", ", ".join(about))


@pytest.mark.parametrize("line", _typed())
def test_a_command_that_the_docs_show_is_understood(line: str) -> None:
    assert _parse(shlex.split(line)[1:]), line


@pytest.mark.parametrize("name", _named())
def test_a_command_that_is_named_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    placeholders = {"N": "1", "A": "1", "B": "2"}
    words = [placeholders.get(word, word) for word in shlex.split(name)[1:]]
    if _parse(words):
        return
    options = [word for word in words if word.startswith("-")]  # a sentence may leave out what is required
    assert _parse([*(word for word in words if word not in options), "--help"]), name
    assert set(options) <= set(re.findall(r"--?[a-z][a-z-]*", capsys.readouterr().out)), name


def test_the_page_lists_every_request_as_it_is_declared() -> None:
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \| (.+?) \| (.*?) ?\|$", OPERATIONS, re.MULTILINE)
    assert [row[:3] for row in rows] == [(route.method, route.path, route.sentence) for route in ROUTES]
    for (*_, told), route in zip(rows, ROUTES, strict=True):
        declared = {*_fields(route.body), *_fields(route.query)}
        assert all(re.search(rf"\b{field}\b", told) for field in declared), route.name
        assert bool(told) == bool(declared), route.name


def _fields(asked: Any) -> tuple[str, ...]:
    return () if asked is None else tuple(asked.__struct_fields__)


def test_the_page_lists_every_toggle_with_its_safe_behaviour() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (on|off) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    declared = settings_of(Features)
    defaults = Features()
    assert rows == [
        (name, "on" if getattr(defaults, name) else "off", one.sentence.partition("; off, ")[2].rstrip("."))
        for name, one in declared.items()
    ]


def test_the_page_lists_every_guard() -> None:
    rows = re.findall(r"^\| `(max_\w+)` \|", OPERATIONS, re.MULTILINE)
    assert rows == [name for name in settings_of(Guards) if name.startswith("max_")]


def test_the_page_lists_every_gauge_of_the_profile() -> None:
    source = (ROOT / "tradebot/runtime/live_profile.py").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(config_\w+)` \|", OPERATIONS, re.MULTILINE)
    assert sorted(rows) == sorted(re.findall(r'gauge\(\s*"(config_\w+)"', source))


def test_the_page_lists_every_outcome_and_names_no_other_event_type_of_the_profile() -> None:
    kinds = [kind.kind.replace("_", " ") for kind in outcomes.Outcome.__subclasses__()]
    said = {"pending": "waiting"}
    rows = re.findall(r"^\| ([a-z ]+) \| [^|]+ \| [^|]+ \|$", OPERATIONS.partition("**Applied.**")[0], re.MULTILINE)
    assert set(rows) - {"outcome"} == {said.get(kind, kind) for kind in kinds}
    known = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for name in re.findall(r"`((?:PROFILE|COMPONENT|FLATTEN|STATE|CONSOLE)_[A-Z_]+)`", OPERATIONS):
        assert f'"{name}"' in known, name
